//! The configuration as a whole: what a document gives, and what is said of a
//! wrong one.

use std::time::Duration;

use mcpmux::config::{
    Auth, Config, Directive, Environment, EraSetting, ListenTransport, Namespace, ProcessSetting,
    Sandbox, SandboxLevel, StoreKind, TokenStore, Transport, VaultKey,
};

fn environment() -> Environment {
    [
        ("HOME", "/home/me"),
        ("TOKEN", "s3cret"),
        ("BAD", "s3cret\nx"),
        ("URL", "s3cret"),
    ]
    .into_iter()
    .collect()
}

fn parse(text: &str) -> Config {
    match Config::parse(text, "m.yaml", &environment()) {
        Ok(config) => config,
        Err(error) => panic!("{error}"),
    }
}

/// The report, a line for each problem.
fn report(text: &str) -> Vec<String> {
    match Config::parse(text, "m.yaml", &environment()) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn a_token_store_is_what_it_says_or_an_error() {
    assert_eq!(parse("").token_store, TokenStore::default());
    for (text, part) in [
        ("kind: valut", "did you mean \"vault\"?"),
        (
            "kind: memory, path: /v",
            "token_store.path: has no meaning with `kind: memory`",
        ),
        (
            "kind: keyring, key: file",
            "token_store.key: has no meaning",
        ),
        ("path: vault", "token_store.path: must begin with"),
        (
            "key: file, key_file: key",
            "token_store.key_file: must begin with",
        ),
    ] {
        let report = report(&format!("token_store: {{ {text} }}")).concat();
        assert!(report.contains(part), "{text}: {report}");
    }
    let unused = parse("token_store: { key_file: /k }").warnings.concat();
    assert!(
        unused.contains("has no effect without `key: file`"),
        "{unused}"
    );
}

#[test]
fn an_idle_mcpmux_does_not_end_before_its_socket_can_stand_it() {
    let error = Config::parse(
        "listen: { idle_exit: 900ms }",
        "m.yaml",
        &Environment::default(),
    );
    let error = error.expect_err("too short").to_string();
    assert!(
        error.contains("listen.idle_exit: must be at least 1s"),
        "{error}"
    );
}

#[test]
fn an_empty_document_has_the_defaults() {
    let config = parse("");
    assert_eq!(config.listen.transport, ListenTransport::Http);
    assert_eq!(config.listen.address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listen.path, "/mcp");
    assert_eq!(config.listen.max_body, 4 << 20);
    assert_eq!(config.listen.idle_exit, None);
    assert!(config.connect_retry.enabled);
    assert_eq!(config.connect_retry.max_delay, Duration::from_secs(900));
    assert_eq!(
        config.warnings,
        ["`backends` is empty: there are no tools to offer"]
    );
}

#[test]
fn every_key_in_effect_reaches_the_settings() {
    let config = parse(
        r#"
listen:
  transport: stdio
  address: "[::1]:9"
  path: /x
  socket: ~/s.sock
  allowed_hosts: [mcp.example.com]
  allowed_origins: [https://app.example.com]
  max_body: 1MiB
  idle_exit: 10m
connect_retry: { enabled: no, max_delay: 90, attempt_timeout: 1m30s }
token_store: { kind: vault, key: file, path: ~/t/vault, key_file: /k }
backends:
  - name: files
    description: Files
    transport: command
    command: [npx, -y, ~/data, 1.0]
    env: { TOKEN: "${TOKEN}", COUNT: 3, NONE: }
    inherit_env: true
    cwd: ~
    enabled: false
    namespace: none
    era: modern
    timeout: 2h
    max_message: 1MB
  - name: web
    transport: http
    endpoint: https://example.com/mcp
    headers: { X-Team: a }
    auth: { type: command, command: [helper], ttl: 10m }
"#,
    );
    assert_eq!(config.warnings, [""; 0]);
    assert_eq!(config.listen.transport, ListenTransport::Stdio);
    assert_eq!(
        config.listen.socket.as_deref(),
        Some("/home/me/s.sock".as_ref())
    );
    assert_eq!(config.listen.max_body, 1 << 20);
    assert_eq!(config.listen.idle_exit, Some(Duration::from_secs(600)));
    assert!(!config.connect_retry.enabled);
    assert_eq!(
        config.connect_retry.max_delay,
        config.connect_retry.attempt_timeout
    );

    assert_eq!(
        config.token_store,
        TokenStore {
            enabled: true,
            kind: StoreKind::Vault,
            key: VaultKey::File,
            path: Some("/home/me/t/vault".into()),
            key_file: Some("/k".into()),
        }
    );

    let files = &config.backends[0];
    assert!(!files.enabled);
    assert_eq!(
        (files.namespace, files.era),
        (Namespace::None, EraSetting::Modern)
    );
    assert_eq!(files.timeout, Duration::from_secs(7200));
    assert_eq!(
        files.max_timeout, files.timeout,
        "never shorter than the deadline"
    );
    assert_eq!(files.max_message, 1_000_000);
    let Ok(Transport::Command(command)) = &files.transport else {
        panic!("{files:?}")
    };
    assert_eq!(command.argv, ["npx", "-y", "/home/me/data", "1.0"]);
    assert_eq!(command.cwd.as_deref(), Some("/home/me".as_ref()));
    let env: Vec<_> = command
        .env
        .iter()
        .map(|(name, v)| (name.as_str(), v.expose()))
        .collect();
    assert_eq!(env, [("COUNT", "3"), ("NONE", ""), ("TOKEN", "s3cret")]);

    let Ok(Transport::Http(http)) = &config.backends[1].transport else {
        panic!("no http")
    };
    assert_eq!(http.headers[0].0, "x-team");
    let Auth::Command { argv, ttl } = &http.auth else {
        panic!("no command")
    };
    assert_eq!((argv.len(), *ttl), (1, Duration::from_secs(600)));
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn all_errors_of_a_file_stand_in_one_report() {
    let text = "\
listen:
  adress: 127.0.0.1:8080
  transport: htp
  path: mcp
  max_body: lots
conect_retry: {}
backends:
  - name: a__b
    transport: command
    comand: [x]
    timeout: 5 minutes
  - name: web
    transport: http
    endpoint: example.com
    token: x
    command: [x]
  - name: web
    transport: http
    endpoint: https://example.com
    auth: { type: barer }
  - transport: command
    command: x
  - name: none
    enabled: maybe
  - name: one
    name: two
    transport: http
    endpoint: https://example.com
    auth:
      type: header
      token: x
  - 7
";
    let expected = "\
m.yaml:2:3: listen.adress: is not a known key; did you mean \"address\"?
m.yaml:3:14: listen.transport: \"htp\" is none of http, stdio; did you mean \"http\"?
m.yaml:4:9: listen.path: \"mcp\" must start with \"/\"
m.yaml:5:13: listen.max_body: \"lots\" is not a size, such as 4MiB, 16MB or a number of bytes
m.yaml:6:1: conect_retry: is not a known key; did you mean \"connect_retry\"?
m.yaml:8:11: backends[0].name: \"a__b\" must neither contain \"__\", which separates a backend's name from a tool's, nor end with '_'
m.yaml:10:5: backends[0].comand: is not a known key; did you mean \"command\"?
m.yaml:11:14: backends[0].timeout: \"5 minutes\" is not a duration, such as 250ms, 15m, 1h30m or a number of seconds
m.yaml:14:15: backends[1].endpoint: is not an absolute http(s) URL, such as https://example.com/mcp: relative URL without a base
m.yaml:15:5: backends[1].token: is not a known key; did you mean \"auth.token\"?
m.yaml:16:5: backends[1].command: has no meaning with `transport: http`
m.yaml:17:11: backends[2].name: is the name of another backend already (m.yaml:12)
m.yaml:20:19: backends[2].auth.type: \"barer\" is none of none, bearer, header, command, oauth; did you mean \"bearer\"?
m.yaml:21:5: backends[3].name: is missing
m.yaml:22:14: backends[3].command: must be a list, such as [a, b], is a single value
m.yaml:23:5: backends[4].transport: is missing
m.yaml:24:14: backends[4].enabled: must be true or false (without quotes)
m.yaml:26:5: the key \"name\" stands here a second time, first on line 25
m.yaml:30:7: backends[5].auth.header: is missing, which `type: header` needs
m.yaml:30:7: backends[5].auth.value: is missing, which `type: header` needs
m.yaml:31:7: backends[5].auth.token: has no meaning with `type: header`
m.yaml:32:5: backends[6]: must be a mapping, is a single value";
    assert_eq!(report(text).join("\n"), expected);
}

#[test]
fn broken_yaml_is_told_with_its_place() {
    for (text, start) in [
        ("a: [", "m.yaml:"),
        ("listen:\n\tpath: /x\n", "m.yaml:2:"),
        ("[]", "m.yaml:1:1: must be a mapping"),
        ("x", "m.yaml:1:1: must be a mapping"),
        ("{}\n---\n{}\n", "m.yaml:2:"),
    ] {
        let report = report(text);
        assert!(
            report.len() == 1 && report[0].starts_with(start),
            "{text:?}: {report:?}"
        );
    }
}

#[test]
fn what_the_environment_lacks_makes_one_backend_unavailable() {
    let config = parse(
        "
backends:
  - name: a
    transport: command
    command: [x, \"${MISSING}\"]
    env: { A: \"${ALSO_MISSING}\", B: \"${cred:b}\" }
  - name: b
    transport: http
    endpoint: https://example.com
    auth: { type: bearer, token: \"${BAD}\" }
  - name: c
    transport: http
    endpoint: \"${URL}\"
  - name: d
    transport: \"${MISSING}\"
    command: [x]
  - name: e
    transport: command
    command: [x]
    timeout: ${MISSING:-30}
",
    );
    let said: Vec<_> = config
        .backends
        .iter()
        .map(|backend| {
            backend
                .transport
                .as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default()
        })
        .collect();
    assert!(said[0].starts_with("backends[0].command[1]: environment variable MISSING is not set; backends[0].env.A: environment variable ALSO_MISSING is not set; backends[0].env.B: credential \"b\""), "{}", said[0]);
    assert!(
        said[1].starts_with("backends[1].auth.token: once expanded, it holds a character"),
        "{}",
        said[1]
    );
    assert!(
        said[2].starts_with("backends[2].endpoint: once expanded, it is not an absolute"),
        "{}",
        said[2]
    );
    assert_eq!(
        said[3],
        "backends[3].transport: environment variable MISSING is not set"
    );
    assert_eq!(said[4], "");
    assert!(said.iter().all(|text| !text.contains("s3cret")));
}

#[test]
fn what_is_not_a_backends_alone_must_be_there() {
    assert_eq!(
        report(
            "listen: { address: \"${ADDRESS}\" }\nbackends: [{ name: \"${NAME}\", transport: http, endpoint: 'http://a' }]"
        ),
        [
            "m.yaml:1:20: listen.address: environment variable ADDRESS is not set",
            "m.yaml:2:20: backends[0].name: environment variable NAME is not set",
        ]
    );
    let report = report("listen: { address: \"${TOKEN}\" }");
    assert!(!report[0].contains("s3cret"), "{report:?}");
}

#[test]
fn a_malformed_reference_is_an_error_of_the_document() {
    let text = "backends: [{ name: a, transport: command, command: [\"${X\", \"${cred:../x}\"] }]";
    let report = report(text);
    assert_eq!(report.len(), 2);
    assert!(
        report[0].contains("backends[0].command[0]: \"${\" is never closed"),
        "{report:?}"
    );
}

#[test]
fn a_secret_that_cannot_be_sent_is_not_shown() {
    let text = "backends: [{ name: a, transport: http, endpoint: 'https://me:s3cret@a', auth: { type: bearer, token: \"s3cret\\n\" } }]";
    let report = report(text);
    assert_eq!(report.len(), 2);
    assert!(!report.concat().contains("s3cret"), "{report:?}");
}

#[test]
fn a_key_not_yet_in_effect_is_warned_about_once_by_name() {
    let config = parse(
        "
token_store: { enabled: true }
backends:
  - &a
    name: a
    transport: http
    endpoint: https://example.com
    auth: { type: oauth, scopes: [], client_name: mcpmux, callback_port: 7777 }
    session: shared
    start: lazy
    tools: { allow: ['a'] }
  - { <<: *a, name: b }
",
    );
    assert_eq!(config.warnings, [""; 0]);
    assert!(
        matches!(&config.backends[1].transport, Ok(Transport::Http(http)) if matches!(http.auth, Auth::OAuth(_)))
    );
}

#[test]
fn a_bare_variable_is_warned_about() {
    let config = parse(
        "backends: [{ name: a, transport: http, endpoint: 'https://a', auth: { type: bearer, token: $TOKEN } }]",
    );
    assert_eq!(
        config.warnings,
        [
            "`backends[0].auth.token` is taken as it stands, \"$\" and all; a variable is written ${…}"
        ]
    );
}

#[test]
fn a_sandbox_is_a_level_or_directives_and_limits_are_numbers() {
    let config = parse(
        "
process: unit
backends:
  - name: a
    transport: command
    command: [a]
    sandbox: strict
    limits: { memory: 1MiB, tasks: 7, cpu: 12.5% }
  - { name: b, transport: command, command: [b], sandbox: { PrivateTmp: yes, ReadWritePaths: [/a] } }
  - { name: c, transport: command, command: [c] }
",
    );
    let command = |index: usize| match &config.backends[index].transport {
        Ok(Transport::Command(command)) => command.clone(),
        other => panic!("{other:?}"),
    };
    let (a, b, c) = (command(0), command(1), command(2));
    assert_eq!(a.process, ProcessSetting::Unit);
    assert_eq!(a.sandbox, Some(Sandbox::at(SandboxLevel::Strict)));
    let limits = (a.limits.memory, a.limits.tasks, a.limits.cpu);
    assert_eq!(limits, (Some(1 << 20), Some(7), Some(125_000)));
    let sandbox = b.sandbox.expect("a sandbox");
    assert_eq!(sandbox.level, SandboxLevel::Basic);
    assert_eq!(sandbox.directives["PrivateTmp"], Directive::Flag(true));
    let paths = Directive::List(vec!["/a".to_owned()]);
    assert_eq!(sandbox.directives["ReadWritePaths"], paths);
    assert_eq!(sandbox.directives.len(), 2);
    assert_eq!(c.sandbox, None);
    assert!(c.limits.is_empty());
}

#[test]
fn a_sandbox_that_is_none_is_refused_by_name() {
    for (sandbox, words) in [
        ("strct", "is none of off, basic, strict"),
        ("{ PrivateTemp: yes }", "PrivateTmp"),
        ("{ level: high }", "is none of off, basic, strict"),
        ("{ PrivateTmp: maybe }", "must be true or false"),
        ("[strict]", "must be"),
    ] {
        let text = format!(
            "backends: [{{ name: a, transport: command, command: [a], sandbox: {sandbox} }}]"
        );
        let report = report(&text).concat();
        assert!(report.contains(words), "{sandbox}: {report}");
    }
    let http = "backends: [{ name: a, transport: http, endpoint: 'https://a', sandbox: strict }]";
    assert!(report(http).concat().contains("has no meaning"));
}
