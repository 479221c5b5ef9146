//! What a server asks for in `WWW-Authenticate`, by the grammar of RFC 9110
//! section 11.6.1: several headers, several challenges in each, parameters as
//! tokens or quoted strings, token68. Only `Bearer` (RFC 6750 section 3) and
//! `DPoP` (RFC 9449 section 7.1) are told; what to do about them is for others.

use http::{HeaderMap, header::WWW_AUTHENTICATE};

use super::dpop::ALGORITHM;

/// The most challenges that are read of one answer.
const MAX_CHALLENGES: usize = 32;

/// A challenge for a token: the parameters of RFC 6750 section 3 and RFC 9728
/// section 5.1 that are not empty, verbatim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::credential) struct Challenge {
    /// Where the metadata of the protected resource is.
    pub(in crate::credential) resource_metadata: Option<String>,
    /// The scopes that the request needs, separated by spaces.
    pub(in crate::credential) scope: Option<String>,
    /// What is wrong with the request: `invalid_token`, `insufficient_scope` and
    /// the like.
    pub(in crate::credential) error: Option<String>,
    /// The same in the server's words: show it through [`one_line`].
    pub(in crate::credential) error_description: Option<String>,
    /// Whether the token may be bound to a key: this, or another challenge of the
    /// same answer, is `DPoP`, for an algorithm that is at hand.
    pub(in crate::credential) dpop: bool,
}

impl Challenge {
    /// The challenge of an answer: of several the first that names metadata, else
    /// the first that says anything, `Bearer` before `DPoP`. None if there is none.
    pub(in crate::credential) fn of(headers: &HeaderMap) -> Option<Self> {
        let (mut all, mut dpops) = (Vec::new(), Vec::new());
        let mut offers_dpop = false;
        let mut left = MAX_CHALLENGES;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let text = String::from_utf8_lossy(value.as_bytes());
            for (scheme, parameters) in Parser::new(&text, &mut left).challenges() {
                if scheme.eq_ignore_ascii_case("bearer") {
                    all.push(Self::from_parameters(parameters));
                } else if scheme.eq_ignore_ascii_case("dpop") {
                    offers_dpop |= is_for_us(&parameters);
                    dpops.push(Self::from_parameters(parameters));
                }
            }
        }
        all.append(&mut dpops);
        let best = all
            .iter()
            .position(|one| one.resource_metadata.is_some())
            .or_else(|| all.iter().position(|one| *one != Self::default()))
            .unwrap_or(0);
        (best < all.len()).then(|| Self {
            dpop: offers_dpop,
            ..all.swap_remove(best)
        })
    }

    /// Whether the token is good but allows too little (RFC 6750 section 3.1).
    pub(in crate::credential) fn is_insufficient_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }

    fn from_parameters(parameters: Vec<(String, String)>) -> Self {
        let mut challenge = Self::default();
        for (name, value) in parameters {
            let field = match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => &mut challenge.resource_metadata,
                "scope" => &mut challenge.scope,
                "error" => &mut challenge.error,
                "error_description" => &mut challenge.error_description,
                _ => continue,
            };
            // A parameter must not occur twice; if it does, the first counts.
            if field.is_none() && !value.trim().is_empty() {
                *field = Some(value);
            }
        }
        challenge
    }
}

/// Whether a `DPoP` challenge names the algorithm that there is, if it names any.
fn is_for_us(parameters: &[(String, String)]) -> bool {
    let algorithms = parameters
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("algs"));
    algorithms.is_none_or(|(_, listed)| listed.split_whitespace().any(|one| one == ALGORITHM))
}

/// A server's words, fit to be shown: no control characters, at most 200
/// characters.
pub(super) fn one_line(text: &str) -> String {
    const MAX: usize = 200;
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.trim().chars().take(MAX).map(shown).collect();
    if text.trim().chars().nth(MAX).is_some() {
        line.push('…');
    }
    line
}

/// A scheme and its parameters.
type Parsed = (String, Vec<(String, String)>);

