//! What a real server says through mcpmux is what it says directly.

use serde_json::{Value, json};

use crate::{
    backend::Backend,
    mcpmux::Mcpmux,
    servers::{EverythingOverHttp, Ground, demo, everything, time},
    session::{
        Negotiate::{Auto, Legacy},
        Sdk, Session,
    },
};

#[test]
fn a_legacy_client_sees_every_server_as_it_sees_it_directly() {
    each_server_is_itself(Sdk::TypeScript1, |ground, storage| {
        let mut servers = vec![demo(), everything()];
        servers.extend(ground.servers(&ground.path(storage)));
        servers
    });
}

#[test]
fn a_modern_client_sees_modern_and_legacy_servers_as_it_sees_them_directly() {
    each_server_is_itself(Sdk::Python2(Auto), |_, _| {
        vec![demo(), everything(), time()]
    });
}

/// Puts the servers behind one mcpmux and compares, server by server, what the
/// client sees there with what it sees without mcpmux. `servers` are on a ground
/// of their own, and store what they store in the folder named.
fn each_server_is_itself(sdk: Sdk, servers: impl Fn(&Ground, &str) -> Vec<Backend>) {
    let ground = Ground::new();
    let mut remotes = [EverythingOverHttp::new(), EverythingOverHttp::older()];
    remotes.iter_mut().for_each(EverythingOverHttp::start);
    let servers = |storage| {
        let mut servers = servers(&ground, storage);
        servers.extend(remotes.iter().map(EverythingOverHttp::backend));
        servers
    };

    let behind = servers("through mcpmux");
    let mcpmux = Mcpmux::serve(&behind);
    mcpmux.wait_until_up(&behind);
    let calls: Vec<Value> = behind
        .iter()
        .flat_map(Backend::calls_through_mcpmux)
        .collect();
    let through = sdk.session(&mcpmux.over_http(), &calls);
    mcpmux.stop();

    let mut outcomes = through.calls().iter();
    let mut tools = 0;
    for server in servers("directly") {
        let direct = sdk.session(&server.directly(), &server.calls);
        assert_same_tools(&server, &direct, &through);
        for (call, direct) in server.calls.iter().zip(direct.calls()) {
            let direct = of_the_call(direct);
            let mut outcome = of_the_call(outcomes.next().unwrap());
            if direct != outcome {
                forget_server_info(&mut outcome);
            }
            assert_eq!(direct, outcome, "{}: {call}", server.name);
        }
        tools += direct.tools().len();
    }
    assert_eq!(through.tools().len(), tools, "{:?}", through.names());
}

/// The events of a call without what the server does by itself: server-everything
/// asks for roots, and logs them, when a while has passed.
fn of_the_call(events: &Value) -> Value {
    let own = |event: &&Value| event.get("asked").is_none() && event.get("log").is_none();
    events
        .as_array()
        .unwrap()
        .iter()
        .filter(own)
        .cloned()
        .collect()
}

/// A modern server names itself in each result, which stays as it is on the way
/// to a legacy client; in the legacy era the same server does not.
fn forget_server_info(outcome: &mut Value) {
    let Some(result) = outcome[0].get_mut("result").and_then(Value::as_object_mut) else {
        return;
    };
    let meta = result.get_mut("_meta").and_then(Value::as_object_mut);
    if let Some(meta) = meta.filter(|meta| meta.len() == 1) {
        meta.remove("io.modelcontextprotocol/serverInfo");
    }
    if result.get("_meta") == Some(&json!({})) {
        result.remove("_meta");
    }
}

/// The definition of each tool is the same but for the name, which is prefixed,
/// and the description, before which the backend's own is put.
pub(crate) fn assert_same_tools(server: &Backend, direct: &Session, through: &Session) {
    for tool in direct.tools() {
        let name = server.tool(tool["name"].as_str().unwrap());
        let found = through
            .tools()
            .iter()
            .find(|tool| tool["name"] == name.as_str());
        let mut found = found
            .unwrap_or_else(|| panic!("no {name} in {:?}", through.names()))
            .clone();
        let description = tool["description"].as_str().unwrap_or_default();
        let found_description = found["description"].as_str().unwrap_or_default();
        assert!(
            found_description.ends_with(description),
            "{name}: {found_description}"
        );
        assert!(
            found_description.starts_with(server.description.unwrap_or(description)),
            "{found}"
        );
        found["name"] = tool["name"].clone();
        if let Some(description) = tool.get("description") {
            found["description"] = description.clone();
        }
        assert_eq!(&found, tool, "{name}");
    }
}

#[test]
fn the_list_and_its_order_are_the_same_for_every_client_and_after_a_restart() {
    let servers = [demo().named("second"), demo()];
    let list = |sdk: Sdk| {
        let mcpmux = Mcpmux::serve(&servers);
        mcpmux.wait_until_up(&servers);
        let session = sdk.session(&mcpmux.over_http(), &[]);
        session
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let first = list(Sdk::TypeScript1);
    for sdk in [
        Sdk::TypeScript2(Legacy),
        Sdk::TypeScript2(Auto),
        Sdk::Python1,
    ] {
        assert_eq!(list(sdk), first, "{sdk:?}");
    }
}

#[test]
fn the_instructions_name_every_backend_with_its_description() {
    let servers = [everything(), demo()];
    let mcpmux = Mcpmux::serve(&servers);
    mcpmux.wait_until_up(&servers);
    let session = Sdk::TypeScript1.session(&mcpmux.over_http(), &[]);
    for server in &servers {
        let listed = session.instructions().contains(server.name);
        let described = session
            .instructions()
            .contains(server.description.unwrap_or_default());
        assert!(listed && described, "{}", session.instructions());
    }
}
