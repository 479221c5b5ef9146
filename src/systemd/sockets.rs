//! The descriptors that systemd hands over (`sd_listen_fds(3)`): listening
//! sockets, checked to be of a kind that mcpmux can serve, and what was left
//! with systemd before. Binding sockets of its own is not done here.

use std::{
    io,
    net::TcpListener,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixListener,
    },
};

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use super::fd_store::Left;

/// The first descriptor that is handed over (`SD_LISTEN_FDS_START`).
const FIRST_DESCRIPTOR: usize = 3;

/// A listening stream socket, non-blocking and closed in children.
#[derive(Debug)]
pub enum Listener {
    /// An IPv4 or IPv6 socket.
    Tcp(TcpListener),
    /// A unix stream socket.
    Unix(UnixListener),
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(tcp) => tcp.as_fd(),
            Self::Unix(unix) => unix.as_fd(),
        }
    }
}

/// A socket that the service manager opened, with the name it gave it.
#[derive(Debug)]
pub struct Handed {
    /// `FileDescriptorName=` of the socket unit, by default the unit's name;
    /// empty if whoever started mcpmux gave none.
    pub name: String,
    /// The socket.
    pub listener: Listener,
}

/// All that systemd hands over.
#[derive(Debug, Default)]
pub struct Taken {
    /// The sockets, in the order of the socket units.
    pub sockets: Vec<Handed>,
    /// What an earlier start has left with systemd.
    pub left: Vec<Left>,
}

/// A socket was handed over that mcpmux cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Not a stream socket of the internet or unix family.
    #[error(
        "systemd handed over descriptor {descriptor} ({name:?}), which is neither a TCP nor a \
         unix stream socket; use ListenStream= in the socket unit"
    )]
    Kind {
        /// The descriptor's number.
        descriptor: usize,
        /// Its name.
        name: String,
        /// What was found instead.
        #[source]
        source: io::Error,
    },
    /// A connection, not a listening socket.
    #[error(
        "systemd handed over descriptor {descriptor} ({name:?}), which does not listen; \
         use Accept=no in the socket unit"
    )]
    NotListening {
        /// The descriptor's number.
        descriptor: usize,
        /// Its name.
        name: String,
    },
    /// The socket could not be looked at or set up.
    #[error("cannot set up descriptor {descriptor} ({name:?}) that systemd handed over")]
    Setup {
        /// The descriptor's number.
        descriptor: usize,
        /// Its name.
        name: String,
        /// What failed.
        #[source]
        source: io::Error,
    },
}

/// Takes everything that was handed over; no sockets if mcpmux was not started
/// by socket activation.
///
/// Must be called once, before any thread is started: the variables of the
/// protocol are removed from the environment.
pub fn take() -> Result<Taken, SocketError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    // No child is to have any of them; an error says that one is not open,
    // which is found below as well.
    let _ = sd_notify::listen_fds();
    let mut handed = ListenFd::from_env();
    let mut names = names.split(':');
    let mut taken = Taken::default();
    for index in 0..handed.len() {
        let name = names.next().unwrap_or_default().to_owned();
        if let Some(left) = Left::of(FIRST_DESCRIPTOR + index, &name) {
            taken.left.push(left);
            continue;
        }
        let listener = adopt(&mut handed, index, &name)?;
        taken.sockets.push(Handed { name, listener });
    }
    Ok(taken)
}

fn adopt(handed: &mut ListenFd, index: usize, name: &str) -> Result<Listener, SocketError> {
    let descriptor = FIRST_DESCRIPTOR + index;
    if let Ok(Some(tcp)) = handed.take_tcp_listener(index) {
        let setup = tcp.set_nonblocking(true);
        return listening(&tcp, setup, descriptor, name).map(|()| Listener::Tcp(tcp));
    }
    match handed.take_unix_listener(index) {
        Ok(Some(unix)) => {
            let setup = unix.set_nonblocking(true);
            listening(&unix, setup, descriptor, name).map(|()| Listener::Unix(unix))
        }
        Ok(None) => Err(SocketError::Kind {
            descriptor,
            name: name.to_owned(),
            source: io::Error::other("it was taken before"),
        }),
        Err(source) => Err(SocketError::Kind {
            descriptor,
            name: name.to_owned(),
            source,
        }),
    }
}

/// `ListenStream=` with `Accept=yes` hands over a connection of the very same
/// family and type; only this tells the two apart.
fn listening(
    socket: &impl AsFd,
    setup: io::Result<()>,
    descriptor: usize,
    name: &str,
) -> Result<(), SocketError> {
    let name = name.to_owned();
    match setup.and_then(|()| Ok(socket_acceptconn(socket)?)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(SocketError::NotListening { descriptor, name }),
        Err(source) => Err(SocketError::Setup {
            descriptor,
            name,
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_socket_activation_nothing_is_taken() {
        let taken = take().unwrap();
        assert!(taken.sockets.is_empty() && taken.left.is_empty());
    }

    #[test]
    fn a_listening_socket_is_told_from_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(listening(&listener, Ok(()), 3, "http").is_ok());
        let error = listening(&connection, Ok(()), 3, "http").unwrap_err();
        assert!(
            matches!(error, SocketError::NotListening { descriptor: 3, .. }),
            "{error}"
        );
    }
}
