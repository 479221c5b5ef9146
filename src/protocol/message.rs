//! One JSON-RPC message: its envelope read, its payload left as it came.

use bytes::Bytes;
use bytestring::ByteString;
use smol_str::SmolStr;

use super::{
    Id, RpcError,
    envelope::{self, Envelope},
    error::PARSE_ERROR,
    raw::{RawError, RawObject, elements},
    span::{self, Span},
};

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Wants a response.
    Request {
        /// Names the response.
        id: Id,
        /// What is asked.
        method: SmolStr,
    },
    /// Wants none.
    Notification {
        /// What is told.
        method: SmolStr,
    },
    /// Answers a request.
    Response {
        /// The request's id; `None` where the answerer could not read it.
        id: Option<Id>,
        /// Whether it carries an error.
        failed: bool,
    },
}

/// A message: its bytes, what its envelope says, and where its parts stand.
#[derive(Debug, Clone)]
pub struct Message {
    text: ByteString,
    kind: Kind,
    id_at: Option<Span>,
    payload_at: Option<Span>,
}

impl Message {
    /// Reads the envelope of `text`.
    ///
    /// Errors: -32700 where it is not JSON, -32600 where it is no message.
    pub fn parse(text: Bytes) -> Result<Self, RpcError> {
        if text.len() > span::MAX {
            return Err(RpcError::new(PARSE_ERROR, "Parse error: over 1 GiB"));
        }
        let text = ByteString::try_from(text).map_err(|error| {
            RpcError::new(PARSE_ERROR, format!("Parse error: not UTF-8: {error}"))
        })?;
        let object = RawObject::parse(&text).map_err(|error| match error {
            RawError::Syntax(_) => RpcError::new(PARSE_ERROR, format!("Parse error: {error}")),
            _ => envelope::invalid(&error),
        })?;
        let envelope = Envelope::of(&object)?;
        let kind = envelope.kind()?;
        let at = |part: Option<&str>| part.map(|part| object.range_of(part).into());
        let id_at = at(envelope.id);
        let payload_at = at(envelope.params.or(envelope.result).or(envelope.error));
        Ok(Self {
            text,
            kind,
            id_at,
            payload_at,
        })
    }

    /// Reads one message, or each of a batch, which peers of revision
    /// 2025-03-26 may send.
    pub fn parse_each(text: Bytes) -> Vec<Result<Self, RpcError>> {
        if !text.trim_ascii_start().starts_with(b"[") {
            return vec![Self::parse(text)];
        }
        let items = std::str::from_utf8(&text).ok().and_then(elements);
        match items {
            Some(items) => items
                .into_iter()
                .map(|item| Self::parse(text.slice_ref(item.as_bytes())))
                .collect(),
            None => vec![Err(RpcError::new(PARSE_ERROR, "Parse error: not JSON"))],
        }
    }

    /// The request `method` with the JSON text `params`.
    pub fn request(id: &Id, method: &str, params: &str) -> Self {
        let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{}", id.as_str());
        let middle = format!(",\"method\":\"{method}\",\"params\":");
        let kind = Kind::Request {
            id: id.clone(),
            method: method.into(),
        };
        Self::assemble(&head, &middle, params, kind)
    }

    /// The notification `method` with the JSON text `params`.
    pub fn notification(method: &str, params: &str) -> Self {
        let middle = format!(",\"method\":\"{method}\",\"params\":");
        Self::assemble(
            "{\"jsonrpc\":\"2.0\"",
            &middle,
            params,
            Kind::Notification {
                method: method.into(),
            },
        )
    }

