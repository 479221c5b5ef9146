//! What a request shows of who sends it: the credential in its headers.

use http::{HeaderMap, header};

/// The header of an API key, beside `Authorization`.
const API_KEY: &str = "x-api-key";

/// A credential as a request shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown<'h> {
    /// None that mcpmux takes.
    Nothing,
    /// `Authorization: Bearer` (RFC 6750, section 2.1): a key or a token.
    Bearer(&'h str),
    /// `X-API-Key`.
    Key(&'h str),
    /// Several, or one that cannot be read: nobody can say which is meant.
    Unclear,
}

impl<'h> Shown<'h> {
    /// What `headers` show.
    pub(super) fn in_headers(headers: &'h HeaderMap) -> Self {
        let mut shown = Self::Nothing;
        let authorizations = headers.get_all(header::AUTHORIZATION).iter();
        let keys = headers.get_all(API_KEY).iter();
        let bearers = authorizations.filter_map(|value| {
            let Ok(text) = value.to_str() else {
                return Some(Self::Unclear);
            };
            let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
            let bearer = scheme.eq_ignore_ascii_case("bearer");
            bearer.then(|| Self::Bearer(token.trim()))
        });
        let keys = keys.map(|value| {
            value
                .to_str()
                .map_or(Self::Unclear, |t| Self::Key(t.trim()))
        });
        for next in bearers.chain(keys) {
            if shown != Self::Nothing {
                return Self::Unclear;
            }
            shown = next;
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn one_credential_is_read_and_several_are_none() {
        let of = |lines: &[(&'static str, &'static [u8])]| {
            let lines = lines.iter().map(|(name, value)| {
                let value = HeaderValue::from_bytes(value).unwrap();
                (HeaderName::from_static(name), value)
            });
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, value);
            }
            headers
        };
        let authorization = "authorization";
        assert_eq!(Shown::in_headers(&of(&[])), Shown::Nothing);
        assert_eq!(
            Shown::in_headers(&of(&[(authorization, b"Basic eA==")])),
            Shown::Nothing
        );
        for bearer in [&b"Bearer abc"[..], b"bearer  abc", b"BEARER abc "] {
            assert_eq!(
                Shown::in_headers(&of(&[(authorization, bearer)])),
                Shown::Bearer("abc")
            );
        }
        assert_eq!(
            Shown::in_headers(&of(&[("x-api-key", b"abc")])),
            Shown::Key("abc")
        );
        assert_eq!(
            Shown::in_headers(&of(&[(authorization, b"Bearer")])),
            Shown::Bearer("")
        );
        for unclear in [
            &[
                (authorization, &b"Bearer a"[..]),
                (authorization, b"Bearer b"),
            ][..],
            &[(authorization, b"Bearer a"), ("x-api-key", b"a")],
            &[(authorization, b"Bearer \xff")],
            &[("x-api-key", b"\xff")],
        ] {
            assert_eq!(Shown::in_headers(&of(unclear)), Shown::Unclear);
        }
    }
}
