//! What a server says in its handshake that it can do (2026-07-28,
//! `ServerCapabilities`): read as far as mcpmux acts upon it, the rest kept as
//! text.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::protocol::RawObject;

/// The capabilities of one server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Offers {
    /// Tools, if any.
    pub(crate) tools: Option<ListOffer>,
    /// Prompts, if any.
    pub(crate) prompts: Option<ListOffer>,
    /// Resources and their templates, if any.
    pub(crate) resources: Option<ResourcesOffer>,
    /// Whether it completes arguments.
    pub(crate) completions: bool,
    /// Whether it sends log messages.
    pub(crate) logging: bool,
    /// The `tasks` of 2025-11-25, JSON text.
    pub(crate) tasks: Option<String>,
    /// Extensions by their keys, each JSON text.
    pub(crate) extensions: Vec<(String, String)>,
    /// Experimental capabilities by their keys, each JSON text.
    pub(crate) experimental: Vec<(String, String)>,
}

/// A list that a server has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ListOffer {
    /// Whether it says when the list changes.
    pub(crate) list_changed: bool,
}

/// The resources of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ResourcesOffer {
    /// Whether it says when the list changes.
    pub(crate) list_changed: bool,
    /// Whether it says when a resource changes that one has subscribed to.
    pub(crate) subscribe: bool,
}

impl Offers {
    /// Reads a `capabilities` object; what cannot be understood is not offered.
    pub(crate) fn read(capabilities: &str) -> Self {
        let Ok(object) = RawObject::parse(capabilities) else {
            return Self::default();
        };
        let member = |key| present(&object, key);
        let list = |key| {
            member(key).map(|text| ListOffer {
                list_changed: flag(text, "listChanged"),
            })
        };
        Self {
            tools: list("tools"),
            prompts: list("prompts"),
            resources: member("resources").map(|text| ResourcesOffer {
                list_changed: flag(text, "listChanged"),
                subscribe: flag(text, "subscribe"),
            }),
            completions: member("completions").is_some(),
            logging: member("logging").is_some(),
            tasks: member("tasks").map(str::to_owned),
            extensions: member("extensions").map(by_key).unwrap_or_default(),
            experimental: member("experimental").map(by_key).unwrap_or_default(),
        }
    }

    /// Whether it says when any of its lists changes.
    pub(crate) fn tells_changes(&self) -> bool {
        !self.changes().is_empty()
    }

    /// The members of a `SubscriptionFilter` that ask for every change of a list
    /// that it tells.
    pub(crate) fn changes(&self) -> Map<String, Value> {
        let told = [
            (
                self.tools.is_some_and(|o| o.list_changed),
                "toolsListChanged",
            ),
            (
                self.prompts.is_some_and(|o| o.list_changed),
                "promptsListChanged",
            ),
            (
                self.resources.is_some_and(|o| o.list_changed),
                "resourcesListChanged",
            ),
        ];
        told.into_iter()
            .filter(|(told, _)| *told)
            .map(|(_, key)| (key.to_owned(), Value::Bool(true)))
            .collect()
    }

    /// Whether its resources can be subscribed to.
    pub(crate) fn subscribe(&self) -> bool {
        self.resources.is_some_and(|offer| offer.subscribe)
    }

    /// The settings of the extension `key`, JSON text.
    pub(crate) fn extension(&self, key: &str) -> Option<&str> {
        let (_, settings) = self.extensions.iter().find(|(own, _)| own == key)?;
        Some(settings)
    }

    /// Whether it has an extension whose methods `method` may be one of: they
    /// begin with the name in the extension's key, as `skills/get` with that of
    /// `io.modelcontextprotocol/skills`.
    pub(crate) fn may_extend(&self, method: &str) -> bool {
        let first = method.split('/').next().unwrap_or_default();
        let mut keys = self.extensions.iter().chain(&self.experimental);
        keys.any(|(key, _)| key.rsplit('/').next() == Some(first))
    }
}

/// The member `key`, unless it is missing, doubled or `null`.
fn present<'a>(object: &RawObject<'a>, key: &str) -> Option<&'a str> {
    object
        .get(key)
        .ok()
        .flatten()
        .filter(|text| *text != "null")
}

fn flag(object: &str, key: &str) -> bool {
    RawObject::parse(object).is_ok_and(|object| object.get(key) == Ok(Some("true")))
}

fn by_key(object: &str) -> Vec<(String, String)> {
    let Ok(object) = RawObject::parse(object) else {
        return Vec::new();
    };
    let mut members: Vec<(String, String)> = Vec::new();
    for member in object.members() {
        let key = member.key().into_owned();
        if members.iter().all(|(known, _)| *known != key) {
            members.push((key, member.value().to_owned()));
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_offered() {
        let offers = Offers::read(
            r#"{"tools":{},"prompts":{"listChanged":true},"resources":{"subscribe":true,"x":1},
               "completions":{},"tasks":{"list":{ }},"logging":null,
               "extensions":{"io.modelcontextprotocol/ui":{"a":1.0}},"experimental":{"e":{}}}"#,
        );
        assert_eq!(offers.tools, Some(ListOffer::default()));
        assert!(offers.prompts.unwrap().list_changed);
        assert!(offers.subscribe() && !offers.resources.unwrap().list_changed);
        assert!(offers.completions && !offers.logging);
        assert_eq!(offers.tasks.as_deref(), Some(r#"{"list":{ }}"#));
        assert_eq!(
            offers.extension("io.modelcontextprotocol/ui"),
            Some(r#"{"a":1.0}"#)
        );
        assert_eq!(offers.experimental, [("e".to_owned(), "{}".to_owned())]);
        assert_eq!(
            Value::from(offers.changes()).to_string(),
            r#"{"promptsListChanged":true}"#
        );
    }

    #[test]
    fn what_cannot_be_understood_is_not_offered() {
        for text in ["null", "[]", r#"{"tools":null}"#, "{}"] {
            assert_eq!(Offers::read(text), Offers::default(), "{text}");
        }
        assert!(!Offers::read(r#"{"tools":{"listChanged":"yes"}}"#).tells_changes());
    }
}
