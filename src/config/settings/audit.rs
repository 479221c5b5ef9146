//! What is recorded of calls, as it is configured.

use std::path::PathBuf;

use crate::config::Pattern;

/// What is recorded of each call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSettings {
    /// In the journal, where mcpmux logs to it.
    pub journal: bool,
    /// In this file, as JSON Lines.
    pub file: Option<PathBuf>,
    /// The tools whose arguments are recorded, over `backend/tool`.
    pub arguments: Vec<Pattern>,
}
