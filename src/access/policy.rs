//! Who has which role.

use nix::unistd::User;
use serde_json::{Map, Value};
use tracing::warn;

use super::{DEFAULT_ROLE, Identity};
use crate::config::{Door, PolicySettings};

/// The role of who has none: it is in no configuration, so it may do nothing.
pub const NO_ROLE: &str = "";

/// All that is known of somebody who was recognised.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// How.
    pub identity: &'a Identity,
    /// The role that the credential itself carries.
    pub carried: Option<&'a str>,
    /// The claims of the access token.
    pub claims: Option<&'a Map<String, Value>>,
    /// Where it came in.
    pub door: &'a Door,
}

/// Who has which role.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    settings: PolicySettings,
    /// The number of the user of each assignment that names one.
    users: Vec<Option<u32>>,
}

impl Policy {
    /// As it is configured. Looks users up in the system's database, which may
    /// block; what is said of one that there is not holds for nobody.
    pub fn new(settings: &PolicySettings) -> Self {
        let number = |name: &str| {
            // A name is none of digits only (useradd(8)).
            let number = name.parse().ok().or_else(|| {
                let user = User::from_name(name).ok().flatten()?;
                Some(user.uid.as_raw())
            });
            if number.is_none() {
                warn!("access.assign: there is no user {name:?} on this machine");
            }
            number
        };
        let users = settings.assign.iter();
        Self {
            users: users
                .map(|assignment| assignment.user.as_deref().and_then(number))
                .collect(),
            settings: settings.clone(),
        }
    }

    /// The role of who is known so: that which its credential carries, else that of
    /// the first assignment that fits, else the default one, else [`NO_ROLE`].
    pub fn role_of<'a>(&'a self, known: &Known<'a>) -> &'a str {
        let settings = &self.settings;
        if settings.roles.is_empty() {
            return known.carried.unwrap_or(DEFAULT_ROLE);
        }
        if let Some(carried) = known.carried {
            return carried;
        }
        let mut assignments = settings.assign.iter().zip(&self.users);
        let fitting = assignments.find(|(assignment, user)| {
            let is_user = match known.identity {
                Identity::User(uid) => **user == Some(*uid),
                _ => false,
            };
            let claims = |(name, value): (&String, &String)| {
                let claim = known.claims.and_then(|claims| claim(claims, name));
                claim.is_some_and(|claim| holds(claim, value))
            };
            (assignment.user.is_none() || is_user)
                && assignment.claim.iter().all(claims)
                && (assignment.socket.as_ref()).is_none_or(|door| door.is(known.door))
        });
        match fitting {
            Some((assignment, _)) => &assignment.role,
            None => settings.default_role.as_deref().unwrap_or(NO_ROLE),
        }
    }
}

/// The claim of this name, else that at this path of names.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (outer, inner) = name.split_once('.')?;
        claim(claims.get(outer)?.as_object()?, inner)
    })
}

/// Whether a claim is `value`, or is a list that holds it: one of JSON, or of words
/// as in `scope` (RFC 8693, section 4.2).
fn holds(claim: &Value, value: &str) -> bool {
    match claim {
        Value::String(text) => text == value || text.split(' ').any(|word| word == value),
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(value)),
        Value::Bool(is) => value == if *is { "true" } else { "false" },
        Value::Number(number) => number.to_string() == value,
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Config, Environment};

    fn policy(access: &str) -> Policy {
        let text = format!("access: {access}\nbackends: []");
        let config = Config::parse(&text, "test", &Environment::default()).unwrap();
        Policy::new(&config.policy)
    }

    const ROLES: &str = "roles: { a: {}, b: {}, c: {}, d: {} }";

    #[test]
    fn the_first_that_fits_in_all_it_says_gives_the_role() {
        let policy = policy(&format!(
            "{{ {ROLES}, default_role: d, assign: [
                {{ role: a, user: 7, socket: /x }},
                {{ role: b, user: '7' }},
                {{ role: c, claim: {{ groups: ops, realm.roles: admin }} }},
                {{ role: b, claim: {{ scope: mcp }} }},
                {{ role: c, socket: stdio }} ] }}"
        ));
        let tcp = Door::parse("127.0.0.1:80").unwrap();
        let unix = Door::parse("/x").unwrap();
        let role = |identity: Identity, claims: Value, door: &Door| {
            let known = Known {
                identity: &identity,
                carried: None,
                claims: claims.as_object(),
                door,
            };
            policy.role_of(&known).to_owned()
        };
        let user = |uid, door| role(Identity::User(uid), Value::Null, door);
        assert_eq!(user(7, &unix), "a");
        assert_eq!(user(7, &tcp), "b");
        assert_eq!(user(8, &unix), "d");
        assert_eq!(role(Identity::Parent, Value::Null, &Door::Stdio), "c");
        let token = |claims| role(Identity::Anyone, claims, &tcp);
        assert_eq!(
            token(json!({"groups":["x","ops"],"realm":{"roles":["admin"]}})),
            "c"
        );
        assert_eq!(token(json!({"groups":"ops","realm.roles":"admin"})), "c");
        assert_eq!(token(json!({"groups":["ops"]})), "d");
        assert_eq!(token(json!({"scope":"a mcp b"})), "b");
        assert_eq!(token(json!({"scope":"mcpx"})), "d");
    }

    #[test]
    fn a_credential_carries_its_role_and_who_has_none_has_none() {
        let policy = policy(&format!(
            "{{ {ROLES}, assign: [{{ role: a, socket: :0 }}] }}"
        ));
        let tcp = Door::parse("127.0.0.1:80").unwrap();
        let mut known = Known {
            identity: &Identity::Anyone,
            carried: Some("b"),
            claims: None,
            door: &tcp,
        };
        assert_eq!(policy.role_of(&known), "b");
        known.carried = None;
        assert_eq!(policy.role_of(&known), "a");
        known.door = &Door::Stdio;
        assert_eq!(policy.role_of(&known), NO_ROLE);
        assert_eq!(Policy::default().role_of(&known), DEFAULT_ROLE);
    }
}
