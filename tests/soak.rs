//! mcpmux under everything at once, shortly: clients that come and go, calls
//! that are left, backends that are stopped, and as many broken ones as good
//! ones. What it holds over a longer time is for `make soak`.

#![allow(clippy::expect_used)]

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use mcpmux_load::{
    backend::Era,
    binaries::Binaries,
    daemon::Backends,
    faults::Faults,
    load::Client,
    request::{Call, Endpoint},
    soak,
    stage::Stage,
};

fn binaries() -> Binaries {
    let mcpmux = env!("CARGO_BIN_EXE_mcpmux").into();
    Binaries::build("dev", Some(mcpmux)).expect("cargo builds the peers")
}

#[tokio::test]
async fn good_backends_answer_whatever_is_wrong_with_as_many_broken_ones() {
    let mut stage = Stage::open(binaries()).expect("a stage");
    let (place, _) = stage.soaked().await.expect("every good backend answers");
    assert_eq!((place.broken.len(), Faults::count()), (25, Backends::GOOD));
    for broken in &place.broken {
        let call = async |tool: &str| {
            let endpoint = Endpoint {
                tool: tool.to_owned(),
                ..place.endpoint.clone()
            };
            let mut client = Client::open(&endpoint, Era::Modern).await?;
            client.call(Call::Echo(64)).await
        };
        let (bad, good) = tokio::join!(call(broken), call("bench00__echo"));
        good.expect("a good one answers");
        // Floods and noise are no reason not to answer.
        let text = bad.expect_err("it does not echo").to_string();
        assert!(
            text.contains("error") || text.contains("done"),
            "{broken}: {text}"
        );
    }
}

#[tokio::test]
async fn a_short_soak_is_without_a_failure() {
    let (record, tally) = soak::run(binaries(), Duration::from_secs(5), |_, _| {})
        .await
        .expect("it runs to its end");
    assert_eq!(tally.failures(), (0, Vec::new()));
    for count in [&tally.lives, &tally.calls, &tally.left, &tally.deeds] {
        assert!(count.load(Relaxed) > 0, "{tally:?}");
    }
    let table = record.to_string();
    assert!(
        table.contains("RssAnon") && table.contains("threads"),
        "{table}"
    );
    // So short a time is no reason for a verdict.
    assert!(
        !table.contains("flat") && !table.contains("GROWS"),
        "{table}"
    );
}
