//! The first words with a backend: which era and revision it speaks, what it
//! is, and what it can do (2026-07-28, `basic/versioning`, Backward
//! Compatibility).

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tracing::debug;

use super::{BackendError, Introduction, Offers, http::HttpLink, link::Link};
use crate::{
    config::EraSetting,
    protocol::{Era, Id, Message, Revision, error, header as mcp, meta, method},
};

/// How long a process may leave the probe unanswered before `initialize` is
/// sent as well: some servers never answer what they do not know.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// What a backend said of itself.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    /// The revision agreed upon.
    pub(crate) revision: Revision,
    /// What it can do.
    pub(crate) offers: Offers,
    /// Its name and version, for display.
    pub(crate) server: Option<String>,
    /// Its guidance for models.
    pub(crate) instructions: Option<String>,
}

/// What became of a probe.
enum Verdict {
    Modern(Handshake),
    /// It speaks the legacy era, as far as can be told.
    Legacy,
}

/// Finds the era, unless `setting` fixes it or `known` remembers it, and shakes
/// hands; in the name of `client`, if the link is for one.
pub(crate) async fn shake(
    link: &Link,
    setting: EraSetting,
    known: Option<Era>,
    client: Option<&Introduction>,
) -> Result<Handshake, BackendError> {
    let era = match setting {
        EraSetting::Legacy => Some(Era::Legacy),
        EraSetting::Modern => Some(Era::Modern),
        EraSetting::Auto => known,
    };
    match (era, link) {
        (Some(Era::Legacy), _) | (None, Link::Sse(_)) => initialize(link, client).await,
        (Some(Era::Modern), Link::Sse(_)) => Err(BackendError::Protocol(
            "transport: sse is of the legacy era (era: modern)".to_owned(),
        )),
        (Some(Era::Modern), _) => match discover(link).await? {
            Verdict::Modern(handshake) => Ok(handshake),
            Verdict::Legacy => Err(BackendError::Protocol(
                "it does not speak the modern era (era: modern)".to_owned(),
            )),
        },
        (None, Link::Http(_)) => match discover(link).await? {
            Verdict::Modern(handshake) => Ok(handshake),
            Verdict::Legacy => initialize(link, client).await,
        },
        (None, Link::Command(_)) => probe_process(link, client).await,
    }
}

/// Probes a process in place: one that answers the probe is modern; one that
/// refuses it, or leaves it unanswered, is asked to initialize as well, and
/// whichever of the two it answers first, however late, decides.
async fn probe_process(
    link: &Link,
    client: Option<&Introduction>,
) -> Result<Handshake, BackendError> {
    let probe = discover(link);
    tokio::pin!(probe);
    if let Ok(verdict) = tokio::time::timeout(PROBE_PATIENCE, &mut probe).await {
        return match verdict? {
            Verdict::Modern(handshake) => Ok(handshake),
            Verdict::Legacy => initialize(link, client).await,
        };
    }
    debug!("the probe is unanswered, sending initialize as well");
    let legacy = initialize(link, client);
    tokio::pin!(legacy);
    tokio::select! {
        late = &mut probe => match late? {
            Verdict::Modern(handshake) => Ok(handshake),
            Verdict::Legacy => legacy.await,
        },
        done = &mut legacy => match done {
            // It may be modern, slow, and about to answer the probe.
            Err(BackendError::Refused { code, .. }) if error::is_modern_only(code) => match probe.await? {
                Verdict::Modern(handshake) => Ok(handshake),
                Verdict::Legacy => Err(BackendError::Protocol("it speaks neither era".to_owned())),
            },
            done => done,
        },
    }
}

