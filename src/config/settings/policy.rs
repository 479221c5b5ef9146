//! Who has which role, and what a role may use.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use crate::config::{Rules, format};

/// Who has which role, and what a role may use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicySettings {
    /// What each role may use; without any role everybody may use everything.
    pub roles: BTreeMap<String, Rules>,
    /// The role of who is given no other.
    pub default_role: Option<String>,
    /// Who has which role: the first that fits counts.
    pub assign: Vec<Assignment>,
}

/// Gives a role to those for whom all of it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The role.
    pub role: String,
    /// They are this user of the machine, by name or number.
    pub user: Option<String>,
    /// Their access token has these claims.
    pub claim: BTreeMap<String, String>,
    /// They came in here.
    pub socket: Option<Door>,
}

/// Where a client comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// It launched mcpmux and speaks to it on stdin and stdout.
    Stdio,
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP socket; an unspecified address is any, and so is port 0.
    Tcp(SocketAddr),
}

impl Door {
    /// Reads `stdio`, an absolute path, or an address as `listen.address` has it;
    /// the error reads on after it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "stdio" {
            return Ok(Self::Stdio);
        }
        if text.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let address = format::socket_address(text).map(Self::Tcp);
        address.map_err(|_| {
            "is neither the path of a unix socket, nor an address with a port, nor stdio".to_owned()
        })
    }

    /// Whether who came in at `there` came in here.
    pub fn is(&self, there: &Self) -> bool {
        match (self, there) {
            (Self::Tcp(own), Self::Tcp(there)) => {
                let (ip, other) = (own.ip().to_canonical(), there.ip().to_canonical());
                (ip.is_unspecified() || ip == other)
                    && (own.port() == 0 || own.port() == there.port())
            }
            _ => self == there,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Door;

    #[test]
    fn a_door_is_a_path_an_address_or_stdio() {
        let is = |own: &str, there: &str| {
            let door = |text| Door::parse(text).unwrap();
            door(own).is(&door(there))
        };
        assert!(is("/run/x.sock", "/run/x.sock") && !is("/run/x.sock", "/run/y.sock"));
        assert!(is(":80", "10.0.0.1:80") && is(":80", "[::1]:80") && !is(":80", "10.0.0.1:81"));
        assert!(is("127.0.0.1:0", "127.0.0.1:4711") && !is("127.0.0.1:0", "127.0.0.2:4711"));
        assert!(is("127.0.0.1:80", "[::ffff:127.0.0.1]:80"));
        assert!(is("stdio", "stdio") && !is("stdio", "/stdio"));
        assert!(Door::parse("run/x.sock").is_err() && Door::parse("").is_err());
    }
}
