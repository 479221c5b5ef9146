//! The keys as people and programs read them.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::{access::keys::Key, cli::terminal::Style};

/// As one JSON document; times are in seconds since 1970.
pub(super) fn json(keys: &[Key]) -> String {
    let now = SystemTime::now();
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "name": key.name,
                "role": key.role,
                "created": key.created,
                "expires": key.expires,
                "expired": key.has_expired(now),
            })
        })
        .collect();
    format!("{:#}\n", json!({ "keys": keys }))
}

/// A line for each.
pub(super) fn table(keys: &[Key], style: Style) -> String {
    if keys.is_empty() {
        return "no keys\n".to_owned();
    }
    let now = SystemTime::now();
    let width = |of: fn(&Key) -> &str| keys.iter().map(|key| of(key).len()).max().unwrap_or(0);
    let (name, role) = (width(|key| &key.name).max(4), width(role_of).max(4));
    let head = format!(
        "{:name$}  {:role$}  {:10}  EXPIRES\n",
        "NAME", "ROLE", "MADE"
    );
    let mut text = style.dim(head.trim_end());
    text.push('\n');
    for key in keys {
        let expires = match key.expires {
            None => "never".to_owned(),
            Some(_) if key.has_expired(now) => style.alarming("expired"),
            Some(at) => day(at),
        };
        let line = format!(
            "{:name$}  {:role$}  {:10}  {expires}\n",
            key.name,
            role_of(key),
            day(key.created)
        );
        text.push_str(&line);
    }
    text
}

fn role_of(key: &Key) -> &str {
    key.role.as_deref().unwrap_or("-")
}

fn day(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
    time.map_or_else(
        || "?".to_owned(),
        |time| time.format("%Y-%m-%d").to_string(),
    )
}
