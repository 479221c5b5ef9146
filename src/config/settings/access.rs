//! Who may come in, as it is configured.

/// Who may come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessSettings {
    /// The users of this machine who may, beside mcpmux's own and root: names,
    /// numbers or `*`.
    pub local_users: Vec<String>,
    /// Everybody from other machines may.
    pub insecure: bool,
}
