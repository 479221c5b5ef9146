//! The sockets on which the daemon serves: those of systemd, or its own.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tracing::{info, warn};

use super::DaemonError;
use crate::{
    config::Config,
    listener::Socket,
    systemd::{Handed, Listener},
};

/// The sockets of systemd, for this runtime.
pub(super) fn adopt(handed: Vec<Handed>) -> Result<Vec<Socket>, DaemonError> {
    let adopted = handed.into_iter().map(|socket| match socket.listener {
        Listener::Tcp(tcp) => TcpListener::from_std(tcp).map(Socket::Tcp),
        Listener::Unix(unix) => UnixListener::from_std(unix).map(Socket::Unix),
    });
    adopted
        .collect::<io::Result<_>>()
        .map_err(DaemonError::Start)
}

/// Binds what the configuration names.
pub(super) async fn bind(config: &Config) -> Result<(Vec<Socket>, Option<BoundPath>), DaemonError> {
    let address = config.listen.address;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| DaemonError::Bind {
            address: address.to_string(),
            hint: hint(&source),
            source,
        })?;
    let mut sockets = vec![Socket::Tcp(listener)];
    let mut bound = None;
    if let Some(path) = &config.listen.socket {
        let unix = bind_unix(path).await.map_err(|source| DaemonError::Bind {
            address: path.display().to_string(),
            hint: hint(&source),
            source,
        })?;
        sockets.push(Socket::Unix(unix));
        bound = Some(BoundPath(path.clone()));
    }
    Ok((sockets, bound))
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            " (is another mcpmux running? see systemctl --user status mcpmux.socket mcpmux.service)"
        }
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need a privilege; choose another one)"
        }
        _ => "",
    }
}

/// A unix socket that only its owner reaches. One that a dead process left
/// behind is replaced, one that is served is not.
async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()) => {
            fs::remove_file(path)?;
        }
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file of that name is there",
            ));
        }
        Err(_) => {}
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A socket's file, removed at the end.
pub(super) struct BoundPath(PathBuf);

impl Drop for BoundPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where a browser on this machine reaches mcpmux itself: on a loopback address,
/// where it listens on one or on all.
pub(super) fn browsers_reach(sockets: &[Socket]) -> Option<SocketAddr> {
    let addresses = sockets.iter().filter_map(|socket| match socket {
        Socket::Tcp(listener) => listener.local_addr().ok().map(|address| {
            let loopback: IpAddr = match address.ip() {
                IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            };
            SocketAddr::new(loopback, address.port())
        }),
        Socket::Unix(_) => None,
    });
    addresses.min_by_key(|address| !address.ip().is_loopback())
}

pub(super) fn announce(socket: &Socket, address: &str, insecure: bool) {
    info!("listening on {address}");
    if let Socket::Tcp(listener) = socket
        && let Ok(address) = listener.local_addr()
        && !address.ip().to_canonical().is_loopback()
        && insecure
    {
        warn_of_open_door(address);
    }
}

/// Where clients reach `socket`.
pub(super) fn address(socket: &Socket, path: &str, secure: bool) -> String {
    let scheme = if secure { "https" } else { "http" };
    match socket {
        Socket::Tcp(listener) => listener.local_addr().map_or_else(
            |_| "a TCP socket without an address".to_owned(),
            |address| format!("{scheme}://{address}{path}"),
        ),
        Socket::Unix(listener) => {
            let address = listener.local_addr().ok();
            let path = address.as_ref().and_then(|address| address.as_pathname());
            let path = path.unwrap_or(Path::new("(unnamed)"));
            format!("unix socket {}", path.display())
        }
    }
}

fn warn_of_open_door(address: SocketAddr) {
    warn!(
        "{address} is reachable from other machines, and clients are not asked who they are \
         (access.insecure): everyone who can reach it can call every backend's tools with the \
         credentials that mcpmux holds"
    );
}

/// What tells one mcpmux of this user from another, and is the same after a
/// restart: where it listens. `None` where no client can come back.
pub(super) fn endpoint_of(sockets: &[Socket]) -> Option<String> {
    let addresses = sockets.iter().filter_map(|socket| match socket {
        Socket::Tcp(listener) => Some(listener.local_addr().ok()?.to_string()),
        Socket::Unix(listener) => {
            let address = listener.local_addr().ok()?;
            Some(address.as_pathname()?.display().to_string())
        }
    });
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort();
    (!addresses.is_empty()).then(|| addresses.join(" "))
}
