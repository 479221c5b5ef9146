//! What is recorded of each call: who called what, when, for how long, and with
//! which outcome; never what was said, unless that is asked for by name.
//!
//! A record goes to the journal, where the log goes there, and to a file of JSON
//! Lines. Recording holds up no call: what cannot be written is counted, and that
//! is said.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use tracing::{error, info};

use crate::{config::AuditSettings, protocol::Message, systemd};
use file::File;
use record::Record;

mod entry;
mod file;
mod line;
mod record;

pub use entry::Entry;

/// What is recorded, and where.
#[derive(Debug, Default)]
pub struct Audit {
    sinks: ArcSwap<Sinks>,
    /// Whether anything is. Every call looks here first.
    any: AtomicBool,
}

/// Where records go.
#[derive(Debug, Default)]
struct Sinks {
    settings: AuditSettings,
    journal: bool,
    file: Option<Arc<File>>,
}

impl Audit {
    /// As `settings` has it. What cannot be had is logged.
    pub fn new(settings: &AuditSettings) -> Arc<Self> {
        let sinks = Sinks::new(settings, None);
        Arc::new(Self {
            any: AtomicBool::new(sinks.are_any()),
            sinks: ArcSwap::from_pointee(sinks),
        })
    }

    /// Goes over to `settings`. Calls that are under way are recorded there.
    pub fn turn_to(&self, settings: &AuditSettings) {
        let before = self.sinks.load();
        if before.settings != *settings {
            let sinks = Sinks::new(settings, Some(&before));
            let any = sinks.are_any();
            self.sinks.store(Arc::new(sinks));
            self.any.store(any, Ordering::Release);
        }
    }

    /// Begins the record of a call: `request` of `caller` in `role`. `None` if
    /// nothing is recorded.
    pub fn begin<'a>(
        &'a self,
        caller: &'a str,
        role: &'a str,
        request: &'a Message,
    ) -> Option<Entry<'a>> {
        let wanted = self.any.load(Ordering::Acquire);
        wanted.then(|| Entry::new(self, caller, role, request))
    }

    /// Records that somebody was not let in, or with nothing that says what is
    /// wanted: `who` as far as it is known, and `why`.
    pub fn refused(&self, who: &str, why: &str) {
        let sinks = self.sinks.load();
        if sinks.are_any() {
            sinks.write(&Record::refused(who, why));
        }
    }

    /// Whether the arguments of `tool` of `backend` are recorded.
    fn shows(&self, backend: &str, tool: &str) -> bool {
        let sinks = self.sinks.load();
        let globs = &sinks.settings.arguments;
        if globs.is_empty() {
            return false;
        }
        let name = format!("{backend}/{tool}");
        globs.iter().any(|glob| glob.matches(&name))
    }

    fn write(&self, record: &Record<'_>) {
        self.sinks.load().write(record);
    }

    /// Waits until what was recorded is in the file. Blocks, for a bounded time.
    pub fn flush(&self) {
        if let Some(file) = &self.sinks.load().file {
            file.flush();
        }
    }
}

impl Sinks {
    /// As `settings` have it; a file that is the same `before` goes on.
    fn new(settings: &AuditSettings, before: Option<&Self>) -> Self {
        let path = settings.file.as_deref();
        let same = before.filter(|before| before.settings.file.as_deref() == path);
        Self {
            journal: settings.journal && systemd::on_journal(),
            file: same
                .and_then(|same| same.file.clone())
                .or_else(|| path.and_then(open).map(Arc::new)),
            settings: settings.clone(),
        }
    }

    fn are_any(&self) -> bool {
        self.journal || self.file.is_some()
    }

    fn write(&self, record: &Record<'_>) {
        if self.journal {
            systemd::audited(&record.fields());
        }
        if let Some(file) = &self.file {
            file.write(record);
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
