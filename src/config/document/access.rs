//! `access`: who may come in, and who has which role.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    in_order,
    policy::{Assignment, Role},
};

/// Who may come in, and who may do what.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Access {
    /// Users of this machine who may come in beside mcpmux's own and root, by
    /// name or number; `"*"` lets in all of them. Whose a connection is, the
    /// kernel says.
    pub(in crate::config) local_users: Vec<String>,
    /// Whether API keys let in whoever shows one (`mcpmux keys add`).
    pub(in crate::config) keys: Keys,
    /// The file of the keys, in a directory that nobody else can write to;
    /// `keys.json` in the state directory if not set.
    #[schemars(extend("format" = "file"))]
    pub(in crate::config) keys_file: Option<String>,
    /// Lets in everybody from other machines, without any credential, where
    /// mcpmux listens on an address that they reach.
    pub(in crate::config) insecure: bool,
    /// What each role may use, by its name. What it may not use it does not see.
    /// Without any role everybody may use everything.
    pub(in crate::config) roles: BTreeMap<String, Role>,
    /// The role of who is given no other; if not set and there are roles, who is
    /// given none may use nothing.
    pub(in crate::config) default_role: Option<String>,
    /// Who has which role: the first that fits counts.
    pub(in crate::config) assign: Vec<Assignment>,
}

/// Whether API keys let in whoever shows one.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Keys {
    /// They are not looked at.
    Off,
    /// One lets in who could not come in otherwise, and is its holder's name
    /// and role; a wrong one lets in nobody.
    #[default]
    Allow,
    /// Over TCP nobody comes in without one. The unix socket stays as it is.
    Require,
}
