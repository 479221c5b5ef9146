//! HTTP/1.1 by hand over TCP: what is sent is what the test wrote, and what is
//! read is every byte that came, as it comes.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::net;

use super::PATIENCE;

/// A loopback address where connections are refused, and nobody else may listen,
/// until a peer does (listen(2) is what the socket that holds it leaves out).
pub fn refusing() -> (OwnedFd, SocketAddr) {
    let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None)
        .expect("a socket can be made");
    net::sockopt::set_socket_reuseaddr(&socket, true).expect("a socket option");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    net::bind(&socket, &any).expect("a port is free");
    let address = net::getsockname(&socket).expect("it is bound");
    let address = SocketAddr::try_from(address).expect("an internet address");
    (socket, address)
}

/// One connection to mcpmux.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

/// A status, headers, and a body that is read as it comes. Dropping it closes
/// the connection.
pub struct Reply {
    /// The number of the status line.
    pub status: u16,
    /// The header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    body: BufReader<Body>,
    patience: Duration,
    last_id: Option<String>,
}

struct Body {
    connection: Connection,
    framing: Framing,
}

enum Framing {
    Length(u64),
    Chunk { left: u64, first: bool },
    Close,
    End,
}

impl Connection {
    /// Connects to `address`; reads give up after [`PATIENCE`].
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("mcpmux accepts connections");
        stream.set_nodelay(true).expect("a TCP option");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP option");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a request; `Host` and `Content-Length` are added where `headers`
    /// have none.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<()> {
        let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !has("host") {
            head += &format!("Host: {}\r\n", self.stream.get_ref().peer_addr()?);
        }
        if !has("content-length") && !has("transfer-encoding") {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.send(&[head.as_bytes(), b"\r\n", body.as_bytes()].concat())
    }

    /// Ends the sending side.
    pub fn finish(&mut self) {
        _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }

    /// Gives reads up after this time.
    pub fn set_patience(&mut self, time: Duration) {
        self.stream
            .get_mut()
            .set_read_timeout(Some(time))
            .expect("a TCP option");
    }

    /// Reads until the other side closes.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).map(|_| bytes)
    }

    /// Reads the head of a reply.
    #[track_caller]
    pub fn reply(self) -> Reply {
        self.try_reply()
            .unwrap_or_else(|error| panic!("no reply: {error}"))
    }

    /// Reads the head of a reply; an error when the connection ends or stalls first.
    pub fn try_reply(mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let field = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
        };
        let framing = if matches!(status, 100..200 | 204 | 304) {
            Framing::End
        } else if field("transfer-encoding") == Some("chunked") {
            Framing::Chunk {
                left: 0,
                first: true,
            }
        } else if let Some(length) = field("content-length") {
            Framing::Length(length.parse().map_err(io::Error::other)?)
        } else {
            Framing::Close
        };
        Ok(Reply {
            status,
            headers,
            body: BufReader::new(Body {
                connection: self,
                framing,
            }),
            patience: PATIENCE,
            last_id: None,
        })
    }
}

impl Reply {
    /// The first header field of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the body is an event stream.
    pub fn streams(&self) -> bool {
        self.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// The whole body.
    #[track_caller]
    pub fn bytes(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.body
            .read_to_end(&mut bytes)
            .unwrap_or_else(|error| panic!("the body broke off: {error}"));
        bytes
    }

    /// The whole body as text.
    #[track_caller]
    pub fn text(self) -> String {
        String::from_utf8(self.bytes()).expect("the body is UTF-8")
    }

    /// The whole body and the connection for the next request.
    #[track_caller]
    pub fn reuse(mut self) -> (String, Connection) {
        let mut text = String::new();
        self.body
            .read_to_string(&mut text)
            .unwrap_or_else(|error| panic!("the body broke off: {error}"));
        (text, self.body.into_inner().connection)
    }

    /// The data of the next event that has some; `None` at the stream's end.
    #[track_caller]
    pub fn event(&mut self) -> Option<String> {
        self.try_event()
            .unwrap_or_else(|error| panic!("the stream broke off: {error}"))
    }

    /// The data of the next event that has some; an error when the stream
    /// stalls or breaks.
    pub fn try_event(&mut self) -> io::Result<Option<String>> {
        let start = Instant::now();
        let mut data: Option<String> = None;
        loop {
            // Comments keep a stream alive that brings nothing.
            if start.elapsed() > self.patience {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut line = Vec::new();
            if self.body.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            let line = String::from_utf8(line).map_err(io::Error::other)?;
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                match data.take().filter(|data| !data.is_empty()) {
                    Some(data) => return Ok(Some(data)),
                    None => continue,
                }
            }
            if let Some(id) = line.strip_prefix("id:") {
                self.last_id = Some(id.trim_start().to_owned());
            }
            if let Some(value) = line.strip_prefix("data:") {
                let value = value.strip_prefix(' ').unwrap_or(value);
                data = Some(data.map_or_else(|| value.to_owned(), |data| data + "\n" + value));
            }
        }
    }

    /// The id of the last event.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Gives reads up after this time.
    pub fn set_patience(&mut self, time: Duration) {
        self.patience = time;
        self.body.get_mut().connection.set_patience(time);
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = &mut self.connection.stream;
        if let Framing::Chunk { left: 0, first } = self.framing {
            let mut line = String::new();
            if !first {
                stream.read_line(&mut line)?;
                line.clear();
            }
            stream.read_line(&mut line)?;
            let left = u64::from_str_radix(line.trim(), 16)
                .map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, "no chunk's size"))?;
            self.framing = Framing::Chunk { left, first: false };
            if left == 0 {
                stream.read_line(&mut line)?;
                self.framing = Framing::End;
            }
        }
        let limit = match self.framing {
            Framing::Length(left) | Framing::Chunk { left, .. } => left,
            Framing::Close => u64::MAX,
            Framing::End => 0,
        };
        let read = if limit == 0 {
            0
        } else {
            stream.take(limit).read(buffer)?
        };
        match &mut self.framing {
            Framing::Length(left) | Framing::Chunk { left, .. } if *left > 0 => {
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *left -= read as u64;
            }
            _ => {}
        }
        Ok(read)
    }
}
