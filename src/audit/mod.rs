//! What is recorded of each call: who called what, when, for how long, and with
//! which outcome; never what was said, unless that is asked for by name.
//!
//! A record goes to the journal, where the log goes there, and to a file of JSON
//! Lines. Recording holds up no call: what cannot be written is counted, and that
//! is said.

use std::{path::Path, sync::Arc};

use tracing::{error, info};

use crate::{
    config::{AuditSettings, Pattern},
    protocol::Message,
    systemd,
};
use file::File;
use record::Record;

mod entry;
mod file;
mod record;

pub use entry::Entry;

/// Where records go.
#[derive(Debug, Default)]
pub struct Audit {
    journal: bool,
    file: Option<File>,
    /// The tools whose arguments are recorded, as `backend/tool`.
    arguments: Vec<Pattern>,
}

impl Audit {
    /// As `settings` has it. What cannot be had is logged.
    pub fn new(settings: &AuditSettings) -> Arc<Self> {
        Arc::new(Self {
            journal: settings.journal && systemd::on_journal(),
            file: settings.file.as_deref().and_then(open),
            arguments: settings.arguments.clone(),
        })
    }

    /// Begins the record of a call: `request` of `caller` in `role`. `None` if
    /// nothing is recorded.
    pub fn begin(self: &Arc<Self>, caller: &str, role: &str, request: &Message) -> Option<Entry> {
        let wanted = self.journal || self.file.is_some();
        wanted.then(|| Entry::new(Arc::clone(self), caller, role, request))
    }

    /// Records that somebody was not let in, or with nothing that says what is
    /// wanted: `who` as far as it is known, and `why`.
    pub fn refused(&self, who: &str, why: &str) {
        if self.journal || self.file.is_some() {
            self.write(&Record::refused(who, why));
        }
    }

    /// Whether the arguments of `tool` of `backend` are recorded.
    fn shows(&self, backend: &str, tool: &str) -> bool {
        if self.arguments.is_empty() {
            return false;
        }
        let name = format!("{backend}/{tool}");
        self.arguments.iter().any(|glob| glob.matches(&name))
    }

    fn write(&self, record: &Record<'_>) {
        if self.journal {
            systemd::audited(&record.fields());
        }
        if let Some(file) = &self.file {
            file.write(record);
        }
    }

    /// Waits until what was recorded is in the file. Blocks, for a bounded time.
    pub fn flush(&self) {
        if let Some(file) = &self.file {
            file.flush();
        }
    }
}

fn open(path: &Path) -> Option<File> {
    match File::open(path.to_owned()) {
        Ok(file) => {
            info!("calls are recorded in {}", path.display());
            Some(file)
        }
        Err(error) => {
            error!(
                "calls are not recorded: no thread for {}: {error}",
                path.display()
            );
            None
        }
    }
}
