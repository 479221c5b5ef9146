//! A sandbox as properties of a unit (`systemd.exec(5)`), of which a user's
//! manager can do some only together with `PrivateUsers=`, and would leave them
//! out silently.

use std::collections::BTreeMap;

use zbus::zvariant::Value;

use crate::config::{Directive, Sandbox, SandboxLevel};

/// `EPERM`: a call that is not allowed fails instead of ending the program.
const EPERM: i32 = 1;

/// What any server can live with; node, for one, lists its network interfaces
/// over netlink.
const FAMILIES: [&str; 4] = ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"];

/// A server may still confine itself.
const CALLS: [&str; 5] = [
    "@system-service",
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
    "seccomp",
];

/// What takes a mount namespace or capabilities, and so, without privileges,
/// a user namespace.
const WITH_USERS: [&str; 15] = [
    "InaccessiblePaths",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateNetwork",
    "PrivateTmp",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectSystem",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "CapabilityBoundingSet",
];

/// The properties that make `sandbox`. `privileged` is whether the manager is
/// root's. Error: a directive that would have no effect.
pub(super) fn properties(
    sandbox: &Sandbox,
    privileged: bool,
) -> Result<BTreeMap<String, Value<'static>>, String> {
    let mut set = BTreeMap::new();
    let mut put = |name: &str, value: Value<'static>| set.insert(name.to_owned(), value);
    if sandbox.level != SandboxLevel::Off {
        for flag in [
            "NoNewPrivileges",
            "LockPersonality",
            "RestrictRealtime",
            "RestrictSUIDSGID",
        ] {
            put(flag, true.into());
        }
        put(
            "RestrictAddressFamilies",
            allowed(&FAMILIES.map(str::to_owned)),
        );
        put("SystemCallArchitectures", vec!["native".to_owned()].into());
        put("SystemCallFilter", allowed(&CALLS.map(str::to_owned)));
        put("UMask", 0o077_u32.into());
    }
    if sandbox.level == SandboxLevel::Strict {
        for flag in [
            "PrivateDevices",
            "PrivateTmp",
            "ProtectClock",
            "ProtectControlGroups",
            "ProtectHostname",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
        ] {
            put(flag, true.into());
        }
        put("ProtectSystem", "strict".into());
        put("ProtectHome", "read-only".into());
        put("CapabilityBoundingSet", 0_u64.into());
    }
    for (name, directive) in &sandbox.directives {
        let value = match directive {
            Directive::Flag(flag) => (*flag).into(),
            Directive::Word(word) => word.clone().into(),
            Directive::List(items) => match name.as_str() {
                "RestrictAddressFamilies" | "SystemCallFilter" => allowed(items),
                _ => items.clone().into(),
            },
        };
        put(name, value);
    }
    if set.contains_key("SystemCallFilter") {
        set.insert("SystemCallErrorNumber".to_owned(), EPERM.into());
    }
    if !privileged {
        with_users(&mut set)?;
    }
    Ok(set)
}

/// Adds `PrivateUsers=` where something else needs it.
fn with_users(set: &mut BTreeMap<String, Value<'static>>) -> Result<(), String> {
    let needy = set
        .iter()
        .find(|(name, value)| WITH_USERS.contains(&name.as_str()) && is_on(value))
        .map(|(name, _)| name.clone());
    match (needy, set.get("PrivateUsers")) {
        (Some(needy), Some(Value::Bool(false))) => Err(format!(
            "`sandbox.{needy}` has no effect without PrivateUsers, which `sandbox` switches off"
        )),
        (Some(_), _) => {
            set.insert("PrivateUsers".to_owned(), true.into());
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

fn is_on(value: &Value<'_>) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Str(word) => word.as_str() != "no",
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// A list of what is allowed, or, with `~` first, of what is not.
fn allowed(items: &[String]) -> Value<'static> {
    let mut items = items.to_vec();
    let denied = items.first_mut().and_then(|first| {
        let rest = first.strip_prefix('~')?.to_owned();
        *first = rest;
        Some(())
    });
    (denied.is_none(), items).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(level: SandboxLevel, name: &str, directive: Directive) -> Sandbox {
        let mut sandbox = Sandbox::at(level);
        sandbox.directives.insert(name.to_owned(), directive);
        sandbox
    }

    #[test]
    fn off_is_nothing() {
        let set = properties(&Sandbox::at(SandboxLevel::Off), false).unwrap();
        assert!(set.is_empty(), "{set:?}");
    }

    #[test]
    fn basic_takes_nothing_that_a_user_manager_would_leave_out() {
        let set = properties(&Sandbox::at(SandboxLevel::Basic), false).unwrap();
        assert_eq!(set["NoNewPrivileges"], true.into());
        assert_eq!(set["SystemCallErrorNumber"], EPERM.into());
        assert!(!set.contains_key("PrivateUsers"));
        assert!(WITH_USERS.iter().all(|name| !set.contains_key(*name)));
    }

    #[test]
    fn what_concerns_the_file_system_brings_users_of_its_own() {
        let strict = Sandbox::at(SandboxLevel::Strict);
        let users = Value::from(true);
        assert_eq!(properties(&strict, false).unwrap()["PrivateUsers"], users);
        assert!(
            !properties(&strict, true)
                .unwrap()
                .contains_key("PrivateUsers")
        );
        let tmp = with(SandboxLevel::Off, "PrivateTmp", Directive::Flag(true));
        assert_eq!(properties(&tmp, false).unwrap()["PrivateUsers"], users);
        let home = with(
            SandboxLevel::Off,
            "ProtectHome",
            Directive::Word("no".into()),
        );
        assert!(
            !properties(&home, false)
                .unwrap()
                .contains_key("PrivateUsers")
        );
    }

    #[test]
    fn a_directive_that_would_have_no_effect_is_refused() {
        let mut sandbox = Sandbox::at(SandboxLevel::Strict);
        let no = Directive::Flag(false);
        sandbox.directives.insert("PrivateUsers".to_owned(), no);
        let error = properties(&sandbox, false).unwrap_err();
        assert!(error.contains("without PrivateUsers"), "{error}");
        properties(&sandbox, true).unwrap();
    }

    #[test]
    fn a_directive_of_ones_own_wins_over_the_level() {
        let hidden = with(
            SandboxLevel::Strict,
            "ProtectHome",
            Directive::Word("tmpfs".into()),
        );
        assert_eq!(
            properties(&hidden, false).unwrap()["ProtectHome"],
            "tmpfs".into()
        );
        let calls = Directive::List(vec!["~@mount".to_owned(), "ptrace".to_owned()]);
        let denied = with(SandboxLevel::Basic, "SystemCallFilter", calls);
        let expected = (false, vec!["@mount".to_owned(), "ptrace".to_owned()]);
        assert_eq!(
            properties(&denied, false).unwrap()["SystemCallFilter"],
            expected.into()
        );
    }
}
