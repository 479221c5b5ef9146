//! Every real client with every real server, all the servers behind one mcpmux:
//! a client sees of a server what it sees without mcpmux.

use std::{collections::BTreeMap, fmt::Write as _, thread};

use serde_json::{Value, json};

use crate::{
    backend::{Backend, Reach},
    fidelity::assert_same_tools,
    mcpmux::{Config, Mcpmux},
    offers::{self, OverHttp, offers},
    session::{
        Negotiate::{Auto, Legacy},
        Sdk, Session,
    },
};

/// Every client.
const CLIENTS: [Sdk; 8] = [
    Sdk::TypeScript1,
    Sdk::TypeScript2(Legacy),
    Sdk::TypeScript2(Auto),
    Sdk::Python1,
    Sdk::Python2(Legacy),
    Sdk::Python2(Auto),
    Sdk::Rmcp(Legacy),
    Sdk::Rmcp(Auto),
];

/// What a step of a client with a server brings: the plan of the step, and why
/// it is wrong.
type Faults = Vec<String>;

#[test]
fn every_client_does_with_every_server_what_it_does_directly() {
    // What one client changes all see that share a server over HTTP, so there is
    // one behind mcpmux and one beside it.
    let remotes = [OverHttp::start(), OverHttp::start()];
    let [servers, beside] = remotes.each_ref().map(|remote| {
        let mut servers = offers();
        servers.push(remote.backend());
        servers
    });
    let mcpmux = Mcpmux::serve(&servers);
    mcpmux.wait_until_up(&servers);
    let (through, directly) = thread::scope(|scope| {
        // One client at a time: a server on stdio cannot say which of two calls
        // a question of its own belongs to.
        let through = scope.spawn(|| {
            let steps = steps(&servers, Backend::tool);
            let launched = Config::new(&servers);
            CLIENTS.map(|client| {
                let connect = match client {
                    Sdk::Rmcp(_) => {
                        let mut connect = launched.over_stdio();
                        let tools = servers.iter().map(|server| server.tool("say"));
                        connect["until"] = tools.collect();
                        connect
                    }
                    _ => mcpmux.over_http(),
                };
                client.session(&connect, &steps)
            })
        });
        let directly = beside.chunks(beside.len().div_ceil(2)).map(|servers| {
            scope.spawn(move || {
                let with = |server| {
                    let steps = steps([server], |_, name| name.to_owned());
                    CLIENTS.map(|client| client.session(&directly(client, server), &steps))
                };
                servers.iter().map(with).collect::<Vec<_>>()
            })
        });
        let directly: Vec<_> = directly.collect();
        let directly = directly.into_iter().flat_map(|half| half.join().unwrap());
        let directly: Vec<_> = directly.collect();
        (through.join().unwrap(), directly)
    });
    mcpmux.stop();

    let mut table = BTreeMap::new();
    for (at, (client, through)) in CLIENTS.iter().zip(&through).enumerate() {
        let mut seen = through.calls();
        for (server, direct) in servers.iter().zip(&directly) {
            let direct = &direct[at];
            let (here, rest) = seen.split_at(direct.calls().len());
            seen = rest;
            assert_same_tools(server, direct, through);
            let faults = differences(server, direct, here);
            table.insert((format!("{client:?}"), server.name), faults);
        }
    }
    let (printed, faults) = print(&table);
    println!("{printed}");
    assert_eq!(faults, 0, "\n{printed}");
}

/// How `client` reaches `server` without mcpmux.
fn directly(client: Sdk, server: &Backend) -> Value {
    match (client, &server.reach) {
        (Sdk::Rmcp(_), Reach::Http { .. }) => OverHttp::launched().directly(),
        _ => server.directly(),
    }
}

/// The steps of a client with each of `servers`, whose names mcpmux changes as
/// `named` does.
fn steps<'a>(
    servers: impl IntoIterator<Item = &'a Backend>,
    named: impl Fn(&Backend, &str) -> String,
) -> Vec<Value> {
    let with = |server| offers::steps(server, &|name| named(server, name));
    servers.into_iter().flat_map(with).collect()
}

