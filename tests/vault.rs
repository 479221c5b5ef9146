//! `mcpmux auth init-vault` as a user meets it: what it makes, what it says,
//! and what it leaves alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A user's home, in which mcpmux is run.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn configured(yaml: &str) -> Self {
        let home = Self::new();
        fs::create_dir_all(home.path(".config/mcpmux")).unwrap();
        fs::write(home.path(".config/mcpmux/config.yaml"), yaml).unwrap();
        home
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcpmux"));
        command
            .args(["auth", "init-vault"])
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Told {
        Told::of(&self.command(arguments).output().unwrap())
    }

    /// All files below the home that are not the configuration, by path.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("config.yaml") {
                    let path = path.strip_prefix(self.0.path()).unwrap();
                    files.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        files.sort();
        files
    }
}

/// What mcpmux said and how it ended.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Told {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const DROP_IN: &str = ".config/systemd/user/mcpmux.service.d/vault.conf";

#[test]
fn a_key_file_is_made_once_and_systemd_is_told_of_it() {
    let home = Home::new();
    let told = home.run(&["--key-file", "keys/mcpmux.key"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let key = home.path("keys/mcpmux.key");
    assert_eq!(mode(&key), 0o600);
    let drop_in = fs::read_to_string(home.path(DROP_IN)).unwrap();
    let line = format!("LoadCredential=mcpmux-vault-key:{}\n", key.display());
    assert!(drop_in.contains(&format!("[Service]\n{line}")), "{drop_in}");
    assert!(
        told.out.contains("systemctl --user daemon-reload"),
        "{told:?}"
    );
    // Who has the one disk has both.
    assert!(told.err.contains("same file system"), "{told:?}");

    let text = fs::read_to_string(&key).unwrap();
    assert_eq!(text.trim_end().len(), 44);
    assert!(!format!("{told:?}").contains(text.trim_end()));
    let again = home.run(&["--key-file", "keys/mcpmux.key"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.out.contains("kept as it was"), "{again:?}");
    assert_eq!(fs::read_to_string(&key).unwrap(), text);
    assert_eq!(home.files(), [DROP_IN, "keys/mcpmux.key"]);
}

#[test]
fn what_would_be_done_is_printed_and_not_done() {
    let home = Home::new();
    for means in [
        &["--key-file", "/mnt/key"][..],
        &["--secret-service"],
        &["--file"],
    ] {
        let told = home.run(&[means, &["--print"]].concat());
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.out.starts_with("would make the key: "), "{told:?}");
    }
    let told = home.run(&["--key-file", "/mnt/key", "--print"]);
    assert!(
        told.out
            .contains("LoadCredential=mcpmux-vault-key:/mnt/key"),
        "{told:?}"
    );
    assert_eq!(home.files(), [""; 0]);
}

#[test]
fn without_a_manager_that_takes_encrypted_credentials_one_must_choose() {
    let home = Home::new();
    let told = home
        .command(&[])
        .env("PATH", "/nothing/here")
        .output()
        .map(|output| Told::of(&output))
        .unwrap();
    assert_eq!(told.code, Some(64), "{told:?}");
    for option in ["--key-file", "--secret-service", "--file"] {
        assert!(told.err.contains(option), "{told:?}");
    }
    assert_eq!(home.files(), [""; 0]);
}

#[test]
fn two_places_for_one_key_are_wrong_usage() {
    let told = Home::new().run(&["--file", "--secret-service"]);
    assert_eq!(told.code, Some(64), "{told:?}");
}

#[test]
fn a_key_that_mcpmux_reads_itself_is_to_be_named_in_the_configuration() {
    let home = Home::configured("backends: []\n");
    let told = home.run(&["--file"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.err.contains("token_store: { key: file }"), "{told:?}");
    assert_eq!(home.files(), [".config/mcpmux/vault.key"]);

    let home = Home::configured("token_store: { key: file, key_file: ~/k/key }\nbackends: []\n");
    let told = home.run(&["--file"]);
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
    assert_eq!(home.files(), ["k/key"]);
    assert_eq!(mode(&home.path("k/key")), 0o600);
}

#[test]
fn a_configuration_that_asks_for_no_vault_is_spoken_of() {
    let home = Home::configured("token_store: { kind: memory }\nbackends: []\n");
    let told = home.run(&["--key-file", "key", "--print"]);
    assert!(told.err.contains("asks for no vault"), "{told:?}");
    let wrong = Home::configured("token_store: { kind: valut }\n");
    let told = wrong.run(&["--file"]);
    assert_eq!(told.code, Some(78), "{told:?}");
    assert!(told.err.contains("vault"), "{told:?}");
}

#[test]
fn a_vault_that_is_there_keeps_its_key() {
    for place in [".local/state/mcpmux/vault", ".config/mcpmux/vault"] {
        let home = Home::new();
        let vault = home.path(place);
        fs::create_dir_all(vault.parent().unwrap()).unwrap();
        fs::set_permissions(vault.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(&vault, "mcpmux-vault 1 0123456789abcdef\n...").unwrap();
        fs::set_permissions(&vault, fs::Permissions::from_mode(0o600)).unwrap();
        for means in [&["--key-file", "key"][..], &["--file"]] {
            let told = home.run(means);
            assert_eq!(told.code, Some(1), "{told:?}");
            assert!(told.err.contains("move it away"), "{told:?}");
        }
        assert_eq!(home.files(), [place]);
        // Nor is another key taken for it.
        let aside = Home::new();
        aside.run(&["--key-file", "key"]);
        fs::copy(aside.path("key"), home.path("key")).unwrap();
        let told = home.run(&["--key-file", "key"]);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.err.contains("0123456789abcdef"), "{told:?}");
    }
}

#[test]
fn what_is_no_key_is_not_overwritten() {
    let home = Home::new();
    fs::write(home.path("key"), "something dear").unwrap();
    fs::set_permissions(home.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let told = home.run(&["--key-file", "key"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(!told.err.contains("dear"), "{told:?}");
    assert_eq!(home.files(), ["key"]);
}

#[test]
fn a_secret_service_that_is_not_there_is_said() {
    let told = Home::new().run(&["--secret-service"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("Secret Service"), "{told:?}");
}

/// The key as it goes to systemd-creds: through its stdin, never as an argument.
#[test]
fn an_encrypted_credential_is_made_where_the_manager_takes_one() {
    let home = Home::new();
    let bin = home.path("bin");
    fs::create_dir(&bin).unwrap();
    let script = |name: &str, text: &str| {
        fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("systemctl", "echo 258.4-1");
    let creds = "case $1 in --version) echo 'systemd 258 (258.4-1)';; *) \
                 echo \"$*\" > \"$HOME/arguments\"; for last; do :; done; cat > \"$last\";; esac";
    script("systemd-creds", creds);
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let run = || {
        let output = home.command(&[]).env("PATH", &path).output().unwrap();
        Told::of(&output)
    };
    let told = run();
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
    let file = home.path(".config/mcpmux/vault-key.cred");
    let key = fs::read_to_string(&file).unwrap();
    let arguments = fs::read_to_string(home.path("arguments")).unwrap();
    let expected = format!(
        "encrypt --user --name=mcpmux-vault-key - {}\n",
        file.display()
    );
    assert_eq!(arguments, expected);
    assert_eq!(key.len(), 44);
    assert!(!format!("{told:?}").contains(&key));
    let drop_in = fs::read_to_string(home.path(DROP_IN)).unwrap();
    assert!(
        drop_in.contains("LoadCredentialEncrypted=mcpmux-vault-key:/"),
        "{drop_in}"
    );
    let again = run();
    assert!(again.out.contains("kept as it was"), "{again:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), key);

    fs::remove_file(&file).unwrap();
    script(
        "systemd-creds",
        "[ $1 = --version ] && echo 'systemd 258' || { echo no TPM >&2; exit 1; }",
    );
    let told = run();
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("no TPM"), "{told:?}");
}
