//! What a browser brings back from an authorization server.

use std::borrow::Cow;

use url::form_urlencoded;

/// The query of a redirect (RFC 6749, section 4.1.2).
#[derive(Default)]
pub(super) struct Answer<'a> {
    pub(super) code: Option<Cow<'a, str>>,
    pub(super) state: Option<Cow<'a, str>>,
    pub(super) iss: Option<Cow<'a, str>>,
    pub(super) error: Option<Cow<'a, str>>,
    pub(super) description: Option<Cow<'a, str>>,
}

impl<'a> Answer<'a> {
    /// A parameter that is there twice counts as not there (RFC 6749, section 3.1).
    pub(super) fn read(query: &'a str) -> Self {
        let mut answer = Self::default();
        let mut twice = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "code" => &mut answer.code,
                "state" => &mut answer.state,
                "iss" => &mut answer.iss,
                "error" => &mut answer.error,
                "error_description" => &mut answer.description,
                _ => continue,
            };
            if place.replace(value).is_some() {
                twice.push(name);
            }
        }
        if twice.is_empty() {
            answer
        } else {
            Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn a_redirect_is_read() {
        let answer = Answer::read("code=a%20b&state=s&iss=https%3A%2F%2Fas&x=1");
        assert_eq!(answer.code.as_deref(), Some("a b"));
        assert_eq!(answer.state.as_deref(), Some("s"));
        assert_eq!(answer.iss.as_deref(), Some("https://as"));
        assert!(Answer::read("state=a&state=b").state.is_none());
    }
}
