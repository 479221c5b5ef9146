//! What is read of a request's parameters, and how a bad one is refused.

use serde_json::value::RawValue;

use crate::protocol::{Abilities, Id, Message, RawObject, RpcError, error::INVALID_PARAMS, meta};

/// The parameters of a request; none if it has none. Error: they are no object.
pub(super) fn of(message: &Message) -> Result<RawObject<'_>, RpcError> {
    let text = message.payload().unwrap_or("{}");
    RawObject::parse(text).map_err(|error| invalid(&format!("\"params\": {error}")))
}

/// The progress token that the client gave, JSON text.
pub(super) fn token(params: &RawObject<'_>) -> Result<Option<String>, RpcError> {
    let Some(text) = params
        .get("_meta")
        .map_err(|error| invalid(&error.to_string()))?
    else {
        return Ok(None);
    };
    let meta = RawObject::parse(text).map_err(|error| invalid(&format!("_meta: {error}")))?;
    match meta
        .get(meta::PROGRESS_TOKEN)
        .map_err(|error| invalid(&format!("_meta: {error}")))?
    {
        Some(text) if Id::from_json(text).is_none() => {
            Err(invalid("\"progressToken\" must be a string or a number"))
        }
        token => Ok(token.map(str::to_owned)),
    }
}

/// What a modern client says of itself in a request's `_meta`.
pub(super) fn introduction(request: &Message) -> (Option<Box<RawValue>>, Abilities) {
    let params = of(request).ok();
    let own = params
        .as_ref()
        .and_then(|params| RawObject::parse(params.get("_meta").ok()??).ok());
    let of = |key: &str| own.as_ref().and_then(|own| own.get(key).ok().flatten());
    let info = of(meta::CLIENT_INFO).and_then(|info| RawValue::from_string(info.to_owned()).ok());
    (info, Abilities::new(of(meta::CLIENT_CAPABILITIES)))
}

/// The string `key`. Error: it is missing or no string.
pub(super) fn text(params: &RawObject<'_>, key: &str) -> Result<String, RpcError> {
    let text = params
        .get_str(key)
        .map_err(|error| invalid(&error.to_string()))?;
    text.map(std::borrow::Cow::into_owned)
        .ok_or_else(|| invalid(&format!("\"{key}\" must be a string")))
}

/// `what` is wrong with the parameters.
pub(super) fn invalid(what: &str) -> RpcError {
    RpcError::new(INVALID_PARAMS, format!("Invalid params: {what}"))
}
