//! Who has which role, and what a role may use.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::in_order;

/// What a role may use: all that is allowed and not denied.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Role {
    /// What it may use: `SERVER` for all of a server, `SERVER/TOOL`,
    /// `prompt:SERVER/NAME`, `resource:SERVER/URI`, `extension:SERVER/METHOD`, each
    /// part with `*` and `?` as wanted, by the names that the server itself gives.
    #[schemars(extend("items" = { "type": "string", "format": "access-rule" }))]
    pub(in crate::config) allow: Vec<String>,
    /// What it may not, although allowed.
    #[schemars(extend("items" = { "type": "string", "format": "access-rule" }))]
    pub(in crate::config) deny: Vec<String>,
}

/// Gives a role to those for whom all that it says holds.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["role"]), transform = in_order::<Self>)]
pub(in crate::config) struct Assignment {
    /// The role that they get.
    pub(in crate::config) role: String,
    /// They are this user of the machine, by name or number.
    pub(in crate::config) user: Option<String>,
    /// Their access token has these claims: a claim, or a path to it with dots, and
    /// the value that it is or holds.
    pub(in crate::config) claim: BTreeMap<String, String>,
    /// They came in here: the path of a unix socket, an address as in
    /// `listen.address` (port 0 is any), or `stdio`.
    #[schemars(extend("format" = "door"))]
    pub(in crate::config) socket: Option<String>,
}
