//! Logins for people: a line for each backend, and beneath it what needs more
//! room.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use crate::{
    cli::terminal::{Style, printable, wrapped},
    credential::{LoginState, LoginStatus, Page},
};

/// Before what stands beneath a backend's line.
const INDENT: &str = "  ";

const HEADINGS: [&str; 6] = [
    "BACKEND",
    "KIND",
    "LOGIN",
    "EXPIRES",
    "REFRESHED BY",
    "ACCOUNT",
];

/// The text of the whole table, as of `now`.
pub(super) fn table(backends: &[&LoginStatus], now: SystemTime, style: Style) -> String {
    let rows: Vec<[String; 6]> = backends.iter().map(|status| row(status, now)).collect();
    let widths: [usize; 6] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        let longest = cells.max().unwrap_or_default();
        // A column of which nothing is known is left out.
        if longest == 0 {
            0
        } else {
            longest.max(HEADINGS[column].len())
        }
    });
    // Where all are kept in one place, it is said once.
    let mut places: Vec<&str> = backends
        .iter()
        .filter_map(|status| status.stored.as_deref())
        .collect();
    let stores = places.len();
    places.dedup();
    let one_place = if stores > 1 && places.len() == 1 {
        Some(places[0])
    } else {
        None
    };
    let headings = HEADINGS.map(str::to_owned);
    let mut text = style.dim(&line(&headings, &widths, |_, cell| cell)) + "\n";
    for (status, row) in backends.iter().zip(&rows) {
        let needs_login = matches!(status.login, Some(LoginState::NeedsLogin));
        text += &line(row, &widths, |column, cell| match column {
            0 => style.bold(&cell),
            2 if needs_login => style.alarming(&cell),
            _ => cell,
        });
        text.push('\n');
        for (beneath, alarming) in beneath(status, one_place.is_none()) {
            paragraph(&mut text, &beneath, alarming, style);
        }
    }
    if let Some(place) = one_place {
        let _ = writeln!(text, "\n{}", printable(&kept(place)));
    }
    text
}

fn row(status: &LoginStatus, now: SystemTime) -> [String; 6] {
    let login = match &status.login {
        None => "",
        Some(LoginState::LoggedIn) => "logged in",
        Some(LoginState::NeedsLogin) => "needs login",
        Some(LoginState::Waiting(_)) => "waits for you",
        Some(LoginState::NotAsked) => "not asked yet",
    };
    [
        printable(&status.backend),
        printable(&status.kind),
        login.to_owned(),
        status
            .expires
            .map(|expires| relative(expires, now))
            .unwrap_or_default(),
        printable(status.refreshes.as_deref().unwrap_or_default()),
        printable(status.account.as_deref().unwrap_or_default()),
    ]
}

fn line(
    cells: &[String; 6],
    widths: &[usize; 6],
    shown: impl Fn(usize, String) -> String,
) -> String {
    let mut text = String::new();
    let mut pad = 0;
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if *width == 0 || cell.is_empty() {
            pad += if *width == 0 { 0 } else { width + 2 };
            continue;
        }
        let _ = write!(text, "{:pad$}{}", "", shown(column, cell.clone()));
        pad = width - cell.chars().count() + 2;
    }
    text
}

/// What stands beneath a backend's line, and whether it is alarming.
fn beneath(status: &LoginStatus, stored: bool) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    match &status.login {
        Some(LoginState::NeedsLogin) => {
            lines.push((format!("run: mcpmux auth login {}", status.backend), false));
        }
        Some(LoginState::Waiting(begun)) => {
            let (Page::Redirect { url, .. } | Page::Device { url, .. }) = &begun.page;
            let code = match &begun.page {
                Page::Redirect { .. } => String::new(),
                Page::Device { code, .. } => format!(" with the code {code}"),
            };
            lines.push((format!("log in at {url}{code}"), false));
        }
        _ => {}
    }
    if let Some(issuer) = &status.issuer {
        lines.push((format!("issuer: {issuer}"), false));
    }
    if !status.scopes.is_empty() {
        lines.push((format!("scopes: {}", status.scopes.join(" ")), false));
    }
    if let Some(place) = status.stored.as_deref().filter(|_| stored) {
        lines.push((kept(place), false));
    }
    if let Some(trouble) = &status.trouble {
        lines.push((trouble.clone(), true));
    }
    lines
}

/// Where tokens are kept, which may be nowhere.
fn kept(place: &str) -> String {
    if place.starts_with("nowhere") {
        format!("kept {place}")
    } else {
        format!("kept in {place}")
    }
}

