//! The messages that the journal knows by an id of their own
//! (`systemd.journal-fields(7)`, `MESSAGE_ID=`), so that a program finds them
//! whatever they say. How an event gets its id is [`super::log`]'s.

use tracing::{info, warn};

/// The ids of all such messages, each by the name of its event. An id is made
/// once (`journalctl --new-id128`) and never changed.
pub(super) const IDS: [(&str, &str); 3] = [
    (LOGIN_NEEDED, "a90c68c5c04a050dc1b67798d55d5c4a"),
    (AUDITED, "4b758171d4534021b4cb21188d77d516"),
    (TOOL_CHANGED, "f84c5cb3de9740c4aeebd7353bb66cfa"),
];

/// A person has to consent before a backend can be used.
const LOGIN_NEEDED: &str = "mcpmux login needed";

/// A tool is not as it was approved.
const TOOL_CHANGED: &str = "mcpmux tool changed";

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

/// The target of such records, which no log level silences.
pub(super) const AUDIT: &str = "mcpmux::audit";

/// A call was made, or refused.
const AUDITED: &str = "mcpmux audit";

/// A record of the audit, as the journal has it: each member is a field
/// `MCPMUX_…`.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "they are those of the record in src/audit/record.rs"
)]
pub struct Audited<'a> {
    pub caller: &'a str,
    pub role: Option<&'a str>,
    pub method: Option<&'a str>,
    pub backend: Option<&'a str>,
    pub name: Option<&'a str>,
    pub outcome: &'a str,
    pub code: Option<i64>,
    pub why: Option<&'a str>,
    pub milliseconds: Option<u64>,
    pub received: Option<u64>,
    pub sent: Option<u64>,
    pub trace: Option<&'a str>,
    pub arguments: Option<&'a str>,
}

/// Logs a record of the audit.
///
/// The journal has it with the id `4b758171d4534021b4cb21188d77d516`.
pub fn audited(record: &Audited<'_>) {
    let subject = record.name.or(record.method).or(record.why);
    info!(
        name: AUDITED,
        target: AUDIT,
        caller = record.caller,
        role = record.role,
        method = record.method,
        backend = record.backend,
        tool = record.name,
        outcome = record.outcome,
        code = record.code,
        why = record.why,
        ms = record.milliseconds,
        received = record.received,
        sent = record.sent,
        trace = record.trace,
        arguments = record.arguments,
        "{}: {}{}{}: {}",
        record.caller,
        record.backend.unwrap_or_default(),
        record.backend.map_or("", |_| "/"),
        subject.unwrap_or_default(),
        record.outcome,
    );
}

/// Logs that `tool` of `backend` is not as it was approved: `what`, on one line. It
/// is `hidden` from clients, or not.
///
/// The journal has it with the id `f84c5cb3de9740c4aeebd7353bb66cfa`, `MCPMUX_BACKEND=`
/// and `MCPMUX_TOOL=`.
pub fn tool_changed(backend: &str, tool: &str, what: &str, hidden: bool) {
    let hidden = if hidden {
        format!(", it is hidden until it is approved (mcpmux tools approve {backend})")
    } else {
        String::new()
    };
    warn!(
        name: TOOL_CHANGED,
        backend, tool, "the tool {tool:?} of {backend} {what}{hidden}"
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
