//! A loopback port behind which a unix socket is, for clients that know TCP only.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A way in to the socket, until it is dropped.
pub(crate) struct Door {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Door {
    /// One to the unix socket at `path`.
    pub(crate) fn to(path: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let closed = Arc::<AtomicBool>::default();
        let (path, over) = (path.to_owned(), Arc::clone(&closed));
        let accepting = thread::spawn(move || {
            for came in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let path: PathBuf = path.clone();
                thread::spawn(move || came.and_then(|came| forward(&came, &path)));
            }
        });
        Self {
            address,
            closed,
            accepting: Some(accepting),
        }
    }

    /// Where to connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // What it waits for is the next to come.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn forward(came: &TcpStream, path: &Path) -> io::Result<()> {
    let there = UnixStream::connect(path)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::copy(&mut &*came, &mut &there);
            let _ = there.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut &there, &mut &*came);
        let _ = came.shutdown(Shutdown::Both);
    });
    Ok(())
}