/// Where what a client saw of `server` through mcpmux, `there`, is not what it
/// saw directly, or not an outcome at all.
fn differences(server: &Backend, direct: &Session, there: &[Value]) -> Faults {
    let steps = offers::steps(server, &str::to_owned);
    assert_eq!(direct.calls().len(), steps.len());
    let pairs = steps.iter().zip(direct.calls()).zip(there);
    pairs
        .filter_map(|((step, direct), there)| {
            let (direct, there) = (outcome(server, direct), outcome(server, there));
            let well = there.last().is_some_and(|last| last["result"].is_object());
            (!well || direct != there).then(|| {
                let [direct, there] = [direct, there].map(Value::from);
                format!("{step}\n    directly: {direct}\n     through: {there}")
            })
        })
        .collect()
}

/// What a step brought, without what only tells the eras apart, without what is
/// another server's, and with names as the server has them.
fn outcome(server: &Backend, events: &Value) -> Vec<Value> {
    let mut events = events.as_array().unwrap().clone();
    let result = events.last_mut().unwrap()["result"].as_object_mut();
    for (key, value) in result.into_iter().flatten() {
        match (key.as_str(), value.as_array_mut()) {
            ("_meta", _) => {
                let meta = value.as_object_mut().unwrap();
                meta.remove("io.modelcontextprotocol/serverInfo");
            }
            ("prompts", Some(prompts)) => {
                for prompt in &mut *prompts {
                    if let Some(name) = prompt["name"].as_str()
                        && let Some(own) = name.strip_prefix(&server.tool(""))
                    {
                        prompt["name"] = json!(own);
                        continue;
                    }
                    if prompt["name"].as_str().unwrap().contains("__") {
                        *prompt = Value::Null;
                    }
                }
                prompts.retain(|prompt| !prompt.is_null());
            }
            ("resources" | "resourceTemplates", Some(resources)) => {
                resources.retain(|resource| offers::is_of(server, resource));
            }
            _ => {}
        }
    }
    if let Some(result) = events.last_mut().unwrap()["result"].as_object_mut() {
        result.retain(|key, value| match key.as_str() {
            "ttlMs" | "cacheScope" | "resultType" => false,
            "_meta" => value.as_object().is_some_and(|meta| !meta.is_empty()),
            _ => true,
        });
    }
    events
}

/// The pairs as a table, with what is wrong below it, and how much is.
fn print(table: &BTreeMap<(String, &str), Faults>) -> (String, usize) {
    let mut printed = String::new();
    let mut below = String::new();
    for ((client, server), faults) in table {
        let verdict = if faults.is_empty() { "same" } else { "DIFFERS" };
        writeln!(printed, "{client:<20} {server:<16} {verdict}").unwrap();
        for fault in faults {
            writeln!(below, "{client} with {server}: {fault}").unwrap();
        }
    }
    let faults = table.values().map(Vec::len).sum();
    (printed + &below, faults)
}

#[test]
fn an_app_reads_its_page_and_calls_its_tool_by_its_own_name() {
    let mut server = offers().remove(0);
    server.bare = true;
    let config = Config::new(std::slice::from_ref(&server));
    let page = "ui://typescript-1/app.html";
    for client in CLIENTS {
        let steps = [
            json!({ "do": "read", "uri": page }),
            json!({ "name": "say", "arguments": { "words": "hello" } }),
        ];
        let session = client.session(&config.over_stdio(), &steps);
        let tool = session.tools().iter().find(|tool| tool["name"] == "say");
        assert_eq!(
            tool.unwrap()["_meta"]["ui"]["resourceUri"],
            page,
            "{client:?}"
        );
        let read = &session.calls()[0][0]["result"]["contents"][0];
        assert_eq!(
            (&read["mimeType"], &read["text"]),
            (&json!("text/html;profile=mcp-app"), &json!("<p>An app</p>")),
            "{client:?}"
        );
        assert_eq!(session.text(1), "hello", "{client:?}");
    }
}
