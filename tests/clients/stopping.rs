//! Calls that outlast the time that mcpmux takes to stop: each is answered, and the
//! answer says that it is not known what became of it.

use std::io::{BufRead, BufReader, Write};

use rustix::process::Signal;

use crate::support::{Answer, Client, Peer, Script, Setup, Step, legacy, modern, progress};

/// Makes it a server whose tool never answers, but tells that it is at work.
fn endless(script: Script) -> Script {
    let never = Step::Await("never".to_owned());
    script.tool("t", [progress(r#""progress":1"#), never])
}

#[track_caller]
fn is_given_up((code, said): (i64, String)) {
    assert_eq!(code, -32000);
    let words = "whether it was carried out is not known";
    assert!(
        said.contains("mcpmux is stopping") && said.contains(words),
        "{said}"
    );
}

#[test]
fn a_call_that_outlasts_the_stop_is_answered_in_either_era_wherever_it_goes() {
    let process = Peer::new(endless(legacy(&["t"])));
    let endpoint = Peer::http(endless(modern(&["t"])).streamed("tools/call t"));
    let mux = Setup::one("process", &process)
        .backend("endpoint", &endpoint, "")
        .serve();
    let (old, new) = (Client::legacy(&mux), Client::modern(&mux));
    let mut calls = Vec::new();
    for tool in ["process__t", "endpoint__t"] {
        new.tool(tool);
        for (client, token) in [
            (&old, None),
            (&new, None),
            (&old, Some("1")),
            (&new, Some("1")),
        ] {
            let name = format!("\"name\":\"{tool}\"");
            calls.push(client.post(&client.spell(&client.id(), "tools/call", token, &name)));
        }
    }
    process.message("tools/call", 4);
    endpoint.message("tools/call", 4);
    mux.signal(Signal::TERM);
    for call in calls {
        is_given_up(Answer::read(call.reply()).error());
    }
    assert!(mux.ended().success());
}

#[test]
fn a_client_on_stdio_has_an_answer_as_well() {
    let peer = Peer::new(endless(legacy(&["t"])));
    let mux = Setup::one("b", &peer).start(&["--stdio"]);
    mux.logged("up: ");
    let (mut input, output) = mux.pipes();
    let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"b__t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    writeln!(input, "{call}").expect("mcpmux reads");
    peer.message("tools/call", 1);
    mux.signal(Signal::TERM);
    let line = BufReader::new(output).lines().next();
    let response = line.expect("a line").expect("it can be read");
    assert!(response.contains("\"id\":7"), "{response}");
    assert!(
        response.contains("mcpmux is stopping and does not wait"),
        "{response}"
    );
    assert!(mux.ended().success());
}
