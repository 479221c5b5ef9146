//! What units and their D-Bus objects are called (`systemd.unit(5)`).

use std::fmt::Write as _;

/// The longest name of a unit, suffix included (`UNIT_NAME_MAX`).
const LONGEST: usize = 255;

/// What the longest suffix of one client's instance takes: `@` and a number.
const INSTANCE: usize = 21;

/// The suffix of a service.
const SERVICE: &str = ".service";

/// What the units of backends begin with: `mcpmux-backend-` under
/// `mcpmux.service`, so that those of two services of a user differ.
pub(super) fn prefix(own: &str) -> String {
    let stem = own.strip_suffix(SERVICE).unwrap_or(own);
    // With an "@" left, they would be instances of a template.
    let stem: String = stem.chars().take(100).collect();
    format!("{}-backend-", escape(&stem.replace('@', "-")))
}

/// The unit of `backend`, or of one client's own instance of it.
pub(super) fn unit(prefix: &str, backend: &str, instance: Option<u64>) -> String {
    let mut name = format!("{prefix}{}", escape(backend));
    let room = LONGEST - SERVICE.len() - INSTANCE;
    if name.len() > room {
        // Only ASCII is left after escaping.
        name.truncate(room - 17);
        let _ = write!(name, "-{:016x}", fingerprint(backend));
    }
    if let Some(instance) = instance {
        let _ = write!(name, "@{instance}");
    }
    name + SERVICE
}

/// The object of the unit `name`: letters and digits stay, the rest is `_xx`.
pub(super) fn object(name: &str) -> String {
    let mut path = "/org/freedesktop/systemd1/unit/".to_owned();
    for (index, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || index > 0 && byte.is_ascii_digit() {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "_{byte:02x}");
        }
    }
    path
}

/// Each byte that a unit's name cannot have as `\xXX`, as systemd-escape(1)
/// has it. A dash stays: in a service it means nothing.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || b":-_".contains(&byte) || byte == b'.' && index > 0;
        if plain {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "\\x{byte:02x}");
        }
    }
    escaped
}

/// Tells long names with the same start apart (FNV-1a).
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::{object, prefix, unit};

    #[test]
    fn a_unit_is_named_after_its_service_and_its_backend() {
        let prefix = prefix("mcpmux.service");
        assert_eq!(
            unit(&prefix, "github", None),
            "mcpmux-backend-github.service"
        );
        assert_eq!(
            unit(&prefix, "a.b-c_d", Some(7)),
            "mcpmux-backend-a.b-c_d@7.service"
        );
    }

    #[test]
    fn a_service_that_is_an_instance_makes_no_instances() {
        assert_eq!(prefix("mcpmux@work.service"), "mcpmux-work-backend-");
    }

    #[test]
    fn what_a_name_cannot_have_is_escaped() {
        assert_eq!(
            unit("p-", "a b/é@", None),
            "p-a\\x20b\\x2f\\xc3\\xa9\\x40.service"
        );
        assert_eq!(unit("", ".hidden", None), "\\x2ehidden.service");
    }

    #[test]
    fn a_name_that_is_too_long_is_cut_and_stays_one_of_a_kind() {
        let (one, other) = ("x".repeat(300), "x".repeat(301));
        let name = |backend: &str| unit("mcpmux-backend-", backend, Some(u64::MAX));
        assert!(name(&one).len() <= 255, "{}", name(&one).len());
        assert_ne!(name(&one), name(&other));
    }

    #[test]
    fn an_object_is_named_as_systemd_does() {
        assert_eq!(
            object("mcpmux-backend-a.b@1.service"),
            "/org/freedesktop/systemd1/unit/mcpmux_2dbackend_2da_2eb_401_2eservice"
        );
        assert_eq!(
            object("1a.service"),
            "/org/freedesktop/systemd1/unit/_31a_2eservice"
        );
    }
}
