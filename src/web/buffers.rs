//! How bytes go into and come out of a connection's own memory: small pieces are
//! copied where that is cheaper than what it saves.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Up to how many bytes are copied away from what was read.
const SMALL: usize = 4096;

/// Up to how many bytes are written in one piece.
const PIECE: usize = 2048;

/// `data`, which is a part of what a connection has read, by itself if it is small:
/// so that the connection can read on into the same memory.
pub(crate) fn apart(data: Bytes) -> Bytes {
    if data.len() > SMALL {
        return data;
    }
    Bytes::copy_from_slice(&data)
}

/// A stream that is given a message in one piece if it is small: a write of several
/// pieces costs the kernel more than this their copy.
#[derive(Debug)]
pub(crate) struct Gather<S>(pub(crate) S);

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut piece = [0; PIECE];
        match gather(slices, &mut piece) {
            Some(whole) => Pin::new(&mut self.0).poll_write(cx, whole),
            None => Pin::new(&mut self.0).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// `slices` one after the other, if all of them have room in `piece`.
fn gather<'p>(slices: &[IoSlice<'_>], piece: &'p mut [u8; PIECE]) -> Option<&'p [u8]> {
    let mut end = 0;
    for slice in slices {
        let start = end;
        end += slice.len();
        piece.get_mut(start..end)?.copy_from_slice(slice);
    }
    Some(&piece[..end])
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_small_goes_out_in_one_piece_and_all_else_as_it_is() {
        for size in [0, 1, PIECE - 1, PIECE, 3 * PIECE] {
            let head = b"h".to_vec();
            let body = vec![b'b'; size];
            let (ours, mut theirs) = tokio::io::duplex(10 * PIECE);
            let mut gathering = Gather(ours);
            let mut slices = [IoSlice::new(&head), IoSlice::new(&body)];
            let mut left = &mut slices[..];
            while !left.is_empty() {
                let written = gathering.write_vectored(left).await.expect("room");
                IoSlice::advance_slices(&mut left, written);
            }
            drop(gathering);
            let mut came = Vec::new();
            theirs.read_to_end(&mut came).await.expect("all of it");
            assert_eq!(came, [head, body].concat());
        }
    }

    #[test]
    fn only_what_is_small_is_copied() {
        let small = Bytes::from(vec![0; SMALL]);
        assert_ne!(apart(small.clone()).as_ptr(), small.as_ptr());
        let large = Bytes::from(vec![0; SMALL + 1]);
        assert_eq!(apart(large.clone()).as_ptr(), large.as_ptr());
    }
}
