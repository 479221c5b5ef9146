//! The HTTP client of one backend's `OAuth`: asks authorization servers and
//! whatever serves metadata, bounded in time and size, and only where the
//! [address policy](super::address) lets it. No cookies, no compression; a
//! connection serves one request, so that every one is made to an address that
//! was judged for it. What the answers mean is for others to say.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{self, connect::Connect},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use url::{Position, Url};

use super::address::{Guard, Policy, Refusal};
use crate::{
    protocol::{Revision, header as mcp},
    web::{Proxy, USER_AGENT, connector_with, innermost, tls},
};

/// How long one request may take, with its redirects and the whole body.
const TIME: Duration = Duration::from_secs(30);

/// The longest body that is read.
const MAX_BODY: usize = 1 << 20;

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 3;

/// A client for the servers of one backend.
#[derive(Debug)]
pub(in crate::credential) struct Web {
    policy: Arc<Policy>,
    limits: Limits,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Limits {
    time: Duration,
    body: usize,
}

/// Why a server gave no answer that can be used. The text names the URL,
/// without what may be secret in it, and reads on after "the backend ...".
#[derive(Debug, thiserror::Error)]
#[error("{method} {url} {kind}")]
pub(in crate::credential) struct WebError {
    method: Method,
    url: String,
    /// What is wrong.
    pub(in crate::credential) kind: WebErrorKind,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub(in crate::credential) enum WebErrorKind {
    /// The address policy forbids to ask.
    #[error("{0}")]
    Refused(String),
    /// No proxy or TLS can be had.
    #[error("cannot be asked: {0}")]
    Unusable(String),
    /// The server was not reached: nothing was sent.
    #[error("cannot be reached: {0}")]
    Unreached(String),
    /// The exchange broke off.
    #[error("broke off: {0}")]
    Broken(String),
    /// It took too long.
    #[error("did not answer in full within {} s", .0.as_secs())]
    Slow(Duration),
    /// The body is too long.
    #[error("answers with more than {0} bytes")]
    Large(usize),
    /// A redirect that is not followed.
    #[error("redirects to {to}, {why}")]
    Redirected {
        /// Where to.
        to: String,
        /// Why that is not followed.
        why: String,
    },
}

impl WebErrorKind {
    /// Whether the same request may succeed later without anyone's doing.
    pub(in crate::credential) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreached(_) | Self::Broken(_) | Self::Slow(_))
    }
}

impl Web {
    /// A client for what `endpoint`, the configured one of a backend, leads to.
    /// Error: the system's proxy cannot be used.
    pub(in crate::credential) fn new(endpoint: &Url) -> Result<Self, String> {
        Proxy::of(&uri(endpoint)?)?;
        Ok(Self::with_policy(Policy::new(endpoint)))
    }

    /// A client under a policy of the caller's making.
    pub(super) fn with_policy(policy: Policy) -> Self {
        Self {
            policy: Arc::new(policy),
            limits: Limits {
                time: TIME,
                body: MAX_BODY,
            },
        }
    }

    /// The same with less patience.
    #[cfg(test)]
    pub(super) fn within(mut self, time: Duration) -> Self {
        self.limits.time = time;
        self
    }

    /// Where this backend's servers may be.
    pub(in crate::credential) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Gets a document: `Accept: application/json`; at most three redirects are
    /// followed, each where the policy allows, and never from https to http.
    /// Any status is an answer.
    pub(in crate::credential) async fn get(&self, url: &Url) -> Result<Response<Bytes>, WebError> {
        let fetched = tokio::time::timeout(self.limits.time, self.follow(url.clone())).await;
        fetched
            .unwrap_or(Err(WebErrorKind::Slow(self.limits.time)))
            .map_err(|kind| WebError {
                method: Method::GET,
                url: shown(url),
                kind,
            })
    }

    /// Sends a request, whose URL is absolute, as it is; for what changes
    /// something or holds a credential. Never redirected. Any other status is an
    /// answer.
    pub(in crate::credential) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, WebError> {
        let method = request.method().clone();
        let failed = |url: String, kind| WebError {
            method: method.clone(),
            url,
            kind,
        };
        let url = match Url::parse(&request.uri().to_string()) {
            Ok(url) => url,
            Err(error) => {
                let kind = WebErrorKind::Unusable(format!("its address is no URL ({error})"));
                return Err(failed(String::new(), kind));
            }
        };
        let sent = async {
            let response = self.once(&url, request.map(Bytes::from)).await?;
            if response.status().is_redirection()
                && response.headers().contains_key(header::LOCATION)
            {
                return Err(WebErrorKind::Redirected {
                    to: location(&url, &response).map_or_else(String::new, |to| shown(&to)),
                    why: "which a request of this kind does not follow".to_owned(),
                });
            }
            Ok(response.map(Vec::from))
        };
        let sent = tokio::time::timeout(self.limits.time, sent).await;
        sent.unwrap_or(Err(WebErrorKind::Slow(self.limits.time)))
            .map_err(|kind| failed(shown(&url), kind))
    }

