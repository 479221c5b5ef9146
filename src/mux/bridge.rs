//! Between the eras: what a request and its response must gain or lose where
//! client and backend speak different ones. Wraps an exchange's ends; the
//! router knows no era.

use std::borrow::Cow;

use serde_json::json;

use super::{Caller, tasks::with_tasks};
use crate::protocol::{
    Era, Kind, Message, RawObject, Revision, RpcError,
    error::{self, INTERNAL_ERROR, INVALID_PARAMS, RESOURCE_NOT_FOUND},
    meta,
    raw::{RawError, encode_str},
};

/// What becomes of a request's `_meta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MetaChange {
    /// It stays as it came, or absent.
    Keep,
    /// Nothing is left of it.
    Remove,
    /// It is this JSON text now.
    Set(String),
}

impl MetaChange {
    /// What is left, if anything was to be changed.
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Set(text) => Some(text),
            Self::Keep | Self::Remove => None,
        }
    }
}

/// One crossing from a client to a backend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bridge {
    client: Era,
    backend: Revision,
    /// The backend may answer a legacy client with tasks, which are followed here.
    follows: bool,
}

impl Bridge {
    /// From `client` to a backend that speaks `backend`.
    pub(super) fn new(client: Era, backend: Revision) -> Self {
        Self {
            client,
            backend,
            follows: false,
        }
    }

    /// The same; whether the backend may answer with tasks.
    pub(super) fn following_tasks(self, follows: bool) -> Self {
        Self { follows, ..self }
    }

    /// From a modern client to a legacy backend.
    pub(super) fn leaves_modern(self) -> bool {
        self.client == Era::Modern && self.backend.era() == Era::Legacy
    }

    /// From a legacy client to a modern backend.
    pub(super) fn leaves_legacy(self) -> bool {
        self.client == Era::Legacy && self.backend.era() == Era::Modern
    }

    /// A request's `_meta` as the backend is to see it: with `progress` as its
    /// token if it has one, and in the backend's era.
    pub(super) fn request_meta(
        self,
        own: Option<&str>,
        progress: u64,
        caller: &Caller,
    ) -> Result<MetaChange, RpcError> {
        if own.is_none() && !self.leaves_legacy() {
            return Ok(MetaChange::Keep);
        }
        let text = own.unwrap_or("{}");
        let object = RawObject::parse(text).map_err(|error| bad_meta(&error))?;
        let mut edit = object.edit();
        if object
            .get(meta::PROGRESS_TOKEN)
            .map_err(|error| bad_meta(&error))?
            .is_some()
        {
            edit.set(meta::PROGRESS_TOKEN, progress.to_string())
                .map_err(|error| bad_meta(&error))?;
        }
        match (self.client, self.backend.era()) {
            (Era::Modern, Era::Legacy) => edit.remove_if(meta::is_request_field),
            (Era::Legacy, Era::Modern) => {
                let introduction = caller.introduction.as_deref();
                let info = introduction.and_then(|client| client.info.as_deref());
                let info = info.map_or_else(
                    || Cow::Owned(meta::implementation().to_string()),
                    |info| Cow::Borrowed(info.get()),
                );
                // What a client cannot be asked in this request it must not be.
                let abilities = introduction.filter(|_| caller.voice.is_some());
                let abilities = abilities.map_or("{}", |client| client.abilities.as_str());
                let abilities = if self.follows {
                    Cow::Owned(with_tasks(abilities))
                } else {
                    Cow::Borrowed(abilities)
                };
                let set = edit
                    .set(meta::PROTOCOL_VERSION, encode_str(self.backend.as_str()))
                    .and_then(|()| edit.set(meta::CLIENT_INFO, info))
                    .and_then(|()| edit.set(meta::CLIENT_CAPABILITIES, abilities))
                    .and_then(|()| match caller.level {
                        Some(level) => edit.set(meta::LOG_LEVEL, encode_str(level.as_str())),
                        None => Ok(()),
                    });
                set.map_err(|error| bad_meta(&error))?;
            }
            _ => {}
        }
        if edit.is_empty() {
            return Ok(MetaChange::Keep);
        }
        let text = edit.finish();
        let empty = RawObject::parse(&text).is_ok_and(|object| object.members().is_empty());
        Ok(if empty {
            MetaChange::Remove
        } else {
            MetaChange::Set(text)
        })
    }

