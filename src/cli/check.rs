//! `mcpmux check`: reads the configuration and says what is wrong with it;
//! asked to, it starts the backends and says what clients would not see as is.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use super::{exit, quieter, start_log, survey};
use crate::{
    config::{self, BackendSettings, Config, Namespace},
    credential::Logins,
    mux::{Misfit, Mux, Shortened},
    protocol::name,
    systemd::LogOptions,
};

/// A backend whose own name leaves less than this for its tools' is warned of.
const ROOM: usize = 16;

const EXAMPLES: &str = "\
Examples:
  mcpmux check                     the configuration that `mcpmux serve` would take
  mcpmux check -c mcpmux.yaml      that of one file
  mcpmux check --connect           and are the backends reached, do their tools' names fit?
  mcpmux check --schema > mcpmux.schema.json
                                   for an editor: put this line at the file's top
                                   # yaml-language-server: $schema=mcpmux.schema.json

Exit status: 0 if it is right, 78 if it is wrong or missing, 1 if --connect does
not reach every backend.";

/// Check the configuration
///
/// Tells everything that is wrong with it, by file, line, column and key; and
/// if it is right, what else is worth knowing: keys that have no effect yet,
/// and backends that cannot be used because a variable or a credential is not
/// set here.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// Print the JSON Schema of the configuration instead
    #[arg(long)]
    pub schema: bool,
    /// Start every backend as well, and tell which are not reached, which tools
    /// get another name because theirs is too long for clients, and which of
    /// `tools.rename` and `tools.describe` fit no tool
    #[arg(long, conflicts_with = "schema")]
    pub connect: bool,
}

/// Runs the verb on the file `config`, or on the one that the search finds.
pub(super) fn run(args: &CheckArgs, config: Option<&Path>, log: LogOptions) -> ExitCode {
    if args.schema {
        return print(&format!("{:#}\n", config::schema()));
    }
    match Config::load(config) {
        Ok(config) => {
            let printed = print(&report(&config));
            if !args.connect {
                return printed;
            }
            let _log = match start_log(&quieter(log, "error")) {
                Ok(log) => log,
                Err(code) => return code,
            };
            survey::run(connect(survey::once(config)))
        }
        Err(error) => {
            // Where nobody reads what is wrong, the status still says it.
            let _ = writeln!(io::stderr(), "{error}");
            exit::CONFIG.into()
        }
    }
}

