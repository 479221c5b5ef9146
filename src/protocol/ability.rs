//! What a client can be asked: its `ClientCapabilities`, kept as they came.

use std::sync::Arc;

use super::{Message, RawObject, method};

/// A client's capabilities, JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities(Arc<str>);

impl Abilities {
    /// What mcpmux shows a legacy server that all clients share: all that it
    /// relays. Whom the call comes from decides when the server asks.
    pub const SHARED: &str =
        r#"{"roots":{},"sampling":{"context":{},"tools":{}},"elicitation":{"form":{},"url":{}}}"#;

    /// The capabilities `text`, an object; none if it is no object.
    pub fn new(text: Option<&str>) -> Self {
        let text = text.filter(|text| RawObject::parse(text).is_ok());
        Self(text.unwrap_or("{}").into())
    }

    /// As JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the client can be asked `request` (2026-07-28,
    /// `client/elicitation`, `client/sampling`, `client/roots`). What no
    /// capability is known for is up to the client.
    pub fn cover(&self, request: &Message) -> bool {
        let Ok(own) = RawObject::parse(&self.0) else {
            return false;
        };
        let of = |key: &str| own.get(key).ok().flatten();
        match request.method().unwrap_or_default() {
            method::ELICIT => of("elicitation").is_some_and(|modes| elicits(modes, request)),
            method::SAMPLE => of("sampling").is_some_and(|forms| samples(forms, request)),
            method::ROOTS_LIST => of("roots").is_some(),
            _ => true,
        }
    }
}

/// Tools are for clients that say so.
fn samples(forms: &str, request: &Message) -> bool {
    let has = |text: Option<&str>, key: &str| {
        let object = text.and_then(|text| RawObject::parse(text).ok());
        object.is_some_and(|object| matches!(object.get(key), Ok(Some(_))))
    };
    !has(request.payload(), "tools") || has(Some(forms), "tools")
}

/// A client that names no mode takes forms.
fn elicits(modes: &str, request: &Message) -> bool {
    let params = request
        .payload()
        .and_then(|params| RawObject::parse(params).ok());
    let mode = params
        .as_ref()
        .and_then(|params| params.get_str("mode").ok().flatten());
    let Ok(modes) = RawObject::parse(modes) else {
        return false;
    };
    let has = |mode: &str| matches!(modes.get(mode), Ok(Some(_)));
    match mode.as_deref() {
        Some("url") => has("url"),
        _ => has("form") || !has("url"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Id;

    fn covers(abilities: &str, method: &str, params: &str) -> bool {
        let request = Message::request(&Id::from(1), method, params);
        Abilities::new(Some(abilities)).cover(&request)
    }

    #[test]
    fn a_client_is_asked_only_what_it_can_do() {
        let url = r#"{"mode":"url"}"#;
        assert!(covers(r#"{"elicitation":{}}"#, method::ELICIT, "{}"));
        assert!(!covers(r#"{"elicitation":{}}"#, method::ELICIT, url));
        assert!(!covers(
            r#"{"elicitation":{"url":{}}}"#,
            method::ELICIT,
            r#"{"mode":"form"}"#
        ));
        assert!(covers(
            r#"{"elicitation":{"form":{},"url":{}}}"#,
            method::ELICIT,
            url
        ));
        assert!(!covers("{}", method::SAMPLE, "{}"));
        let tools = r#"{"tools":[]}"#;
        assert!(covers(r#"{"sampling":{}}"#, method::SAMPLE, "{}"));
        assert!(!covers(r#"{"sampling":{}}"#, method::SAMPLE, tools));
        assert!(covers(
            r#"{"sampling":{"tools":{}}}"#,
            method::SAMPLE,
            tools
        ));
        assert!(!covers("[]", method::ROOTS_LIST, "{}"));
        assert!(covers(r#"{"roots":{}}"#, method::ROOTS_LIST, "{}"));
        assert!(covers("{}", "acme/ask", "{}"));
    }
}
