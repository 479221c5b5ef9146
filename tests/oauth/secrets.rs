//! Every secret that a test has used, and the search for them where none may be.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use memchr::memmem;

/// Shorter ones are found by chance.
const SHORTEST: usize = 12;

/// How much of a secret is enough to say that it leaked.
const PIECE: usize = 16;

/// The secrets of one test. Clones are the same collection.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Mutex<Vec<Secret>>>);

struct Secret {
    what: String,
    value: String,
}

impl Secrets {
    /// Adds one; `what` it is, as `access_token` and `state`.
    pub(crate) fn add(&self, what: &str, value: &str) {
        assert!(
            value.len() >= SHORTEST,
            "too short to look for: a {what} of {}",
            value.len()
        );
        let mut known = self.0.lock().unwrap();
        if !known.iter().any(|secret| secret.value == value) {
            known.push(Secret {
                what: what.to_owned(),
                value: value.to_owned(),
            });
        }
    }

    /// Adds all that others have.
    pub(crate) fn join(&self, others: &Self) {
        for secret in others.0.lock().unwrap().iter() {
            self.add(&secret.what, &secret.value);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What leaked into `text`, a line each; `place` says where that is. An
    /// authorization URL has to hold its `state`, so that is passed over there.
    pub(crate) fn leaks(&self, place: &str, text: &[u8]) -> Vec<String> {
        let known = self.0.lock().unwrap();
        let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        let found = known.iter().filter(|secret| {
            let needles = secret.needles();
            let leaks = |line: &[u8]| needles.iter().any(|n| memmem::find(line, n).is_some());
            if secret.what == "state" {
                let is_url = |line: &[u8]| memmem::find(line, b"code_challenge=").is_some();
                lines.iter().any(|line| !is_url(line) && leaks(line))
            } else {
                leaks(text)
            }
        });
        found
            .map(|secret| format!("a {} in {place}", secret.what))
            .collect()
    }

    /// What leaked into the files below `folder`, but for those that `excused`
    /// accepts.
    pub(crate) fn leaks_below(
        &self,
        folder: &Path,
        excused: &dyn Fn(&Path) -> bool,
    ) -> Vec<String> {
        let mut leaks = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if excused(&path) {
                continue;
            }
            if kind.is_dir() {
                leaks.extend(self.leaks_below(&path, excused));
            } else if kind.is_file() {
                let bytes = fs::read(&path).unwrap_or_default();
                leaks.extend(self.leaks(&path.display().to_string(), &bytes));
            }
        }
        leaks
    }

    /// What leaked into the arguments of the processes that run.
    pub(crate) fn leaks_in_arguments(&self) -> Vec<String> {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let arguments = processes.filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let name = arguments
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default();
            let place = format!("the arguments of {}", String::from_utf8_lossy(name));
            Some(self.leaks(&place, &arguments))
        });
        arguments.flatten().collect()
    }
}

impl Secret {
    /// What must not be found: it as a whole in each spelling, and a piece from
    /// its middle and its end, by which one that was cut short is found.
    fn needles(&self) -> Vec<Vec<u8>> {
        let bytes = self.value.as_bytes();
        let mut needles = vec![bytes.to_vec()];
        let spelled: String = url::form_urlencoded::byte_serialize(bytes).collect();
        needles.push(spelled.into_bytes());
        // One of several lines, as a key is, is found by a line.
        needles.push(self.value.replace('\n', "\\n").into_bytes());
        let base64 = BASE64_STANDARD.encode(bytes);
        needles.push(base64.trim_end_matches('=').as_bytes().to_vec());
        if bytes.len() >= 3 * PIECE {
            let middle = bytes.len() / 2;
            needles.push(bytes[middle..middle + PIECE].to_vec());
            needles.push(bytes[bytes.len() - PIECE..].to_vec());
        }
        needles
    }
}

#[test]
fn a_secret_is_found_whole_spelled_otherwise_and_cut_short() {
    let secrets = Secrets::default();
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLW5vLWltcG9ydGFuY2U";
    secrets.add("access_token", token);
    secrets.add("client_secret", "a b/c&d=e+f%%%%");
    let leaks = |text: &str| secrets.leaks("a log", text.as_bytes());
    assert_eq!(leaks("GET /mcp of alice"), Vec::<String>::new());
    assert_eq!(
        leaks(&format!("sent {token}, got 401")),
        ["a access_token in a log"]
    );
    assert_eq!(
        leaks(&format!("sent {}…", &token[..60])),
        ["a access_token in a log"]
    );
    assert_eq!(
        leaks(&format!("…{}", &token[50..])),
        ["a access_token in a log"]
    );
    assert_eq!(
        leaks("client_secret=a+b%2Fc%26d%3De%2Bf%25%25%25%25"),
        ["a client_secret in a log"]
    );
    assert_eq!(
        leaks(&BASE64_STANDARD.encode("a b/c&d=e+f%%%%")),
        ["a client_secret in a log"]
    );
}

#[test]
fn a_state_is_at_home_in_the_authorization_url_only() {
    let secrets = Secrets::default();
    secrets.add("state", "0123456789abcdef");
    let leaks = |text: &str| secrets.leaks("a log", text.as_bytes()).len();
    assert_eq!(
        leaks("open http://as/auth?state=0123456789abcdef&code_challenge=x"),
        0
    );
    assert_eq!(leaks("callback with state 0123456789abcdef"), 1);
}
