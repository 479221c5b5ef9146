//! Whose a name or a URI is, with several backends.

use std::time::Duration;

use super::*;
use crate::{
    backend::{Definition, Offers},
    config::{
        Auth, BackendName, BackendSettings, EraSetting, HttpSettings, Namespace, Pin,
        SessionSetting, Start, ToolSettings, Transport,
    },
};

/// A backend that offers this; the default is one that has never been up.
fn share(name: &str, namespace: Namespace, inventory: Inventory) -> Share {
    let settings = BackendSettings {
        session: SessionSetting::Shared,
        name: BackendName::new(name).unwrap(),
        description: None,
        enabled: true,
        namespace,
        era: EraSetting::Auto,
        start: Start::Eager,
        quota: crate::config::Quota::default(),
        idle_stop: None,
        timeout: Duration::ZERO,
        max_timeout: Duration::ZERO,
        max_message: 1,
        concurrency: None,
        tools: ToolSettings::default(),
        health: None,
        pin: Pin::Off,
        transport: Ok(Transport::Http(HttpSettings {
            endpoint: "http://127.0.0.1:1/mcp".parse().unwrap(),
            socket: None,
            headers: Vec::new(),
            auth: Auth::None,
        })),
    };
    Share::with(
        &Arc::new(Backend::new(settings, None)),
        Arc::new(inventory),
        |_| false,
    )
}

