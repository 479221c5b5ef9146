//! `watch: true`: files that change are read again by themselves.

use std::fs;

use super::Desk;
use crate::support::{Client, Mux, Peer, Setup, eventually, legacy};

const FILE: &str = ".config/mcpmux/config.yaml";

/// The configuration of these backends, which are one server.
fn setup(peer: &Peer, names: &[&str]) -> Setup {
    let setup = Setup::default().file(FILE).top("watch: true");
    names
        .iter()
        .fold(setup, |setup, name| setup.backend(name, peer, ""))
}

fn served(peer: &Peer) -> (Mux, Client) {
    let mux = setup(peer, &["a"]).serve();
    let client = Client::modern(&mux);
    client.await_names(&["a__t"]);
    mux.logged("is read again when it changes");
    (mux, client)
}

#[test]
fn a_file_that_is_written_or_replaced_is_read_again() {
    let peer = Peer::new(legacy(&["t"]));
    let (mux, client) = served(&peer);
    mux.rewrite(&setup(&peer, &["a", "b"]).yaml());
    client.await_names(&["a__t", "b__t"]);
    fs::write(mux.config(), setup(&peer, &["a", "c"]).yaml()).unwrap();
    client.await_names(&["a__t", "c__t"]);
    // Replaced twice: the file that is watched is another one each time.
    mux.rewrite(&setup(&peer, &["a"]).yaml());
    client.await_names(&["a__t"]);
    mux.rewrite("nonsense");
    mux.logged("the configuration has errors");
    assert_eq!(client.names(), ["a__t"]);
    mux.rewrite(&setup(&peer, &["d"]).yaml());
    client.await_names(&["d__t"]);
}

#[test]
fn drop_ins_come_and_go_with_their_directory() {
    let peer = Peer::new(legacy(&["t"]));
    let (mux, client) = served(&peer);
    let directory = mux.home().join(".config/mcpmux/conf.d");
    let drop_in = |name: &str| {
        let command = peer.command();
        let text =
            format!("backends: [{{ name: {name}, transport: command, command: {command} }}]");
        fs::write(directory.join(format!("{name}.yaml")), text).unwrap();
    };
    for round in 0..2 {
        fs::create_dir(&directory).unwrap();
        drop_in("x");
        client.await_names(&["a__t", "x__t"]);
        drop_in("y");
        client.await_names(&["a__t", "x__t", "y__t"]);
        if round == 0 {
            fs::remove_file(directory.join("x.yaml")).unwrap();
            client.await_names(&["a__t", "y__t"]);
        }
        fs::remove_dir_all(&directory).unwrap();
        client.await_names(&["a__t"]);
    }
}

#[test]
fn a_directory_that_vanishes_and_comes_back_is_watched_again() {
    let peer = Peer::new(legacy(&["t"]));
    let (mux, client) = served(&peer);
    let directory = mux.config().parent().unwrap();
    let aside = mux.home().join("aside");
    fs::rename(directory, &aside).unwrap();
    mux.logged("cannot be read");
    assert_eq!(client.names(), ["a__t"]);
    fs::rename(&aside, directory).unwrap();
    mux.logged("no backend has changed");
    fs::remove_dir_all(mux.home().join(".config")).unwrap();
    fs::create_dir_all(directory).unwrap();
    mux.rewrite(&setup(&peer, &["b"]).yaml());
    client.await_names(&["b__t"]);
}

#[test]
fn a_link_is_followed_where_it_leads_now() {
    let peer = Peer::new(legacy(&["t"]));
    let (mux, client) = served(&peer);
    let elsewhere = mux.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let (one, two) = (elsewhere.join("one"), elsewhere.join("two"));
    fs::write(&one, setup(&peer, &["b"]).yaml()).unwrap();
    fs::write(&two, setup(&peer, &["c"]).yaml()).unwrap();
    fs::remove_file(mux.config()).unwrap();
    std::os::unix::fs::symlink(&one, mux.config()).unwrap();
    client.await_names(&["b__t"]);
    fs::write(&one, setup(&peer, &["d"]).yaml()).unwrap();
    client.await_names(&["d__t"]);
    let link = elsewhere.join("link");
    std::os::unix::fs::symlink(&two, &link).unwrap();
    fs::rename(&link, mux.config()).unwrap();
    client.await_names(&["c__t"]);
}

#[test]
fn it_is_switched_on_and_off_by_a_reload() {
    let desk = Desk::new();
    let peer = Peer::new(legacy(&["t"]));
    let mux = desk.serve(Setup::one("a", &peer));
    let client = Client::modern(&mux);
    client.await_names(&["a__t"]);
    desk.reload(&mux, &Setup::one("a", &peer).top("watch: true"));
    mux.logged("is read again when it changes");
    mux.rewrite(&Setup::one("b", &peer).yaml());
    client.await_names(&["b__t"]);
    eventually("the end of the watch", || {
        mux.log().contains("is not watched any more").then_some(())
    });
}
