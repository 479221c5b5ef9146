//! `audit`: what is recorded of each call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::in_order;

/// What is recorded of each call: when, who in which role, the backend and the
/// tool, how long it took, the outcome, sizes and the trace id; of what was said
/// nothing.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct Audit {
    /// Whether the journal has a record of each call, where mcpmux logs to it.
    pub(in crate::config) journal: bool,
    /// A file to which records are appended as well, one JSON object a line
    /// (mode 0600). One that is moved is begun anew, as `logrotate(8)` needs it.
    #[schemars(extend("format" = "file"))]
    pub(in crate::config) file: Option<String>,
    /// Tools whose arguments are recorded as well, as `backend/tool`; `*` stands
    /// for any characters.
    pub(in crate::config) arguments: Vec<String>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            journal: true,
            file: None,
            arguments: Vec::new(),
        }
    }
}