fn definitions(key: &str, ids: &[&str]) -> Vec<Arc<Definition>> {
    let definition = |id: &&str| {
        Arc::new(Definition {
            id: (*id).to_owned(),
            text: format!(r#"{{"{key}":"{id}", "x":1.0}}"#),
        })
    };
    ids.iter().map(definition).collect()
}

fn inventory(resources: &[&str], templates: &[&str], prompts: &[&str]) -> Inventory {
    Inventory {
        offers: Some(Arc::new(Offers::read(
            r#"{"resources":{},"prompts":{},"completions":{}}"#,
        ))),
        resources: definitions("uri", resources),
        templates: definitions("uriTemplate", templates),
        prompts: definitions("name", prompts),
        ..Inventory::default()
    }
}

fn prefixed(name: &str, resources: &[&str], templates: &[&str]) -> Share {
    share(
        name,
        Namespace::Prefix,
        inventory(resources, templates, &[]),
    )
}

/// Where `uri` leads to, as `server uri`.
fn ways(catalog: &Catalog, uri: &str) -> Vec<String> {
    let way = |located: Located| format!("{} {}", located.backend.name(), located.uri);
    catalog.resource(uri).into_iter().map(way).collect()
}

#[test]
fn a_uri_that_two_list_stays_with_the_first() {
    let catalog = Catalog::build(&[
        prefixed("a", &["file:///x", "file:///a"], &[]),
        prefixed("b", &["file:///x", "file:///b"], &[]),
    ]);
    assert_eq!(
        catalog.resources(Era::Legacy),
        r#"{"resources":[{"uri":"file:///x", "x":1.0},{"uri":"file:///a", "x":1.0},{"uri":"b+file:///x", "x":1.0},{"uri":"file:///b", "x":1.0}]}"#
    );
    assert_eq!(ways(&catalog, "file:///x"), ["a file:///x"]);
    assert_eq!(ways(&catalog, "b+file:///x"), ["b file:///x"]);
    assert_eq!(ways(&catalog, "file:///b"), ["b file:///b"]);
    // Written so, even what is not listed leads there.
    assert_eq!(ways(&catalog, "a+file:///x"), ["a file:///x"]);
    assert_eq!(ways(&catalog, "b+any:thing"), ["b any:thing"]);
    assert_eq!(
        ways(&catalog, "c+any:thing"),
        ["a c+any:thing", "b c+any:thing"]
    );
}

#[test]
fn a_uri_that_nobody_lists_goes_by_template_then_by_who_has_resources() {
    let catalog = Catalog::build(&[
        share("tools-only", Namespace::Prefix, Inventory::default()),
        prefixed("a", &[], &["db://{t}/{id}", "db://{t}/{id}/x"]),
        prefixed("b", &[], &["file:///{+path}"]),
        prefixed("c", &[], &["file:///{name}.txt"]),
    ]);
    assert_eq!(ways(&catalog, "db://t/1"), ["a db://t/1"]);
    assert_eq!(ways(&catalog, "file:///d/e"), ["b file:///d/e"]);
    // Who has a template for it is asked first.
    assert_eq!(
        ways(&catalog, "file:///e.txt"),
        ["b file:///e.txt", "c file:///e.txt", "a file:///e.txt"]
    );
    assert_eq!(
        ways(&catalog, "other:x"),
        ["a other:x", "b other:x", "c other:x"]
    );
    let alone = Catalog::build(&[
        share("tools-only", Namespace::Prefix, Inventory::default()),
        prefixed("a", &[], &[]),
    ]);
    assert_eq!(ways(&alone, "other:x"), ["a other:x"]);
    let none = Catalog::build(&[share("new", Namespace::Prefix, Inventory::default())]);
    assert!(ways(&none, "other:x").is_empty());
}

#[test]
fn a_scheme_that_reads_like_a_server_is_still_a_scheme_where_it_is_listed() {
    let catalog = Catalog::build(&[
        prefixed("git", &["git+ssh://h/listed"], &["git+https://{host}"]),
        prefixed("any", &[], &["{+uri}"]),
    ]);
    assert_eq!(
        ways(&catalog, "git+ssh://h/listed"),
        ["git git+ssh://h/listed"]
    );
    assert_eq!(ways(&catalog, "git+https://h"), ["git git+https://h"]);
    assert_eq!(ways(&catalog, "git+file:///x"), ["git file:///x"]);
    assert_eq!(ways(&catalog, "any+file:///x"), ["any file:///x"]);
}

#[test]
fn a_template_is_found_as_it_is_listed() {
    let catalog = Catalog::build(&[
        prefixed("a", &["r:1"], &["x://{id}"]),
        prefixed("b", &["r:2"], &["x://{id}", "y://{id}"]),
    ]);
    assert_eq!(
        catalog.templates(Era::Legacy),
        r#"{"resourceTemplates":[{"uriTemplate":"x://{id}", "x":1.0},{"uriTemplate":"b+x://{id}", "x":1.0},{"uriTemplate":"y://{id}", "x":1.0}]}"#
    );
    let way = |uri: &str| {
        let located = catalog.template(uri).unwrap();
        format!("{} {}", located.backend.name(), located.uri)
    };
    assert_eq!(way("x://{id}"), "a x://{id}");
    assert_eq!(way("b+x://{id}"), "b x://{id}");
    assert_eq!(way("b+y://{id}"), "b y://{id}");
    assert_eq!(way("r:2"), "b r:2");
    assert_eq!(ways(&catalog, "b+x://1"), ["b x://1"]);
}

#[test]
fn prompts_are_named_as_tools_are() {
    let long = "p".repeat(60);
    let catalog = Catalog::build(&[
        share("a", Namespace::Prefix, inventory(&[], &[], &["p", &long])),
        share("bare", Namespace::None, inventory(&[], &[], &["p", "a__p"])),
    ]);
    let named = |name: &str| {
        let named = catalog.prompt(name)?;
        Some((named.backend.name().to_owned(), named.name.clone()))
    };
    assert_eq!(named("a__p"), Some(("a".to_owned(), "p".to_owned())));
    assert_eq!(named("p"), Some(("bare".to_owned(), "p".to_owned())));
    let short = catalog.shortened().next().unwrap();
    assert_eq!(short.kind, "prompt");
    assert_eq!(named(&short.short), Some(("a".to_owned(), long)));
    assert_eq!(catalog.taken().len(), 1);
    assert_eq!(catalog.taken()[0].name, "a__p");
    let shown = catalog.shown(Kind::Prompt);
    let listed: Vec<&str> = shown.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(listed, ["a__p", short.short.as_str(), "p"]);
}

#[test]
fn each_list_changes_by_itself() {
    let before = Catalog::build(&[prefixed("a", &["r:1"], &["t:{x}"])]);
    let templates = Catalog::build(&[prefixed("a", &["r:1"], &["t:{y}"])]);
    let changed = templates.since(&before);
    assert!(changed.resources && !changed.tools && !changed.prompts);
    let prompts = Catalog::build(&[share("a", Namespace::Prefix, inventory(&[], &[], &["p"]))]);
    let none = Catalog::build(&[prefixed("a", &[], &[])]);
    let changed = prompts.since(&none);
    assert!(changed.prompts && !changed.tools && !changed.resources);
}
