//! Where tokens are kept by a service, and that its memory is its own.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo},
    session::{Session, eventually},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_credential_of_init_vault_opens_the_vault_after_each_restart",
        a_credential_opens_the_vault,
    ),
    (
        "an_encrypted_credential_opens_the_vault_of_a_user",
        an_encrypted_credential,
    ),
    (
        "without_a_key_tokens_are_kept_in_the_runtime_directory_and_that_is_said",
        without_a_key,
    ),
    (
        "the_memory_of_mcpmux_is_its_own_and_that_of_backends_their_users",
        memory_is_its_own,
    ),
];

/// Something to log in to, which makes tokens worth keeping.
const LOGIN: &str = "  - name: login\n    transport: http\n    \
                     endpoint: http://127.0.0.1:9/mcp\n    auth: { type: oauth }\n";

/// What the service that runs now said that begins so, with its priority.
fn said(session: &Session, start: &str) -> (String, String) {
    let process = format!("_PID={}", session.main_pid());
    let mut found = None;
    let there = eventually(Duration::from_secs(15), || {
        let entries = session.journal(&[&process]);
        found = entries.into_iter().find_map(|entry| {
            let message = entry["MESSAGE"].as_str()?.to_owned();
            let priority = entry["PRIORITY"].as_str()?.to_owned();
            message.starts_with(start).then_some((message, priority))
        });
        found.is_some()
    });
    assert!(there, "{start:?} is not in\n{}", session.log());
    found.unwrap()
}

/// Makes the key as `arguments` say; what is said of it.
fn init_vault(session: &Session, setup: &Setup<'_>, arguments: &[&str]) -> String {
    let made = session
        .command(setup.path(".local/bin/mcpmux").to_str().unwrap())
        .args(["auth", "init-vault"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    session.systemctl(&["daemon-reload"]);
    String::from_utf8(made.stdout).unwrap()
}

/// Starts the service, whose credential is the key; where the vault is, in its words.
fn opens(session: &Session, setup: &Setup<'_>) -> String {
    setup.listen();
    let echoed = Client::shipped().echo("demo", "hello");
    assert_eq!(echoed.as_deref(), Ok("hello"), "{}", session.log());
    let (line, priority) = said(session, "tokens are kept in vault ");
    assert!(
        line.contains("systemd credential mcpmux-vault-key"),
        "{line}"
    );
    assert_eq!(priority, "6", "{line}");
    line
}

fn vault_of(line: &str) -> &Path {
    let place = line["tokens are kept in vault ".len()..].split(": ").next();
    Path::new(place.unwrap())
}

fn an_encrypted_credential(session: &Session) {
    let version = session.version();
    if version < 258 {
        println!("NOT SHOWN here: users' managers of systemd {version} decrypt no credentials");
        return;
    }
    let setup = Setup::new(session, &(demo("demo", "") + LOGIN));
    let said = init_vault(session, &setup, &[]);
    let file = setup.path(".config/mcpmux/vault-key.cred");
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    let drop_in = session.systemctl(&["cat", "mcpmux.service"]);
    assert!(
        drop_in.contains("\nLoadCredentialEncrypted=mcpmux-vault-key:"),
        "{drop_in}"
    );
    // It is of no use to who has not the machine's key.
    let text = fs::read_to_string(&file).unwrap();
    let line = opens(session, &setup);
    let handed = session
        .runtime
        .join("credentials/mcpmux.service/mcpmux-vault-key");
    let key = fs::read_to_string(handed).unwrap();
    assert!(!key.trim_end().is_empty() && !text.contains(key.trim_end()));
    session.systemctl(&["restart", "mcpmux.service"]);
    assert_eq!(opens(session, &setup), line);
}

fn a_credential_opens_the_vault(session: &Session) {
    let setup = Setup::new(session, &(demo("demo", "") + LOGIN));
    setup.write("scratch/there", "");
    // systemd reads specifiers in paths.
    let key = setup.path("scratch/my-key,100%h/vault.key");
    init_vault(session, &setup, &["--key-file", key.to_str().unwrap()]);
    let line = opens(session, &setup);
    let vault = vault_of(&line);
    assert!(vault.starts_with(&session.home), "{line}");
    let folder = fs::metadata(vault.parent().unwrap()).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    let text = fs::read_to_string(&key).unwrap();
    assert!(!session.log().contains(text.trim_end()));

    // The key is there after a restart as well, and is tried on what is there.
    let foreign = vault.strip_prefix(&session.home).unwrap().to_str().unwrap();
    setup.write(foreign, "mcpmux-vault 1 0123456789abcdef\n and so on");
    session.systemctl(&["restart", "mcpmux.service"]);
    Client::shipped().assert_echo("demo");
    let (line, priority) = said(session, "the vault ");
    assert!(line.contains("another key (0123456789abcdef)"), "{line}");
    assert_eq!(priority, "3", "{line}");
    fs::remove_file(vault).unwrap();
    session.systemctl(&["restart", "mcpmux.service"]);
    Client::shipped().assert_echo("demo");
    said(session, "tokens are kept in vault ");
}

fn without_a_key(session: &Session) {
    let setup = Setup::new(session, &(demo("demo", "") + LOGIN));
    setup.listen();
    Client::shipped().assert_echo("demo");
    let place = session.runtime.join("mcpmux/tokens");
    let start = format!("tokens are kept in runtime {}: ", place.display());
    let (line, priority) = said(session, &start);
    assert!(line.contains("no key for a vault can be had"), "{line}");
    assert!(line.contains("mcpmux auth init-vault"), "{line}");
    assert_eq!(priority, "4", "{line}");
}

fn memory_is_its_own(session: &Session) {
    let setup = Setup::new(session, &demo("demo", ""));
    setup.listen();
    Client::shipped().assert_echo("demo");
    assert_eq!(session.property("mcpmux.service", "LimitCORE"), "0");
    let main = session.main_pid();
    let owner = |pid: u32| fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
    assert_eq!(owner(main), 0, "its memory can be read");
    let backend = session.property("mcpmux-backend-demo.service", "MainPID");
    assert_eq!(owner(backend.parse().unwrap()), session.uid);
    // Its user cannot look into it, by whatever program.
    if session.uid != 0 {
        let look = session
            .command("cat")
            .arg(format!("/proc/{main}/environ"))
            .output()
            .unwrap();
        assert!(!look.status.success(), "{look:?}");
    }
}
