//! One keep-alive HTTP/1.1 connection of the load generator: a request's bytes
//! out, a reply's bytes in, and as little as possible in between, so that the
//! generator leaves the processors to what it measures.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Room made for a reply before each read, in bytes.
const READ_SIZE: usize = 64 * 1024;

/// The same for one of very many connections.
const SMALL_READ: usize = 1024;

/// Most headers that a reply may have.
const MAX_HEADERS: usize = 32;

/// Why a reply could not be had.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection failed.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    /// The peer closed the connection where a reply should have been.
    #[error("the connection was closed instead of a reply")]
    Closed,
    /// What came is not HTTP/1.1.
    #[error("the reply is not HTTP: {0}")]
    Malformed(&'static str),
}

/// A reply, its body whole and without transfer coding.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The session that the server named, if it did.
    pub session: Option<String>,
    /// Whether the body is an event stream.
    pub events: bool,
    /// The body.
    pub body: Bytes,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    inbox: BytesMut,
    room: usize,
}

struct Head {
    status: u16,
    session: Option<String>,
    events: bool,
    length: Length,
}

#[derive(Clone, Copy)]
enum Length {
    Known(usize),
    Chunked,
}

impl Connection {
    /// Connects to `address`, with `TCP_NODELAY`.
    pub async fn open(address: SocketAddr) -> Result<Self, WireError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            inbox: BytesMut::with_capacity(2 * READ_SIZE),
            room: READ_SIZE,
        })
    }

    /// As [`open`](Self::open), one of very many: takes little memory.
    pub async fn open_small(address: SocketAddr) -> Result<Self, WireError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            inbox: BytesMut::new(),
            room: SMALL_READ,
        })
    }

    /// Sends `request`, a whole HTTP request, and reads the reply to it.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Reply, WireError> {
        self.stream.write_all(request).await?;
        let head = loop {
            if let Some((head, size)) = parse_head(&self.inbox)? {
                self.inbox.advance(size);
                break head;
            }
            self.fill().await?;
        };
        let body = match head.length {
            Length::Known(length) => self.take(length).await?,
            Length::Chunked => self.chunks().await?,
        };
        Ok(Reply {
            status: head.status,
            session: head.session,
            events: head.events,
            body,
        })
    }

    /// Sends `request` and reads nothing.
    pub async fn send(&mut self, request: &[u8]) -> Result<(), WireError> {
        Ok(self.stream.write_all(request).await?)
    }

    /// Sends `request` and reads the head of an answer that does not end; its
    /// pieces are read by [`piece`](Self::piece).
    pub async fn open_stream(&mut self, request: &[u8]) -> Result<(), WireError> {
        self.stream.write_all(request).await?;
        loop {
            if let Some((head, size)) = parse_head(&self.inbox)? {
                self.inbox.advance(size);
                return match head {
                    Head {
                        status: 200,
                        events: true,
                        length: Length::Chunked,
                        ..
                    } => Ok(()),
                    _ => Err(WireError::Malformed("no event stream")),
                };
            }
            self.fill().await?;
        }
    }

    /// The next piece of a stream, and lets go of the room for it.
    pub async fn piece(&mut self) -> Result<Bytes, WireError> {
        let (line, size) = loop {
            match httparse::parse_chunk_size(&self.inbox) {
                Ok(httparse::Status::Complete(found)) => break found,
                Ok(httparse::Status::Partial) => self.fill().await?,
                Err(_) => return Err(WireError::Malformed("bad chunk size")),
            }
        };
        let size = usize::try_from(size).map_err(|_| WireError::Malformed("chunk too large"))?;
        self.inbox.advance(line);
        let piece = Bytes::copy_from_slice(&self.take(size).await?);
        self.take(2).await?;
        if self.inbox.is_empty() {
            self.inbox = BytesMut::new();
        }
        if size == 0 {
            return Err(WireError::Closed);
        }
        Ok(piece)
    }

    async fn take(&mut self, length: usize) -> Result<Bytes, WireError> {
        while self.inbox.len() < length {
            self.fill().await?;
        }
        Ok(self.inbox.split_to(length).freeze())
    }

    /// A body in chunks (RFC 9112, section 7.1), put together.
    async fn chunks(&mut self) -> Result<Bytes, WireError> {
        let mut whole: Option<Bytes> = None;
        loop {
            let (line, size) = loop {
                match httparse::parse_chunk_size(&self.inbox) {
                    Ok(httparse::Status::Complete(found)) => break found,
                    Ok(httparse::Status::Partial) => self.fill().await?,
                    Err(_) => return Err(WireError::Malformed("bad chunk size")),
                }
            };
            let size =
                usize::try_from(size).map_err(|_| WireError::Malformed("chunk too large"))?;
            self.inbox.advance(line);
            let chunk = self.take(size).await?;
            if &self.take(2).await?[..] != b"\r\n" {
                return Err(WireError::Malformed("chunk without end, or trailers"));
            }
            if size == 0 {
                return Ok(whole.unwrap_or_default());
            }
            whole = Some(match whole {
                None => chunk,
                Some(before) => [before, chunk].concat().into(),
            });
        }
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        self.inbox.reserve(self.room);
        match self.stream.read_buf(&mut self.inbox).await? {
            0 => Err(WireError::Closed),
            _ => Ok(()),
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, WireError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let size = match response.parse(bytes) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(WireError::Malformed("bad status line or header")),
    };
    let mut head = Head {
        status: response.code.unwrap_or_default(),
        session: None,
        events: false,
        length: Length::Known(0),
    };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value)
                .ok()
                .and_then(|text| text.parse().ok());
            head.length = Length::Known(length.ok_or(WireError::Malformed("bad Content-Length"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.length = Length::Chunked;
        } else if header.name.eq_ignore_ascii_case("content-type") {
            head.events = header.value.starts_with(b"text/event-stream");
        } else if header.name.eq_ignore_ascii_case("mcp-session-id") {
            head.session = Some(String::from_utf8_lossy(header.value).into_owned());
        }
    }
    Ok(Some((head, size)))
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    async fn reply_to(parts: &'static [&'static str]) -> Result<Reply, WireError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = async {
            let (mut peer, _) = listener.accept().await.expect("a client");
            let mut request = [0; 18];
            peer.read_exact(&mut request).await.expect("a request");
            for part in parts {
                peer.write_all(part.as_bytes()).await.expect("written");
                tokio::task::yield_now().await;
            }
        };
        let client = async {
            Connection::open(address)
                .await?
                .exchange(b"GET / HTTP/1.1\r\n\r\n")
                .await
        };
        tokio::join!(server, client).1
    }

    #[tokio::test]
    async fn a_body_of_known_length_is_read_whole() {
        let reply = reply_to(&[
            "HTTP/1.1 200 OK\r\nMcp-Session-Id: s\r\nContent-Le",
            "ngth: 5\r\n\r\nhe",
            "llo",
        ])
        .await
        .expect("a reply");
        assert_eq!(
            (reply.status, &reply.body[..], reply.session.as_deref()),
            (200, &b"hello"[..], Some("s"))
        );
    }

    #[tokio::test]
    async fn a_chunked_body_is_put_together() {
        let reply = reply_to(&[
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel",
            "\r\n2\r\nlo\r\n0\r\n",
            "\r\n",
        ])
        .await
        .expect("a reply");
        assert_eq!((reply.events, &reply.body[..]), (true, &b"hello"[..]));
    }

    #[tokio::test]
    async fn a_connection_that_ends_early_is_an_error() {
        assert!(matches!(
            reply_to(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"]).await,
            Err(WireError::Closed)
        ));
    }
}
