//! `access`: who may come in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::in_order;

/// Who may come in.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Access {
    /// Users of this machine who may come in beside mcpmux's own and root, by
    /// name or number; `"*"` lets in all of them. Whose a connection is, the
    /// kernel says.
    pub(in crate::config) local_users: Vec<String>,
    /// Lets in everybody from other machines, without any credential, where
    /// mcpmux listens on an address that they reach.
    pub(in crate::config) insecure: bool,
}
