//! From the documents, as they are written, to the settings, as they are used.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::{
    CommandLimits, ProcessSetting, Sandbox, access, advice,
    auth::credentials,
    document::{self, BackendTransport, Document, DropIn, Era},
    environment::Environment,
    error::{ConfigError, Problem},
    format, kept, policy,
    quota::Quota,
    settings::{
        BackendName, BackendSettings, CommandSettings, Config, ConnectRetry, EraSetting, Health,
        HttpSettings, Listen, ListenTransport, Namespace, PolicySettings, SessionSetting, Start,
        Transport, Unresolved, VaultKey,
    },
    tree,
    validate::{Outcome, Walk},
};

/// The least time after which an idle mcpmux ends.
const LEAST_IDLE: Duration = Duration::from_secs(1);

/// Takes documents one after the other; [`Resolver::finish`] gives all of them
/// as one configuration, or all that is wrong with them.
pub(super) struct Resolver<'a> {
    environment: &'a Environment,
    document: Document,
    backends: Vec<BackendSettings>,
    /// Where each name is given, as `file:line`.
    names: BTreeMap<String, String>,
    warnings: Vec<String>,
    problems: Vec<Problem>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            document: Document::default(),
            backends: Vec::new(),
            names: BTreeMap::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Takes the main document, which messages call `origin`.
    pub(super) fn document(&mut self, origin: &str, text: &str) {
        if let Some((mut document, outcome)) = self.read::<Document>(origin, text, super::schema())
        {
            let backends = std::mem::take(&mut document.backends);
            self.document = document;
            self.add(origin, backends, &outcome, "");
        }
    }

    /// Takes a drop-in, which only adds backends.
    pub(super) fn drop_in(&mut self, origin: &str, text: &str) {
        let schema = document::schema_of::<DropIn>();
        if let Some((drop_in, outcome)) = self.read::<DropIn>(origin, text, &schema) {
            // The key paths of two files are alike: the file must be told as well.
            self.add(origin, drop_in.backends, &outcome, &format!("{origin}: "));
        }
    }

    /// Takes note of something that is wrong with a file as a whole.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Switches the backend `name` off, whichever file it comes from.
    /// `origin` is the file that says so.
    pub(super) fn mask(&mut self, origin: &str, name: &str) {
        match self
            .backends
            .iter_mut()
            .find(|backend| backend.name.as_str() == name)
        {
            Some(backend) => backend.enabled = false,
            None => self
                .warnings
                .push(format!("{origin} masks no backend: none is named {name:?}")),
        }
    }

    /// The configuration read from `path`.
    pub(super) fn finish(mut self, path: Option<PathBuf>) -> Result<Config, ConfigError> {
        let listen = match listen(self.document.listen) {
            Ok(listen) => listen,
            Err(what) => {
                self.problems.push(Problem::of_file("listen", what));
                return Err(ConfigError::Invalid {
                    problems: self.problems,
                });
            }
        };
        // systemd takes a socket down that starts its service 20 times in 2 s.
        if listen.idle_exit.is_some_and(|time| time < LEAST_IDLE) {
            let what = "must be at least 1s: every end and start of mcpmux takes a while";
            self.problems
                .push(Problem::of_file("listen.idle_exit", what));
        }
        if let Some(what) = access::listless(&listen) {
            self.problems
                .push(Problem::of_file("listen.tls.client_crl", what));
        }
        let policy = policy::of(&mut self.document.access);
        let policy = policy.unwrap_or_else(|mut problems| {
            self.problems.append(&mut problems);
            PolicySettings::default()
        });
        let token_store = kept::token_store(self.document.token_store);
        let audit = kept::audit(self.document.audit);
        let access = access::settings(self.document.access);
        for (key, path) in [
            ("access.keys_file", &access.keys_file),
            ("audit.file", &audit.file),
            ("token_store.path", &token_store.path),
            ("token_store.key_file", &token_store.key_file),
        ] {
            // A service and a terminal are in different directories.
            if path.as_ref().is_some_and(|path| !path.is_absolute()) {
                let what = "must begin with \"/\" or \"~/\"";
                self.problems.push(Problem::of_file(key, what));
            }
        }
        if !self.problems.is_empty() {
            return Err(ConfigError::Invalid {
                problems: self.problems,
            });
        }
        if self.backends.is_empty() {
            self.warnings
                .push("`backends` is empty: there are no tools to offer".to_owned());
        }
        if token_store.key_file.is_some() && token_store.key != VaultKey::File {
            self.warnings
                .push("`token_store.key_file` has no effect without `key: file`".to_owned());
        }
        // It stands in the main document and holds for every file's backends.
        let process = ProcessSetting::from(self.document.process);
        for backend in &mut self.backends {
            if let Ok(Transport::Command(command)) = &mut backend.transport {
                command.process = process;
            }
        }
        let mut warnings = Vec::with_capacity(self.warnings.len());
        for warning in self.warnings {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        Ok(Config {
            path,
            listen,
            access,
            policy,
            connect_retry: ConnectRetry {
                enabled: self.document.connect_retry.enabled,
                max_delay: self.document.connect_retry.max_delay.0,
                attempt_timeout: self.document.connect_retry.attempt_timeout.0,
            },
            token_store,
            limits: Quota::from(&self.document.limits),
            audit,
            watch: self.document.watch,
            backends: self.backends,
            warnings,
        })
    }

    /// Parses and validates; `None` if something is wrong, which is then noted.
    fn read<T: DeserializeOwned>(
        &mut self,
        origin: &str,
        text: &str,
        schema: &Json,
    ) -> Option<(T, Outcome)> {
        let (root, flaws) = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text));
        let mut problems: Vec<_> = flaws
            .into_iter()
            .map(|flaw| Problem::at(origin, flaw.at, "", flaw.what))
            .collect();
        let mut outcome = Outcome::default();
        let mut json = Json::Object(serde_json::Map::new());
        if let Some(root) = root.filter(|root| !root.is_null()) {
            (json, outcome) = Walk::new(origin, self.environment).run(&root, schema);
            problems.append(&mut outcome.problems);
            problems.extend(self.duplicates(origin, &json, &outcome));
            self.warnings.extend(std::mem::take(&mut outcome.warnings));
        }
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.place);
            self.problems.extend(problems);
            return None;
        }
        let document = serde_json::from_value(json).ok();
        if document.is_none() {
            // The schema and the types are made from the same source, so this
            // is a defect of mcpmux. What serde says of it might show a secret.
            let what = "passed validation and cannot be read, which is a defect of mcpmux";
            self.problems.push(Problem::of_file(origin, what));
        }
        Some((document?, outcome))
    }

    /// The backends whose name another has, in this file or an earlier one.
    fn duplicates(&mut self, origin: &str, json: &Json, outcome: &Outcome) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, backend) in json["backends"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let key = format!("backends[{index}].name");
            let (Some(name), Some(at)) = (backend["name"].as_str(), outcome.places.get(&key))
            else {
                continue;
            };
            if let Some(first) = self.names.get(name) {
                let what = format!("is the name of another backend already ({first})");
                problems.push(Problem::at(origin, *at, &key, what));
            } else {
                self.names
                    .insert(name.to_owned(), format!("{origin}:{}", at.line));
            }
        }
        problems
    }

    fn add(
        &mut self,
        origin: &str,
        backends: Vec<document::Backend>,
        outcome: &Outcome,
        prefix: &str,
    ) {
        for (index, backend) in backends.into_iter().enumerate() {
            let key = format!("backends[{index}]");
            let unresolved = unresolved(&outcome.unresolved, &key, prefix);
            self.warnings.extend(advice::of_document(&backend));
            match settings(backend, unresolved) {
                Ok(settings) => {
                    self.warnings.extend(advice::of_settings(&settings));
                    self.backends.push(settings);
                }
                Err(what) => {
                    let problem = match outcome.places.get(&key) {
                        Some(at) => Problem::at(origin, *at, &key, what),
                        None => Problem::of_file(origin, what),
                    };
                    self.problems.push(problem);
                }
            }
        }
    }
}

