//! Whose tool a name means, and how tools are named and described.

use crate::support::{Client, Peer, Setup, at, eventually, legacy, member, result, text};

#[test]
fn a_name_is_split_at_the_first_double_underscore() {
    let tools = ["t", "x__y", "_lead", "__two", "a.b-c_d"];
    let one = Peer::new(legacy(&tools));
    let two = Peer::new(legacy(&["t"]));
    let mux = Setup::one("one_a", &one).backend("one", &two, "").serve();
    let client = Client::legacy(&mux);
    client.await_names(&[
        "one_a__t",
        "one_a__x__y",
        "one_a___lead",
        "one_a____two",
        "one_a__a.b-c_d",
        "one__t",
    ]);
    for tool in tools {
        let before = one.messages("tools/call").len();
        client.call(&format!("one_a__{tool}"), None).result();
        let call = one.message("tools/call", before + 1);
        assert_eq!(text(&at(&call, &["params", "name"])), tool);
    }
    assert!(two.messages("tools/call").is_empty());
}

#[test]
fn a_backends_description_leads_its_tools_and_stands_in_the_instructions() {
    let tools = r#"{"tools":[{"name":"a","description":"Adds \u0061 file.","inputSchema":{"type":"object"}},{"name":"b","inputSchema":{"type":"object"},"x":1.0},{"name":"c","description":"","inputSchema":{"type":"object"}}]}"#;
    let peer = Peer::new(legacy(&["a"]).on("tools/list", [result(tools)]));
    let plain = Peer::new(legacy(&["p"]));
    let mux = Setup::default()
        .backend("files", &peer, "description: \"The \\\"team's\\\" files\"")
        .backend("plain", &plain, "")
        .serve();
    for client in [Client::legacy(&mux), Client::modern(&mux)] {
        let description = |name: &str| {
            member(&client.tool(name), "description").map(|text| crate::support::text(&text))
        };
        let a = description("files__a").expect("a description");
        assert!(
            a.starts_with("The \"team's\" files") && a.ends_with("Adds a file."),
            "{a}"
        );
        for empty in ["files__b", "files__c"] {
            let b = description(empty).expect("a description");
            assert!(b.starts_with("The \"team's\" files"), "{b}");
        }
        assert_eq!(description("plain__p").as_deref(), Some("About p."));
    }
    let old = text(&at(Client::legacy(&mux).initialized(), &["instructions"]));
    let new = text(&at(
        &Client::modern(&mux).request("server/discover", "").result(),
        &["instructions"],
    ));
    assert_eq!(old, new);
    assert!(
        old.contains("files") && old.contains("The \"team's\" files"),
        "{old}"
    );
}

#[test]
fn a_backend_without_namespace_has_bare_names() {
    let bare = Peer::new(legacy(&["t", "x__y"]));
    let other = Peer::new(legacy(&["t"]));
    let mux = Setup::default()
        .backend("bare", &bare, "namespace: none")
        .backend("other", &other, "")
        .serve();
    let client = Client::modern(&mux);
    client.await_names(&["t", "x__y", "other__t"]);
    for tool in ["t", "x__y"] {
        assert_eq!(
            at(&client.call(tool, None).result(), &["content"]),
            r#"[{"type":"text","text":"done"}]"#
        );
    }
    assert_eq!(bare.messages("tools/call").len(), 2);
    client.call("other__t", None).result();
    assert_eq!(other.messages("tools/call").len(), 1);
}

#[test]
fn long_names_are_shortened_readably_stably_and_distinctly() {
    let tools = [
        format!("search_the_whole_archive_{}_one", "x".repeat(60)),
        format!("search_the_whole_archive_{}_two", "x".repeat(60)),
        format!(
            "just_short_enough_{}",
            "y".repeat(51 - "b__".len() - "just_short_enough_".len())
        ),
        "z".repeat(200),
    ];
    let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
    let peer = Peer::new(legacy(&tools));
    let names = || {
        let mux = Setup::one("b", &peer).serve();
        let client = Client::legacy(&mux);
        eventually("four tools", || (client.names().len() == 4).then_some(()));
        let names = client.names();
        for (n, name) in names.iter().enumerate() {
            let before = peer.messages("tools/call").len();
            client.call(name, None).result();
            let call = peer.message("tools/call", before + 1);
            assert_eq!(text(&at(&call, &["params", "name"])), tools[n]);
        }
        client.names();
        let said = mux
            .log()
            .lines()
            .filter(|line| line.contains(&names[0]))
            .count();
        assert!(said >= 1, "the log names the short form");
        names
    };
    let first = names();
    for name in &first {
        assert!(
            format!("mcp__mcpmux__{name}").len() <= 64,
            "{name} is too long"
        );
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)),
            "{name}"
        );
    }
    assert!(first[0].starts_with("b__search_the_whole"), "{}", first[0]);
    assert_ne!(first[0], first[1]);
    assert_eq!(first[2], format!("b__{}", tools[2]), "what fits stays");
    assert_eq!(names(), first, "the same in every run");
}
