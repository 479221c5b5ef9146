//! Which users of this machine may come in: mcpmux's own, root, and those of
//! `access.local_users`.

use std::{collections::BTreeSet, fs};

use nix::unistd::User;
use rustix::process::geteuid;

/// Which users may come in.
#[derive(Debug, Clone)]
pub(super) enum Users {
    /// Whoever it is.
    All,
    /// These, by their numbers.
    Some(BTreeSet<u32>),
}

/// Who every user is that has no number in this user namespace
/// (`/proc/sys/kernel/overflowuid`, `user_namespaces(7)`).
const NOBODY: u32 = 65_534;

/// A user of `access.local_users` that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("access.local_users: there is no user {0:?} on this machine")]
pub struct UnknownUser(String);

impl Users {
    /// Those that `named` adds: names, numbers, or `*`. Looks names up in the
    /// system's user database, which may block.
    pub(super) fn new(named: &[String]) -> Result<Self, UnknownUser> {
        if named.iter().any(|name| name == "*") {
            return Ok(Self::All);
        }
        let mut users = BTreeSet::from([geteuid().as_raw(), 0]);
        for name in named {
            // A name is none of digits only (useradd(8)).
            let uid = name.parse().ok().or_else(|| {
                let user = User::from_name(name).ok().flatten()?;
                Some(user.uid.as_raw())
            });
            users.insert(uid.ok_or_else(|| UnknownUser(name.clone()))?);
        }
        if !all_have_numbers() {
            users.remove(&NOBODY);
        }
        Ok(Self::Some(users))
    }

    /// Whether it does not matter who they are.
    pub(super) fn are_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether `uid` may come in.
    pub(super) fn hold(&self, uid: u32) -> bool {
        match self {
            Self::All => true,
            Self::Some(users) => users.contains(&uid),
        }
    }
}

/// Whether `uid` stands for users that cannot be told apart here.
pub(super) fn has_no_number(uid: u32) -> bool {
    uid == NOBODY && !all_have_numbers()
}

/// Whether this user namespace has a number for every user, as the first one has,
/// so that nobody is taken for another.
fn all_have_numbers() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_only_this_user_and_root_come_in() {
        let own = geteuid().as_raw();
        let users = Users::new(&[]).expect("nobody is looked up");
        assert!(users.hold(own) && users.hold(0));
        assert!(!users.hold(own.wrapping_add(1).max(1)));
    }

    #[test]
    fn users_are_added_by_name_and_number() {
        let named = |names: &[&str]| {
            Users::new(
                &names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert!(named(&["4711"]).is_ok_and(|users| users.hold(4711) && !users.hold(4712)));
        assert!(named(&["root"]).is_ok_and(|users| users.hold(0)));
        assert!(named(&["*"]).is_ok_and(|users| users.hold(4712)));
        let error = named(&["no such user"]).expect_err("an unknown user");
        assert!(error.to_string().contains("\"no such user\""));
    }
}