/// Asks `server/discover`.
async fn discover(link: &Link) -> Result<Verdict, BackendError> {
    let revision = Revision::NEWEST_MODERN;
    link.set_revision(Some(revision));
    let params = json!({ "_meta": meta::own_request(revision) });
    let answer = ask(link, method::DISCOVER, &params, Some(revision)).await;
    match answer {
        Ok(result) => {
            // Some old servers answer whatever they are asked.
            let Ok(found) = serde_json::from_str::<Discovered<'_>>(&result) else {
                debug!("its answer to the probe says nothing of its versions");
                return Ok(Verdict::Legacy);
            };
            if found
                .supported_versions
                .iter()
                .any(|version| version == revision.as_str())
            {
                return Ok(Verdict::Modern(found.into_handshake(revision)));
            }
            legacy_among(&found.supported_versions)
        }
        Err(Asked::Refused {
            code: error::UNSUPPORTED_VERSION,
            data,
            ..
        }) => {
            let supported: Vec<String> = data
                .as_ref()
                .and_then(|data| Vec::deserialize(data.get("supported")?).ok())
                .unwrap_or_default();
            legacy_among(&supported)
        }
        Err(Asked::Refused { code, message, .. }) if error::is_modern_only(code) => {
            Err(BackendError::Refused { code, message })
        }
        // Whatever else it answers to a method it does not know, it is legacy.
        Err(Asked::Refused { .. } | Asked::Failed(BackendError::Protocol(_))) => {
            Ok(Verdict::Legacy)
        }
        Err(Asked::Failed(BackendError::Status {
            status: 400 | 404 | 405 | 406 | 415 | 422 | 501,
            ..
        })) => Ok(Verdict::Legacy),
        Err(Asked::Failed(error)) => Err(error),
    }
}

fn legacy_among(supported: &[String]) -> Result<Verdict, BackendError> {
    let ours = |version: &String| Revision::parse(version).is_some_and(|r| r.era() == Era::Legacy);
    if supported.iter().any(ours) {
        return Ok(Verdict::Legacy);
    }
    Err(BackendError::Protocol(format!(
        "it speaks no revision known here, only {}",
        supported.join(", ")
    )))
}

/// Opens a legacy session.
async fn initialize(link: &Link, client: Option<&Introduction>) -> Result<Handshake, BackendError> {
    let mut wanted = Revision::NEWEST_LEGACY;
    let result = loop {
        link.set_revision(None);
        let params = Introduction::initialize(client, wanted);
        match ask(link, method::INITIALIZE, &params, None).await {
            Ok(result) => break result,
            // Some servers name what they speak instead of offering it.
            Err(Asked::Refused {
                code,
                message,
                data,
            }) => match data.as_ref().and_then(|data| older(data, wanted)) {
                Some(older) => wanted = older,
                None => return Err(BackendError::Refused { code, message }),
            },
            Err(Asked::Failed(error)) => return Err(older_transport(link, error).await),
        }
    };
    let found: Initialized<'_> = read(&result)?;
    let revision = Revision::parse(&found.protocol_version)
        .filter(|revision| revision.era() == Era::Legacy)
        .ok_or_else(|| {
            BackendError::Protocol(format!(
                "it wants revision {:?}, which is not known here",
                found.protocol_version
            ))
        })?;
    link.set_revision(Some(revision));
    link.send(&Message::notification(method::INITIALIZED, "{}"))
        .await?;
    Ok(Handshake::new(
        revision,
        found.capabilities,
        found.server_info,
        found.instructions,
    ))
}

/// What to tell of `error`, with which `initialize` was refused: a server of the
/// transport before streamable HTTP refuses to be posted to where its stream is
/// (2025-11-25, `basic/transports`, Backwards Compatibility).
async fn older_transport(link: &Link, error: BackendError) -> BackendError {
    match (link, &error) {
        (
            Link::Http(http),
            BackendError::Status {
                status: 400 | 404 | 405,
                ..
            },
        ) if http.is_sse().await => BackendError::Protocol(
            "it speaks the older transport of 2024-11-05: set transport: sse".to_owned(),
        ),
        _ => error,
    }
}