/// All that is not resolved of the backend at `key`, as one.
fn unresolved(all: &[Unresolved], key: &str, prefix: &str) -> Option<Unresolved> {
    let own = format!("{key}.");
    let mut of_backend = all
        .iter()
        .filter(|unresolved| unresolved.key.starts_with(&own));
    let first = of_backend.next()?;
    let mut whole = Unresolved {
        key: format!("{prefix}{}", first.key),
        ..first.clone()
    };
    for next in of_backend {
        whole.problem = format!("{}; {next}", whole.problem);
        whole.credentials.extend_from_slice(&next.credentials);
    }
    Some(whole)
}

// The conversions below fail only where the validation has let something
// through; their errors are then shown at the backend.

fn listen(listen: document::Listen) -> Result<Listen, String> {
    Ok(Listen {
        transport: match listen.transport {
            document::ListenTransport::Http => ListenTransport::Http,
            document::ListenTransport::Stdio => ListenTransport::Stdio,
        },
        address: format::socket_address(&listen.address)?,
        path: listen.path,
        socket: listen.socket.map(PathBuf::from),
        tls: listen.tls.map(access::tls),
        allowed_hosts: listen.allowed_hosts,
        allowed_origins: listen.allowed_origins,
        max_body: listen.max_body.0,
        idle_exit: listen.idle_exit.map(|span| span.0),
    })
}

