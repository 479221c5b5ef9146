//! What mcpmux says of itself in each era's handshake: the capabilities of its
//! backends put together, and guidance for models.

use std::fmt::Write;

use super::Share;
use crate::{
    backend::Offers,
    mux::Changed,
    protocol::{Era, Revision, meta, raw::encode_str},
};

/// The extension that is a capability of its own in the legacy era.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The answers to `initialize` and `server/discover`, as far as they are the
/// same for every client.
#[derive(Debug, Default)]
pub(super) struct About {
    /// What follows the revision in the result of `initialize`.
    legacy: String,
    /// The result of `server/discover`.
    modern: String,
    /// The lists whose changes are told.
    pub(super) announced: Changed,
}

impl About {
    /// What is to be said of the backends as they are known now.
    pub(super) fn of(shares: &[Share]) -> Self {
        let known: Vec<&Offers> = shares
            .iter()
            .filter_map(|share| share.inventory.offers.as_deref())
            .collect();
        // Whatever a client is not told now it will not ask for later, so a
        // backend that is still to be heard may offer anything.
        let unheard =
            |share: &&Share| share.inventory.offers.is_none() && share.backend.is_possible();
        let unknown = Unknown::of(shares.iter().filter(unheard));
        let instructions = encode_str(&instructions(shares));
        let own = meta::implementation();
        let revisions: Vec<_> = Revision::ALL
            .iter()
            .map(|revision| encode_str(revision.as_str()))
            .collect();
        let any = |has: fn(&Offers) -> bool| known.iter().any(|offers| has(offers));
        Self {
            legacy: format!(
                "\"capabilities\":{},\"serverInfo\":{own},\"instructions\":{instructions}",
                capabilities(&known, unknown, Era::Legacy)
            ),
            modern: format!(
                "{{\"resultType\":\"complete\",\"supportedVersions\":[{}],\"capabilities\":{},\"instructions\":{instructions},\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":{{\"{}\":{own}}}}}",
                revisions.join(","),
                capabilities(&known, unknown, Era::Modern),
                meta::SERVER_INFO,
            ),
            announced: Changed {
                tools: true,
                prompts: unknown.prompts || any(|offers| offers.prompts.is_some()),
                resources: unknown.resources || any(|offers| offers.resources.is_some()),
            },
        }
    }

    /// The result of `initialize` at `revision`.
    pub(super) fn initialized(&self, revision: Revision) -> String {
        let (revision, rest) = (encode_str(revision.as_str()), &self.legacy);
        format!("{{\"protocolVersion\":{revision},{rest}}}")
    }

    /// The result of `server/discover`.
    pub(super) fn discovered(&self) -> &str {
        &self.modern
    }
}

/// What backends may offer that have not been heard yet.
#[derive(Debug, Clone, Copy, Default)]
struct Unknown {
    any: bool,
    prompts: bool,
    resources: bool,
}

impl Unknown {
    fn of<'a>(shares: impl Iterator<Item = &'a Share>) -> Self {
        shares.fold(Self::default(), |unknown, share| Self {
            any: true,
            prompts: unknown.prompts || share.reach.prompts,
            resources: unknown.resources || share.reach.resources,
        })
    }
}

/// The `ServerCapabilities` of all that is `known`; with what is `unknown`, all
/// that mcpmux can forward.
fn capabilities(known: &[&Offers], unknown: Unknown, era: Era) -> String {
    let any = |has: fn(&Offers) -> bool| known.iter().any(|offers| has(offers));
    let mut text = String::from("{\"tools\":{\"listChanged\":true}");
    if unknown.prompts || any(|offers| offers.prompts.is_some()) {
        text += ",\"prompts\":{\"listChanged\":true}";
    }
    if unknown.resources || any(|offers| offers.resources.is_some()) {
        let subscribe = unknown.resources || any(Offers::subscribe);
        text += ",\"resources\":{\"listChanged\":true";
        text += if subscribe {
            ",\"subscribe\":true}"
        } else {
            "}"
        };
    }
    if unknown.prompts || unknown.resources || any(|offers| offers.completions) {
        text += ",\"completions\":{}";
    }
    if unknown.any || any(|offers| offers.logging) {
        text += ",\"logging\":{}";
    }
    if era == Era::Legacy
        && let Some(tasks) = known.iter().find_map(|offers| offers.tasks.as_ref())
    {
        let _ = write!(text, ",\"tasks\":{tasks}");
    }
    let extensions = known
        .iter()
        .flat_map(|offers| &offers.extensions)
        .filter(|(key, _)| era == Era::Modern || key != TASKS);
    write_union(&mut text, "extensions", extensions);
    let experimental = known.iter().flat_map(|offers| &offers.experimental);
    write_union(&mut text, "experimental", experimental);
    text.push('}');
    text
}

/// Adds the member `name`: an object of all `members`, the first of each key.
fn write_union<'a>(
    text: &mut String,
    name: &str,
    members: impl Iterator<Item = &'a (String, String)>,
) {
    let mut union: Vec<&(String, String)> = Vec::new();
    for member in members {
        if union.iter().all(|(key, _)| *key != member.0) {
            union.push(member);
        }
    }
    if union.is_empty() {
        return;
    }
    let members: Vec<_> = union
        .into_iter()
        .map(|(key, value)| format!("{}:{value}", encode_str(key)))
        .collect();
    let _ = write!(text, ",\"{name}\":{{{}}}", members.join(","));
}