/// Reads one header's value. What fits no rule is passed over.
struct Parser<'a> {
    rest: &'a str,
    left: &'a mut usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, left: &'a mut usize) -> Self {
        Self { rest: text, left }
    }

    fn challenges(mut self) -> Vec<Parsed> {
        let mut challenges: Vec<Parsed> = Vec::new();
        loop {
            self.skip(|c| is_space(c) || c == ',');
            let Some(first) = self.rest.chars().next() else {
                return challenges;
            };
            let word = self.take(is_token);
            if word.is_empty() {
                self.pass_over(first);
                continue;
            }
            let after = self.rest.trim_start_matches(is_space);
            if let Some(value) = after.strip_prefix('=') {
                self.rest = value;
                self.skip(is_space);
                let value = self.value();
                if let Some((_, parameters)) = challenges.last_mut() {
                    parameters.push((word.to_owned(), value));
                }
                continue;
            }
            if *self.left == 0 {
                return challenges;
            }
            *self.left -= 1;
            challenges.push((word.to_owned(), Vec::new()));
            self.pass_over_token68();
        }
    }

    /// The value of a parameter.
    fn value(&mut self) -> String {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            // URLs and lists stand there without quotes, against the grammar.
            return self.take(|c| !is_space(c) && c != ',').to_owned();
        };
        let mut value = String::new();
        let mut characters = quoted.chars();
        while let Some(c) = characters.next() {
            match c {
                '"' => break,
                '\\' => value.extend(characters.next()),
                c => value.push(c),
            }
        }
        self.rest = characters.as_str();
        value
    }

    /// What stands after a scheme, if it is a token68: characters of base64 and
    /// URLs, then `=`, up to the next comma.
    fn pass_over_token68(&mut self) {
        let start = self.rest.trim_start_matches(is_space);
        let end = start
            .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c))
            .trim_start_matches('=')
            .trim_start_matches(is_space);
        if end.is_empty() || end.starts_with(',') {
            self.rest = end;
        }
    }

    /// Passes over what is no token: a whole quoted string, or one character.
    fn pass_over(&mut self, first: char) {
        if first == '"' {
            self.value();
        } else {
            self.rest = &self.rest[first.len_utf8()..];
        }
    }

    fn skip(&mut self, of: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(of);
    }

    fn take(&mut self, of: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !of(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

fn is_space(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// Whether `c` may stand in a token (RFC 9110 section 5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::{Challenge, HeaderMap, WWW_AUTHENTICATE, one_line};

    fn of(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            headers.append(WWW_AUTHENTICATE, value);
        }
        Challenge::of(&headers)
    }

    fn metadata(values: &[&str]) -> Option<String> {
        of(values).expect("a challenge").resource_metadata
    }

    #[test]
    fn the_parameters_of_a_bearer_challenge_are_read_verbatim() {
        let challenge = of(&[
            "Bearer error=\"insufficient_scope\", scope=\"a b\",\t resource_metadata = \
             \"https://x.example/.well-known/oauth-protected-resource\", \
             error_description=\"say \\\"please\\\", twice\", realm=x",
        ]);
        let challenge = challenge.expect("a challenge");
        assert!(challenge.is_insufficient_scope());
        assert_eq!(challenge.scope.as_deref(), Some("a b"));
        assert_eq!(
            challenge.resource_metadata.as_deref(),
            Some("https://x.example/.well-known/oauth-protected-resource")
        );
        assert_eq!(
            challenge.error_description.as_deref(),
            Some("say \"please\", twice")
        );
    }

    #[test]
    fn it_is_found_among_other_challenges_and_headers() {
        let expected = Some("https://x/".to_owned());
        for values in [
            &[
                "Basic realm=\"a, Bearer resource_metadata=no\", bearer resource_metadata=\"https://x/\"",
            ][..],
            &["Negotiate YWJj==, Bearer resource_metadata=\"https://x/\""],
            &["Negotiate, Bearer resource_metadata=https://x/, scope=y"],
            &[
                "Basic realm=\"x\"",
                "Bearer realm=\"x\"",
                "BEARER resource_metadata=\"https://x/\"",
            ],
            &["DPoP resource_metadata=\"https://no/\", Bearer , ,resource_metadata=\"https://x/\""],
            &["Bearer YWJj, Bearer resource_metadata=\"https://x/\""],
        ] {
            assert_eq!(metadata(values), expected, "{values:?}");
        }
    }

    #[test]
    fn where_there_is_no_challenge_for_a_token_there_is_none() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["Basic realm=\"Bearer x\""]), None);
        assert_eq!(of(&["resource_metadata=\"https://x/\""]), None);
        assert_eq!(of(&["Bearer"]), Some(Challenge::default()));
        assert_eq!(of(&["Bearer scope=\"\""]), Some(Challenge::default()));
    }

    #[test]
    fn a_challenge_for_bound_tokens_is_told_as_such() {
        let challenge = of(&["DPoP algs=\"ES256 PS256\", resource_metadata=\"https://x/\""]);
        let challenge = challenge.expect("a challenge");
        assert!(challenge.dpop);
        assert_eq!(challenge.resource_metadata.as_deref(), Some("https://x/"));
        let of_one = |value| of(&[value]).expect("a challenge");
        assert!(of_one("Bearer scope=\"a\", dpop error=\"use_dpop_nonce\"").dpop);
        assert!(!of_one("DPoP algs=\"EdDSA\"").dpop);
        assert!(!of_one("Bearer algs=\"ES256\"").dpop);
        assert_eq!(
            of_one("DPoP error=\"use_dpop_nonce\"").error.as_deref(),
            Some("use_dpop_nonce")
        );
    }

    #[test]
    fn of_two_parameters_of_a_name_the_first_counts() {
        let challenge = of(&["Bearer scope=a, scope=b, Scope=c"]).expect("a challenge");
        assert_eq!(challenge.scope.as_deref(), Some("a"));
    }

    #[test]
    fn what_a_server_says_is_shown_on_one_short_line() {
        assert_eq!(one_line(" a\u{1b}[31m\nb "), "a [31m b");
        assert_eq!(one_line(&"x".repeat(10_000)).chars().count(), 201);
    }

    fn quoted(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4)) {
            let mut headers = HeaderMap::new();
            for value in values {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.append(WWW_AUTHENTICATE, value);
                }
            }
            Challenge::of(&headers);
        }

        #[test]
        fn near_misses_do_not_either(value in "[Bbearscop =,\"\\\\/]{0,60}") {
            of(&[&value]);
        }

        #[test]
        fn what_is_quoted_is_read_back(
            metadata in "[ -~é]{0,30}[!-~]",
            scope in "[!-~][ -~]{0,30}",
            before in "([A-Za-z]{1,9}( [a-z]{1,5}=(\"[a-z, =]{0,9}\"|[a-z]{1,5}))?, )?",
            swapped in any::<bool>(),
        ) {
            prop_assume!(!before.to_ascii_lowercase().starts_with("bearer"));
            let mut parameters = [
                format!("resource_metadata={}", quoted(&metadata)),
                format!("scope={}", quoted(&scope)),
            ];
            if swapped {
                parameters.swap(0, 1);
            }
            let read = of(&[&format!("{before}Bearer {}", parameters.join(", "))]);
            let read = read.expect("a challenge");
            prop_assert_eq!(read.resource_metadata, Some(metadata));
            prop_assert_eq!(read.scope, Some(scope));
        }
    }
}
