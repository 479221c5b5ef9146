//! What is kept of one backend at one authorization server, and how it is
//! written for the vault.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;
use zeroize::Zeroizing;

use super::{
    client::{Client, ClientRecord},
    dpop::Prover,
    metadata::ServerMetadata,
    tokens::Tokens,
};
use crate::Secret;

/// Room for a record as it is written, in bytes, so that no copy of it is left
/// behind where a buffer has grown.
const ROOM: usize = 64 * 1024;

/// One backend's login at one authorization server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// The backend's endpoint: its tokens go nowhere else.
    pub(super) endpoint: Url,
    /// The authorization server.
    pub(super) server: ServerMetadata,
    /// Who mcpmux is to it.
    #[serde(serialize_with = "exposed_client", deserialize_with = "client")]
    pub(super) client: Client,
    /// The resource indicator of its tokens (RFC 8707).
    pub(super) resource: Option<String>,
    /// The scopes that were asked for so far.
    pub(super) requested: Vec<String>,
    /// What the tokens are bound to, if they are: kept with them, for a refresh
    /// token may be good with this key only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dpop: Option<Prover>,
    /// The tokens, once there are any.
    pub(super) tokens: Option<Tokens>,
}

impl Record {
    /// As the vault keeps it.
    pub(super) fn write(&self) -> Result<Secret, String> {
        let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
        serde_json::to_writer(&mut *text, self).map_err(|error| error.to_string())?;
        let text =
            String::from_utf8(std::mem::take(&mut *text)).map_err(|error| error.to_string())?;
        Ok(Secret::new(text))
    }

    /// What the vault has kept; `None` if another version wrote it.
    pub(super) fn read(text: &Secret) -> Option<Self> {
        serde_json::from_str(text.expose()).ok()
    }

    /// Whether it has the same tokens as `other`.
    pub(super) fn has_tokens_of(&self, other: &Self) -> bool {
        let access = |record: &Self| {
            record
                .tokens
                .as_ref()
                .map(|tokens| tokens.access.expose().to_owned())
        };
        access(self) == access(other)
    }
}

fn exposed_client<S: Serializer>(client: &Client, serializer: S) -> Result<S::Ok, S::Error> {
    client.to_record().serialize(serializer)
}

fn client<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Client, D::Error> {
    ClientRecord::deserialize(deserializer).map(Client::from)
}