    /// A response of `backend` as the client is to see it.
    pub(super) fn response(self, backend: &str, message: Message) -> Message {
        let failed = match message.kind() {
            Kind::Response { failed, .. } => *failed,
            _ => return message,
        };
        match (self.client, self.backend.era()) {
            (Era::Modern, Era::Legacy) if failed => with_modern_code(message),
            (Era::Modern, Era::Legacy) => with_result_type(message),
            (Era::Legacy, Era::Modern) if failed => with_legacy_code(message),
            (Era::Legacy, Era::Modern) => without_modern_fields(backend, message),
            _ => message,
        }
    }
}

/// A client's notification for a backend of `era`: a legacy one knows no protocol
/// fields of the modern era.
pub(super) fn notification(era: Era, message: &Message) -> Message {
    let rewritten = || {
        let params = RawObject::parse(message.payload()?).ok()?;
        let own = RawObject::parse(params.get("_meta").ok()??).ok()?;
        let mut kept = own.edit();
        kept.remove_if(meta::is_request_field);
        if era == Era::Modern || kept.is_empty() {
            return None;
        }
        let kept = kept.finish();
        let mut edit = params.edit();
        match RawObject::parse(&kept).ok()?.members() {
            [] => edit.remove_if(|key| key == "_meta"),
            _ => edit.set("_meta", kept.as_str()).ok()?,
        }
        Some(message.rewritten(None, Some(&edit.finish())))
    };
    rewritten().unwrap_or_else(|| message.clone())
}

fn bad_meta(error: &RawError) -> RpcError {
    RpcError::new(INVALID_PARAMS, format!("Invalid params: _meta: {error}"))
}

/// A modern client knows no code of its own for a resource that is not there.
fn with_modern_code(message: Message) -> Message {
    if error::code_of(&message) != Some(RESOURCE_NOT_FOUND) {
        return message;
    }
    let Some(Ok(object)) = message.payload().map(RawObject::parse) else {
        return message;
    };
    let mut edit = object.edit();
    let _ = edit.set("code", INVALID_PARAMS.to_string());
    message.rewritten(None, Some(&edit.finish()))
}

/// A legacy client knows a resource that is not there by a code of its own; a
/// modern server names the resource beside a code that says less (2026-07-28,
/// `server/resources`, Error Handling).
fn with_legacy_code(message: Message) -> Message {
    if error::code_of(&message) != Some(INVALID_PARAMS) {
        return message;
    }
    let Some(Ok(object)) = message.payload().map(RawObject::parse) else {
        return message;
    };
    let data = object.get("data").ok().flatten();
    let data = data.and_then(|data| RawObject::parse(data).ok());
    if !data.is_some_and(|data| matches!(data.get_str("uri"), Ok(Some(_)))) {
        return message;
    }
    let mut edit = object.edit();
    let _ = edit.set("code", RESOURCE_NOT_FOUND.to_string());
    message.rewritten(None, Some(&edit.finish()))
}

/// A modern result says what kind it is, and a resource's how long it holds.
fn with_result_type(message: Message) -> Message {
    let Some(Ok(object)) = message.payload().map(RawObject::parse) else {
        return message;
    };
    let absent = |key: &str| matches!(object.get(key), Ok(None));
    let mut edit = object.edit();
    if absent("resultType") {
        let _ = edit.set("resultType", "\"complete\"");
    }
    if !absent("contents") && absent("ttlMs") && absent("cacheScope") {
        let _ = edit.set("ttlMs", "0");
        let _ = edit.set("cacheScope", "\"private\"");
    }
    if edit.is_empty() {
        return message;
    }
    message.rewritten(None, Some(&edit.finish()))
}

