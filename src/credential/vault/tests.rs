//! Which store is opened, and what each of them keeps.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{Entry, Kind, Vault, VaultError, folder::tests::on_disk, key::Key};
use crate::{
    Secret,
    config::{BackendName, Environment, StoreKind, TokenStore, VaultKey},
};

/// A user's directories; `/dev/shm` is in memory wherever there is a Linux.
pub(super) struct Home {
    disk: tempfile::TempDir,
    memory: tempfile::TempDir,
}

impl Home {
    pub(super) fn new() -> Self {
        Self {
            disk: tempfile::tempdir().unwrap(),
            memory: tempfile::tempdir_in("/dev/shm").unwrap(),
        }
    }

    pub(super) fn state(&self) -> PathBuf {
        self.disk.path().join("state/mcpmux")
    }

    fn runtime(&self) -> PathBuf {
        self.memory.path().join("mcpmux")
    }

    /// Without a key.
    fn environment(&self) -> Environment {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        [
            ("HOME", text(self.disk.path())),
            ("XDG_STATE_HOME", text(&self.disk.path().join("state"))),
            ("XDG_RUNTIME_DIR", text(self.memory.path())),
        ]
        .into_iter()
        .collect()
    }

    /// With a credential that holds `text`.
    fn with_credential(&self, text: &str) -> Environment {
        let folder = self.disk.path().join("credentials");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("mcpmux-vault-key"), text).unwrap();
        let more = [
            ("HOME", self.disk.path().to_owned()),
            ("XDG_STATE_HOME", self.disk.path().join("state")),
            ("XDG_RUNTIME_DIR", self.memory.path().to_owned()),
            ("CREDENTIALS_DIRECTORY", folder),
        ];
        more.into_iter().collect()
    }

    pub(super) fn config(&self) -> PathBuf {
        self.disk.path().join(".config/mcpmux")
    }

    /// As a service whose state systemd keeps in `state`.
    pub(super) fn as_service(&self, key: &Key, state: &Path) -> Environment {
        self.with_key(key);
        let more = [
            ("HOME", self.disk.path().to_owned()),
            ("STATE_DIRECTORY", state.to_owned()),
            (
                "CREDENTIALS_DIRECTORY",
                self.disk.path().join("credentials"),
            ),
        ];
        more.into_iter().collect()
    }

    pub(super) fn with_key(&self, key: &Key) -> Environment {
        self.with_credential(key.to_text().expose())
    }
}

pub(super) fn name(name: &str) -> BackendName {
    BackendName::new(name).unwrap()
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(super) fn kind(kind: StoreKind) -> TokenStore {
    TokenStore {
        kind,
        ..TokenStore::default()
    }
}

pub(super) async fn open(settings: &TokenStore, environment: &Environment) -> Vault {
    Vault::open(settings, environment).await.unwrap()
}

pub(super) async fn records(vault: &Vault, backend: &str) -> Vec<(String, String)> {
    let entries = vault.entries(&name(backend)).await.unwrap();
    let text = |Entry { issuer, record }: Entry| (issuer, record.expose().to_owned());
    entries.into_iter().map(text).collect()
}

pub(super) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn with_a_credential_the_vault_is_used_and_outlives_a_reboot() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    let vault = open(&TokenStore::default(), &home.with_key(&key)).await;
    assert_eq!(vault.about().kind, Kind::Vault);
    assert!(!vault.about().makeshift);
    assert!(
        vault.about().to_string().contains("credential"),
        "{}",
        vault.about()
    );
    vault
        .write(&name("a"), "https://i", &secret("first"))
        .await
        .unwrap();
    vault
        .write(&name("a"), "https://j", &secret("other"))
        .await
        .unwrap();
    vault
        .write(&name("b"), "https://i", &secret("second"))
        .await
        .unwrap();
    vault
        .write(&name("a"), "https://i", &secret("third"))
        .await
        .unwrap();

    let reboot = Home {
        disk: home.disk,
        memory: tempfile::tempdir_in("/dev/shm").unwrap(),
    };
    let again = open(&TokenStore::default(), &reboot.with_key(&key)).await;
    let of = |issuer: &str, record: &str| (issuer.to_owned(), record.to_owned());
    assert_eq!(
        records(&again, "a").await,
        [of("https://i", "third"), of("https://j", "other")]
    );
    assert!(again.remove(&name("a"), "https://i").await.unwrap());
    assert!(!again.remove(&name("a"), "https://i").await.unwrap());
    // Read anew each time: what another process does is seen.
    assert_eq!(records(&vault, "a").await, [of("https://j", "other")]);
    assert_eq!(records(&vault, "b").await, [of("https://i", "second")]);

    let file = reboot.state().join("vault");
    assert_eq!((mode(&file), mode(&reboot.state())), (0o600, 0o700));
    let bytes = fs::read(&file).unwrap();
    for text in ["second", "other", "https://"] {
        assert!(
            !bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes()),
            "{text}"
        );
    }
    assert!(!format!("{again:?}").contains("second"));
}

