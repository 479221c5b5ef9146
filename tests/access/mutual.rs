//! Certificates of clients: revoked ones, and those of who must show a key or a
//! token besides.

use std::fs;

use serde_json::json;

use crate::{
    keys,
    support::*,
    tls::{Authority, Line, Pair, address, begin, put, setup},
    tokens,
};

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn a_certificate_that_is_revoked_lets_in_nobody_not_even_on_a_connection_that_is_open() {
    let (folder, ours) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let (theirs, peer) = (Authority::new(), Peer::new(legacy(&["t"])));
    put(folder.path(), &ours.certify("mcpmux"));
    let list = folder.path().join("crl.pem");
    fs::write(&list, theirs.revoke(&[7], 2100)).expect("a file");
    let mux = setup(&peer, folder.path(), Some(&theirs))
        .listen(&format!("  client_crl: {}", list.display()))
        .start(&[]);
    let address = address(&mux);
    let [good, bad, soon] = [(1, "good"), (7, "bad"), (8, "soon")]
        .map(|(number, name)| theirs.certify_as(name, number));
    begin(address, &ours, Some(&bad)).expect_err("it is revoked");
    let line = mux.logged("its certificate is not good");
    assert!(line.contains("Revoked") && line.contains("WARN"), "{line}");
    begin(address, &ours, None).expect_err("without one");
    let mut open = [&good, &soon].map(|own| Line::open(address, &ours, Some(own)).expect("TLS"));
    for line in &mut open {
        assert_eq!(status(&line.ask("").expect("an answer")), "200");
    }
    // The list is read again when it changes.
    fs::write(&list, theirs.revoke(&[7, 8], 2100)).expect("a file");
    eventually("the connection of a revoked one is of nobody", || {
        let answer = open[1].ask("").expect("an answer");
        (status(&answer) == "401").then_some(())
    });
    for (line, health) in open.iter_mut().zip(["200", "403"]) {
        let answer = line.get("/healthz").expect("an answer");
        assert_eq!(status(&answer), health);
    }
    assert_eq!(status(&open[0].ask("").expect("an answer")), "200");
    begin(address, &ours, Some(&soon)).expect_err("it is revoked");
    begin(address, &ours, Some(&good)).expect("an answer");
    // One that is out of date says nothing of anybody, nor does one of others.
    for other in [theirs.revoke(&[], 2021), Authority::new().revoke(&[], 2100)] {
        fs::write(&list, other).expect("a file");
        eventually("nobody comes in", || {
            begin(address, &ours, Some(&good)).is_err().then_some(())
        });
        fs::write(&list, theirs.revoke(&[7], 2100)).expect("a file");
        eventually("the good one comes in", || {
            begin(address, &ours, Some(&good)).is_ok().then_some(())
        });
    }
}

#[test]
fn a_list_that_is_none_is_named() {
    let (folder, ours) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let peer = Peer::new(legacy(&["t"]));
    put(folder.path(), &ours.certify("mcpmux"));
    let list = folder.path().join("crl.pem");
    let start = |ca| {
        setup(&peer, folder.path(), ca)
            .listen(&format!("  client_crl: {}", list.display()))
            .start(&[])
    };
    let mux = start(Some(&ours));
    assert_eq!(mux.ended().code(), Some(78));
    mux.logged("listen.tls.client_crl: ");
    fs::write(&list, &ours.pem).expect("a file");
    let mux = start(Some(&ours));
    assert_eq!(mux.ended().code(), Some(78));
    mux.logged("it holds no certificate revocation list in PEM");
    let mux = start(None);
    assert_eq!(mux.ended().code(), Some(78), "of whose certificates?");
    mux.logged("listen.tls.client_crl");
}

