//! Logins for programs: the document of `status` and the events of `login`.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::source::Source;
use crate::credential::{Begun, LoginState, LoginStatus, Page};

/// The document of `status`.
pub(super) fn document(source: &Source, backends: &[&LoginStatus]) -> Value {
    let backends: Vec<Value> = backends.iter().map(|status| backend(status)).collect();
    match source {
        Source::Running { hello, .. } => json!({
            "source": "running", "version": hello.version, "config": hello.config,
            "backends": backends,
        }),
        Source::Alone { config, .. } => json!({
            "source": "configuration", "version": env!("CARGO_PKG_VERSION"), "config": config,
            "backends": backends,
        }),
    }
}

fn backend(status: &LoginStatus) -> Value {
    let (login, waiting) = match &status.login {
        None => (Value::Null, Value::Null),
        Some(LoginState::LoggedIn) => ("logged_in".into(), Value::Null),
        Some(LoginState::NeedsLogin) => ("needs_login".into(), Value::Null),
        Some(LoginState::NotAsked) => ("not_asked".into(), Value::Null),
        Some(LoginState::Waiting(begun)) => ("waiting".into(), page(begun)),
    };
    json!({
        "backend": status.backend,
        "kind": status.kind,
        "login": login,
        "waiting": waiting,
        "account": status.account,
        "issuer": status.issuer,
        "scopes": status.scopes,
        "expires": status.expires.map(time),
        "refreshes": status.refreshes,
        "stored": status.stored,
        "trouble": status.trouble,
    })
}

/// The event that a login waits for a person.
pub(super) fn begun(begun: &Begun) -> Value {
    let mut event = page(begun);
    event["event"] = "begun".into();
    event["backend"] = begun.backend.as_str().into();
    event
}

/// The event that a login has ended, or was not begun.
pub(super) fn ended(backend: &str, error: Option<&str>) -> Value {
    json!({ "event": "ended", "backend": backend, "ok": error.is_none(), "error": error })
}

fn page(begun: &Begun) -> Value {
    let expires = time(begun.expires);
    match &begun.page {
        Page::Redirect { url, opened } => {
            json!({ "way": "redirect", "url": url, "opened": opened, "expires": expires })
        }
        Page::Device {
            url,
            complete_url,
            code,
        } => json!({
            "way": "device", "url": url, "complete_url": complete_url, "code": code,
            "expires": expires,
        }),
    }
}

/// A time as in RFC 3339, in UTC.
fn time(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::auth::table::tests::status;

    #[test]
    fn a_backend_has_every_key_and_times_that_programs_read() {
        let mut status = status("linear", "oauth");
        status.login = Some(LoginState::LoggedIn);
        status.expires = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        assert_eq!(
            backend(&status),
            json!({
                "backend": "linear", "kind": "oauth", "login": "logged_in", "waiting": null,
                "account": null, "issuer": null, "scopes": [], "expires": "2027-01-15T08:00:00Z",
                "refreshes": null, "stored": null, "trouble": null,
            })
        );
    }

    #[test]
    fn an_event_says_where_to_consent() {
        let event = begun(&Begun {
            backend: "linear".to_owned(),
            page: Page::Device {
                url: "https://as/device".to_owned(),
                complete_url: None,
                code: "AB-CD".to_owned(),
            },
            expires: SystemTime::UNIX_EPOCH,
        });
        assert_eq!(event["event"], "begun");
        assert_eq!(event["way"], "device");
        assert_eq!(event["code"], "AB-CD");
        assert_eq!(event["expires"], "1970-01-01T00:00:00Z");
    }
}
