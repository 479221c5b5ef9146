//! Text for people: what suits the terminal that it is printed on.

use std::io::{self, IsTerminal, Write};

/// How text is laid out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    /// The columns to fit in; `None` wraps nothing.
    pub(super) width: Option<usize>,
    /// Whether names stand out.
    pub(super) emphasis: bool,
}

impl Style {
    /// What suits stdout: as wide as its terminal and with emphasis, or plain
    /// lines for a program.
    pub(super) fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::default();
        }
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| size.ws_col);
        Self {
            width: Some(if columns == 0 { 80 } else { columns.into() }),
            emphasis: !plain,
        }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.escaped("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.escaped("2", text)
    }

    pub(super) fn alarming(self, text: &str) -> String {
        self.escaped("31", text)
    }

    fn escaped(self, code: &str, text: &str) -> String {
        if self.emphasis {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Breaks `text` at spaces into lines of at most `room` characters; a longer
/// word has a line of its own.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What is listed is written by strangers: nothing in it may steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Prints `text` on stdout.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
