//! The messages that the journal knows by an id of their own
//! (`systemd.journal-fields(7)`, `MESSAGE_ID=`), so that a program finds them
//! whatever they say. How an event gets its id is [`super::log`]'s.

use tracing::warn;

/// The ids of all such messages, each by the name of its event. An id is made
/// once (`journalctl --new-id128`) and never changed.
pub(super) const IDS: [(&str, &str); 1] = [(LOGIN_NEEDED, "a90c68c5c04a050dc1b67798d55d5c4a")];

/// A person has to consent before a backend can be used.
const LOGIN_NEEDED: &str = "mcpmux login needed";

/// Logs that `backend` needs a person to consent at `url`, on one line.
///
/// The journal has it with the id `a90c68c5c04a050dc1b67798d55d5c4a` and
/// `MCPMUX_BACKEND=`.
pub fn login_needed(backend: &str, url: &str) {
    warn!(
        name: LOGIN_NEEDED,
        backend, "{backend} needs login: open {url} (or run: mcpmux auth login {backend})"
    );
}

#[cfg(test)]
mod tests {
    use super::IDS;

    #[test]
    fn every_id_is_of_128_bits_in_hexadecimal() {
        for (name, id) in IDS {
            let is_lower_hex = |c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase();
            assert!(id.len() == 32 && id.chars().all(is_lower_hex), "{name}");
        }
    }
}
