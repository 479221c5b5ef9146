//! What happens while a call runs.

use std::thread;

use serde_json::json;

use crate::{
    mcpmux::Mcpmux,
    servers::demo,
    session::{Negotiate::Auto, Sdk},
};

#[test]
fn a_call_that_a_legacy_client_cancels_is_cancelled_at_the_backend() {
    a_cancelled_call_is_cancelled_at_the_backend(Sdk::TypeScript1);
}

#[test]
fn a_call_that_a_modern_client_cancels_is_cancelled_at_the_backend() {
    a_cancelled_call_is_cancelled_at_the_backend(Sdk::TypeScript2(Auto));
}

fn a_cancelled_call_is_cancelled_at_the_backend(sdk: Sdk) {
    let mcpmux = Mcpmux::serve(&[demo()]);
    let session = sdk.session(
        &mcpmux.over_http(),
        &[
            json!({ "name": "demo__slow", "arguments": { "seconds": 600, "steps": 1000 }, "cancelAfter": 2 }),
            json!({ "name": "demo__echo", "arguments": { "message": "still there" } }),
        ],
    );
    let events = session.calls()[0].as_array().unwrap();
    assert!(
        events[0]["progress"]["progress"] == 1 && events[1]["progress"]["progress"] == 2,
        "{events:?}"
    );
    assert!(events.last().unwrap()["error"].is_object(), "{events:?}");
    assert_eq!(session.text(1), "still there");
    mcpmux.wait_for_log("word of the backend that the call was cancelled", |line| {
        line.contains("slow was cancelled")
    });
    mcpmux.stop();
}

#[test]
fn clients_that_use_the_same_progress_tokens_each_see_their_own_progress() {
    let mcpmux = Mcpmux::serve(&[demo()]);
    thread::scope(|scope| {
        for sdk in [
            Sdk::TypeScript1,
            Sdk::TypeScript1,
            Sdk::TypeScript2(Auto),
            Sdk::Python2(Auto),
        ] {
            let connect = mcpmux.over_http();
            scope.spawn(move || {
                let wait = json!({ "seconds": 2, "steps": 20 });
                let call = json!({ "name": "demo__slow", "arguments": wait, "progress": true });
                let session = sdk.session(&connect, &[call]);
                let events = session.calls()[0].as_array().unwrap();
                let progress: Vec<_> = events
                    .iter()
                    .filter_map(|event| event["progress"]["progress"].as_f64())
                    .collect();
                let all: Vec<_> = (1..=20).map(f64::from).collect();
                assert_eq!(progress, all, "{sdk:?}");
            });
        }
    });
    mcpmux.stop();
}
