//! Who may come in, as it is configured.

use std::path::PathBuf;

/// Who may come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessSettings {
    /// The users of this machine who may, beside mcpmux's own and root: names,
    /// numbers or `*`.
    pub local_users: Vec<String>,
    /// Whether API keys are taken.
    pub keys: KeysSetting,
    /// The file of the keys, if it is not the usual one.
    pub keys_file: Option<PathBuf>,
    /// Everybody from other machines may.
    pub insecure: bool,
}

/// Whether API keys are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeysSetting {
    /// They are not looked at.
    Off,
    /// One lets in its holder.
    #[default]
    Allow,
    /// Over TCP nobody comes in without one.
    Require,
}