/// What there is to say of a configuration that is right, by lines: a summary,
/// the warnings, and the backends that cannot be used.
fn report(config: &Config) -> String {
    let path = config.path.as_deref().unwrap_or(Path::new("-"));
    let enabled = config
        .backends
        .iter()
        .filter(|backend| backend.enabled)
        .count();
    let count = config.backends.len();
    let plural = if count == 1 { "" } else { "s" };
    let mut lines = vec![format!(
        "{}: ok, {count} backend{plural} ({enabled} enabled)",
        path.display()
    )];
    lines.extend(
        config
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    lines.extend(config.backends.iter().filter_map(unavailable));
    lines.extend(config.backends.iter().filter_map(little_room));
    lines.extend(missing_credentials(config));
    lines.join("\n") + "\n"
}

/// Why an enabled backend cannot be used, if that is known already.
fn unavailable(backend: &BackendSettings) -> Option<String> {
    let unresolved = backend
        .transport
        .as_ref()
        .err()
        .filter(|_| backend.enabled)?;
    Some(format!("unavailable: {}: {unresolved}", backend.name))
}

/// The credentials that systemd is to hand over and has not, each with who needs
/// it, and what would do that.
fn missing_credentials(config: &Config) -> Vec<String> {
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for backend in config.backends.iter().filter(|backend| backend.enabled) {
        let unresolved = backend.transport.as_ref().err();
        for name in unresolved.iter().flat_map(|lack| &lack.credentials) {
            let needed_by = missing.entry(name).or_default();
            needed_by.insert(backend.name.as_str());
        }
    }
    if missing.is_empty() {
        return Vec::new();
    }
    let needed = missing.iter().map(|(name, backends)| {
        let backends: Vec<_> = backends.iter().copied().collect();
        format!(
            "missing here: credential {name}, for {}",
            backends.join(", ")
        )
    });
    let hint = "the service has them if its unit says so (systemctl --user edit mcpmux.service), \
                each from a file with mode 0600:\n    [Service]";
    let options = missing
        .keys()
        .map(|name| format!("    LoadCredential={name}:%h/.config/mcpmux/credentials/{name}"));
    needed.chain([hint.to_owned()]).chain(options).collect()
}

/// A backend's name so long that most of its tools' names will not fit.
fn little_room(backend: &BackendSettings) -> Option<String> {
    let prefix = backend.name.as_str().len() + name::SEPARATOR.len();
    let room = name::MAX.saturating_sub(prefix);
    let prefixed = backend.enabled && backend.namespace == Namespace::Prefix;
    (prefixed && room < ROOM).then(|| {
        format!(
            "warning: {}: the name leaves {room} characters for its tools' names, longer ones are shortened",
            backend.name
        )
    })
}

/// Starts the backends; tells what became of them and of their tools' names.
async fn connect(config: Config) -> ExitCode {
    let mux = Mux::start(&config, &Logins::unattended(&config));
    let waited = survey::wait(&mux).await;
    let failed = survey::report_failures(&mux, None);
    let mut lines = Vec::new();
    for Shortened { kind, full, short } in mux.shortened() {
        lines.push(format!(
            "warning: the {kind} name {full} is too long for clients and is shown as {short}"
        ));
    }
    for Misfit { backend, what } in mux.misfits() {
        lines.push(format!("warning: {backend}: {what}"));
    }
    let all = mux.backends();
    let up = all
        .iter()
        .filter(|backend| survey::reason(backend).is_none());
    let tools: usize = up.map(|backend| backend.inventory().tools.len()).sum();
    lines.push(format!(
        "{}/{} backends up, {tools} tools",
        all.len() - failed,
        all.len()
    ));
    mux.stop().await;
    let printed = print(&(lines.join("\n") + "\n"));
    if waited && failed == 0 {
        printed
    } else {
        ExitCode::FAILURE
    }
}

/// Prints `text`; a reader that has gone away has seen enough.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "mcpmux: cannot print: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, report};
    use crate::config::Environment;

    #[test]
    fn the_report_has_a_summary_the_warnings_and_what_is_unavailable() {
        let text = "
token_store: { key_file: /k }
backends:
  - { name: a, transport: command, command: [x] }
  - { name: b, transport: http, endpoint: 'https://b', auth: { type: bearer, token: '${T}' } }
  - { name: c, transport: http, endpoint: '${U}', enabled: false }
";
        let mut config = Config::parse(text, "m.yaml", &Environment::default()).expect("right");
        config.path = Some("m.yaml".into());
        assert_eq!(
            report(&config),
            "m.yaml: ok, 3 backends (2 enabled)\n\
             warning: `token_store.key_file` has no effect without `key: file`\n\
             unavailable: b: backends[1].auth.token: environment variable T is not set\n"
        );
    }

    #[test]
    fn every_credential_that_is_missing_is_named_with_what_to_add_to_the_unit() {
        let text = "
backends:
  - name: a
    transport: command
    command: [x]
    env: { ONE: '${cred:one}', TWO: 'x ${cred:two} ${cred:three}', THREE: '${cred:there}' }
  - { name: b, transport: http, endpoint: 'https://b', auth: { type: bearer, token: '${cred:one}' } }
  - { name: c, transport: http, endpoint: 'https://b', headers: { X: '${cred:off}' }, enabled: false }
";
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("there"), "x").expect("a credential");
        let environment: Environment = [("CREDENTIALS_DIRECTORY", directory.path())]
            .into_iter()
            .collect();
        let config = Config::parse(text, "m.yaml", &environment).expect("right");
        let report = report(&config);
        let (_, missing) = report.split_once("missing here").expect("what is missing");
        assert_eq!(
            format!("missing here{missing}"),
            "missing here: credential one, for a, b\n\
             missing here: credential three, for a\n\
             missing here: credential two, for a\n\
             the service has them if its unit says so (systemctl --user edit mcpmux.service), \
             each from a file with mode 0600:\n    [Service]\n    \
             LoadCredential=one:%h/.config/mcpmux/credentials/one\n    \
             LoadCredential=three:%h/.config/mcpmux/credentials/three\n    \
             LoadCredential=two:%h/.config/mcpmux/credentials/two\n"
        );
    }
}
