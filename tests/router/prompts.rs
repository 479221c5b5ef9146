//! Prompts: named as tools are, all else as it was.

use crate::support::{Client, Peer, Setup, at, elements, legacy_with, modern_with, result, text};

const OFFERED: &str = r#"{"prompts":{"listChanged":true}}"#;

fn names(list: &str) -> Vec<String> {
    let name = |definition: &String| text(&at(definition, &["name"]));
    elements(&at(list, &["prompts"])).iter().map(name).collect()
}

#[test]
fn a_prompt_changes_in_name_only() {
    let rest = r#""description":"D","arguments":[{"name":"a","required":true,"x":1.0}] , "title":"\u0054""#;
    for script in [legacy_with(OFFERED), modern_with(OFFERED)] {
        let peer = Peer::new(script.list("prompts", &format!(r#"{{ "name":"p", {rest}}}"#)));
        let mux = Setup::default()
            .backend("b", &peer, "description: About its tools")
            .serve();
        let definition = format!(r#"{{ "name":"b__p", {rest}}}"#);
        assert_eq!(
            Client::legacy(&mux).list("prompts/list", "b__p"),
            format!(r#"{{"prompts":[{definition}]}}"#)
        );
        let modern = Client::modern(&mux).list("prompts/list", "b__p");
        assert_eq!(at(&modern, &["prompts"]), format!("[{definition}]"));
        assert_eq!(at(&modern, &["resultType"]), r#""complete""#);
        at(&modern, &["_meta", "io.modelcontextprotocol/serverInfo"]);
    }
}

#[test]
fn prompts_of_several_backends_keep_apart() {
    let long = "p".repeat(70);
    let prompts = |names: &[&str]| {
        let prompt = |name: &&str| format!(r#"{{"name":"{name}"}}"#);
        names.iter().map(prompt).collect::<Vec<_>>().join(",")
    };
    let one = Peer::new(
        legacy_with(OFFERED)
            .on(
                "prompts/list",
                [result(&format!(
                    r#"{{"prompts":[{}],"nextCursor":"2"}}"#,
                    prompts(&["p", &long])
                ))],
            )
            .on("prompts/list 2", [result(r#"{"prompts":[{"name":"q"}]}"#)]),
    );
    let bare = Peer::http(modern_with(OFFERED).list("prompts", &prompts(&["p", "one__p"])));
    let mux = Setup::one("one", &one)
        .backend("bare", &bare, "namespace: none")
        .serve();
    for client in [Client::legacy(&mux), Client::modern(&mux)] {
        client.list("prompts/list", "one__q");
        let names = names(&client.list("prompts/list", r#""p""#));
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!([&names[0], &names[2], &names[3]], ["one__p", "one__q", "p"]);
        assert!(
            names[1].starts_with("one__ppp") && names[1].len() == 51,
            "{names:?}"
        );
    }
    let taken = mux.logged("is taken");
    assert!(
        taken.contains("bare") && taken.contains("one__p") && taken.contains("prompt"),
        "{taken}"
    );
    assert!(mux.logged("too long").contains("prompt"));
}
