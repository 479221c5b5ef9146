//! Tests with a real Secret Service: GNOME Keyring on a bus of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    Kind, Vault, VaultError,
    items::Items,
    key::Key,
    making,
    tests::{kind, name, open, records, secret},
};
use crate::config::{Environment, StoreKind, TokenStore, VaultKey};

/// A session bus, and a keyring if it was started; both end with this.
struct Desktop {
    scratch: tempfile::TempDir,
    address: String,
    processes: Vec<Child>,
}

/// What ends when this test does, even if it is killed.
fn tied(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

impl Desktop {
    /// A bus on which nobody answers.
    fn bus() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        // The usual configuration would start a keyring by itself.
        let config = scratch.path().join("bus.conf");
        let listen = scratch.path().join("bus");
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            listen.display()
        );
        fs::write(&config, text).unwrap();
        let mut bus = tied("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address"])
            .spawn()
            .expect("dbus-daemon (Debian: dbus)");
        let mut address = String::new();
        let mut out = BufReader::new(bus.stdout.take().unwrap());
        out.read_line(&mut address).unwrap();
        Self {
            scratch,
            address: address.trim().to_owned(),
            processes: vec![bus],
        }
    }

    /// With GNOME Keyring, whose keyring "login" is unlocked.
    async fn unlocked() -> Self {
        let mut desktop = Self::bus();
        desktop.keyring(Some("a password")).await;
        desktop
    }

    /// Starts GNOME Keyring; with a password, its keyring is made or unlocked.
    async fn keyring(&mut self, password: Option<&str>) {
        let mut command = tied("gnome-keyring-daemon");
        command
            .args(["--foreground", "--components=secrets"])
            .env("HOME", self.scratch.path())
            .env("XDG_DATA_HOME", self.scratch.path().join("data"))
            .env("XDG_RUNTIME_DIR", self.scratch.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        if password.is_some() {
            command.arg("--unlock");
        }
        let mut daemon = command
            .spawn()
            .expect("gnome-keyring-daemon (Debian: gnome-keyring)");
        let mut stdin = daemon.stdin.take().unwrap();
        stdin
            .write_all(password.unwrap_or_default().as_bytes())
            .unwrap();
        drop(stdin);
        self.processes.push(daemon);
        // It tells nobody when it is there.
        for _ in 0..200 {
            match Items::connect(&self.environment()).await {
                Err(error) if error.to_string().contains("none answers") => {
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
                _ => return,
            }
        }
        panic!("no keyring");
    }

    fn state(&self) -> PathBuf {
        self.scratch.path().join("state/mcpmux")
    }

    fn environment(&self) -> Environment {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        [
            ("DBUS_SESSION_BUS_ADDRESS", self.address.clone()),
            ("HOME", text(self.scratch.path())),
            ("XDG_STATE_HOME", text(&self.scratch.path().join("state"))),
        ]
        .into_iter()
        .collect()
    }

    fn end_keyring(&mut self) {
        end(&mut self.processes.pop().unwrap());
    }
}

fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.processes.iter_mut().for_each(end);
    }
}

#[tokio::test]
async fn the_key_is_kept_by_the_secret_service_and_found_again() {
    let mut desktop = Desktop::unlocked().await;
    let environment = desktop.environment();
    let vault = open(&TokenStore::default(), &environment).await;
    assert_eq!(vault.about().kind, Kind::Vault);
    assert!(
        vault.about().why.contains("Secret Service"),
        "{}",
        vault.about()
    );
    vault
        .write(&name("a"), "https://i", &secret("first"))
        .await
        .unwrap();
    drop(vault);
    desktop.end_keyring();
    desktop.keyring(Some("a password")).await;
    let vault = open(
        &TokenStore {
            key: VaultKey::SecretService,
            ..TokenStore::default()
        },
        &environment,
    )
    .await;
    assert_eq!(records(&vault, "a").await[0].1, "first");

    // A vault of another key is not the one to use this key with.
    let before = fs::read(desktop.state().join("vault")).unwrap();
    let other = [b"mcpmux-vault 1 0123456789abcdef\n", &before[32..]].concat();
    fs::write(desktop.state().join("vault"), &other).unwrap();
    let error = Vault::open(&kind(StoreKind::Vault), &environment)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, VaultError::NoKey { why, .. } if why.contains("no key 0123456789abcdef")),
        "{error}"
    );
    assert_eq!(fs::read(desktop.state().join("vault")).unwrap(), other);
}

