//! What has changed of a tool, for people.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::content::Content;

/// The characters that a line shows of either side of a change.
const SHOWN: usize = 300;

/// The characters before it that are the same.
const CONTEXT: usize = 24;

/// What is the matter with a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matter {
    /// It is another one under its name.
    Changed,
    /// There was none of its name.
    New,
    /// It has the content of one whose name is no more.
    Renamed,
}

/// A tool that is not as it was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolChange {
    /// Its name at its backend.
    pub tool: String,
    /// What is the matter.
    pub matter: Matter,
    /// The name that it had before, if it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The members that are other ones.
    pub members: Vec<MemberChange>,
}

/// A member of a definition that is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    /// The member.
    pub member: String,
    /// What it was, JSON text, if it was there.
    pub was: Option<String>,
    /// What it is.
    pub now: Option<String>,
}

impl ToolChange {
    /// The members that differ from `was` to `now`.
    pub(super) fn members(was: Option<&Content>, now: &Content) -> Vec<MemberChange> {
        let none = std::collections::BTreeMap::new();
        let old = was.map_or(&none, |was| &was.members);
        let mut keys: Vec<_> = old.keys().chain(now.members.keys()).collect();
        keys.sort();
        keys.dedup();
        let changed = keys.into_iter().map(|key| MemberChange {
            member: key.clone(),
            was: old.get(key).cloned(),
            now: now.members.get(key).cloned(),
        });
        changed.filter(|change| change.was != change.now).collect()
    }

    /// All of it on one line.
    pub(super) fn line(&self) -> String {
        let mut line = match (self.matter, &self.from) {
            (Matter::New, _) => "is new".to_owned(),
            (Matter::Renamed, from) => {
                return format!(
                    "is {:?} under a new name",
                    from.as_deref().unwrap_or_default()
                );
            }
            (Matter::Changed, _) => "has changed".to_owned(),
        };
        for MemberChange { member, was, now } in &self.members {
            let (was, now) = (was.as_deref().unwrap_or(""), now.as_deref().unwrap_or(""));
            let (was, now) = differing(was, now);
            // Writing to a string cannot fail.
            let _ = match self.matter {
                Matter::New => write!(line, "; {member}: {now}"),
                _ => write!(line, "; {member}: {was} -> {now}"),
            };
        }
        if self.matter == Matter::Changed && self.members.is_empty() {
            line += " beyond what is kept of it";
        }
        line
    }
}

/// Where two texts differ, each on one line.
fn differing(was: &str, now: &str) -> (String, String) {
    let (was, now): (Vec<char>, Vec<char>) = (was.chars().collect(), now.chars().collect());
    let same = was
        .iter()
        .zip(&now)
        .take_while(|(one, other)| one == other)
        .count();
    let start = same.saturating_sub(CONTEXT);
    let part = |text: &[char]| {
        let mut shown = String::new();
        if text.is_empty() {
            return "none".to_owned();
        }
        if start > 0 {
            shown.push('…');
        }
        for c in text.iter().skip(start).take(SHOWN) {
            match c {
                '"' | '\\' | '\'' => shown.push(*c),
                // Nothing that a stranger wrote may steer who reads the log.
                c => shown.extend(c.escape_debug()),
            }
        }
        if text.len() > start + SHOWN {
            shown.push('…');
        }
        shown
    };
    (part(&was), part(&now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_on_one_line_where_it_is() {
        let was = Content::of(
            r#"{"description":"Reads one file from the disk and gives it back.","inputSchema":{}}"#,
        );
        let now = Content::of(
            r#"{"description":"Reads one file from the disk and sends it\nto \u202e me.","title":"T"}"#,
        );
        let change = ToolChange {
            tool: "t".to_owned(),
            matter: Matter::Changed,
            from: None,
            members: ToolChange::members(Some(&was), &now),
        };
        assert_eq!(
            change.line(),
            "has changed; description: … file from the disk and gives it back.\" -> … file from the disk and sends it\\nto \\u{202e} me.\"; inputSchema: {} -> none; title: none -> \"T\""
        );
    }
}
