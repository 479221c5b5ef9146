//! What makes a JSON object a JSON-RPC message (JSON-RPC 2.0, sections 4 and 5;
//! MCP, `basic/index`, Messages). Where its bytes are kept is not its concern.

use smol_str::SmolStr;

use super::{
    Id, Kind, RpcError,
    error::INVALID_REQUEST,
    raw::{RawError, RawObject, decode_str},
};

/// The members that make a message, as written.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    jsonrpc: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    method: Option<&'a str>,
    pub(super) params: Option<&'a str>,
    pub(super) result: Option<&'a str>,
    pub(super) error: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    /// Finds them in one pass.
    pub(super) fn of(object: &RawObject<'a>) -> Result<Self, RpcError> {
        let mut envelope = Self::default();
        for member in object.members() {
            let key = member.key();
            let place = match key.as_ref() {
                "jsonrpc" => &mut envelope.jsonrpc,
                "id" => &mut envelope.id,
                "method" => &mut envelope.method,
                "params" => &mut envelope.params,
                "result" => &mut envelope.result,
                "error" => &mut envelope.error,
                _ => continue,
            };
            if place.replace(member.value()).is_some() {
                return Err(invalid(&RawError::Duplicate(key.into_owned())));
            }
        }
        Ok(envelope)
    }

    pub(super) fn kind(&self) -> Result<Kind, RpcError> {
        let refuse =
            |what: &str| RpcError::new(INVALID_REQUEST, format!("Invalid Request: {what}"));
        if self.jsonrpc.and_then(decode_str).as_deref() != Some("2.0") {
            return Err(refuse("\"jsonrpc\" must be \"2.0\""));
        }
        let id = match self.id {
            None | Some("null") => None,
            Some(text) => Some(
                Id::from_json(text).ok_or_else(|| refuse("\"id\" must be a string or a number"))?,
            ),
        };
        if let Some(text) = self.method {
            let method = decode_str(text).ok_or_else(|| refuse("\"method\" must be a string"))?;
            let method = SmolStr::new(method);
            return match (id, self.id) {
                (Some(id), _) => Ok(Kind::Request { id, method }),
                (None, None) => Ok(Kind::Notification { method }),
                (None, Some(_)) => Err(refuse("\"id\" must not be null")),
            };
        }
        match (self.result, self.error) {
            (Some(_), None) if id.is_none() => {
                Err(refuse("a response needs the \"id\" of its request"))
            }
            (Some(_), None) => Ok(Kind::Response { id, failed: false }),
            (None, Some(_)) => Ok(Kind::Response { id, failed: true }),
            _ => Err(refuse(
                "neither \"method\" nor one of \"result\" and \"error\"",
            )),
        }
    }
}

/// The JSON is no message.
pub(super) fn invalid(error: &RawError) -> RpcError {
    RpcError::new(INVALID_REQUEST, format!("Invalid Request: {error}"))
}
