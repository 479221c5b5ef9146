//! What is left of a login when mcpmux, the machine or the disk ends, and what a
//! copy of it is worth.

use std::fs;

use serde_json::json;

use crate::{
    fake::Fake,
    house::{House, Store},
    peers::Plan,
};

#[test]
fn a_reboot_needs_no_new_consent_with_the_vault() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    house.reboot();
    // While the machine was off the token ended.
    peers.refuse();
    let daemon = house.serve();
    daemon.up("web");
    daemon.echoes("web");
    assert_eq!(daemon.logins_asked("web"), 0);
    assert_eq!(peers.grants("refresh_token").len(), 1);
    assert_eq!(peers.requests_for("registration").len(), 1);
    let stored = house.status("web")["stored"].to_string();
    assert!(stored.contains("encrypted with the key from"), "{stored}");
}

#[test]
fn the_runtime_directory_outlives_a_restart_and_not_a_reboot() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({})).store(Store::Runtime);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    let daemon = house.serve();
    daemon.up("web");
    assert_eq!(daemon.logins_asked("web"), 0);
    daemon.mux.stop();
    house.reboot();
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.echoes("web");
    assert_eq!(daemon.logins_asked("web"), 1);
}

#[test]
fn what_is_in_memory_ends_with_mcpmux_and_that_is_said() {
    let peers = Plan::default().start();
    let house = House::of(&peers, peers.endpoint(), json!({})).store(Store::Memory);
    let daemon = house.serve();
    daemon.log_in("web");
    let stored = house.status("web")["stored"].to_string();
    assert!(stored.contains("memory"), "{stored}");
    daemon.mux.stop();
    let daemon = house.serve();
    daemon.asks_for_login("web", 1);
}

#[test]
fn a_copied_vault_is_useless_without_its_key() {
    let fake = Fake::start();
    let owner = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let daemon = owner.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    let vault = fs::read(owner.tokens()).unwrap();
    let before = fake.seen("/mcp").len();

    let thief = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let daemon = thief.serve();
    daemon.asks_for_login("web", 1);
    daemon.mux.stop();
    fs::write(thief.tokens(), &vault).unwrap();
    let daemon = thief.serve();
    daemon.warns("web", "sealed with another key");
    let (_, why) = daemon.call("web__echo", "{}").error();
    assert!(why.contains("sealed with another key"), "{why}");
    let status = thief.status("web");
    let trouble = status["trouble"].to_string();
    assert!(trouble.contains("sealed with another key"), "{status}");
    // Nothing of it was used, and it is as it was for whoever has the key.
    let carried = fake.seen("/mcp").split_off(before);
    let carried = carried
        .iter()
        .filter(|one| one.headers.contains_key("authorization"));
    assert_eq!(carried.count(), 0);
    assert_eq!(fs::read(thief.tokens()).unwrap(), vault);
}

#[test]
fn a_damaged_vault_is_said_and_left_alone() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    let good = fs::read(house.tokens()).unwrap();
    let mut bad = good.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    fs::write(house.tokens(), &bad).unwrap();
    let daemon = house.serve();
    daemon.warns("web", "damaged");
    let trouble = house.status("web")["trouble"].to_string();
    assert!(trouble.contains("damaged"), "{trouble}");
    assert_eq!(fs::read(house.tokens()).unwrap(), bad);
    // Put back, it is used without a restart.
    fs::write(house.tokens(), &good).unwrap();
    daemon.up("web");
    daemon.echoes("web");
    assert_eq!(daemon.logins_asked("web"), 0);
}

#[test]
fn a_store_that_takes_nothing_costs_no_call_and_that_is_said() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    // As a disk that is full: no new file can be made in its place.
    let obstacle = house.tokens().with_extension("new");
    fs::create_dir(&obstacle).unwrap();
    for number in 1..=2 {
        fake.expire();
        daemon.echoes("web");
        // The token that is not stored is the one that the next is had with.
        assert_eq!(fake.grants("refresh_token").len(), number);
    }
    daemon.warns("web", "could not be stored and is lost when mcpmux ends");
    let trouble = house.status("web")["trouble"].to_string();
    assert!(trouble.contains("vault"), "{trouble}");
    fs::remove_dir(&obstacle).unwrap();
    fake.expire();
    daemon.echoes("web");
    assert_eq!(house.status("web")["trouble"], json!(null));
    daemon.mux.stop();
    let daemon = house.serve();
    daemon.up("web");
    daemon.echoes("web");
    assert_eq!(daemon.logins_asked("web"), 0);
}

#[test]
fn a_consent_that_cannot_be_stored_is_good_until_mcpmux_ends() {
    let fake = Fake::start();
    let house = House::of(&fake, &fake.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.asks_for_login("web", 1);
    let obstacle = house.tokens().with_extension("new");
    fs::create_dir(&obstacle).unwrap();
    daemon.log_in("web");
    daemon.echoes("web");
    daemon.warns("web", "could not be stored");
    daemon.mux.stop();
    fs::remove_dir(&obstacle).unwrap();
    let daemon = house.serve();
    daemon.log_in("web");
    assert_eq!(daemon.logins_asked("web"), 1);
}

#[test]
fn an_endpoint_that_was_changed_gets_no_token_of_the_former() {
    let (former, new) = (Fake::start(), Fake::start());
    let house = House::of(&former, &former.endpoint(), json!({})).store(Store::Vault);
    let daemon = house.serve();
    daemon.log_in("web");
    daemon.mux.stop();
    let house = house.with(&new).at("web", &new.endpoint());
    let daemon = house.serve();
    daemon.asks_for_login("web", 1);
    let carried = new.seen("/mcp");
    assert!(
        carried
            .iter()
            .all(|one| !one.headers.contains_key("authorization"))
    );
    daemon.log_in("web");
}
