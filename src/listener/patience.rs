//! How long a client may take over a request's head: hyper has one limit for a head
//! and for the pause before it, and these are not alike. Who says nothing keeps a
//! connection for its next request; who has begun a head is to end it soon.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::alarm::Alarm;

/// How long a connection may say nothing between two requests.
pub(super) const IDLE: Duration = Duration::from_secs(75);

/// How long a request's head may take from its first byte on.
const HEAD: Duration = Duration::from_secs(10);

/// A stream, and the timer by which hyper's `header_read_timeout` is to be measured
/// on it, which must be [`IDLE`].
pub(super) fn on<S>(stream: S) -> (Heard<S>, HeadTimer) {
    let begun = Arc::new(AtomicBool::new(false));
    let timer = HeadTimer {
        begun: Arc::clone(&begun),
    };
    (Heard { stream, begun }, timer)
}

/// A stream that notes when something came.
#[derive(Debug)]
pub(super) struct Heard<S> {
    stream: S,
    begun: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.begun.store(true, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The timer of one connection. hyper asks it for a sleep when it begins to wait for
/// a head, and looks at that after each look at the stream.
#[derive(Debug, Clone)]
pub(super) struct HeadTimer {
    begun: Arc<AtomicBool>,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.begun.store(false, Relaxed);
        Box::pin(HeadSleep {
            timer: self.clone(),
            deadline: deadline.into(),
            in_head: false,
            alarm: Alarm::default(),
        })
    }
}

/// Ends [`HEAD`] after something came, at its deadline at the latest.
struct HeadSleep {
    timer: HeadTimer,
    deadline: tokio::time::Instant,
    in_head: bool,
    alarm: Alarm,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.in_head && self.timer.begun.load(Relaxed) {
            self.in_head = true;
            self.deadline = self.deadline.min(tokio::time::Instant::now() + HEAD);
        }
        let deadline = self.deadline;
        self.alarm.poll(deadline, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, time::Instant};

    use super::*;

    /// Waits for a head as hyper does; after how many seconds it gave up.
    async fn patience(said: &'static [u8]) -> u64 {
        let start = Instant::now();
        let (mut stream, timer) = on(said);
        let mut sleep = timer.sleep_until((start + IDLE).into_std());
        let mut buffer = [0; 64];
        if !said.is_empty() {
            let _ = stream.read(&mut buffer).await;
        }
        std::future::poll_fn(|cx| sleep.as_mut().poll(cx)).await;
        (Instant::now() - start).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_has_longer_than_who_has_begun() {
        assert_eq!(patience(b"").await, IDLE.as_secs());
        assert_eq!(patience(b"GET / HT").await, HEAD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_before_is_not_of_the_next_head() {
        let start = Instant::now();
        let (mut stream, timer) = on(&b"GET / HTTP/1.1\r\n\r\n"[..]);
        let _ = stream.read(&mut [0; 64]).await;
        let mut sleep = timer.sleep_until((start + IDLE).into_std());
        std::future::poll_fn(|cx| sleep.as_mut().poll(cx)).await;
        assert_eq!((Instant::now() - start).as_secs(), IDLE.as_secs());
    }
}