#[tokio::test]
async fn without_a_key_the_runtime_directory_is_used_and_why_is_said() {
    let home = Home::new();
    let vault = open(&TokenStore::default(), &home.environment()).await;
    assert_eq!(vault.about().kind, Kind::Runtime);
    assert!(vault.about().makeshift);
    let about = vault.about().to_string();
    for part in [
        "no key for a vault",
        "init-vault",
        "reboot",
        home.runtime().to_str().unwrap(),
    ] {
        assert!(about.contains(part), "{part} in {about}");
    }
    vault
        .write(&name("a"), "https://i", &secret("first"))
        .await
        .unwrap();
    let file = home.runtime().join("tokens");
    assert_eq!((mode(&file), mode(&home.runtime())), (0o1600, 0o700));
    let again = open(&kind(StoreKind::Runtime), &home.environment()).await;
    assert_eq!(records(&again, "a").await.len(), 1);
    assert!(!home.state().exists(), "nothing is on the disk");
}

#[tokio::test]
async fn without_any_place_it_is_memory_and_why_is_said() {
    let (home, disk) = (Home::new(), on_disk());
    let vault = open(&TokenStore::default(), &Environment::default()).await;
    assert_eq!(vault.about().kind, Kind::Memory);
    for environment in [
        Environment::default(),
        // A runtime directory that is on a disk.
        [("XDG_RUNTIME_DIR", disk.path())].into_iter().collect(),
    ] {
        let settings = TokenStore {
            path: Some(home.state().join("vault")),
            ..TokenStore::default()
        };
        let vault = open(&settings, &environment).await;
        assert_eq!(vault.about().kind, Kind::Memory);
        assert!(vault.about().makeshift);
        vault
            .write(&name("a"), "https://i", &secret("first"))
            .await
            .unwrap();
        assert_eq!(records(&vault, "a").await.len(), 1);
        assert!(vault.remove(&name("a"), "https://i").await.unwrap());
        let _lock = vault.lock(&name("a")).await.unwrap();
    }
}

#[tokio::test]
async fn switched_off_it_is_memory() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    let settings = TokenStore {
        enabled: false,
        ..kind(StoreKind::Vault)
    };
    let vault = open(&settings, &home.with_key(&key)).await;
    assert_eq!(vault.about().kind, Kind::Memory);
    assert!(!vault.about().makeshift);
}

#[tokio::test]
async fn what_is_named_and_cannot_be_had_is_an_error() {
    let home = Home::new();
    let by_key = |key| TokenStore {
        key,
        ..TokenStore::default()
    };
    for settings in [
        kind(StoreKind::Vault),
        by_key(VaultKey::Credential),
        by_key(VaultKey::SecretService),
        by_key(VaultKey::File),
    ] {
        let error = Vault::open(&settings, &home.environment())
            .await
            .unwrap_err();
        assert!(matches!(error, VaultError::NoKey { .. }), "{error}");
        assert!(error.to_string().contains("init-vault"), "{error}");
    }
    let nowhere = Environment::default();
    Vault::open(&kind(StoreKind::Runtime), &nowhere)
        .await
        .unwrap_err();
    Vault::open(&kind(StoreKind::Vault), &nowhere)
        .await
        .unwrap_err();
    Vault::open(&kind(StoreKind::Keyring), &nowhere)
        .await
        .unwrap_err();
    let disk = on_disk();
    let disk = [("RUNTIME_DIRECTORY", disk.path().join("r"))];
    let error = Vault::open(&kind(StoreKind::Runtime), &disk.into_iter().collect())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("on a disk"), "{error}");
}

