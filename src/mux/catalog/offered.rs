//! A backend's tools as clients are offered them: which of them, under which
//! names, and with which descriptions.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{definition, names};
use crate::{
    backend::{Backend, Inventory, Tool},
    config::ToolSettings,
    protocol::RawObject,
};

/// A tool that is offered.
#[derive(Debug)]
pub(crate) struct Offered {
    /// The tool as its owner defines it.
    pub(super) tool: Arc<Tool>,
    /// What its owner would call it, had it the operator's choice.
    pub(super) name: String,
    /// Its definition as clients are shown it, JSON text.
    pub(super) text: String,
}

/// Something that the configuration says of a backend's tools and that fits none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The backend.
    pub backend: String,
    /// The key, and what is wrong with it.
    pub what: String,
}

/// The tools of `backend` that its settings let through, none of which is
/// `hidden`, in the order of its list; and what of the settings fits none of them.
pub(super) fn offered(
    backend: &Backend,
    inventory: &Inventory,
    hidden: impl Fn(&str) -> bool,
) -> (Vec<Arc<Offered>>, Vec<Misfit>) {
    let settings = backend.settings();
    let rules = &settings.tools;
    let offered = |tool: &&Arc<Tool>| {
        rules.allows(&tool.name)
            && (!rules.read_only || changes_nothing(&tool.definition))
            && !hidden(&tool.name)
    };
    let tools: Vec<_> = inventory.tools.iter().filter(offered).collect();
    let own: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    let mut misfits = Vec::new();
    let renamed = renamed(&own, rules, &mut misfits);
    for name in rules
        .describe
        .keys()
        .filter(|name| !own.contains(&name.as_str()))
    {
        misfits.push(format!("tools.describe: no tool {name:?} is offered"));
    }
    // Before it has told its tools, none can be missed.
    misfits.retain(|_| inventory.offers.is_some());
    let about = settings.description.as_deref();
    let shown = |tool: &Arc<Tool>| {
        let name = renamed.get(tool.name.as_str()).copied();
        let name = name.unwrap_or(&tool.name).to_owned();
        let for_clients = names::for_clients(backend, &name).shown;
        let description = rules.describe.get(&tool.name).map(String::as_str);
        Arc::new(Offered {
            text: definition::described(&tool.definition, &for_clients, about, description),
            tool: Arc::clone(tool),
            name,
        })
    };
    let misfit = |what| Misfit {
        backend: backend.name().to_owned(),
        what,
    };
    (
        tools.into_iter().map(shown).collect(),
        misfits.into_iter().map(misfit).collect(),
    )
}

/// The new names of the tools `own` that get one. A tool whose new name another
/// one has keeps its own.
fn renamed<'a>(
    own: &[&str],
    rules: &'a ToolSettings,
    misfits: &mut Vec<String>,
) -> BTreeMap<&'a str, &'a str> {
    let mut renames = BTreeMap::new();
    for (old, new) in &rules.rename {
        if own.contains(&old.as_str()) {
            renames.insert(old.as_str(), new.as_str());
        } else {
            misfits.push(format!("tools.rename: no tool {old:?} is offered"));
        }
    }
    // One that keeps its name may stand in the way of another one.
    loop {
        let kept = own.iter().filter(|name| !renames.contains_key(**name));
        let mut names: HashSet<&str> = kept.copied().collect();
        let collides = renames.iter().find(|(_, new)| !names.insert(new));
        let Some((old, new)) = collides.map(|(old, new)| (*old, *new)) else {
            return renames;
        };
        misfits.push(format!(
            "tools.rename: {old:?} keeps its name, another tool is named {new:?}"
        ));
        renames.remove(old);
    }
}

/// Whether a tool says of itself that it changes nothing.
fn changes_nothing(definition: &str) -> bool {
    let said = || {
        let tool = RawObject::parse(definition).ok()?;
        let annotations = RawObject::parse(tool.get("annotations").ok()??).ok()?;
        Some(annotations.get("readOnlyHint").ok()?? == "true")
    };
    said() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(own: &[&str], rename: &[(&str, &str)]) -> (Vec<(String, String)>, usize) {
        let pair = |(old, new): &(&str, &str)| ((*old).to_owned(), (*new).to_owned());
        let rules = ToolSettings {
            rename: rename.iter().map(pair).collect(),
            ..ToolSettings::default()
        };
        let mut misfits = Vec::new();
        let renamed = renamed(own, &rules, &mut misfits);
        let renamed = renamed.iter().map(|(old, new)| pair(&(old, new)));
        (renamed.collect(), misfits.len())
    }

    #[test]
    fn two_may_swap_names_and_no_two_get_the_same() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = |(old, new): &(&str, &str)| ((*old).to_owned(), (*new).to_owned());
            pairs.iter().map(owned).collect()
        };
        let swap = [("a", "b"), ("b", "a")];
        assert_eq!(names(&["a", "b"], &swap), (pairs(&swap), 0));
        assert_eq!(names(&["a", "b"], &[("a", "b")]), (Vec::new(), 1));
        assert_eq!(names(&["a"], &[("z", "y")]), (Vec::new(), 1));
        // `a` keeps its name, so that `c` cannot have it.
        assert_eq!(
            names(&["a", "b", "c"], &[("a", "b"), ("c", "a")]),
            (Vec::new(), 2)
        );
        assert_eq!(
            names(&["a", "b"], &[("a", "x"), ("b", "x")]),
            (pairs(&[("a", "x")]), 1)
        );
    }

    #[test]
    fn only_the_annotation_says_that_a_tool_changes_nothing() {
        for (definition, nothing) in [
            (r#"{"name":"t","annotations":{"readOnlyHint":true}}"#, true),
            (
                r#"{"name":"t","annotations":{"readOnlyHint":false}}"#,
                false,
            ),
            (
                r#"{"name":"t","annotations":{"readOnlyHint":"true"}}"#,
                false,
            ),
            (r#"{"name":"read","readOnlyHint":true}"#, false),
            (r#"{"name":"read"}"#, false),
            (
                r#"{"name":"t","annotations":{"readOnlyHint":true,"readOnlyHint":false}}"#,
                false,
            ),
        ] {
            assert_eq!(changes_nothing(definition), nothing, "{definition}");
        }
    }
}
