//! Backends that come and go.

use crate::{
    mcpmux::Mcpmux,
    servers::{EverythingOverHttp, demo, npx_everything},
    session::{Negotiate::Auto, Sdk},
};

#[test]
fn a_legacy_client_is_told_when_a_backend_comes() {
    a_client_is_told_when_a_backend_comes(Sdk::TypeScript1);
}

#[test]
fn a_modern_client_is_told_when_a_backend_comes() {
    a_client_is_told_when_a_backend_comes(Sdk::TypeScript2(Auto));
}

fn a_client_is_told_when_a_backend_comes(sdk: Sdk) {
    let mut remote = EverythingOverHttp::new();
    let mcpmux = Mcpmux::serve(&[demo(), remote.backend()]);
    let mut client = sdk.watch(&mcpmux.over_http());
    let there = |names: &[String]| {
        assert!(names.iter().any(|name| name == "demo__echo"), "{names:?}");
        names.iter().any(|name| name == "remote__echo")
    };
    remote.start();
    client.wait_for_change("change when the backend came", there);
    // What it offered stays listed while it is away.
    remote.stop();
    mcpmux.stop();
}

#[test]
fn a_backend_behind_npx_is_gone_with_mcpmux() {
    let backends = [npx_everything()];
    let mcpmux = Mcpmux::serve(&backends);
    mcpmux.wait_until_up(&backends);
    mcpmux.stop();
}

#[test]
fn a_backend_behind_npx_is_gone_when_mcpmux_is_killed() {
    let backends = [npx_everything()];
    let mcpmux = Mcpmux::serve(&backends);
    mcpmux.wait_until_up(&backends);
    mcpmux.kill();
}
