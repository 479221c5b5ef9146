//! Where log lines go: natively to the journal, with fields, when stderr is
//! connected to it; else to stderr, as text or JSON. Which lines are written
//! is decided here too; what they say is up to who writes them.

use std::{
    env,
    io::{self, IsTerminal},
    sync::OnceLock,
};

use rustix::fs::fstat;
use tracing::{
    Event, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets},
    fmt,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::message::{AUDIT, IDS};

/// Crates below that log headers, codes or payloads at `debug` and `trace`:
/// credentials must not get into a log because somebody looks for a fault.
const CAPPED: [&str; 8] = [
    "h2", "hyper", "oauth2", "reqwest", "rmcp", "rustls", "tower", "zbus",
];

/// What a log line looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// The journal with its fields if stderr is the journal, else text.
    #[default]
    Auto,
    /// Text on stderr, in colour on a terminal unless `NO_COLOR` is set.
    Text,
    /// One JSON object a line on stderr.
    Json,
}

/// How to log.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`, or a list with
    /// targets as in `mcpmux=trace,warn`; `info` if not set.
    pub level: Option<String>,
    /// What a line looks like.
    pub format: LogFormat,
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a level, nor a list of targets with levels.
    #[error(
        "{0:?} is not a log level; give error, warn, info, debug, trace or off, or a list with \
         targets as in \"mcpmux=trace,warn\""
    )]
    Level(String),
    /// It was set up before.
    #[error("logging is already set up")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Lines that may wait for a stderr that nobody reads. What comes beyond is
/// lost: logging never holds up the work.
const WAITING_LINES: usize = 8192;

/// Whether the log goes natively to the journal.
static ON_JOURNAL: OnceLock<bool> = OnceLock::new();

/// Whether this process's log lines go to the journal, with their fields.
pub fn on_journal() -> bool {
    ON_JOURNAL.get().copied().unwrap_or(false)
}

/// Keeps the log going; dropped last, it writes out what still waits.
#[derive(Debug)]
#[must_use = "the log ends when this is dropped"]
pub struct LogGuard {
    _writer: Option<WorkerGuard>,
}

/// Sets up logging for the whole process.
pub fn init(options: &LogOptions) -> Result<LogGuard, LogError> {
    let levels = levels(options.level.as_deref().unwrap_or("info"))?;
    let registry = tracing_subscriber::registry();
    let journal = match options.format {
        LogFormat::Auto if stderr_is_the_journal() => Journal::connect().ok(),
        _ => None,
    };
    let _ = ON_JOURNAL.set(journal.is_some());
    let (output, writer) = match (journal, options.format) {
        (Some(journal), _) => (journal.boxed(), None),
        (None, format) => {
            let (stderr, writer) = NonBlockingBuilder::default()
                .buffered_lines_limit(WAITING_LINES)
                .thread_name("log")
                .finish(io::stderr());
            let lines = match format {
                LogFormat::Json => fmt::layer().json().with_writer(stderr).boxed(),
                LogFormat::Auto | LogFormat::Text => text(stderr),
            };
            (lines, Some(writer))
        }
    };
    let capped = Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(CAPPED.map(|target| (target, LevelFilter::INFO)));
    let audit = Targets::new().with_target(AUDIT, LevelFilter::INFO);
    registry
        .with(output.with_filter(levels.and(capped).or(audit)))
        .try_init()
        .map_err(LogError::Twice)?;
    Ok(LogGuard { _writer: writer })
}

/// `Targets` takes a word that it does not know for a target at `trace`: a
/// mistyped level would silence everything, so words are checked first.
fn levels(list: &str) -> Result<Targets, LogError> {
    let wrong = || LogError::Level(list.to_owned());
    let items: Vec<_> = list.split(',').map(str::trim).collect();
    for item in &items {
        let level = item.rsplit_once('=').map_or(*item, |(_, level)| level);
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            return Err(wrong());
        }
    }
    items.join(",").parse().map_err(|_| wrong())
}

/// Fields of an event become `MCPMUX_…`: `backend` is `MCPMUX_BACKEND`.
/// Fails where no journal listens, as with a `JOURNAL_STREAM` left over from
/// another mount namespace.
fn journal() -> io::Result<tracing_journald::Layer> {
    // The crate's own mapping calls `info` a notice and `debug` informational,
    // to tell all five apart; journalctl -p info should mean what it says.
    let priorities = PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    };
    let layer = tracing_journald::layer()?
        .with_field_prefix(Some("MCPMUX".to_owned()))
        .with_syslog_identifier("mcpmux".to_owned())
        .with_priority_mappings(priorities);
    Ok(layer)
}

/// The journal, in which some messages have a `MESSAGE_ID=`. An event's own
/// fields all get the prefix; what a layer adds to each of its events does not,
/// so each id has a layer.
struct Journal {
    plain: tracing_journald::Layer,
    identified: Vec<(&'static str, tracing_journald::Layer)>,
}

impl Journal {
    fn connect() -> io::Result<Self> {
        let identified = IDS.into_iter().map(|(name, id)| {
            let layer = journal()?.with_custom_fields([("MESSAGE_ID", id)]);
            Ok((name, layer))
        });
        Ok(Self {
            plain: journal()?,
            identified: identified.collect::<io::Result<_>>()?,
        })
    }
}

impl<S> Layer<S> for Journal
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.plain.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.plain.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let name = event.metadata().name();
        let identified = self.identified.iter().find(|(own, _)| *own == name);
        let layer = identified.map_or(&self.plain, |(_, layer)| layer);
        layer.on_event(event, context);
    }
}

fn text<S>(stderr: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // https://no-color.org: set and not empty.
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = !plain && io::stderr().is_terminal();
    fmt::layer()
        .with_ansi(colours)
        .with_target(false)
        .with_writer(stderr)
        .boxed()
}

/// `JOURNAL_STREAM` is inherited by programs whose stderr has long been turned
/// elsewhere; only its device and inode tell (`systemd.exec(5)`).
fn stderr_is_the_journal() -> bool {
    env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stream(&stream, rustix::stdio::stderr()))
}

fn is_stream(stream: &str, descriptor: impl std::os::fd::AsFd) -> bool {
    fstat(descriptor).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_or_a_list_of_targets_is_accepted() {
        for list in [
            "info",
            "DEBUG",
            "off",
            "mcpmux=trace,warn",
            "warn, mcpmux::mux=debug",
        ] {
            assert!(levels(list).is_ok(), "{list}");
        }
    }

    #[test]
    fn a_mistyped_level_is_an_error_and_not_a_target() {
        for list in ["", "inof", "mcpmux=loud", "mcpmux", "info,,"] {
            let error = levels(list).unwrap_err();
            assert!(
                error.to_string().contains("is not a log level"),
                "{list}: {error}"
            );
        }
    }

    #[test]
    fn only_the_descriptor_that_journal_stream_names_is_the_journal() {
        let file = tempfile::tempfile().unwrap();
        let stat = fstat(&file).unwrap();
        assert!(is_stream(
            &format!("{}:{}", stat.st_dev, stat.st_ino),
            &file
        ));
        assert!(!is_stream(
            &format!("{}:{}", stat.st_dev, stat.st_ino + 1),
            &file
        ));
        assert!(!is_stream("nonsense", &file));
    }
}