#[tokio::test]
async fn a_key_is_made_for_a_person_who_asks_and_only_if_it_may_be() {
    let desktop = Desktop::unlocked().await;
    let environment = desktop.environment();
    let made = |needed, may: bool| {
        let may = move || {
            if may {
                Ok(())
            } else {
                Err(anyhow::anyhow!("no"))
            }
        };
        making::in_secret_service(&environment, needed, may)
    };
    made(None, false).await.unwrap_err();
    let first = made(None, true).await.unwrap();
    assert!(first.new);
    let again = made(None, false).await.unwrap();
    assert_eq!((again.id, again.new), (first.id, false));
    assert_eq!(made(Some(first.id), false).await.unwrap().id, first.id);
    let other = Key::generate().unwrap().id();
    made(Some(other), false).await.unwrap_err();
    let settings = TokenStore {
        key: VaultKey::SecretService,
        ..TokenStore::default()
    };
    let vault = open(&settings, &environment).await;
    vault
        .write(&name("a"), "https://i", &secret("x"))
        .await
        .unwrap();
    let needed = making::needed(&desktop.state().join("vault"));
    assert_eq!(needed, Some(first.id));
}

#[tokio::test]
async fn a_locked_keyring_is_said_and_nobody_is_asked() {
    let mut desktop = Desktop::unlocked().await;
    let environment = desktop.environment();
    drop(open(&TokenStore::default(), &environment).await);
    desktop.end_keyring();
    desktop.keyring(None).await;
    let since = std::time::Instant::now();
    let error = Vault::open(&kind(StoreKind::Vault), &environment)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, VaultError::NoKey { why, .. } if why.contains("locked")),
        "{error}"
    );
    let error = Vault::open(&kind(StoreKind::Keyring), &environment)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("locked"), "{error}");
    let makeshift = open(&TokenStore::default(), &environment).await;
    assert!(
        makeshift.about().makeshift && makeshift.about().why.contains("locked"),
        "{}",
        makeshift.about()
    );
    assert!(since.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_bus_on_which_nobody_answers_is_no_secret_service() {
    let desktop = Desktop::bus();
    let error = Vault::open(&kind(StoreKind::Keyring), &desktop.environment())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("none answers on the session bus"),
        "{error}"
    );
}

#[tokio::test]
async fn a_bus_that_hangs_is_waited_for_in_bounds() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("bus");
    // It takes connections and says nothing.
    let _bus = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let environment: Environment = [("XDG_RUNTIME_DIR", scratch.path())].into_iter().collect();
    let error = Vault::open(&kind(StoreKind::Keyring), &environment)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("no answer within 3 s"),
        "{error}"
    );
}

#[tokio::test]
async fn records_are_kept_by_the_secret_service_itself() {
    let mut desktop = Desktop::unlocked().await;
    let environment = desktop.environment();
    let settings = kind(StoreKind::Keyring);
    let vault = open(&settings, &environment).await;
    assert_eq!(vault.about().kind, Kind::Keyring);
    vault
        .write(&name("a"), "https://i", &secret("first"))
        .await
        .unwrap();
    vault
        .write(&name("a"), "https://j", &secret("é"))
        .await
        .unwrap();
    vault
        .write(&name("b"), "https://i", &secret("second"))
        .await
        .unwrap();
    vault
        .write(&name("a"), "https://i", &secret(&"x".repeat(100_000)))
        .await
        .unwrap();
    vault
        .write(&name("a"), "https://i", &secret("third"))
        .await
        .unwrap();
    let mut found = records(&vault, "a").await;
    found.sort();
    let of = |issuer: &str, record: &str| (issuer.to_owned(), record.to_owned());
    assert_eq!(found, [of("https://i", "third"), of("https://j", "é")]);
    assert!(vault.remove(&name("a"), "https://i").await.unwrap());
    assert!(!vault.remove(&name("a"), "https://i").await.unwrap());
    drop(vault.lock(&name("a")).await.unwrap());

    desktop.end_keyring();
    vault.entries(&name("a")).await.unwrap_err();
    vault
        .write(&name("a"), "https://i", &secret("lost"))
        .await
        .unwrap_err();
    desktop.keyring(Some("a password")).await;
    assert_eq!(records(&vault, "a").await, [of("https://j", "é")]);
    assert_eq!(records(&vault, "b").await, [of("https://i", "second")]);
    // Nothing of it is in a file of mcpmux.
    assert!(!desktop.state().join("vault").exists());
}

#[tokio::test]
async fn of_many_that_want_a_key_at_once_one_makes_it() {
    let desktop = Desktop::unlocked().await;
    let environment = desktop.environment();
    let settings = TokenStore::default();
    let mut opening = JoinSet::new();
    for number in 0..6 {
        let (settings, environment) = (settings.clone(), environment.clone());
        opening.spawn(async move {
            let vault = open(&settings, &environment).await;
            let backend = name(&format!("b{number}"));
            vault
                .write(&backend, "https://i", &secret("x"))
                .await
                .unwrap();
        });
    }
    opening.join_all().await;
}