/// A legacy result knows one kind only, holds for no time that is told, and
/// its structured content is an object.
fn without_modern_fields(backend: &str, message: Message) -> Message {
    let Some(Ok(object)) = message.payload().map(RawObject::parse) else {
        return message;
    };
    match object.get_str("resultType") {
        Ok(None) => return message,
        Ok(Some(kind)) if kind == "complete" => {}
        kind => {
            let kind = kind.ok().flatten().unwrap_or_default();
            let error = RpcError::new(
                INTERNAL_ERROR,
                format!(
                    "backend {backend:?}: it answered with a {kind:?} result, which this client's revision has no form for"
                ),
            );
            return Message::failure(
                message.id(),
                &error.with_data(json!({ "resultType": kind })),
            );
        }
    }
    let own = |key: &str| object.get(key).ok().flatten();
    let resource = own("contents").is_some();
    let unstructured = own("structuredContent").filter(|content| !content.starts_with('{'));
    let meta = own("_meta").and_then(|meta| RawObject::parse(meta).ok());
    let mut edit = object.edit();
    edit.remove_if(|key| {
        key == "resultType"
            || (resource && matches!(key, "ttlMs" | "cacheScope"))
            || (key == "structuredContent" && unstructured.is_some())
    });
    if let (Some(value), Some("[]") | None) = (unstructured, own("content")) {
        let text = encode_str(value);
        let _ = edit.set(
            "content",
            format!("[{{\"type\":\"text\",\"text\":{text}}}]"),
        );
    }
    if let Some(meta) = &meta {
        let mut kept = meta.edit();
        kept.remove_if(|key| key == meta::SERVER_INFO);
        match meta.members() {
            [only] if only.key() == meta::SERVER_INFO => edit.remove_if(|key| key == "_meta"),
            _ if kept.is_empty() => {}
            _ => drop(edit.set("_meta", kept.finish())),
        }
    }
    message.rewritten(None, Some(&edit.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODERN: Revision = Revision::NEWEST_MODERN;
    const LEGACY: Revision = Revision::NEWEST_LEGACY;

    fn meta_of(client: Revision, backend: Revision, own: Option<&str>) -> MetaChange {
        let caller = Caller::of(client);
        Bridge::new(client.era(), backend)
            .request_meta(own, 9, &caller)
            .unwrap()
    }

    #[test]
    fn within_an_era_only_the_progress_token_changes() {
        assert_eq!(meta_of(LEGACY, LEGACY, None), MetaChange::Keep);
        assert_eq!(
            meta_of(LEGACY, LEGACY, Some(r#"{"a":1.0}"#)),
            MetaChange::Keep
        );
        assert_eq!(
            meta_of(MODERN, MODERN, Some(r#"{"a":1.0, "progressToken":"t"}"#)),
            MetaChange::Set(r#"{"a":1.0, "progressToken":9}"#.into())
        );
    }

    #[test]
    fn a_modern_request_loses_its_protocol_fields_on_the_way_to_a_legacy_backend() {
        let own = format!(
            r#"{{"{}":"2026-07-28","{}":{{}},"x/y":1}}"#,
            meta::PROTOCOL_VERSION,
            meta::CLIENT_CAPABILITIES
        );
        assert_eq!(
            meta_of(MODERN, LEGACY, Some(&own)),
            MetaChange::Set(r#"{"x/y":1}"#.into())
        );
        let own = format!(r#"{{"{}":"2026-07-28"}}"#, meta::PROTOCOL_VERSION);
        assert_eq!(meta_of(MODERN, LEGACY, Some(&own)), MetaChange::Remove);
    }

    #[test]
    fn a_legacy_request_gains_them_on_the_way_to_a_modern_backend() {
        let MetaChange::Set(text) = meta_of(LEGACY, MODERN, None) else {
            panic!()
        };
        for key in [
            meta::PROTOCOL_VERSION,
            meta::CLIENT_INFO,
            meta::CLIENT_CAPABILITIES,
        ] {
            assert!(text.contains(key), "{text}");
        }
    }

    #[test]
    fn results_cross_in_both_directions() {
        let id = crate::protocol::Id::from(1);
        let plain = Message::success(&id, r#"{"content":[],"n":1.0}"#);
        let modern = Bridge::new(Era::Modern, LEGACY).response("b", plain.clone());
        assert_eq!(
            modern.payload(),
            Some(r#"{"content":[],"n":1.0,"resultType":"complete"}"#)
        );
        let back = Bridge::new(Era::Legacy, MODERN).response("b", modern);
        assert_eq!(back.text(), plain.text());
        let asks = Message::success(&id, r#"{"resultType":"input_required"}"#);
        let told = Bridge::new(Era::Legacy, MODERN).response("b", asks);
        assert!(matches!(told.kind(), Kind::Response { failed: true, .. }));
    }

    #[test]
    fn a_resource_that_is_not_there_has_each_eras_code() {
        let id = crate::protocol::Id::from(1);
        let error = |code, data: &str| {
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            Message::failure(Some(&id), &RpcError::new(code, "no").with_data(data))
        };
        let code = |message: &Message| error::code_of(message).unwrap();
        let down = |message| Bridge::new(Era::Legacy, MODERN).response("b", message);
        let up = |message| Bridge::new(Era::Modern, LEGACY).response("b", message);
        let missing = error(INVALID_PARAMS, r#"{"uri":"a:b"}"#);
        assert_eq!(code(&down(missing.clone())), RESOURCE_NOT_FOUND);
        assert_eq!(up(down(missing.clone())).text(), missing.text());
        let wrong = error(INVALID_PARAMS, r#"{"name":"x"}"#);
        assert_eq!(code(&down(wrong)), INVALID_PARAMS);
    }
}
