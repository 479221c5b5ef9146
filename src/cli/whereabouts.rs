//! Where the mcpmux that runs, or that systemd starts, may be reached, and the first
//! of these places where it is.

use std::{
    fmt::Write as _,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::endpoint::Endpoint;
use crate::config::{Environment, Listen, ListenTransport};

/// Where the shipped socket unit listens, under the user's runtime directory.
const SHIPPED: &str = "mcpmux/mcpmux.sock";

/// How long a place may take to let in.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket of the shipped unit, in the runtime directory of the user.
pub(super) fn shipped(environment: &Environment) -> Option<PathBuf> {
    let runtime = environment.directory("XDG_RUNTIME_DIR")?;
    Some(runtime.join(SHIPPED))
}

/// The places, best first: the unix socket of `listen`, the `shipped` one, the TCP
/// address of `listen`. Error: it is served on stdio, which nobody else reaches.
pub(super) fn of(listen: &Listen, shipped: Option<PathBuf>) -> Result<Vec<Endpoint>, String> {
    if listen.transport == ListenTransport::Stdio {
        return Err("listen.transport is stdio: name what to reach with --endpoint".to_owned());
    }
    let sockets = listen.socket.clone().into_iter().chain(shipped);
    let mut places = sockets
        .map(|socket| Endpoint::behind(socket, &listen.path))
        .collect::<Result<Vec<_>, _>>()?;
    let ip = match listen.address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, listen.address.port());
    let scheme = if listen.tls.is_some() {
        "https"
    } else {
        "http"
    };
    places.push(format!("{scheme}://{address}{}", listen.path).parse()?);
    Ok(places)
}

/// The first of `places` that lets in. Error: why each does not.
pub(super) async fn first(places: Vec<Endpoint>) -> Result<Endpoint, String> {
    let mut tried = String::new();
    for place in places {
        let error = match timeout(PATIENCE, knock(&place)).await {
            Ok(Ok(())) => return Ok(place),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        let _ = write!(tried, "\n  {place}: {error}");
    }
    Err(format!(
        "no mcpmux is reached:{tried}\n\
         systemctl --user enable --now mcpmux.socket has it started when it is needed, \
         mcpmux serve starts one, --endpoint names another"
    ))
}

/// Connects, which has systemd start what is to be there.
async fn knock(place: &Endpoint) -> io::Result<()> {
    if let Some(path) = &place.socket {
        return knock_unix(path).await;
    }
    let addresses = place.url.socket_addrs(|| None)?;
    TcpStream::connect(&*addresses).await.map(drop)
}

async fn knock_unix(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path).await {
        // There is somebody, who has no room for another just now (unix(7)).
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        connected => connected.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn sockets_come_before_the_address_and_the_configured_one_first() {
        let of = |listen: &str, shipped: Option<&str>| {
            let text = format!("listen: {listen}\nbackends: []");
            let config = Config::parse(&text, "m.yaml", &Environment::default()).expect("right");
            let places = of(&config.listen, shipped.map(PathBuf::from))?;
            let all: Vec<String> = places
                .iter()
                .map(|place| format!("{place} {}", place.url.path()))
                .collect();
            Ok::<_, String>(all.join(", "))
        };
        assert_eq!(
            of("{}", None).as_deref(),
            Ok("http://127.0.0.1:8080/mcp /mcp")
        );
        assert_eq!(
            of("{ address: ':9', path: /x, socket: /s }", Some("/r")).as_deref(),
            Ok("unix:/s /x, unix:/r /x, http://[::1]:9/x /x")
        );
        assert!(of("{ transport: stdio }", Some("/r")).is_err());
    }

    #[tokio::test]
    async fn what_is_not_there_is_passed_over_and_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let (dead, live) = (dir.path().join("dead"), dir.path().join("live"));
        // Nobody listens any more where a file is left.
        drop(std::os::unix::net::UnixListener::bind(&dead).expect("a socket"));
        let place = |path: &Path| Endpoint::behind(path.into(), "/mcp").expect("an endpoint");
        let said = first(vec![place(&dead)]).await.expect_err("nobody");
        assert!(said.contains("dead: Connection refused"), "{said}");
        let _listener = std::os::unix::net::UnixListener::bind(&live).expect("a socket");
        let found = first(vec![place(&dead), place(&live)]).await;
        assert_eq!(found, Ok(place(&live)));
    }
}
