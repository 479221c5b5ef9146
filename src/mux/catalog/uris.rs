//! Things that are known by URI, resources and resource templates: whose a URI
//! is, and what it is at its owner.
//!
//! A URI is shown as it is. One that two backends list stays with the first; the
//! others' is shown as `<server>+<uri>`. Any URI of that form leads to that
//! server, unless another one lists it, or has a template for it, as it stands.

use std::{collections::HashMap, sync::Arc};

use super::{
    Share, definition,
    listing::{Draft, Listing},
    names::Taken,
    template::Template,
};
use crate::backend::{Backend, Definition};

/// Stands between a server's name and a URI.
const JOINT: char = '+';

/// A resource or a template at its owner.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    /// The owner.
    pub(crate) backend: Arc<Backend>,
    /// The URI, or the URI template, as the owner knows it.
    pub(crate) uri: String,
}

/// Whose a URI is that clients are shown.
#[derive(Debug, Clone, Copy)]
struct Owner {
    /// Which of the backends.
    backend: usize,
    /// Whether the owner's name stands before its URI.
    aliased: bool,
}

/// All resources and templates by their URIs.
#[derive(Debug, Default)]
pub(super) struct Uris {
    /// The backends in the order of the configuration.
    backends: Vec<Arc<Backend>>,
    /// Those that offer resources.
    offering: Vec<usize>,
    resources: HashMap<String, Owner>,
    templates: HashMap<String, Owner>,
    patterns: Vec<(usize, Template)>,
}

impl Uris {
    /// Enters the resources and templates of all shares; gives their lists, and
    /// puts what could not be listed into `taken`.
    pub(super) fn build(shares: &[Share], taken: &mut Vec<Taken>) -> (Self, Listing, Listing) {
        let offers = |share: &Share| share.inventory.offers.as_ref().map(Arc::clone);
        let offering = shares
            .iter()
            .enumerate()
            .filter(|(_, share)| offers(share).is_some_and(|offers| offers.resources.is_some()));
        let mut uris = Self {
            backends: shares
                .iter()
                .map(|share| Arc::clone(&share.backend))
                .collect(),
            offering: offering.map(|(index, _)| index).collect(),
            ..Self::default()
        };
        let (map, resources) = merge(
            shares,
            |share| &share.inventory.resources,
            ("resource", "resources", "uri"),
            taken,
        );
        uris.resources = map;
        let (map, templates) = merge(
            shares,
            |share| &share.inventory.templates,
            ("resource template", "resourceTemplates", "uriTemplate"),
            taken,
        );
        uris.templates = map;
        for (index, share) in shares.iter().enumerate() {
            let compiled = share
                .inventory
                .templates
                .iter()
                .filter_map(|template| Template::compile(&template.id));
            uris.patterns
                .extend(compiled.map(|template| (index, template)));
        }
        (uris, resources, templates)
    }

    /// The backends that `uri` may belong to, likeliest first.
    pub(super) fn resource(&self, uri: &str) -> Vec<Located> {
        if let Some(owner) = self.resources.get(uri) {
            return vec![self.locate(*owner, uri)];
        }
        let named = self.named(uri);
        let prefix = named.as_ref().map_or(0, |(_, own)| uri.len() - own.len());
        let mut matching: Vec<usize> = self
            .patterns
            .iter()
            .filter(|(_, template)| template.head().len() >= prefix && template.matches(uri))
            .map(|(index, _)| *index)
            .collect();
        matching.dedup();
        match (named, matching.as_slice()) {
            (_, [only]) => vec![self.plain(*only, uri)],
            (Some((index, own)), _) => vec![self.plain(index, own)],
            (None, _) => {
                let others = self
                    .offering
                    .iter()
                    .filter(|index| !matching.contains(index));
                let all = matching.iter().chain(others);
                all.map(|index| self.plain(*index, uri)).collect()
            }
        }
    }

    /// Whose `template` is, as it is listed or written before its server's name;
    /// else whose it may be as a URI.
    pub(super) fn template(&self, template: &str) -> Option<Located> {
        if let Some(owner) = self.templates.get(template) {
            return Some(self.locate(*owner, template));
        }
        self.resource(template).into_iter().next()
    }

    /// The backend whose name stands before `uri`, and what follows it.
    fn named<'a>(&self, uri: &'a str) -> Option<(usize, &'a str)> {
        // A backend's name may hold no `+`.
        let (server, own) = uri.split_once(JOINT)?;
        let index = self
            .backends
            .iter()
            .position(|backend| backend.name() == server)?;
        (!own.is_empty()).then_some((index, own))
    }

    fn locate(&self, owner: Owner, shown: &str) -> Located {
        let name = self.backends[owner.backend].name();
        let own = if owner.aliased {
            &shown[name.len() + JOINT.len_utf8()..]
        } else {
            shown
        };
        self.plain(owner.backend, own)
    }

    fn plain(&self, index: usize, uri: &str) -> Located {
        Located {
            backend: Arc::clone(&self.backends[index]),
            uri: uri.to_owned(),
        }
    }
}

/// Merges one list of every share into the URIs that clients are shown and the
/// list of them.
fn merge(
    shares: &[Share],
    list: impl Fn(&Share) -> &Vec<Arc<Definition>>,
    (kind, member, key): (&'static str, &str, &str),
    taken: &mut Vec<Taken>,
) -> (HashMap<String, Owner>, Listing) {
    let mut owners: HashMap<String, Owner> = HashMap::new();
    for (backend, share) in shares.iter().enumerate() {
        for definition in list(share) {
            let owner = Owner {
                backend,
                aliased: false,
            };
            owners.entry(definition.id.clone()).or_insert(owner);
        }
    }
    let mut draft = Draft::new(member);
    for (backend, share) in shares.iter().enumerate() {
        for definition in list(share) {
            let own = &definition.id;
            if owners
                .get(own)
                .is_some_and(|owner| owner.backend == backend)
            {
                draft.push(&definition.text);
                continue;
            }
            let alias = format!("{}{JOINT}{own}", share.backend.name());
            if owners.contains_key(&alias) {
                taken.push(Taken {
                    kind,
                    name: alias,
                    loser: share.backend.name().to_owned(),
                });
                continue;
            }
            draft.push(&definition::shown(&definition.text, key, &alias));
            let owner = Owner {
                backend,
                aliased: true,
            };
            owners.insert(alias, owner);
        }
    }
    (owners, draft.finish())
}
