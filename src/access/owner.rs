//! Whose the other end of a TCP connection is, by the kernel's word
//! (`NETLINK_SOCK_DIAG`, `sock_diag(7)`): one exact question about one connection
//! of this machine, answered before the system call returns.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, netlink, recv, send,
        socket_with,
    },
};

/// `SOCK_DIAG_BY_FAMILY` (`linux/sock_diag.h`): of the question and its answer.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR` (netlink(7)).
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`, without `NLM_F_DUMP`: about one socket.
const REQUEST: u16 = 1;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
const INET: u8 = 2;
const INET6: u8 = 10;

/// The bytes of `nlmsghdr`, `inet_diag_req_v2` and `inet_diag_msg`.
const HEADER: usize = 16;
const QUESTION: usize = 56;
const ANSWER: usize = 72;

/// `TCP_ESTABLISHED`, `TCP_FIN_WAIT1`, `TCP_FIN_WAIT2`: somebody has the socket
/// open, and at most its sending side closed.
const OPEN: [u8; 3] = [1, 4, 5];

/// Why the kernel does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untold {
    /// It cannot be asked.
    #[error(
        "the kernel cannot be asked whose it is ({0}): AF_NETLINK must be allowed \
         (RestrictAddressFamilies= of the unit), or set access.local_users: [\"*\"] to let in everybody"
    )]
    Unasked(Errno),
    /// It knows of no such socket here.
    #[error(
        "the kernel knows of no process at its other end ({0}): the client has closed it already, \
         or is in another network namespace, and then needs a key (`mcpmux keys add`)"
    )]
    Unknown(&'static str),
}

/// The user who opened the socket at `client` of the connection between `client`
/// and `server`, this end.
///
/// Only a socket that somebody has open is believed: of one that was closed the
/// kernel keeps the addresses for a while and says that it is root's.
pub(super) fn owner(client: SocketAddr, server: SocketAddr) -> Result<u32, Untold> {
    let (client, server) = (canonical(client), canonical(server));
    let mut number = [0; 4];
    // It tells answers apart, and nobody else can send here.
    let _ = getrandom::fill(&mut number);
    let mut room = [0; 512];
    let read = ask(&question(client, server, number), &mut room).map_err(Untold::Unasked)?;
    let answer = room.get(..read).unwrap_or_default();
    read_answer(answer, number, client, server)
}

/// As the kernel has a connection that goes over IPv4, whatever the sockets are.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn ask(question: &[u8], room: &mut [u8]) -> Result<usize, Errno> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(netlink::SOCK_DIAG),
    )?;
    // To the kernel; what others send is refused from here on.
    connect(&socket, &netlink::SocketAddrNetlink::new(0, 0))?;
    send(&socket, question, SendFlags::empty())?;
    let (read, _) = recv(&socket, room, RecvFlags::DONTWAIT)?;
    Ok(read)
}

/// `nlmsghdr` and `inet_diag_req_v2` (`linux/inet_diag.h`).
fn question(client: SocketAddr, server: SocketAddr, number: [u8; 4]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + QUESTION);
    let length = u32::try_from(HEADER + QUESTION).unwrap_or_default();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend(number);
    bytes.extend([0; 4]); // nlmsg_pid
    let family = if client.is_ipv4() { INET } else { INET6 };
    bytes.extend([family, TCP, 0, 0]); // idiag_ext, pad
    bytes.extend(u32::MAX.to_ne_bytes()); // idiag_states
    bytes.extend(client.port().to_be_bytes());
    bytes.extend(server.port().to_be_bytes());
    for ip in [client.ip(), server.ip()] {
        match ip {
            IpAddr::V4(ip) => {
                bytes.extend(ip.octets());
                bytes.extend([0; 12]);
            }
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
    }
    bytes.extend([0; 4]); // idiag_if
    bytes.extend([0xff; 8]); // INET_DIAG_NOCOOKIE
    bytes
}

/// Reads the answer to the question `number`.
fn read_answer(
    bytes: &[u8],
    number: [u8; 4],
    client: SocketAddr,
    server: SocketAddr,
) -> Result<u32, Untold> {
    let odd = Untold::Unknown("its answer cannot be read");
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let half = |at: usize| <[u8; 2]>::try_from(bytes.get(at..at + 2)?).ok();
    if bytes.get(8..12) != Some(&number[..]) {
        return Err(odd);
    }
    match half(4).map(u16::from_ne_bytes) {
        Some(BY_FAMILY) if bytes.len() >= HEADER + ANSWER => {}
        Some(ERROR) => {
            let code = word(HEADER).map_or(0, u32::cast_signed);
            return Err(match Errno::from_raw_os_error(code.wrapping_neg()) {
                Errno::NOENT => Untold::Unknown("no such socket"),
                error => Untold::Unasked(error),
            });
        }
        _ => return Err(odd),
    }
    let address = |port: usize, ip: usize| {
        let port = u16::from_be_bytes(half(HEADER + port)?);
        let octets: [u8; 16] = bytes.get(HEADER + ip..HEADER + ip + 16)?.try_into().ok()?;
        let ip = match bytes[HEADER] {
            INET => IpAddr::from(<[u8; 4]>::try_from(&octets[..4]).ok()?),
            INET6 => Ipv6Addr::from(octets).to_canonical(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    };
    // A listener on the client's address answers where there is no connection.
    if address(4, 8) != Some(client) || address(6, 24) != Some(server) {
        return Err(Untold::Unknown("no such connection"));
    }
    let (uid, inode) = (word(HEADER + 64), word(HEADER + 68));
    match (uid, inode) {
        (Some(uid), Some(1..)) if OPEN.contains(&bytes[HEADER + 1]) => Ok(uid),
        _ => Err(Untold::Unknown("it is closed")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use rustix::process::geteuid;

    use super::*;

    fn pair(listen: &str, connect: impl Fn(u16) -> String) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(listen).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let client = TcpStream::connect(connect(port)).expect("a connection");
        (client, listener.accept().expect("a connection").0)
    }

    fn asked(server: &TcpStream) -> Result<u32, Untold> {
        let client = server.peer_addr().expect("an address");
        owner(client, server.local_addr().expect("an address"))
    }

    #[test]
    fn the_kernel_knows_whose_the_other_end_is() {
        let own = Ok(geteuid().as_raw());
        let (_client, server) = pair("127.0.0.1:0", |port| format!("127.0.0.1:{port}"));
        assert_eq!(asked(&server), own);
        let (_client, server) = pair("127.0.0.1:0", |port| format!("[::ffff:127.0.0.1]:{port}"));
        assert_eq!(asked(&server), own);
        if TcpListener::bind("[::1]:0").is_err() {
            return;
        }
        for to in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
            let (_client, server) = pair("[::]:0", |port| format!("{to}:{port}"));
            assert_eq!(asked(&server), own, "{to}");
        }
    }

    #[test]
    fn a_client_that_only_stopped_sending_is_known_and_one_that_is_gone_is_not() {
        let (client, server) = pair("127.0.0.1:0", |port| format!("127.0.0.1:{port}"));
        client.shutdown(Shutdown::Write).expect("an open socket");
        assert_eq!(asked(&server), Ok(geteuid().as_raw()));
        let (gone, client) = (server.peer_addr().expect("an address"), client);
        drop(client);
        assert!(matches!(asked(&server), Err(Untold::Unknown(_))), "{gone}");
    }

    #[test]
    fn a_listener_on_the_clients_address_answers_for_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = listener.local_addr().expect("an address");
        let server = SocketAddr::from(([127, 0, 0, 1], 9));
        assert!(matches!(owner(client, server), Err(Untold::Unknown(_))));
    }

    #[test]
    fn what_the_kernel_keeps_of_a_closed_socket_is_not_believed() {
        let client = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let server = SocketAddr::from(([127, 0, 0, 1], 8080));
        let answer = |state: u8, uid: u32, inode: u32| {
            let mut bytes = question(client, server, [7; 4])[..HEADER].to_vec();
            bytes.extend([INET, state, 0, 0]);
            bytes.extend(&question(client, server, [7; 4])[HEADER + 8..HEADER + 56]);
            bytes.extend([0; 12]);
            bytes.extend(uid.to_ne_bytes());
            bytes.extend(inode.to_ne_bytes());
            bytes
        };
        let read = |bytes: &[u8]| read_answer(bytes, [7; 4], client, server);
        assert_eq!(read(&answer(1, 1000, 5)), Ok(1000));
        assert_eq!(read(&answer(5, 1000, 5)), Ok(1000));
        // FIN_WAIT2 in a minisocket, TIME_WAIT, LISTEN, SYN_RECV.
        for (state, inode) in [(5, 0), (6, 0), (6, 5), (10, 5), (12, 5)] {
            assert!(read(&answer(state, 0, inode)).is_err(), "{state} {inode}");
        }
        let other = SocketAddr::from(([127, 0, 0, 1], 40_001));
        assert!(read_answer(&answer(1, 0, 5), [7; 4], other, server).is_err());
        assert!(read_answer(&answer(1, 0, 5), [8; 4], client, server).is_err());
        let whole = answer(1, 0, 5);
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "{cut} bytes");
        }
    }
}
