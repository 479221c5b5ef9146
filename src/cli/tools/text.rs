//! Changes of tools for people: what was, and what is, line by line.

use std::fmt::Write;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::{
    cli::terminal::{Style, printable},
    mux::{BackendChanges, Matter, MemberChange},
};

/// The lines around a change that are shown.
const CONTEXT: usize = 2;

/// All of `backends` that has changed.
pub(super) fn changes(backends: &[BackendChanges], style: Style) -> String {
    let mut text = String::new();
    for BackendChanges {
        backend,
        hidden,
        tools,
    } in backends
    {
        for change in tools {
            let matter = match (change.matter, &change.from) {
                (Matter::Changed, _) => "changed".to_owned(),
                (Matter::New, _) => "new".to_owned(),
                (Matter::Renamed, from) => {
                    format!("was {}", printable(from.as_deref().unwrap_or_default()))
                }
            };
            let hidden = if *hidden { ", hidden" } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{} {}  {}",
                style.bold(backend),
                style.bold(&printable(&change.tool)),
                style.alarming(&format!("{matter}{hidden}")),
            );
            for member in &change.members {
                section(&mut text, member, style);
            }
        }
    }
    if text.is_empty() {
        text += "all tools are as they were approved\n";
    }
    text
}

fn section(text: &mut String, change: &MemberChange, style: Style) {
    let _ = writeln!(text, "  {}", style.dim(&change.member));
    let (was, now) = (lines(change.was.as_deref()), lines(change.now.as_deref()));
    let diff = TextDiff::from_lines(&was, &now);
    for group in diff.grouped_ops(CONTEXT) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = printable(change.value().trim_end_matches('\n'));
            let _ = writeln!(text, "    {sign} {line}");
        }
    }
}

/// A JSON text in lines: a string as its own, anything else spread out.
fn lines(json: Option<&str>) -> String {
    let Some(json) = json else {
        return String::new();
    };
    let mut text = match serde_json::from_str(json) {
        Ok(Value::String(text)) => text,
        Ok(value) => format!("{value:#}"),
        // It was cut.
        Err(_) => json.to_owned(),
    };
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mux::ToolChange;

    #[test]
    fn what_differs_is_shown_line_by_line_and_steers_no_terminal() {
        let member = |member: &str, was: Option<&str>, now: Option<&str>| MemberChange {
            member: member.to_owned(),
            was: was.map(str::to_owned),
            now: now.map(str::to_owned),
        };
        let backends = [BackendChanges {
            backend: "b".to_owned(),
            hidden: true,
            tools: vec![ToolChange {
                tool: "t\u{1b}[31m".to_owned(),
                matter: Matter::Changed,
                from: None,
                members: vec![
                    member(
                        "description",
                        Some(r#""One.\nTwo.""#),
                        Some(r#""One.\n\u001bX""#),
                    ),
                    member("inputSchema", Some(r#"{"type":"object"}"#), None),
                ],
            }],
        }];
        assert_eq!(
            changes(&backends, Style::default()),
            "\
b t[31m  changed, hidden
  description
      One.
    - Two.
    + X
  inputSchema
    - {
    -   \"type\": \"object\"
    - }
"
        );
        assert!(changes(&[], Style::default()).contains("as they were approved"));
    }
}
