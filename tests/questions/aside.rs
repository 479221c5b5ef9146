//! What is said beside a question: how far its answer has come, and that what it
//! asked for is done.

use super::{
    ANSWER, able_legacy, asks, call, done,
    support::{Client, Peer, Setup, Step, at, eventually, legacy, member},
};

#[test]
fn a_clients_progress_on_what_it_is_asked_reaches_who_asked_under_its_own_token() {
    let params = r#"{"messages":[],"maxTokens":1,"_meta":{"progressToken":"tok\u0031","x":1.0}}"#;
    let script = legacy(&["ask"]).tool(
        "ask",
        [
            asks("7", "sampling/createMessage", params),
            Step::Await("response 7".to_owned()),
            done(),
        ],
    );
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    let client = able_legacy(&mux);
    let answer = client.converse(&call(&client, "b__ask", ""), |request| {
        let token = at(request, &["params", "_meta", "progressToken"]);
        assert_eq!(at(request, &["params", "_meta", "x"]), "1.0");
        client.notify(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":0.50}}}}"#
        ));
        peer.message("notifications/progress", 1);
        r#"{"model":"m"}"#.to_owned()
    });
    answer.result();
    let told = at(&peer.message("notifications/progress", 1), &["params"]);
    assert_eq!(told, r#"{"progressToken":"tok\u0031","progress":0.50}"#);
}

#[test]
fn the_end_of_a_visit_is_told_to_the_client_that_was_asked_and_to_nobody_else() {
    let url = r#"{"mode":"url","elicitationId":"v1","url":"https://a.example/","message":"Go"}"#;
    let script = legacy(&["ask"]).tool(
        "ask",
        [
            asks(r#""e1""#, "elicitation/create", url),
            Step::Await(r#"response "e1""#.to_owned()),
            done(),
        ],
    );
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    let (client, other) = (able_legacy(&mux), able_legacy(&mux));
    let (mut mine, mut others) = (client.listen(), other.listen());
    let message = call(&client, "b__ask", "");
    client.converse(&message, |_| ANSWER.to_owned()).result();
    let told = r#"{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"v1","x":1.0}}"#;
    peer.emit(told);
    assert_eq!(eventually("the end", || mine.event()), told);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    peer.emit(changed);
    let next = others.event().expect("a notification");
    assert!(next.contains("list_changed"), "{next}");
}

#[test]
fn the_status_of_a_task_is_told_to_who_began_it() {
    let task = r#"{"taskId":"t1","status":"working"}"#;
    let script = legacy(&["t"]).tool(
        "t",
        [super::support::result(&format!(r#"{{"task":{task}}}"#))],
    );
    let peer = Peer::new(script);
    let mux = Setup::one("b", &peer).serve();
    Client::wait_for(&mux, "b__t");
    let client = Client::legacy(&mux);
    let mut stream = client.listen();
    client
        .request("tools/call", r#""name":"b__t","task":{}"#)
        .result();
    let told = r#"{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"t1","status":"completed"}}"#;
    peer.emit(told);
    let got = stream.event().expect("a notification");
    assert_eq!(member(&got, "params"), member(told, "params"));
}
