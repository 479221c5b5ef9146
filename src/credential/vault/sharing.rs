//! Stores that several use at once, and directories that change under them.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use tokio::task::JoinSet;

use super::{
    key::Key,
    tests::{Home, mode, name, open, records, secret},
};
use crate::config::TokenStore;

#[tokio::test]
async fn a_directory_that_vanishes_is_made_again() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    let vault = open(&TokenStore::default(), &home.with_key(&key)).await;
    vault
        .write(&name("a"), "https://i", &secret("first"))
        .await
        .unwrap();
    fs::remove_dir_all(home.state()).unwrap();
    assert!(records(&vault, "a").await.is_empty());
    assert!(!vault.remove(&name("a"), "https://i").await.unwrap());
    fs::remove_dir_all(home.state()).unwrap();
    vault
        .write(&name("a"), "https://i", &secret("second"))
        .await
        .unwrap();
    assert_eq!(records(&vault, "a").await[0].1, "second");
    assert_eq!(mode(&home.state()), 0o700);
}

#[tokio::test]
async fn a_terminal_finds_the_vault_of_a_service_of_an_older_systemd() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    let settings = TokenStore::default();
    let service = home.config();
    let vault = open(&settings, &home.as_service(&key, &service)).await;
    vault
        .write(&name("a"), "https://i", &secret("first"))
        .await
        .unwrap();
    let terminal = open(&settings, &home.with_key(&key)).await;
    assert_eq!(records(&terminal, "a").await[0].1, "first");
    assert!(
        terminal
            .about()
            .place
            .starts_with(service.to_str().unwrap())
    );
    assert!(!home.state().exists());
}

#[tokio::test]
async fn a_directory_that_is_opened_to_others_later_is_used_no_more() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    let vault = open(&TokenStore::default(), &home.with_key(&key)).await;
    vault
        .write(&name("a"), "https://i", &secret("first"))
        .await
        .unwrap();
    fs::set_permissions(home.state(), fs::Permissions::from_mode(0o755)).unwrap();
    vault
        .write(&name("a"), "https://i", &secret("second"))
        .await
        .unwrap_err();
    vault.entries(&name("a")).await.unwrap_err();
}

#[tokio::test]
async fn writers_at_once_lose_nothing_of_each_other() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    // Two vaults as two processes have them: they share nothing but the file.
    let environment = home.with_key(&key);
    let settings = TokenStore::default();
    let vaults = [
        open(&settings, &environment).await,
        open(&settings, &environment).await,
    ];
    let vaults = vaults.map(Arc::new);
    let mut writers = JoinSet::new();
    for number in 0..20 {
        let vault = Arc::clone(&vaults[number % 2]);
        writers.spawn(async move {
            let backend = name(&format!("b{number}"));
            vault
                .write(&backend, "https://i", &secret("record"))
                .await
                .unwrap();
        });
    }
    writers.join_all().await;
    for number in 0..20 {
        assert_eq!(records(&vaults[0], &format!("b{number}")).await.len(), 1);
    }
}

#[tokio::test]
async fn one_turn_at_a_time_for_each_backend_also_across_processes() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    let environment = home.with_key(&key);
    let settings = TokenStore::default();
    let vaults = [
        open(&settings, &environment).await,
        open(&settings, &environment).await,
    ];
    let vaults = vaults.map(Arc::new);
    let first = vaults[0].lock(&name("a")).await.unwrap();
    // That of another backend is another.
    drop(vaults[1].lock(&name("b")).await.unwrap());
    let mut waiting = JoinSet::new();
    for number in 0..10 {
        let vault = Arc::clone(&vaults[number % 2]);
        waiting.spawn(async move { vault.lock(&name("a")).await.map(drop) });
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(waiting.try_join_next().is_none());
    }
    drop(first);
    for outcome in waiting.join_all().await {
        outcome.unwrap();
    }
}
