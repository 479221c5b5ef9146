//! `sandbox` of a backend: how systemd confines a command.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::in_order;

/// How a command is confined: at a level, or by single directives on top of one.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Sandbox {
    /// At a level.
    Level(SandboxLevel),
    /// By directives of its own.
    Directives(Box<Directives>),
}

/// How much a command is confined.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum SandboxLevel {
    /// Not at all.
    Off,
    /// No new privileges, no unusual system calls or address families: what any
    /// server can live with. The default where there is a systemd to do it.
    Basic,
    /// Also: the file system is read-only, with a `/tmp` of its own and without
    /// devices. Folders that it writes to are named in `ReadWritePaths`.
    Strict,
}

/// Directives of systemd.exec(5), on top of a level.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Directives {
    /// The level that the directives are put on top of.
    #[serde(rename = "level")]
    pub(in crate::config) level: SandboxLevel,
    /// Folders that it may write to although the rest is read-only. With `-`
    /// before it, one that may be missing.
    read_write_paths: Option<Vec<String>>,
    /// Folders that it may only read.
    read_only_paths: Option<Vec<String>>,
    /// Folders that it does not see.
    inaccessible_paths: Option<Vec<String>>,
    /// Whether home directories are there.
    protect_home: Option<ProtectHome>,
    /// How much of the file system is read-only.
    protect_system: Option<ProtectSystem>,
    /// Without any network but its own loopback.
    private_network: Option<bool>,
    /// With a `/tmp` of its own.
    private_tmp: Option<bool>,
    /// Without physical devices.
    private_devices: Option<bool>,
    /// With shared memory of its own.
    #[serde(rename = "PrivateIPC")]
    private_ipc: Option<bool>,
    /// With users of its own: files of others belong to `nobody`. Under a
    /// user's manager, what concerns the file system brings it along.
    private_users: Option<bool>,
    /// Without the right to set the clock.
    protect_clock: Option<bool>,
    /// With control groups read-only.
    protect_control_groups: Option<bool>,
    /// Without the right to name the machine.
    protect_hostname: Option<bool>,
    /// Without the kernel's log.
    protect_kernel_logs: Option<bool>,
    /// Without the right to load kernel modules.
    protect_kernel_modules: Option<bool>,
    /// With the kernel's settings read-only.
    protect_kernel_tunables: Option<bool>,
    /// Without what setuid programs such as sudo would give.
    no_new_privileges: Option<bool>,
    /// Without other execution domains.
    lock_personality: Option<bool>,
    /// Without code made at run time; node cannot live with it.
    memory_deny_write_execute: Option<bool>,
    /// The only address families of its sockets; node needs `AF_NETLINK` among
    /// them.
    restrict_address_families: Option<Vec<String>>,
    /// Without namespaces of its own; browsers make them.
    restrict_namespaces: Option<bool>,
    /// Without real-time scheduling.
    restrict_realtime: Option<bool>,
    /// Without the right to make setuid files.
    #[serde(rename = "RestrictSUIDSGID")]
    restrict_suid_sgid: Option<bool>,
    /// The only system calls, by name or by group as `@system-service`; others
    /// fail with EPERM.
    system_call_filter: Option<Vec<String>>,
}

/// Whether home directories are there for a command.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ProtectHome {
    /// As they are.
    No,
    /// They are not.
    Yes,
    /// To be read.
    ReadOnly,
    /// Empty ones.
    Tmpfs,
}

/// How much of the file system is read-only for a command.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ProtectSystem {
    /// Nothing.
    No,
    /// `/usr` and the boot loader.
    Yes,
    /// `/etc` as well.
    Full,
    /// Everything but what `ReadWritePaths` names.
    Strict,
}

impl Default for Directives {
    fn default() -> Self {
        Self {
            level: SandboxLevel::Basic,
            read_write_paths: None,
            read_only_paths: None,
            inaccessible_paths: None,
            protect_home: None,
            protect_system: None,
            private_network: None,
            private_tmp: None,
            private_devices: None,
            private_ipc: None,
            private_users: None,
            protect_clock: None,
            protect_control_groups: None,
            protect_hostname: None,
            protect_kernel_logs: None,
            protect_kernel_modules: None,
            protect_kernel_tunables: None,
            no_new_privileges: None,
            lock_personality: None,
            memory_deny_write_execute: None,
            restrict_address_families: None,
            restrict_namespaces: None,
            restrict_realtime: None,
            restrict_suid_sgid: None,
            system_call_filter: None,
        }
    }
}

impl Directives {
    /// The directives that are set, by systemd's names for them.
    pub(in crate::config) fn named(&self) -> BTreeMap<String, Value> {
        let Ok(Value::Object(all)) = serde_json::to_value(self) else {
            return BTreeMap::new();
        };
        let set = all
            .into_iter()
            .filter(|(name, value)| name != "level" && !value.is_null());
        set.collect()
    }
}