fn paragraph(text: &mut String, paragraph: &str, alarming: bool, style: Style) {
    let paragraph = printable(paragraph);
    let lines = match style.width {
        Some(width) => wrapped(&paragraph, width.saturating_sub(INDENT.len())),
        None => vec![paragraph],
    };
    for line in lines {
        let line = if alarming {
            style.alarming(&line)
        } else {
            style.dim(&line)
        };
        let _ = writeln!(text, "{INDENT}{line}");
    }
}

/// `time` as seen from `now`: `in 52 min`, `3 h ago`.
pub(super) fn relative(time: SystemTime, now: SystemTime) -> String {
    match time.duration_since(now) {
        Ok(left) => format!("in {}", span(left)),
        Err(error) => format!("{} ago", span(error.duration())),
    }
}

/// A time span in its largest unit of which there are two at least.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::credential::Begun;

    pub(in crate::cli::auth) fn status(backend: &str, kind: &str) -> LoginStatus {
        LoginStatus {
            backend: backend.to_owned(),
            kind: kind.to_owned(),
            login: None,
            account: None,
            issuer: None,
            scopes: Vec::new(),
            expires: None,
            refreshes: None,
            stored: None,
            trouble: None,
        }
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn backends() -> Vec<LoginStatus> {
        let mut linear = status("linear", "oauth");
        linear.login = Some(LoginState::LoggedIn);
        linear.expires = Some(now() + Duration::from_secs(52 * 60 + 10));
        linear.refreshes = Some("refresh token".to_owned());
        linear.account = Some("jane@example.com".to_owned());
        linear.stored = Some("the vault".to_owned());
        let mut sentry = status("sentry", "oauth");
        sentry.login = Some(LoginState::NeedsLogin);
        sentry.scopes = vec!["a:read".to_owned(), "b".to_owned()];
        sentry.stored = Some("the vault".to_owned());
        sentry.trouble = Some("the refresh token\u{1b}[2J was revoked".to_owned());
        let mut figma = status("figma", "oauth");
        figma.login = Some(LoginState::Waiting(Begun {
            backend: "figma".to_owned(),
            page: Page::Device {
                url: "https://as/device".to_owned(),
                complete_url: None,
                code: "AB-CD".to_owned(),
            },
            expires: now(),
        }));
        vec![linear, sentry, figma, status("github", "bearer")]
    }

    fn text(backends: &[LoginStatus], style: Style) -> String {
        table(&backends.iter().collect::<Vec<_>>(), now(), style)
    }

    #[test]
    fn the_table_is_aligned_and_says_once_what_is_the_same() {
        assert_eq!(
            text(&backends(), Style::default()),
            "\
BACKEND  KIND    LOGIN          EXPIRES    REFRESHED BY   ACCOUNT
linear   oauth   logged in      in 52 min  refresh token  jane@example.com
sentry   oauth   needs login
  run: mcpmux auth login sentry
  scopes: a:read b
  the refresh token[2J was revoked
figma    oauth   waits for you
  log in at https://as/device with the code AB-CD
github   bearer

kept in the vault
"
        );
    }

    #[test]
    fn columns_that_nothing_is_known_of_are_left_out() {
        let mut backends = backends();
        let linear = backends.remove(0);
        assert_eq!(
            text(&[backends.pop().unwrap()], Style::default()),
            "BACKEND  KIND\ngithub   bearer\n"
        );
        assert!(text(&[linear], Style::default()).contains("\n  kept in the vault\n"));
    }

    #[test]
    fn a_terminal_gets_emphasis_and_lines_that_fit() {
        let style = Style {
            width: Some(24),
            emphasis: true,
        };
        let text = text(&backends(), style);
        assert!(text.contains("\u{1b}[31mneeds login\u{1b}[0m"));
        assert!(text.contains("  \u{1b}[31mthe refresh token[2J\u{1b}[0m\n"));
    }

    #[test]
    fn a_time_is_said_as_people_say_it() {
        for (seconds, text) in [
            (42, "in 42 s"),
            (119, "in 119 s"),
            (52 * 60, "in 52 min"),
            (3 * 3600 + 5, "in 3 h"),
            (50 * 3600, "in 2 days"),
        ] {
            assert_eq!(relative(now() + Duration::from_secs(seconds), now()), text);
        }
        let past = now() - Duration::from_secs(300);
        assert_eq!(relative(past, now()), "5 min ago");
    }
}
