//! `token_store`: where OAuth tokens are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Variant, add_variants, in_order};

/// Where `OAuth` tokens are kept.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = kinds, transform = in_order::<Self>)]
pub(in crate::config) struct TokenStore {
    /// Whether tokens outlive a restart; if not, they are in memory only.
    pub(in crate::config) enabled: bool,
    /// The kind of store. One that is named and cannot be had is an error.
    pub(in crate::config) kind: StoreKind,
    /// `kind: vault` or `auto`: where the key of the vault comes from. One that
    /// is named and cannot be had is an error.
    pub(in crate::config) key: VaultKey,
    /// `kind: vault` or `auto`: the file of the vault, in a directory of its
    /// own that nobody else can read; `vault` in the state directory if not set.
    #[schemars(extend("format" = "file"))]
    pub(in crate::config) path: Option<String>,
    /// `key: file`: the file of the key; `mcpmux/vault.key` in
    /// `$XDG_CONFIG_HOME` or `~/.config` if not set.
    #[schemars(extend("format" = "file"))]
    pub(in crate::config) key_file: Option<String>,
}

/// The kind of token store.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum StoreKind {
    /// `vault` where a key can be had, else `runtime`, else `memory`; which and
    /// why is logged.
    Auto,
    /// This process's memory: lost with it.
    Memory,
    /// A file in the runtime directory, which must be in memory (tmpfs): lost
    /// with a reboot.
    Runtime,
    /// An encrypted file in the state directory.
    Vault,
    /// The Secret Service (GNOME Keyring, `KWallet`, …).
    Keyring,
}

/// Where the key of the vault comes from.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum VaultKey {
    /// `credential` if it is there, else `secret-service`.
    Auto,
    /// The systemd credential `mcpmux-vault-key`, which `mcpmux auth init-vault` makes.
    Credential,
    /// The Secret Service.
    SecretService,
    /// A file with mode 0600.
    File,
}

impl Default for TokenStore {
    fn default() -> Self {
        Self {
            enabled: true,
            kind: StoreKind::Auto,
            key: VaultKey::Auto,
            path: None,
            key_file: None,
        }
    }
}

fn kinds(schema: &mut schemars::Schema) {
    const OF_A_VAULT: &[&str] = &["key", "path", "key_file"];
    let kind = |value, owns| Variant {
        value,
        requires: &[],
        owns,
    };
    let variants = [
        kind("auto", OF_A_VAULT),
        kind("vault", OF_A_VAULT),
        kind("memory", &[]),
        kind("runtime", &[]),
        kind("keyring", &[]),
    ];
    add_variants(schema, "kind", Some("auto"), &variants);
}
