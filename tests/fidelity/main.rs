//! What arrives is what left, byte for byte, but for what must change: names,
//! ids, progress tokens, and between eras `resultType`, `ttlMs`, `cacheScope`
//! and the protocol's own `_meta`.

// A test that cannot go on ends with what it expected.
#![allow(clippy::expect_used)]

mod eras;
mod events;
mod progress;
mod requests;
mod results;
#[path = "../support/mod.rs"]
mod support;

use support::{Client, Mux, Peer, Script, Setup, legacy, modern};

/// Every way of reaching a backend, with a backend that goes that way.
struct House {
    mux: Mux,
    backends: Vec<Backend>,
}

struct Backend {
    name: &'static str,
    modern: bool,
    peer: Peer,
}

impl House {
    /// `script` adds to an ordinary server of the era (modern or not) named.
    fn build(tools: &[&str], script: impl Fn(Script, bool) -> Script) -> Self {
        let mut setup = Setup::default();
        let mut backends = Vec::new();
        for (name, modern_era, http, streams) in [
            ("stdio-legacy", false, false, false),
            ("stdio-modern", true, false, false),
            ("json-legacy", false, true, false),
            ("json-modern", true, true, false),
            ("sse-legacy", false, true, true),
            ("sse-modern", true, true, true),
        ] {
            let base = if modern_era {
                modern(tools)
            } else {
                legacy(tools)
            };
            let mut script = script(base, modern_era);
            if streams {
                let keys: Vec<String> = script
                    .on
                    .keys()
                    .filter(|key| key.starts_with("tools/"))
                    .cloned()
                    .collect();
                script = keys.iter().fold(script, |script, key| script.streamed(key));
            }
            let peer = if http {
                Peer::http(script)
            } else {
                Peer::new(script)
            };
            setup = setup.backend(name, &peer, "");
            backends.push(Backend {
                name,
                modern: modern_era,
                peer,
            });
        }
        Self {
            mux: setup.serve(),
            backends,
        }
    }

    /// Calls `check` for each client and each backend, with a line that says which.
    fn each_cell(&self, check: impl Fn(&Client, bool, &Backend, &str)) {
        for (client, client_modern) in [
            (Client::legacy(&self.mux), false),
            (Client::modern(&self.mux), true),
        ] {
            for backend in &self.backends {
                let era = if client_modern { "modern" } else { "legacy" };
                check(
                    &client,
                    client_modern,
                    backend,
                    &format!("{era} client, {}", backend.name),
                );
            }
        }
    }
}

#[track_caller]
fn same(got: &str, expected: &str, context: &str) {
    if got != expected {
        let differs = got
            .bytes()
            .zip(expected.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        let around = |text: &str| {
            let bytes = &text.as_bytes()[differs.saturating_sub(40).min(text.len())..];
            String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned()
        };
        panic!(
            "{context}: differs at byte {differs}:\n got {}\n not {}",
            around(got),
            around(expected)
        );
    }
}
