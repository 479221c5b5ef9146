//! What clients hear on handed-over sockets when mcpmux cannot start. Serving
//! them is the listener's work; this only turns them away.
//!
//! A service that fails without accepting leaves the connection pending, so
//! systemd starts it again at once, over and over, until the socket unit trips
//! its `TriggerLimitBurst=` and refuses everybody, also once the cause is
//! repaired. Whoever waits is therefore answered first.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, SendFlags, Shutdown, SocketFlags, accept_with, recv, send, shutdown},
};

use super::sockets::Handed;

/// How long clients are turned away before the caller exits. It bounds the
/// starts that clients can provoke to four a second, well under the default
/// trigger limit of 20 in 2 s.
const WINDOW: Duration = Duration::from_millis(250);

/// How many connections are held open before they are parted with, so that
/// descriptors suffice.
const AT_ONCE: usize = 512;

/// Answers everyone who connects within the next quarter of a second with
/// HTTP 503 and `why` as a JSON-RPC error. Blocks; meant to be followed by an
/// exit.
pub fn refuse(sockets: &[Handed], why: &str) {
    if sockets.is_empty() {
        return;
    }
    let answer = answer(why);
    let deadline = Instant::now() + WINDOW;
    let mut refused = Vec::new();
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        let mut waiting: Vec<_> = sockets
            .iter()
            .map(|socket| PollFd::new(&socket.listener, PollFlags::IN))
            .collect();
        if !matches!(
            poll(&mut waiting, Timespec::try_from(left).ok().as_ref()),
            Ok(1..)
        ) {
            continue;
        }
        for socket in sockets {
            refused.extend(
                accepted(socket)
                    .take(AT_ONCE)
                    .inspect(|client| tell(client, &answer)),
            );
        }
        if refused.len() > AT_ONCE {
            refused.drain(..).for_each(|client| part(&client));
        }
    }
    refused.iter().for_each(part);
}

fn accepted(socket: &Handed) -> impl Iterator<Item = OwnedFd> + '_ {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    std::iter::from_fn(move || accept_with(&socket.listener, flags).ok())
}

/// A failure is the client's, who is gone.
fn tell(client: &OwnedFd, answer: &str) {
    let _ = send(client, answer.as_bytes(), SendFlags::NOSIGNAL);
    let _ = shutdown(client, Shutdown::Write);
}

/// Closing a socket with unread data resets the connection, and the answer
/// with it: reads what the client has sent.
fn part(client: &OwnedFd) {
    let mut buffer = [0; 16 * 1024];
    while matches!(
        recv(client, &mut buffer[..], RecvFlags::empty()),
        Ok((1.., _))
    ) {}
}

fn answer(why: &str) -> String {
    let error = serde_json::json!({
        "jsonrpc": "2.0", "id": null, "error": { "code": -32603, "message": why },
    })
    .to_string();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n{error}",
        error.len()
    )
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        os::unix::net::{UnixListener, UnixStream},
    };

    use super::*;
    use crate::systemd::Listener;

    #[test]
    fn clients_that_wait_and_clients_that_come_are_told_why() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let unix = UnixListener::bind(&path).unwrap();
        tcp.set_nonblocking(true).unwrap();
        unix.set_nonblocking(true).unwrap();
        let address = tcp.local_addr().unwrap();
        let sockets = [
            Handed {
                name: "http".to_owned(),
                listener: Listener::Tcp(tcp),
            },
            Handed {
                name: "unix".to_owned(),
                listener: Listener::Unix(unix),
            },
        ];

        let mut waiting = TcpStream::connect(address).unwrap();
        waiting
            .write_all(b"POST /mcp HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
            .unwrap();
        let coming = std::thread::spawn(move || {
            let mut coming = UnixStream::connect(path).unwrap();
            coming.write_all(b"GET /mcp HTTP/1.1\r\n\r\n").unwrap();
            let mut answer = String::new();
            coming.read_to_string(&mut answer).unwrap();
            answer
        });
        refuse(&sockets, "the configuration has errors");

        let mut answer = String::new();
        waiting.read_to_string(&mut answer).unwrap();
        for answer in [answer, coming.join().unwrap()] {
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(
                answer.ends_with(
                    r#""message":"the configuration has errors"},"id":null,"jsonrpc":"2.0"}"#
                ) || answer.contains("the configuration has errors"),
                "{answer}"
            );
        }
    }

    #[test]
    fn without_sockets_nobody_waits() {
        let started = Instant::now();
        refuse(&[], "never said");
        assert!(started.elapsed() < WINDOW);
    }
}
