//! What a command may do and use, as settings: systemd's own words, checked,
//! and nothing of D-Bus.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document;

/// Who keeps the processes of command backends together and ends them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProcessSetting {
    /// systemd where mcpmux itself is a service of it, or where a backend asks
    /// for what only systemd can do; else mcpmux.
    #[default]
    Auto,
    /// systemd.
    Unit,
    /// mcpmux.
    Group,
}

/// What a command and its children may use at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommandLimits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Processor time, in microseconds a second of real time.
    pub cpu: Option<u64>,
}

impl CommandLimits {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a command is confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// What the directives are put on top of.
    pub level: SandboxLevel,
    /// Directives of systemd.exec(5), by name.
    pub directives: BTreeMap<String, Directive>,
}

/// How much a command is confined before single directives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxLevel {
    /// Not at all.
    Off,
    /// As much as any server can live with.
    Basic,
    /// The file system as well.
    Strict,
}

/// The value of a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// Yes or no.
    Flag(bool),
    /// One of a few words.
    Word(String),
    /// Paths or names.
    List(Vec<String>),
}

impl Sandbox {
    /// A level without directives of its own.
    pub fn at(level: SandboxLevel) -> Self {
        Self {
            level,
            directives: BTreeMap::new(),
        }
    }

    /// Whether there is none.
    pub fn is_off(&self) -> bool {
        self.level == SandboxLevel::Off && self.directives.is_empty()
    }

    /// As the document has it.
    pub(super) fn of(sandbox: document::Sandbox) -> Self {
        match sandbox {
            document::Sandbox::Level(level) => Self::at(level.into()),
            document::Sandbox::Directives(own) => Self {
                level: own.level.into(),
                directives: own
                    .named()
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, Directive::of(value)?)))
                    .collect(),
            },
        }
    }
}

impl Directive {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(Self::Flag(flag)),
            Value::String(word) => Some(Self::Word(word)),
            Value::Array(items) => {
                let items = items.into_iter().map(|item| match item {
                    Value::String(item) => Some(item),
                    _ => None,
                });
                items.collect::<Option<_>>().map(Self::List)
            }
            _ => None,
        }
    }
}

impl From<document::SandboxLevel> for SandboxLevel {
    fn from(level: document::SandboxLevel) -> Self {
        match level {
            document::SandboxLevel::Off => Self::Off,
            document::SandboxLevel::Basic => Self::Basic,
            document::SandboxLevel::Strict => Self::Strict,
        }
    }
}

impl From<document::ProcessKind> for ProcessSetting {
    fn from(kind: document::ProcessKind) -> Self {
        match kind {
            document::ProcessKind::Auto => Self::Auto,
            document::ProcessKind::Unit => Self::Unit,
            document::ProcessKind::Group => Self::Group,
        }
    }
}
