//! The tools of one backend as they were approved, and what has become of them.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{
    change::{Matter, ToolChange},
    content::Content,
};

/// The tools of one backend as they were approved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Book {
    /// For people who look.
    pub(super) backend: String,
    /// The tools, by name.
    pub(super) pinned: BTreeMap<String, Content>,
    /// The contents of which it was said that they are not approved, by name.
    #[serde(default)]
    told: BTreeMap<String, String>,
    /// What was known is lost, so that nothing is trusted at first sight.
    #[serde(default)]
    pub(super) lost: bool,
}

/// The tools that a backend has now.
pub(super) type Tools = BTreeMap<String, Content>;

impl Book {
    /// That of `backend`, of which nothing is known, or nothing any more.
    pub(super) fn new(backend: &str, lost: bool) -> Self {
        Self {
            backend: backend.to_owned(),
            lost,
            ..Self::default()
        }
    }

    /// What of `tools` is not as it was approved, in the order of the names.
    pub(super) fn compare(&self, tools: &Tools) -> Vec<ToolChange> {
        let gone: BTreeMap<&str, &str> = self
            .pinned
            .iter()
            .filter(|(name, _)| !tools.contains_key(*name))
            .map(|(name, content)| (content.digest.as_str(), name.as_str()))
            .collect();
        let mut changes = Vec::new();
        for (name, now) in tools {
            let was = self.pinned.get(name);
            let from = gone.get(now.digest.as_str()).map(|name| (*name).to_owned());
            let matter = match (was, &from) {
                (Some(was), _) if was.digest == now.digest => continue,
                (Some(_), _) => Matter::Changed,
                (None, Some(_)) => Matter::Renamed,
                (None, None) => Matter::New,
            };
            changes.push(ToolChange {
                tool: name.clone(),
                matter,
                from: from.filter(|_| matter == Matter::Renamed),
                members: match matter {
                    Matter::Renamed => Vec::new(),
                    Matter::Changed | Matter::New => ToolChange::members(was, now),
                },
            });
        }
        changes
    }

    /// Those of `changes` that have not been told; they count as told now.
    pub(super) fn untold<'c>(
        &mut self,
        changes: &'c [ToolChange],
        tools: &Tools,
    ) -> Vec<&'c ToolChange> {
        let names: HashSet<&str> = changes.iter().map(|change| change.tool.as_str()).collect();
        self.told.retain(|name, _| names.contains(name.as_str()));
        let untold = changes.iter().filter(|change| {
            let Some(now) = tools.get(&change.tool) else {
                return false;
            };
            let told = self.told.insert(change.tool.clone(), now.digest.clone());
            told.as_ref() != Some(&now.digest)
        });
        untold.collect()
    }

    /// Approves the tool `name` as it is in `tools`, or all of them; gives the names
    /// of those that were not approved before.
    pub(super) fn approve(&mut self, name: Option<&str>, tools: &Tools) -> Vec<String> {
        let changes = self.compare(tools).into_iter();
        let names = changes.map(|change| change.tool);
        let approved: Vec<_> = names
            .filter(|changed| name.is_none_or(|name| name == changed))
            .collect();
        if name.is_none() && !tools.is_empty() {
            self.pinned.retain(|name, _| tools.contains_key(name));
        }
        for name in &approved {
            if let Some(content) = tools.get(name) {
                self.pinned.insert(name.clone(), content.clone());
            }
            self.told.remove(name);
        }
        approved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(pairs: &[(&str, &str)]) -> Tools {
        let tool = |(name, text): &(&str, &str)| {
            let content = Content::of(&format!("{{\"description\":\"{text}\"}}"));
            ((*name).to_owned(), content)
        };
        pairs.iter().map(tool).collect()
    }

    fn matters(book: &Book, now: &Tools) -> Vec<(String, Matter)> {
        let changes = book.compare(now).into_iter();
        changes.map(|change| (change.tool, change.matter)).collect()
    }

    #[test]
    fn old_content_under_a_new_name_and_new_content_under_an_old_one_are_seen() {
        let mut book = Book::default();
        book.approve(None, &tools(&[("a", "A"), ("b", "B"), ("c", "C")]));
        let now = tools(&[("a", "X"), ("c", "C"), ("d", "B"), ("e", "E"), ("f", "A")]);
        assert_eq!(
            matters(&book, &now),
            [
                ("a".to_owned(), Matter::Changed),
                ("d".to_owned(), Matter::Renamed),
                ("e".to_owned(), Matter::New),
                // `a` is there still, so this is none of its name.
                ("f".to_owned(), Matter::New),
            ]
        );
        assert_eq!(book.approve(Some("a"), &now), ["a"]);
        assert_eq!(matters(&book, &now).len(), 3);
        assert_eq!(book.approve(Some("c"), &now), [""; 0]);
        assert_eq!(book.approve(None, &now), ["d", "e", "f"]);
        assert!(matters(&book, &now).is_empty());
        // What has gone for good does not come back unseen.
        assert_eq!(matters(&book, &tools(&[("b", "B")])).len(), 1);
    }

    #[test]
    fn a_tool_that_was_away_is_the_same_one_if_it_comes_back_the_same() {
        let mut book = Book::default();
        book.approve(None, &tools(&[("a", "A"), ("b", "B")]));
        assert!(matters(&book, &tools(&[("a", "A")])).is_empty());
        assert!(matters(&book, &tools(&[("b", "B")])).is_empty());
        assert_eq!(matters(&book, &tools(&[("b", "C")])).len(), 1);
    }

    #[test]
    fn each_change_is_told_once() {
        let mut book = Book::default();
        book.approve(None, &tools(&[("a", "A")]));
        let mut told = |now: &Tools| {
            let changes = book.compare(now);
            book.untold(&changes, now).len()
        };
        assert_eq!(told(&tools(&[("a", "X"), ("b", "B")])), 2);
        assert_eq!(told(&tools(&[("a", "X"), ("b", "B")])), 0);
        assert_eq!(told(&tools(&[("a", "Y"), ("b", "B")])), 1);
        assert_eq!(told(&tools(&[("a", "A")])), 0);
        assert_eq!(told(&tools(&[("a", "Y")])), 1);
    }
}
