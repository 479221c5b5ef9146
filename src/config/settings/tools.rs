//! Which of a backend's tools are offered, and how.

use std::collections::BTreeMap;

use crate::config::Pattern;

/// Which of a backend's tools are offered, and how. Tools are meant by the names
/// that the backend itself gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolSettings {
    /// Those that are offered.
    pub allow: Vec<Pattern>,
    /// Those that are not, although allowed.
    pub deny: Vec<Pattern>,
    /// Only tools that say of themselves that they change nothing.
    pub read_only: bool,
    /// New names, by tool.
    pub rename: BTreeMap<String, String>,
    /// New descriptions, by tool.
    pub describe: BTreeMap<String, String>,
}

/// What is done about a tool that is not as it was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// It is logged.
    Warn,
    /// And it is hidden until it is approved.
    Block,
    /// Nothing.
    Off,
}

impl ToolSettings {
    /// Whether a tool of this name may be offered.
    pub fn allows(&self, name: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        any(&self.allow) && !any(&self.deny)
    }

    /// Whether no tool is left out.
    pub fn is_open(&self) -> bool {
        let all = Pattern::new("*");
        !self.read_only && self.deny.is_empty() && self.allow.contains(&all)
    }
}

impl Default for ToolSettings {
    fn default() -> Self {
        Self {
            allow: vec![Pattern::new("*")],
            deny: Vec::new(),
            read_only: false,
            rename: BTreeMap::new(),
            describe: BTreeMap::new(),
        }
    }
}