fn settings(
    mut backend: document::Backend,
    unresolved: Option<Unresolved>,
) -> Result<BackendSettings, String> {
    let name = BackendName::new(std::mem::take(&mut backend.name))?;
    let description = backend
        .description
        .take()
        .filter(|text| !text.trim().is_empty());
    Ok(BackendSettings {
        name,
        description,
        enabled: backend.enabled,
        session: match backend.session {
            document::Session::Shared => SessionSetting::Shared,
            document::Session::Client => SessionSetting::Client,
        },
        namespace: match backend.namespace {
            document::Namespace::Prefix => Namespace::Prefix,
            document::Namespace::None => Namespace::None,
        },
        era: match backend.era {
            Era::Auto => EraSetting::Auto,
            Era::Legacy => EraSetting::Legacy,
            Era::Modern => EraSetting::Modern,
        },
        start: match backend.start {
            document::Start::Eager => Start::Eager,
            document::Start::Lazy => Start::Lazy,
        },
        quota: Quota::from(&backend.limits),
        idle_stop: backend.idle_stop.map(|time| time.0),
        timeout: backend.timeout.0,
        max_timeout: backend.max_timeout.0.max(backend.timeout.0),
        max_message: backend.max_message.0,
        health: backend.health.enabled.then_some(Health {
            interval: backend.health.interval.0,
            patience: backend.health.timeout.0,
        }),
        concurrency: backend.limits.concurrency,
        tools: policy::tools(std::mem::take(&mut backend.tools), backend.read_only),
        pin: policy::pin(backend.pin),
        transport: match unresolved {
            Some(unresolved) => Err(unresolved),
            None => Ok(transport(backend)?),
        },
    })
}

fn transport(backend: document::Backend) -> Result<Transport, String> {
    match backend.transport.ok_or("`transport` is missing")? {
        BackendTransport::Command => Ok(Transport::Command(CommandSettings {
            argv: backend.command,
            env: backend.env,
            inherit_env: backend.inherit_env,
            cwd: backend.cwd.map(PathBuf::from),
            process: ProcessSetting::default(),
            limits: CommandLimits {
                memory: backend.limits.memory.map(|size| size.0 as u64),
                tasks: backend.limits.tasks.map(u64::from),
                cpu: backend.limits.cpu.map(|share| share.0),
            },
            sandbox: backend.sandbox.map(Sandbox::of),
        })),
        BackendTransport::Http => http(backend).map(Transport::Http),
        BackendTransport::Sse => http(backend).map(Transport::Sse),
    }
}

fn http(backend: document::Backend) -> Result<HttpSettings, String> {
    let headers = backend.headers.into_iter().map(|(name, value)| {
        let name = format::header_name(&name)?;
        Ok((name, value))
    });
    Ok(HttpSettings {
        endpoint: format::http_url(backend.endpoint.as_deref().unwrap_or_default())?,
        socket: None,
        headers: headers.collect::<Result<_, String>>()?,
        auth: credentials(backend.auth)?,
    })
}