/// What mcpmux tells a model about itself and its backends.
fn instructions(shares: &[Share]) -> String {
    let mut text = String::from(
        "mcpmux puts several MCP servers behind this one. A tool or prompt named server__name belongs to that server.",
    );
    for Share {
        backend, inventory, ..
    } in shares
    {
        let settings = backend.settings();
        let about = settings
            .description
            .as_deref()
            .map(str::trim)
            .unwrap_or_default();
        let own = inventory.instructions.as_deref().unwrap_or_default();
        if about.is_empty() && own.is_empty() {
            continue;
        }
        let _ = write!(text, "\n\n{}: {about}", backend.name());
        if !own.is_empty() {
            let _ = write!(
                text,
                "{}{}",
                if about.is_empty() { "" } else { "\n" },
                own.trim()
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str], unknown: bool, era: Era) -> String {
        let offers: Vec<Offers> = texts.iter().map(|text| Offers::read(text)).collect();
        let unknown = Unknown {
            any: unknown,
            prompts: unknown,
            resources: unknown,
        };
        capabilities(&offers.iter().collect::<Vec<_>>(), unknown, era)
    }

    #[test]
    fn only_what_some_backend_offers_is_offered() {
        assert_eq!(
            of(&[r#"{"tools":{}}"#], false, Era::Legacy),
            r#"{"tools":{"listChanged":true}}"#
        );
        assert_eq!(
            of(
                &[r#"{"resources":{}}"#, r#"{"prompts":{},"logging":{}}"#],
                false,
                Era::Modern
            ),
            r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true},"logging":{}}"#
        );
    }

    #[test]
    fn who_has_not_been_heard_may_offer_anything() {
        let text = of(&[], true, Era::Legacy);
        for key in [
            "prompts",
            "resources",
            "subscribe",
            "completions",
            "logging",
        ] {
            assert!(text.contains(key), "{text}");
        }
        assert!(!text.contains("tasks"), "{text}");
    }

    #[test]
    fn extensions_are_a_union_in_which_the_first_wins() {
        let texts = [
            r#"{"extensions":{"a/b":{"x":1.0}},"tasks":{"list":{}}}"#,
            r#"{"extensions":{"a/b":{"x":2},"io.modelcontextprotocol/tasks":{}},"experimental":{"e":{}}}"#,
        ];
        assert_eq!(
            of(&texts, false, Era::Modern),
            r#"{"tools":{"listChanged":true},"extensions":{"a/b":{"x":1.0},"io.modelcontextprotocol/tasks":{}},"experimental":{"e":{}}}"#
        );
        assert_eq!(
            of(&texts, false, Era::Legacy),
            r#"{"tools":{"listChanged":true},"tasks":{"list":{}},"extensions":{"a/b":{"x":1.0}},"experimental":{"e":{}}}"#
        );
    }
}