    async fn follow(&self, mut url: Url) -> Result<Response<Bytes>, WebErrorKind> {
        for left in (0..=MAX_REDIRECTS).rev() {
            let mut request = Request::new(Bytes::new());
            let headers = request.headers_mut();
            headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
            // The revision of 2025-03-26 asks for it.
            headers.insert(
                mcp::PROTOCOL_VERSION,
                HeaderValue::from_static(Revision::V2025_11_25.as_str()),
            );
            let response = self.once(&url, request).await?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let Some(to) = location(&url, &response) else {
                return Ok(response);
            };
            let refuse = |why: String| {
                Err(WebErrorKind::Redirected {
                    to: shown(&to),
                    why,
                })
            };
            if left == 0 {
                return refuse("which is one redirect too many".to_owned());
            }
            if is_downgrade(&url, &to) {
                return refuse("which is not https any more".to_owned());
            }
            if let Err(refusal) = self.policy.check_all(&to).await {
                return refuse(format!("which {refusal}"));
            }
            url = to;
        }
        Err(WebErrorKind::Broken("it redirects too often".to_owned()))
    }

    /// One request and its answer.
    async fn once(
        &self,
        url: &Url,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, WebErrorKind> {
        if let Err(refusal) = self.policy.check_all(url).await {
            return Err(WebErrorKind::Refused(refusal.to_string()));
        }
        let uri = uri(url).map_err(WebErrorKind::Unusable)?;
        let mut request = request.map(Full::new);
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, USER_AGENT);
        if let Some(authorization) = headers.get_mut(header::AUTHORIZATION) {
            authorization.set_sensitive(true);
        }
        let proxy = Proxy::of(&uri).map_err(WebErrorKind::Unusable)?;
        let secure = url.scheme() == "https";
        *request.uri_mut() = uri;
        let guarded = || connector_with(Guard(self.policy.clone()));
        let response = match proxy {
            Some(proxy) => {
                ask(
                    HttpsConnector::from((proxy.tunnel(), roots().await?)),
                    request,
                )
                .await
            }
            None if secure => ask(HttpsConnector::from((guarded(), roots().await?)), request).await,
            None => ask(guarded(), request).await,
        };
        read(response?, self.limits.body).await
    }
}

/// TLS with the system's roots, which are read from disk when first needed.
async fn roots() -> Result<Arc<ClientConfig>, WebErrorKind> {
    let read = tokio::task::spawn_blocking(tls).await;
    read.unwrap_or_else(|_| Err("reading the system's root certificates failed".to_owned()))
        .map_err(WebErrorKind::Unusable)
}

/// Asks over a connection of its own.
async fn ask<C>(
    connector: C,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, WebErrorKind>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_max_idle_per_host(0)
        .retry_canceled_requests(false)
        .build(connector);
    client.request(request).await.map_err(|error| {
        if let Some(refusal) = refusal(&error) {
            return WebErrorKind::Refused(refusal.to_string());
        }
        let reason = innermost(&error).to_string();
        if error.is_connect() {
            WebErrorKind::Unreached(reason)
        } else {
            WebErrorKind::Broken(reason)
        }
    })
}

/// The answer with its body, if that is not longer than `max` bytes.
async fn read(response: Response<Incoming>, max: usize) -> Result<Response<Bytes>, WebErrorKind> {
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > max {
        return Err(WebErrorKind::Large(max));
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| WebErrorKind::Broken(innermost(&error).to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > max {
            return Err(WebErrorKind::Large(max));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Response::from_parts(head, bytes.into()))
}

/// The policy's refusal among the causes of an error.
fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refusal> {
    let mut error = error;
    loop {
        let held = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(refusal) = held.and_then(|held| held.downcast_ref::<Refusal>()) {
            return Some(refusal);
        }
        error = error.source()?;
    }
}

/// Whether a redirect would give up TLS.
fn is_downgrade(from: &Url, to: &Url) -> bool {
    from.scheme() == "https" && to.scheme() != "https"
}

/// Where `response` to a request for `url` redirects to.
fn location<B>(url: &Url, response: &Response<B>) -> Option<Url> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let mut to = url.join(location).ok()?;
    to.set_fragment(None);
    Some(to)
}

fn uri(url: &Url) -> Result<Uri, String> {
    let uri = url[..Position::AfterQuery].parse();
    uri.map_err(|error| format!("its address is no URL ({error})"))
}

/// `url` as it may be shown: without what might be secret in it.
pub(super) fn shown(url: &Url) -> String {
    match url.host_str() {
        Some(_) => format!(
            "{}://{}",
            url.scheme(),
            &url[Position::BeforeHost..Position::AfterPath]
        ),
        None => format!("{}:...", url.scheme()),
    }
}

#[cfg(test)]
mod tests;