/// The newest legacy revision older than `wanted` that an error's data names.
fn older(data: &Value, wanted: Revision) -> Option<Revision> {
    let supported: Vec<String> = Vec::deserialize(data.get("supported")?).ok()?;
    let known = supported
        .iter()
        .filter_map(|version| Revision::parse(version));
    known.filter(|revision| *revision < wanted).max()
}

/// Opens a new legacy session on a link that lost its own.
pub(super) async fn renew(link: &Arc<HttpLink>) -> Result<(), BackendError> {
    let client = link.whose.as_deref();
    initialize(&Link::Http(Arc::clone(link)), client)
        .await
        .map(drop)
}

/// Why a question got no result.
enum Asked {
    /// The backend answered with an error.
    Refused {
        code: i64,
        message: String,
        data: Option<Value>,
    },
    /// It did not answer, or not in the protocol.
    Failed(BackendError),
}

impl From<Asked> for BackendError {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Refused { code, message, .. } => Self::Refused { code, message },
            Asked::Failed(error) => error,
        }
    }
}

/// Sends a request on mcpmux's own account; gives the result's text.
async fn ask(
    link: &Link,
    method: &str,
    params: &Value,
    modern: Option<Revision>,
) -> Result<String, Asked> {
    let id = link.next_id();
    let message = Message::request(&Id::from(id), method, &params.to_string());
    let mut headers = HeaderMap::new();
    if modern.is_some()
        && let Ok(value) = HeaderValue::from_str(method)
    {
        headers.insert(mcp::METHOD, value);
    }
    let response = link
        .request(id, &message, headers, None)
        .response()
        .await
        .map_err(Asked::Failed)?;
    let payload = response.payload().unwrap_or("{}");
    if !matches!(
        response.kind(),
        crate::protocol::Kind::Response { failed: true, .. }
    ) {
        return Ok(payload.to_owned());
    }
    let refusal: Refusal = serde_json::from_str(payload).unwrap_or_default();
    Err(Asked::Refused {
        code: refusal.code,
        message: refusal.message,
        data: refusal.data,
    })
}

/// Sends a request on mcpmux's own account in the era of `revision`; gives the
/// result's text.
pub(super) async fn query(
    link: &Link,
    revision: Revision,
    method: &str,
    mut params: Value,
) -> Result<String, BackendError> {
    let modern = (revision.era() == Era::Modern).then_some(revision);
    if modern.is_some() {
        params["_meta"] = meta::own_request(revision);
    }
    Ok(ask(link, method, &params, modern).await?)
}

fn read<'a, T: Deserialize<'a>>(result: &'a str) -> Result<T, BackendError> {
    serde_json::from_str(result).map_err(|error| {
        BackendError::Protocol(format!(
            "its answer to the handshake cannot be read: {error}"
        ))
    })
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    data: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized<'a> {
    protocol_version: String,
    server_info: Option<Implementation>,
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
    instructions: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered<'a> {
    supported_versions: Vec<String>,
    #[serde(rename = "_meta")]
    meta: Option<Value>,
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
    instructions: Option<String>,
}

#[derive(Deserialize)]
struct Implementation {
    name: String,
    #[serde(default)]
    version: String,
}

impl Discovered<'_> {
    fn into_handshake(self, revision: Revision) -> Handshake {
        let server = self
            .meta
            .as_ref()
            .and_then(|meta| meta.get(meta::SERVER_INFO));
        let server = server.and_then(|server| Implementation::deserialize(server).ok());
        Handshake::new(revision, self.capabilities, server, self.instructions)
    }
}

impl Handshake {
    fn new(
        revision: Revision,
        capabilities: Option<&RawValue>,
        server: Option<Implementation>,
        instructions: Option<String>,
    ) -> Self {
        Self {
            revision,
            offers: capabilities
                .map(|capabilities| Offers::read(capabilities.get()))
                .unwrap_or_default(),
            server: server.map(|server| {
                format!("{} {}", server.name, server.version)
                    .trim_end()
                    .to_owned()
            }),
            instructions: instructions.filter(|text| !text.trim().is_empty()),
        }
    }
}