#[tokio::test]
async fn a_credential_that_is_no_key_is_an_error_and_not_passed_over() {
    let home = Home::new();
    for text in ["", "s3cret", "AAAA"] {
        let environment = home.with_credential(text);
        let error = Vault::open(&TokenStore::default(), &environment)
            .await
            .unwrap_err();
        assert!(matches!(error, VaultError::BadKey { .. }), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_copied_vault_is_of_no_use_without_its_key_and_is_never_overwritten() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    let vault = open(&TokenStore::default(), &home.with_key(&key)).await;
    vault
        .write(&name("a"), "https://i", &secret("first"))
        .await
        .unwrap();

    let thief = Home::new();
    fs::create_dir_all(thief.state()).unwrap();
    fs::set_permissions(thief.state(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(home.state().join("vault"), thief.state().join("vault")).unwrap();
    let before = fs::read(thief.state().join("vault")).unwrap();
    let other = Key::generate().unwrap();
    let error = Vault::open(&TokenStore::default(), &thief.with_key(&other))
        .await
        .unwrap_err();
    assert!(matches!(error, VaultError::WrongKey { .. }), "{error}");
    let error = error.to_string();
    assert!(
        error.contains(&key.id().to_string()) && error.contains("move the file away"),
        "{error}"
    );

    // Without any key the vault is left alone as well, and that is said.
    let vault = open(&TokenStore::default(), &thief.environment()).await;
    assert_eq!(vault.about().kind, Kind::Runtime);
    assert!(
        vault.about().to_string().contains("is not used"),
        "{}",
        vault.about()
    );
    assert_eq!(fs::read(thief.state().join("vault")).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_vault_is_an_error_and_never_overwritten() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    let environment = home.with_key(&key);
    let vault = open(&TokenStore::default(), &environment).await;
    vault
        .write(&name("a"), "https://i", &secret("first"))
        .await
        .unwrap();
    let file = home.state().join("vault");
    let whole = fs::read(&file).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() - 20] ^= 1;
    for damaged in [&whole[..whole.len() - 1], &whole[..10], b"", &changed] {
        fs::write(&file, damaged).unwrap();
        for error in [
            Vault::open(&TokenStore::default(), &environment)
                .await
                .unwrap_err(),
            vault
                .write(&name("b"), "https://i", &secret("x"))
                .await
                .unwrap_err(),
            vault.entries(&name("a")).await.unwrap_err(),
        ] {
            assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
        }
        assert_eq!(fs::read(&file).unwrap(), damaged);
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(records(&vault, "a").await.len(), 1);
}

#[tokio::test]
async fn a_key_file_is_used_only_when_it_is_named_and_the_users_alone() {
    let (home, key) = (Home::new(), Key::generate().unwrap());
    let folder = home.disk.path().join(".config/mcpmux");
    let file = folder.join("vault.key");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&file, key.to_text().expose()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let unnamed = open(&TokenStore::default(), &home.environment()).await;
    assert_eq!(unnamed.about().kind, Kind::Runtime);
    let named = TokenStore {
        key: VaultKey::File,
        ..TokenStore::default()
    };
    let vault = open(&named, &home.environment()).await;
    assert_eq!(vault.about().kind, Kind::Vault);
    assert!(vault.about().why.contains("vault.key"), "{}", vault.about());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Vault::open(&named, &home.environment()).await.unwrap_err();
    assert!(error.to_string().contains("chmod go="), "{error}");
}
