//! A `notifications/resources/updated` as each subscriber is to see it: under
//! the URI that it knows, tagged with its own subscription or with none.

use std::borrow::Cow;

use crate::protocol::{Message, RawObject, meta, method, raw::encode_str};

/// An update as its backend sent it.
#[derive(Debug)]
pub(super) struct Update {
    /// The resource, as the backend names it.
    pub(super) uri: String,
    /// Without the backend's own tag.
    message: Message,
}

impl Update {
    /// Reads it; `None` if it names no resource.
    pub(super) fn read(message: &Message) -> Option<Self> {
        let params = RawObject::parse(message.payload()?).ok()?;
        let uri = params.get_str("uri").ok()??.into_owned();
        let tagged = params.get("_meta").ok()?.and_then(|own| {
            let own = RawObject::parse(own).ok()?;
            let mut edit = own.edit();
            edit.remove_if(|key| key == meta::SUBSCRIPTION_ID);
            (!edit.is_empty()).then(|| edit.finish())
        });
        let Some(own) = tagged else {
            let message = message.clone();
            return Some(Self { uri, message });
        };
        let mut edit = params.edit();
        if RawObject::parse(&own).is_ok_and(|own| own.members().is_empty()) {
            edit.remove_if(|key| key == "_meta");
        } else {
            edit.set("_meta", own).ok()?;
        }
        let message = message.rewritten(None, Some(&edit.finish()));
        Some(Self { uri, message })
    }

    /// An update of `uri` that no backend sent.
    pub(super) fn of(uri: &str) -> Self {
        let params = format!("{{\"uri\":{}}}", encode_str(uri));
        Self {
            uri: uri.to_owned(),
            message: Message::notification(method::RESOURCES_UPDATED, &params),
        }
    }

    /// The resource and the message for a subscriber that knows it with `alias`
    /// before its URI.
    pub(super) fn known_as(&self, alias: &str) -> (Cow<'_, str>, Cow<'_, Message>) {
        if alias.is_empty() {
            return (Cow::Borrowed(&self.uri), Cow::Borrowed(&self.message));
        }
        let uri = [alias, &self.uri].concat();
        let message = with_member(&self.message, "uri", &encode_str(&uri));
        (Cow::Owned(uri), Cow::Owned(message))
    }
}

/// The notification tagged as one of the subscription `id` (JSON text).
pub(in crate::mux) fn tagged(message: &Message, id: &str) -> Message {
    let own = message
        .payload()
        .and_then(|params| RawObject::parse(params).ok()?.get("_meta").ok()?)
        .and_then(|own| {
            let own = RawObject::parse(own).ok()?;
            let mut edit = own.edit();
            edit.set(meta::SUBSCRIPTION_ID, id).ok()?;
            Some(edit.finish())
        });
    let own = own.unwrap_or_else(|| format!("{{\"{}\":{id}}}", meta::SUBSCRIPTION_ID));
    with_member(message, "_meta", &own)
}

fn with_member(message: &Message, key: &str, value: &str) -> Message {
    let Some(Ok(params)) = message.payload().map(RawObject::parse) else {
        return message.clone();
    };
    let mut edit = params.edit();
    match edit.set(key, value) {
        Ok(()) => message.rewritten(None, Some(&edit.finish())),
        Err(_) => message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn read(text: &str) -> Update {
        Update::read(&Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()).unwrap()
    }

    #[test]
    fn the_backends_tag_goes_and_every_other_byte_stays() {
        let tag = r#""io.modelcontextprotocol/subscriptionId":7"#;
        for (came, goes) in [
            (
                format!(
                    r#"{{ "jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"_meta":{{{tag}}},"uri":"a\u002fb", "x":1.0}}}}"#
                ),
                r#"{ "jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a\u002fb", "x":1.0}}"#,
            ),
            (
                format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"a/b","_meta":{{"y":1.0,{tag}}}}}}}"#
                ),
                r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a/b","_meta":{"y":1.0}}}"#,
            ),
        ] {
            let update = read(&came);
            assert_eq!(update.uri, "a/b");
            assert_eq!(update.known_as("").1.text(), goes);
        }
    }

    #[test]
    fn a_subscriber_gets_its_own_uri_and_tag() {
        let update = read(
            r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{ "uri":"a:b" }}"#,
        );
        let (uri, message) = update.known_as("s+");
        assert_eq!(uri, "s+a:b");
        assert_eq!(
            tagged(&message, "\"l\"").payload(),
            Some(r#"{ "uri":"s+a:b" ,"_meta":{"io.modelcontextprotocol/subscriptionId":"l"}}"#)
        );
    }
}
