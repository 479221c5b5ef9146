//! What a backend answers arrives as it left.

use super::{House, same};
use crate::support::{Step, at, members, result};

/// Results as a server might spell them, by the name of the tool that has them.
fn odd_results() -> Vec<(&'static str, String)> {
    let deep = format!(
        r#"{{"content":[],"structuredContent":{{"d":{}1{}}}}}"#,
        "[".repeat(400),
        "]".repeat(400)
    );
    let long = format!(
        r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#,
        "0123456789abcde\u{e9}".repeat(5 << 16)
    );
    vec![
        ("unknown", r#"{"zeta":[],"content":[{"type":"hologram","beam":{"k":null}}],"alpha":{"$":true},"isError":false}"#.to_owned()),
        ("numbers", r#"{"content":[],"structuredContent":{"a":1.0,"b":0.1,"c":1e400,"d":9223372036854775808,"e":-0,"f":1E+2,"g":0.30000000000000004,"h":123456789012345678901234567890.10}}"#.to_owned()),
        ("escapes", r#"{"content":[{"type":"text","text":"\ud800 \udfff\ud83d\ude00 \u0000\/\u00e9 é😀 \u2028"}],"\u0061\"b":"\\u0041"}"#.to_owned()),
        ("spaces", "{ \"content\" :\t[ ] , \"x\" :  { \"y\":1\t} }".to_owned()),
        ("twins", r#"{"content":[],"x":1,"x":2,"":3}"#.to_owned()),
        ("lookalikes", r#"{"content":[{"type":"text","text":"\"resultType\":\"complete\""}],"structuredContent":{"id":1,"resultType":"x","ttlMs":5,"progressToken":2,"name":"unknown"},"_meta":{"com.example/k":1.50}}"#.to_owned()),
        ("deep", deep),
        ("long", long),
    ]
}

#[test]
fn a_result_arrives_as_it_left_in_every_way_and_between_eras_changes_only_its_era() {
    let results = odd_results();
    let names: Vec<&str> = results.iter().map(|(name, _)| *name).collect();
    let spell = |value: &str, modern: bool| {
        if modern {
            format!(r#"{{"resultType":"complete",{}"#, &value[1..])
        } else {
            value.to_owned()
        }
    };
    let house = House::build(&names, |script, modern| {
        results.iter().fold(script, |script, (name, value)| {
            script.tool(name, [result(&spell(value, modern))])
        })
    });
    house.each_cell(|client, client_modern, backend, cell| {
        for (name, value) in &results {
            let arrived = client
                .call(&format!("{}__{name}", backend.name), Some("{}"))
                .result();
            let context = format!("{cell}, {name}");
            if client_modern == backend.modern {
                same(&arrived, &spell(value, backend.modern), &context);
            } else {
                let mut bridged = members(&arrived);
                let kind = bridged.iter().position(|(key, _)| key == "resultType");
                assert_eq!(kind.is_some(), client_modern, "{context}: resultType");
                if let Some(kind) = kind {
                    assert_eq!(bridged.remove(kind).1, r#""complete""#, "{context}");
                }
                assert!(
                    bridged == members(value),
                    "{context}: other members are {bridged:.600?}"
                );
            }
        }
    });
}

#[test]
fn a_definition_arrives_as_it_left_but_for_its_name() {
    let definition = r#"{"x-first":[1.0,1e400],"name":"odd","title":"\ud800","inputSchema":{"type":"object","properties":{"n":{"minimum":0.10,"maximum":9223372036854775808},"name":{"const":"odd"}}},"description":"About \u006fdd.","annotations":{"unknown":{"a":[ ]}},"_meta":{"k":-0}}"#;
    let house = House::build(&["odd"], |script, modern| {
        let extra = if modern {
            r#""resultType":"complete","ttlMs":0,"cacheScope":"private","#
        } else {
            ""
        };
        script.on(
            "tools/list",
            [result(&format!(
                r#"{{{extra}"tools":[{definition}],"unknown":1}}"#
            ))],
        )
    });
    house.each_cell(|client, _, backend, cell| {
        let name = format!("{}__odd", backend.name);
        let mut expected = members(definition);
        expected[1].1 = format!("{name:?}");
        assert_eq!(members(&client.tool(&name)), expected, "{cell}");
    });
}

#[test]
fn an_error_of_the_backend_arrives_as_it_left() {
    let odd = r#"{"code":-31999,"message":"n\u006f \ud800","data":{"a":[1.0,1e400]},"extra":1}"#;
    let house = House::build(&["t"], |script, _| {
        script.tool(
            "t",
            [Step::Send(format!(
                r#"{{"jsonrpc":"2.0","id":$ID,"error":{odd}}}"#
            ))],
        )
    });
    house.each_cell(|client, _, backend, cell| {
        let answer = client.call(&format!("{}__t", backend.name), None);
        same(&at(&answer.response, &["error"]), odd, cell);
    });
}

#[test]
fn ids_come_back_as_they_were_spelled() {
    let house = House::build(&["t"], |script, _| script);
    house.each_cell(|client, _, backend, cell| {
        for id in [
            "0",
            "-1",
            "9007199254740993",
            r#""""#,
            r#""\u0061\/é""#,
            r#""1""#,
        ] {
            let members = format!(r#""name":"{}__t""#, backend.name);
            let answer = client.send(&client.spell(id, "tools/call", None, &members));
            assert_eq!(at(&answer.response, &["id"]), id, "{cell}");
        }
    });
}

#[test]
fn a_response_that_comes_first_is_one_json_body() {
    let house = House::build(&["t"], |script, _| script);
    house.each_cell(|client, _, backend, cell| {
        let answer = client.call(&format!("{}__t", backend.name), None);
        assert_eq!((answer.status, answer.streamed), (200, false), "{cell}");
    });
}
