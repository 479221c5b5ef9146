//! What is different between two configurations, as far as it matters to a
//! process that goes from one to the other.

use super::settings::{BackendSettings, Config, ConnectRetry, Listen, TokenStore};

impl Config {
    /// The keys whose values are other ones than in `running` and that take effect
    /// with the next start only.
    pub fn needs_restart(&self, running: &Self) -> Vec<&'static str> {
        // A key that is added says here whether it can change while mcpmux runs.
        let Self {
            path: _,
            listen,
            access: _,
            policy: _,
            connect_retry,
            token_store,
            limits: _,
            audit: _,
            watch: _,
            backends: _,
            warnings: _,
        } = self;
        let changes = [
            listening(listen, &running.listen),
            retrying(connect_retry, &running.connect_retry),
            storing(token_store, &running.token_store),
        ];
        changes.concat()
    }

    /// The keys beside `backends` whose values are other ones than `before`, and that
    /// take effect while mcpmux runs.
    pub fn takes_effect(&self, before: &Self) -> Vec<&'static str> {
        others([
            (
                "access",
                self.access != before.access || self.policy != before.policy,
            ),
            ("limits", self.limits != before.limits),
            ("audit", self.audit != before.audit),
            ("watch", self.watch != before.watch),
        ])
    }
}

impl BackendSettings {
    /// Whether a connection that was made with `other` is as one that is made with
    /// these: the same process or endpoint, with the same credential, in a session
    /// of the same kind. All other settings can change under a connection.
    pub fn connects_like(&self, other: &Self) -> bool {
        let Self {
            name,
            description: _,
            enabled: _,
            namespace: _,
            session,
            era,
            start: _,
            idle_stop: _,
            timeout: _,
            max_timeout: _,
            concurrency,
            max_message,
            tools: _,
            pin: _,
            health: _,
            quota: _,
            transport,
        } = self;
        (name, session, era, concurrency, max_message, transport)
            == (
                &other.name,
                &other.session,
                &other.era,
                &other.concurrency,
                &other.max_message,
                &other.transport,
            )
    }
}

fn listening(new: &Listen, old: &Listen) -> Vec<&'static str> {
    let Listen {
        transport,
        address,
        path,
        socket,
        allowed_hosts,
        allowed_origins,
        max_body,
        idle_exit,
        tls,
    } = new;
    others([
        ("listen.transport", *transport != old.transport),
        ("listen.address", *address != old.address),
        ("listen.path", *path != old.path),
        ("listen.socket", *socket != old.socket),
        ("listen.allowed_hosts", *allowed_hosts != old.allowed_hosts),
        (
            "listen.allowed_origins",
            *allowed_origins != old.allowed_origins,
        ),
        ("listen.max_body", *max_body != old.max_body),
        ("listen.idle_exit", *idle_exit != old.idle_exit),
        ("listen.tls", *tls != old.tls),
    ])
}

fn retrying(new: &ConnectRetry, old: &ConnectRetry) -> Vec<&'static str> {
    let ConnectRetry {
        enabled,
        max_delay,
        attempt_timeout,
    } = new;
    others([
        ("connect_retry.enabled", *enabled != old.enabled),
        ("connect_retry.max_delay", *max_delay != old.max_delay),
        (
            "connect_retry.attempt_timeout",
            *attempt_timeout != old.attempt_timeout,
        ),
    ])
}

fn storing(new: &TokenStore, old: &TokenStore) -> Vec<&'static str> {
    let TokenStore {
        enabled,
        kind,
        key,
        path,
        key_file,
    } = new;
    others([
        ("token_store.enabled", *enabled != old.enabled),
        ("token_store.kind", *kind != old.kind),
        ("token_store.key", *key != old.key),
        ("token_store.path", *path != old.path),
        ("token_store.key_file", *key_file != old.key_file),
    ])
}

/// The keys of those that are other ones.
fn others<const N: usize>(keys: [(&'static str, bool); N]) -> Vec<&'static str> {
    let others = keys.into_iter().filter(|(_, other)| *other);
    others.map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::config::Environment;

    fn config(text: &str) -> Config {
        Config::parse(text, "m.yaml", &Environment::default()).expect("it is right")
    }

    #[test]
    fn what_takes_a_restart_is_named_by_its_key() {
        let running = config("backends: []");
        assert!(running.needs_restart(&running.clone()).is_empty());
        let new = config(
            "listen: { address: ':1', path: /x }\ntoken_store: { kind: memory }\n\
             connect_retry: { max_delay: 1s }\nwatch: true\nprocess: group\nbackends: []",
        );
        assert_eq!(
            new.needs_restart(&running),
            [
                "listen.address",
                "listen.path",
                "connect_retry.max_delay",
                "token_store.kind"
            ]
        );
    }

    #[test]
    fn a_connection_outlives_what_does_not_concern_it() {
        let backend = |lines: &str| {
            let text =
                format!("backends: [{{ name: a, transport: command, command: [x], {lines} }}]");
            config(&text).backends.remove(0)
        };
        let before = backend("env: { A: b }");
        for same in [
            "env: { A: b }",
            "env: { A: b }, description: x, timeout: 1s, idle_stop: 1m, start: lazy",
            "env: { A: b }, namespace: none",
        ] {
            assert!(backend(same).connects_like(&before), "{same}");
        }
        for other in ["env: { A: c }", "env: { A: b }, session: client", "cwd: /"] {
            assert!(!backend(other).connects_like(&before), "{other}");
        }
    }
}