    /// The response that carries `error`; `None` where the request's id could
    /// not be read.
    pub fn failure(id: Option<&Id>, error: &RpcError) -> Self {
        let head = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{}",
            id.map_or("null", Id::as_str)
        );
        let kind = Kind::Response {
            id: id.cloned(),
            failed: true,
        };
        Self::assemble(&head, ",\"error\":", &error.to_json(), kind)
    }

    /// The response to `id` with the JSON text `result`.
    pub fn success(id: &Id, result: &str) -> Self {
        let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{}", id.as_str());
        let kind = Kind::Response {
            id: Some(id.clone()),
            failed: false,
        };
        Self::assemble(&head, ",\"result\":", result, kind)
    }

    /// A message from the text up to its id's end, the text up to its payload,
    /// and the payload.
    fn assemble(head: &str, middle: &str, payload: &str, kind: Kind) -> Self {
        let text = [head, middle, payload, "}"].concat();
        let id_from = match &kind {
            Kind::Request { id, .. } => Some(head.len() - id.as_str().len()),
            Kind::Response { .. } => Some("{\"jsonrpc\":\"2.0\",\"id\":".len()),
            Kind::Notification { .. } => None,
        };
        let id_at = id_from.map(|start| (start..head.len()).into());
        let start = head.len() + middle.len();
        let payload_at = Some((start..start + payload.len()).into());
        Self {
            text: text.into(),
            kind,
            id_at,
            payload_at,
        }
    }

    /// The same message under another id and, if given, with another payload;
    /// every other byte stays.
    #[must_use]
    pub fn rewritten(&self, id: Option<&Id>, payload: Option<&str>) -> Self {
        let text = self.text();
        let grown = id.map_or(0, |id| id.as_str().len()) + payload.map_or(0, str::len);
        let mut out = String::with_capacity(text.len() + grown);
        let mut from = 0;
        let mut put = |at: Option<Span>, new: Option<&str>| {
            at.map(|at| {
                let at = at.range();
                out.push_str(&text[from..at.start]);
                let start = out.len();
                from = at.end;
                out.push_str(new.unwrap_or(&text[at]));
                (start..out.len()).into()
            })
        };
        let id_text = id.map(Id::as_str);
        let id_first = match (self.id_at, self.payload_at) {
            (Some(id), Some(payload)) => id.range().start < payload.range().start,
            _ => true,
        };
        let (id_at, payload_at);
        if id_first {
            id_at = put(self.id_at, id_text);
            payload_at = put(self.payload_at, payload);
        } else {
            payload_at = put(self.payload_at, payload);
            id_at = put(self.id_at, id_text);
        }
        out.push_str(&text[from..]);
        let kind = match (&self.kind, id) {
            (Kind::Request { method, .. }, Some(id)) => Kind::Request {
                id: id.clone(),
                method: method.clone(),
            },
            (Kind::Response { failed, .. }, Some(id)) => Kind::Response {
                id: Some(id.clone()),
                failed: *failed,
            },
            (kind, _) => kind.clone(),
        };
        Self {
            text: out.into(),
            kind,
            id_at,
            payload_at,
        }
    }

    /// What the envelope says.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The method of a request or notification.
    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request { method, .. } | Kind::Notification { method } => Some(method),
            Kind::Response { .. } => None,
        }
    }

    /// The message as it goes on the wire.
    pub fn bytes(&self) -> &Bytes {
        self.text.as_bytes()
    }

    /// The message as it goes on the wire, given away.
    pub fn into_bytes(self) -> Bytes {
        self.text.into_bytes()
    }

    /// The text, which was checked when the message was made.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of `params`, `result` or `error`, whichever the message has.
    pub fn payload(&self) -> Option<&str> {
        self.payload_at.map(|at| &self.text()[at.range()])
    }

    /// The id of a request or response.
    pub fn id(&self) -> Option<&Id> {
        match &self.kind {
            Kind::Request { id, .. } => Some(id),
            Kind::Response { id, .. } => id.as_ref(),
            Kind::Notification { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::error::INVALID_REQUEST;

    fn kind(text: &'static str) -> Result<Kind, i64> {
        Message::parse(Bytes::from_static(text.as_bytes()))
            .map(|m| m.kind)
            .map_err(|e| e.code)
    }

    #[test]
    fn requests_notifications_and_responses_are_told_apart() {
        let id = || Id::from_json("7").unwrap();
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#),
            Ok(Kind::Request {
                id: id(),
                method: "ping".into()
            })
        );
        assert_eq!(
            kind(r#"{"method":"x","jsonrpc":"2.0","params":{}}"#),
            Ok(Kind::Notification { method: "x".into() })
        );
        assert_eq!(
            kind(r#"{"result":{},"jsonrpc":"2.0","id":7}"#),
            Ok(Kind::Response {
                id: Some(id()),
                failed: false
            })
        );
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#),
            Ok(Kind::Response {
                id: None,
                failed: true
            })
        );
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_right_code() {
        for text in ["", "{", "[1", "nonsense", "{\"jsonrpc\":\"2.0\",}"] {
            assert_eq!(kind(text), Err(PARSE_ERROR), "{text}");
        }
        for text in [
            "7",
            "[]",
            "[{}]",
            "{}",
            r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","method":"y"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        ] {
            assert_eq!(kind(text), Err(INVALID_REQUEST), "{text}");
        }
    }

    #[test]
    fn a_rewrite_changes_id_and_payload_and_nothing_else() {
        let seven = Id::from(7);
        for (text, expected) in [
            (
                r#"{ "id":"a", "x":1.0,"params" : {} ,"method":"m","jsonrpc":"2.0"}"#,
                r#"{ "id":7, "x":1.0,"params" : [] ,"method":"m","jsonrpc":"2.0"}"#,
            ),
            (
                r#"{"result":{"a":1e400},"jsonrpc":"2.0","id":12 }"#,
                r#"{"result":[],"jsonrpc":"2.0","id":7 }"#,
            ),
        ] {
            let message = Message::parse(Bytes::from_static(text.as_bytes())).unwrap();
            let new = message.rewritten(Some(&seven), Some("[]"));
            assert_eq!(new.text(), expected);
            assert_eq!((new.payload(), new.id()), (Some("[]"), Some(&seven)));
            let back = new.rewritten(message.id(), message.payload());
            assert_eq!(back.text(), text);
        }
    }

    #[test]
    fn a_response_to_nobody_known_gets_its_id_back() {
        let message = Message::parse(Bytes::from_static(
            br#"{"jsonrpc":"2.0","id":null,"error":{}}"#,
        ))
        .unwrap();
        assert_eq!(
            message.rewritten(Some(&Id::from(1)), None).text(),
            r#"{"jsonrpc":"2.0","id":1,"error":{}}"#
        );
    }

    #[test]
    fn a_batch_is_read_message_by_message() {
        let batch = br#" [{"jsonrpc":"2.0","method":"a"}, 7]"#;
        let read = Message::parse_each(Bytes::from_static(batch));
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].as_ref().unwrap().method(), Some("a"));
        assert_eq!(read[1].as_ref().unwrap_err().code, INVALID_REQUEST);
    }
}
