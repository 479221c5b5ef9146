//! Who asks, as far as mcpmux knows it.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use super::NO_ROLE;

/// The role of who was given no other.
pub const DEFAULT_ROLE: &str = "default";

/// How somebody was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// It launched mcpmux and speaks to it on stdin and stdout.
    Parent,
    /// A user of this machine, by the kernel's word.
    User(u32),
    /// The holder of the API key of this name.
    Key(String),
    /// The subject of an access token.
    Subject {
        /// Who issued the token.
        issuer: String,
        /// Whom it is about.
        subject: String,
    },
    /// The holder of a client certificate, by its subject.
    Certificate(String),
    /// Nothing is known.
    Anyone,
}

/// Displays it on one line, without anything secret; no two are the same.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent => f.write_str("parent"),
            Self::User(uid) => write!(f, "user:{uid}"),
            Self::Key(name) => write!(f, "key:{name}"),
            Self::Subject { issuer, subject } => {
                write!(
                    f,
                    "subject:{} {}",
                    subject.escape_debug(),
                    issuer.escape_debug()
                )
            }
            Self::Certificate(subject) => write!(f, "certificate:{}", subject.escape_debug()),
            Self::Anyone => f.write_str("anyone"),
        }
    }
}

/// Somebody who was let in, and in which role. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<Known>);

/// Made once: each request begins with it.
static ANYONE: LazyLock<Principal> =
    LazyLock::new(|| Principal::new(Identity::Anyone, DEFAULT_ROLE));

#[derive(Debug, PartialEq, Eq, Hash)]
struct Known {
    identity: Identity,
    name: String,
    role: String,
    /// Both, on a line each.
    owner: String,
}

impl Principal {
    /// Who was recognised as `identity`, in `role`.
    pub fn new(identity: Identity, role: &str) -> Self {
        let name = identity.to_string();
        Self(Arc::new(Known {
            owner: format!("{name}\n{role}"),
            name,
            role: role.to_owned(),
            identity,
        }))
    }

    /// How it was recognised.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Its [`Identity`], displayed: what the log names.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its name and role: what its sessions, calls and tasks belong to, so that they
    /// are nobody's who is in another role.
    pub fn owner(&self) -> &str {
        &self.0.owner
    }

    /// What it may do is what its role may.
    pub fn role(&self) -> &str {
        &self.0.role
    }
}

/// The role in what [`Principal::owner`] gave; that of nobody in any other text.
pub fn role_in(owner: &str) -> &str {
    owner.split_once('\n').map_or(NO_ROLE, |(_, role)| role)
}

impl Default for Principal {
    fn default() -> Self {
        ANYONE.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_and_nobody_elses() {
        let of = |identity| Principal::new(identity, DEFAULT_ROLE);
        let subject = |issuer: &str, subject: &str| {
            of(Identity::Subject {
                issuer: issuer.to_owned(),
                subject: subject.to_owned(),
            })
        };
        assert_eq!(of(Identity::User(1000)).name(), "user:1000");
        assert_ne!(
            of(Identity::Key("parent".to_owned())).name(),
            of(Identity::Parent).name()
        );
        assert_ne!(subject("b c", "a").name(), subject("c", "a\tb").name());
        assert!(!subject("i", "a\nb").name().contains('\n'));
    }
}