#[test]
fn who_shows_a_certificate_shows_a_key_as_well_where_that_is_required() {
    let (folder, ours) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let (theirs, peer) = (Authority::new(), Peer::new(legacy(&["t"])));
    put(folder.path(), &ours.certify("mcpmux"));
    let alice = theirs.certify("alice");
    for (access, without) in [("allow", "200"), ("require", "401")] {
        let mux = setup(&peer, folder.path(), Some(&theirs))
            .top(&format!(
                "access: {{ keys: {access} }}\naudit: {{ file: {} }}",
                folder.path().join(access).display()
            ))
            .start(&[]);
        let address = address(&mux);
        let key = keys::add(mux.home(), &["laptop"]);
        let with = |own: Option<&Pair>, headers: &str| {
            let mut line = Line::open(address, &ours, own)?;
            line.ask(headers).map(|answer| status(&answer).to_owned())
        };
        let shown = format!("X-API-Key: {key}\r\n");
        eventually("the key", || {
            (with(Some(&alice), &shown).expect("an answer") == "200").then_some(())
        });
        assert_eq!(with(Some(&alice), "").expect("an answer"), without);
        let wrong = shown.replace(&key, "mcpmux_x");
        assert_eq!(with(Some(&alice), &wrong).expect("an answer"), "401");
        with(None, &shown).expect_err("a key is no certificate");
    }
}

#[test]
fn who_shows_a_certificate_shows_a_token_as_well_where_tokens_are_taken() {
    let (folder, ours) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let (theirs, peer) = (Authority::new(), Peer::new(legacy(&["t"])));
    put(folder.path(), &ours.certify("mcpmux"));
    let (alice, issuer) = (theirs.certify("alice"), tokens::Issuer::start());
    let resource = "https://mcp.example/mcp";
    let mux = setup(&peer, folder.path(), Some(&theirs))
        .top(&format!(
            "access: {{ oauth: {{ issuer: {}, resource: {resource} }} }}",
            issuer.url
        ))
        .start(&[]);
    let address = address(&mux);
    let ask = |own: Option<&Pair>, headers: &str| {
        let mut line = Line::open(address, &ours, own)?;
        line.ask(headers)
    };
    let answer = ask(Some(&alice), "").expect("an answer");
    assert_eq!(status(&answer), "401");
    let place =
        "resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/mcp\"";
    assert!(answer.contains(place), "{answer}");
    let header = json!({ "alg": "ES256", "kid": "k" });
    let token = tokens::Issuer::signed(&issuer.key, &header, &issuer.claims(resource));
    let shown = format!("Authorization: Bearer {token}\r\n");
    let answer = ask(Some(&alice), &shown).expect("an answer");
    assert_eq!(status(&answer), "200");
    ask(None, &shown).expect_err("a token is no certificate");
}

#[test]
fn what_is_in_pem_may_be_credentials_of_systemds() {
    let (folder, ours) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let (theirs, peer) = (Authority::new(), Peer::new(legacy(&["t"])));
    put(folder.path(), &ours.certify("mcpmux"));
    fs::write(folder.path().join("ca.pem"), &theirs.pem).expect("a file");
    fs::write(folder.path().join("crl.pem"), theirs.revoke(&[7], 2100)).expect("a file");
    let tls = [
        "certificate: cert",
        "key: key",
        "client_ca: ca",
        "client_crl: crl",
    ];
    let tls = tls.map(|line| {
        let (key, name) = line.split_once(": ").expect("a key");
        format!("\n  {key}: ${{cred:{name}.pem}}")
    });
    let mux = Setup::one("b", &peer)
        .listen(&format!("tls:{}", tls.concat()))
        .env(
            "CREDENTIALS_DIRECTORY",
            &folder.path().display().to_string(),
        )
        .start(&[]);
    let address = address(&mux);
    let (answer, _) = begin(address, &ours, Some(&theirs.certify("alice"))).expect("an answer");
    assert_eq!(status(&answer), "200");
    begin(address, &ours, Some(&theirs.certify_as("bob", 7))).expect_err("it is revoked");
    let key = fs::read_to_string(folder.path().join("key.pem")).expect("a file");
    let secret = key.lines().nth(1).expect("a line");
    assert!(!mux.log().contains(secret), "no key is logged");
}
