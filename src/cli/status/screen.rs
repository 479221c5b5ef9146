//! The status as people read it.

use std::{fmt::Write, time::Duration};

use crate::{
    backend::command::Measure,
    cli::terminal::{Style, printable},
    control::Status,
    mux::BackendStatus,
};

/// So many columns.
const COLUMNS: usize = 13;

/// The first column of numbers, which stand under each other.
const FIRST_NUMBER: usize = 6;

const HEADINGS: [&str; COLUMNS] = [
    "BACKEND", "STATE", "FOR", "ERA", "KEPT", "AUTH", "TOOLS", "CALLS", "ERRORS", "P50", "P95",
    "RESTARTS", "MEMORY",
];

/// One screen.
pub(super) fn screen(status: &Status, style: Style) -> String {
    let up = status
        .backends
        .iter()
        .filter(|backend| backend.state == "up");
    let backends = status.backends.iter();
    let enabled = backends.filter(|backend| backend.is_enabled());
    let mut text = format!(
        "mcpmux {}, running for {}, process {}\n",
        status.version,
        span(Duration::from_secs(status.uptime)),
        status.pid
    );
    for socket in &status.sockets {
        let _ = writeln!(text, "serving {}", printable(socket));
    }
    if let Some(config) = &status.config {
        let _ = writeln!(text, "configured by {}", config.display());
    }
    let _ = writeln!(
        text,
        "{}/{} backends up\n\
         clients: connections {}, sessions {}, open streams {}, calls in flight {}\n",
        up.count(),
        enabled.count(),
        status.clients.connections,
        status.clients.sessions,
        status.clients.streams,
        status.clients.calls
    );
    let rows: Vec<[String; COLUMNS]> = status.backends.iter().map(row).collect();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max();
        longest.unwrap_or(0).max(HEADINGS[column].len())
    });
    let headings = HEADINGS.map(str::to_owned);
    text += &style.dim(line(&headings, &widths, |_, cell| cell).trim_end());
    text.push('\n');
    for (backend, row) in status.backends.iter().zip(&rows) {
        let up = backend.state == "up";
        let line = line(row, &widths, |column, cell| match column {
            0 => style.bold(&cell),
            1 if !up => style.alarming(&cell),
            _ => cell,
        });
        text += line.trim_end();
        text.push('\n');
        if let Some(ailing) = &backend.ailing {
            let _ = writeln!(text, "  {}", style.alarming(&printable(ailing)));
        }
        if let Some(reason) = &backend.reason {
            let _ = writeln!(text, "  {}", beneath(backend, reason));
        }
    }
    text
}

fn row(backend: &BackendStatus) -> [String; COLUMNS] {
    let time = |micros: Option<u64>| micros.map_or_else(|| "-".to_owned(), micro);
    let kept = match (&backend.unit, &backend.kept) {
        (Some(_), _) => "unit",
        (None, Some(_)) => "group",
        (None, None) => "-",
    };
    [
        backend.name.clone(),
        backend.state.clone(),
        (backend.since).map_or_else(|| "-".to_owned(), |since| span(Duration::from_secs(since))),
        backend.era.clone().unwrap_or_else(|| "-".to_owned()),
        kept.to_owned(),
        backend.auth.clone().unwrap_or_else(|| "-".to_owned()),
        backend.tools.to_string(),
        backend.calls.to_string(),
        backend.errors.to_string(),
        time(backend.p50),
        time(backend.p95),
        backend.restarts.to_string(),
        memory(backend),
    ]
}

fn line(
    row: &[String; COLUMNS],
    widths: &[usize; COLUMNS],
    dress: impl Fn(usize, String) -> String,
) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        // Numbers stand under each other.
        let cell = if column >= FIRST_NUMBER {
            format!("{cell:>width$}")
        } else {
            format!("{cell:<width$}")
        };
        text += &dress(column, cell);
        text += "  ";
    }
    text
}

/// What is said of a backend that is not up.
fn beneath(backend: &BackendStatus, reason: &str) -> String {
    let mut text = printable(reason);
    if let Some(next) = backend.next {
        let _ = write!(
            text,
            "; next attempt in {}",
            span(Duration::from_secs(next))
        );
    }
    text
}

/// The memory of its processes; that of a unit is the whole of its control group, of
/// others it is said what was counted.
fn memory(backend: &BackendStatus) -> String {
    let Some(bytes) = backend.memory else {
        return "-".to_owned();
    };
    let counted = match backend.measure {
        Some(Measure::Pss) => " PSS",
        Some(Measure::Rss) => " RSS",
        Some(Measure::Cgroup) | None => "",
    };
    format!("{} MiB{counted}", bytes.div_ceil(1 << 20))
}

fn micro(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", micros.div_ceil(1_000)),
        _ => span(Duration::from_micros(micros)),
    }
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::Clients;

    fn backend(name: &str, state: &str) -> BackendStatus {
        BackendStatus {
            name: name.to_owned(),
            state: state.to_owned(),
            reason: None,
            ailing: None,
            since: Some(7_300),
            next: None,
            era: Some("modern".to_owned()),
            revision: None,
            server: None,
            tools: 3,
            prompts: 0,
            resources: 0,
            calls: 1200,
            errors: 1,
            waiting: 0,
            auth: None,
            kept: None,
            unit: None,
            group: None,
            memory: Some(20 << 20),
            measure: Some(Measure::Cgroup),
            p50: Some(90),
            p95: Some(1_500),
            restarts: 0,
        }
    }

    #[test]
    fn one_screen_says_all() {
        let mut down = backend("gone", "down");
        down.reason = Some("it ended\u{1b}[2J".to_owned());
        down.since = Some(65);
        down.next = Some(4);
        down.measure = Some(Measure::Pss);
        let mut files = backend("files", "up");
        files.unit = Some("mcpmux-backend-files.service".to_owned());
        files.auth = Some("oauth".to_owned());
        let status = Status {
            version: "0.1.0".to_owned(),
            pid: 7,
            uptime: 7_300,
            config: None,
            sockets: vec!["http://127.0.0.1:8080/mcp".to_owned()],
            clients: Clients {
                connections: 3,
                sessions: 2,
                streams: 1,
                calls: 4,
            },
            backends: vec![files, down],
        };
        let text = screen(&status, Style::default());
        assert_eq!(
            text,
            "mcpmux 0.1.0, running for 2 h, process 7\n\
             serving http://127.0.0.1:8080/mcp\n\
             1/2 backends up\n\
             clients: connections 3, sessions 2, open streams 1, calls in flight 4\n\n\
             BACKEND  STATE  FOR   ERA     KEPT  AUTH   TOOLS  CALLS  ERRORS    P50   P95  RESTARTS      MEMORY\n\
             files    up     2 h   modern  unit  oauth      3   1200       1  90 µs  2 ms         0      20 MiB\n\
             gone     down   65 s  modern  -     -          3   1200       1  90 µs  2 ms         0  20 MiB PSS\n  \
             it ended[2J; next attempt in 4 s\n"
        );
    }
}
