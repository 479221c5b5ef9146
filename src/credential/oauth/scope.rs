//! Which scopes are asked for (the specification's "Scope Selection Strategy"
//! and "Step-Up Authorization Flow").

use super::{challenge::Challenge, discovery::Discovered};

/// What asks for a refresh token (`OpenID` Connect Core section 11).
pub(in crate::credential) const OFFLINE_ACCESS: &str = "offline_access";

/// The most scopes that are asked for.
const MAX_SCOPES: usize = 256;

/// The scopes of a first authorization; none if the parameter is to be left out.
///
/// The configured ones, exactly; else those of the challenge; else all that the
/// backend names for everyday use. To what the backend asks for `offline_access`
/// is added where the server names it, so that nobody is asked again; alone it
/// would ask for too little.
pub(in crate::credential) fn initial(
    configured: &[String],
    challenge: Option<&Challenge>,
    discovered: &Discovered,
) -> Option<Vec<String>> {
    if !configured.is_empty() {
        return Some(union(configured, &[]));
    }
    let challenged = challenge
        .and_then(|challenge| challenge.scope.as_deref())
        .map(tokens);
    let found = challenged
        .filter(|scopes| !scopes.is_empty())
        .or_else(|| {
            discovered
                .resource_scopes
                .clone()
                .map(|scopes| union(&scopes, &[]))
        })
        .filter(|scopes| !scopes.is_empty())?;
    if discovered.server.names_scope(OFFLINE_ACCESS) {
        return Some(union(&found, &[OFFLINE_ACCESS.to_owned()]));
    }
    Some(found)
}

/// The scopes of a step-up: `a`, then what of `b` is new. Each once, and only
/// what is a scope by RFC 6749 section 3.3.
pub(in crate::credential) fn union(a: &[String], b: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for scope in a.iter().chain(b).filter(|scope| is_scope(scope)) {
        if all.len() < MAX_SCOPES && !all.contains(scope) {
            all.push(scope.clone());
        }
    }
    all
}

/// The scopes of a `scope` parameter.
pub(in crate::credential) fn tokens(text: &str) -> Vec<String> {
    let tokens: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    union(&tokens, &[])
}

fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::{Challenge, Discovered, initial, tokens, union};
    use crate::credential::oauth::metadata::ServerMetadata;

    fn list(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn discovered(resource: Option<&str>, server: Option<&str>) -> Discovered {
        let base = "https://as.example.com/".parse().expect("a URL");
        let mut metadata = ServerMetadata::assumed(&base).expect("endpoints");
        metadata.scopes_supported = server.map(list);
        Discovered {
            resource: None,
            resource_scopes: resource.map(list),
            resource_wants_dpop: false,
            issuer: metadata.issuer.clone(),
            server: metadata,
            fallback: false,
        }
    }

    fn challenge(scope: &str) -> Challenge {
        Challenge {
            scope: Some(scope.to_owned()),
            ..Challenge::default()
        }
    }

    #[test]
    fn the_configured_scopes_come_first_then_the_challenge_then_the_metadata() {
        let found = discovered(Some("r1 r2"), Some("offline_access x"));
        let challenge = challenge("c1  c2 c1");
        assert_eq!(
            initial(&list("own"), Some(&challenge), &found),
            Some(list("own"))
        );
        assert_eq!(
            initial(&[], Some(&challenge), &found),
            Some(list("c1 c2 offline_access"))
        );
        assert_eq!(
            initial(&[], None, &found),
            Some(list("r1 r2 offline_access"))
        );
        assert_eq!(
            initial(&[], Some(&Challenge::default()), &found),
            Some(list("r1 r2 offline_access"))
        );
    }

    #[test]
    fn offline_access_is_asked_for_only_beside_others_and_where_it_is_known() {
        assert_eq!(
            initial(&[], None, &discovered(Some("r"), Some("r"))),
            Some(list("r"))
        );
        assert_eq!(
            initial(&[], None, &discovered(Some("r"), None)),
            Some(list("r"))
        );
        assert_eq!(
            initial(&[], None, &discovered(None, Some("offline_access"))),
            None
        );
        assert_eq!(initial(&[], None, &discovered(None, None)), None);
        let twice = discovered(Some("offline_access r"), Some("offline_access"));
        assert_eq!(initial(&[], None, &twice), Some(list("offline_access r")));
    }

    #[test]
    fn a_step_up_loses_nothing_and_asks_for_nothing_twice() {
        assert_eq!(union(&list("a b"), &list("b c")), list("a b c"));
        assert_eq!(union(&[], &list("c c")), list("c"));
        assert_eq!(tokens(" a\tb \"q\" \u{e9} c\\d "), list("a b"));
        let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        assert_eq!(union(&many, &many).len(), 256);
    }
}
