//! The list for people: by backend and kind, a line for each thing.

use std::fmt::Write;

use super::entry::{Entry, Found};
use crate::{
    cli::terminal::{Style, printable, wrapped},
    mux::{Kind, Shown},
};

/// The least columns that a description gets beside a name; below, it goes
/// under it.
const LEAST: usize = 24;

/// Before a thing's name.
const INDENT: &str = "    ";

/// The text of the whole list.
pub(super) fn list(entries: &[Entry], descriptions: bool, style: Style) -> String {
    let texts = entries.iter().map(|entry| {
        let mut text = heading(entry, style);
        if entry.shown.is_empty() && matches!(entry.state, Found::Up { .. }) {
            let _ = writeln!(text, "  {}", style.dim("nothing"));
        }
        for kind in Kind::ALL {
            section(&mut text, entry, kind, descriptions, style);
        }
        text
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn heading(entry: &Entry, style: Style) -> String {
    let state = match &entry.state {
        Found::Up {
            era,
            revision,
            server,
        } => {
            let mut about = format!("{era} {revision}");
            if let Some(server) = server {
                let _ = write!(about, ", {}", printable(server));
            }
            style.dim(&about)
        }
        Found::Away { known: false, .. } => style.alarming("unavailable"),
        Found::Away { known: true, .. } => style.alarming("unavailable, as last known"),
    };
    format!("{}  {state}\n", style.bold(&entry.name))
}

fn section(text: &mut String, entry: &Entry, kind: Kind, descriptions: bool, style: Style) {
    let rows: Vec<(String, String)> = entry
        .of_kind(kind)
        .map(|item| (printable(&item.name), about(item, descriptions)))
        .collect();
    let Some(longest) = rows.iter().map(|(name, _)| name.chars().count()).max() else {
        return;
    };
    let title = match kind {
        Kind::Tool => "tools",
        Kind::Resource => "resources",
        Kind::Template => "resource templates",
        Kind::Prompt => "prompts",
    };
    let _ = writeln!(text, "  {}", style.dim(title));
    // One very long name does not take the room of all descriptions.
    let column = match style.width {
        Some(width) => longest.min(width.saturating_sub(INDENT.len() + 2) / 2),
        None => longest,
    };
    for (name, about) in rows {
        row(text, &name, &about, column, style);
    }
}

fn row(text: &mut String, name: &str, about: &str, column: usize, style: Style) {
    let _ = write!(text, "{INDENT}{}", style.bold(name));
    if about.is_empty() {
        text.push('\n');
        return;
    }
    let length = name.chars().count();
    let start = INDENT.len() + column + 2;
    let Some(room) = style
        .width
        .map(|width| width.saturating_sub(start).max(LEAST))
    else {
        let _ = writeln!(
            text,
            "{:pad$}  {about}",
            "",
            pad = column.saturating_sub(length)
        );
        return;
    };
    let mut lines = wrapped(about, room).into_iter();
    if length <= column {
        let first = lines.next().unwrap_or_default();
        let _ = write!(text, "{:pad$}  {first}", "", pad = column - length);
    }
    for line in lines {
        let _ = write!(text, "\n{:start$}{line}", "");
    }
    text.push('\n');
}

/// What is said of a thing beside its name, on one line.
fn about(item: &Shown, descriptions: bool) -> String {
    let title = item.title.as_deref().or(item.label.as_deref());
    // What a tool or prompt is called says most; a URI needs a name beside it.
    let title = title.filter(|_| matches!(item.kind, Kind::Resource | Kind::Template));
    let description = item.description.as_deref().filter(|_| descriptions);
    let parts = [title, description].into_iter().flatten();
    let parts = parts
        .map(|part| printable(&part.split_whitespace().collect::<Vec<_>>().join(" ")))
        .filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: Kind, name: &str, title: Option<&str>, description: &str) -> Shown {
        Shown {
            kind,
            backend: "b".to_owned(),
            name: name.to_owned(),
            own: name.to_owned(),
            label: None,
            title: title.map(str::to_owned),
            description: Some(description.to_owned()),
            mime_type: None,
        }
    }

    fn entries() -> Vec<Entry> {
        let up = Entry {
            name: "b".to_owned(),
            state: Found::Up {
                era: "legacy".to_owned(),
                revision: "2025-11-25",
                server: Some("peer 1".to_owned()),
            },
            shown: vec![
                shown(
                    Kind::Tool,
                    "b__read",
                    Some("Reading"),
                    "Reads a file\nwhole, with\u{1b}[31m all that is in it and more than fits in one line.",
                ),
                shown(
                    Kind::Tool,
                    &format!("b__{}", "x".repeat(45)),
                    None,
                    "Long of name.",
                ),
                shown(Kind::Resource, "file:///a", Some("A"), ""),
            ],
        };
        let away = |known| Entry {
            name: "gone".to_owned(),
            state: Found::Away {
                reason: "no".into(),
                known,
            },
            shown: Vec::new(),
        };
        vec![up, away(true), away(false)]
    }

    #[test]
    fn a_narrow_list_wraps_beside_the_names() {
        let style = Style {
            width: Some(80),
            emphasis: false,
        };
        let text = list(&entries(), true, style);
        assert_eq!(
            text,
            format!(
                "\
b  legacy 2025-11-25, peer 1
  tools
    b__read                                Reads a file whole, with[31m all that
                                           is in it and more than fits in one
                                           line.
    b__{}
                                           Long of name.
  resources
    file:///a  A

gone  unavailable, as last known

gone  unavailable
",
                "x".repeat(45)
            )
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn a_program_gets_one_line_a_thing_without_emphasis() {
        let text = list(&entries(), false, Style::default());
        let tools: Vec<&str> = text.lines().filter(|line| line.contains("__")).collect();
        assert_eq!(tools[0], "    b__read");
        assert!(!text.contains('\u{1b}'));
        let text = list(&entries(), true, Style::default());
        assert!(text.contains("fits in one line.\n"), "{text}");
    }
}
