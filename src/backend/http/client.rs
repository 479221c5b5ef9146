//! The HTTP client of one backend: pooled connections, direct or through the
//! system's proxy, and redirects that never leave the configured origin.

use std::{error::Error, fmt::Write, io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        self,
        connect::{HttpConnector, proxy::Tunnel},
    },
    rt::{TokioExecutor, TokioTimer},
};
use url::Url;

use super::pool::{self, Streamed};
use crate::{
    backend::BackendError,
    web::{Dial, Proxy, connector, innermost, tls},
};

/// How long a connection without use is kept.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// The most connections without use that are kept, for all threads or on each of the
/// shelves that threads have.
pub(super) const MAX_IDLE: usize = 64;

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// The header of a proof for one method and address (RFC 9449).
const PROOF: &str = "dpop";

/// The body of an answer: as it comes, or already read.
pub(super) type Body = Either<Either<Streamed, Incoming>, Full<Bytes>>;

/// An answer whose head has arrived.
pub(super) type Response = http::Response<Body>;

type Pool<C> = legacy::Client<C, Full<Bytes>>;

/// A client for one endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    endpoint: Url,
    uri: Uri,
    host: HeaderValue,
    pool: Way,
}

/// How connections are made.
#[derive(Debug)]
enum Way {
    Plain(Arc<pool::Pool>),
    Tls(Pool<HttpsConnector<HttpConnector>>),
    /// Through the proxy of the environment, which is asked to CONNECT.
    Proxied(Pool<HttpsConnector<Tunnel<HttpConnector>>>),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// What to tell.
    pub(super) error: BackendError,
    /// The server was not even reached.
    pub(super) unreached: bool,
}

impl Client {
    /// A client for `endpoint`, by way of the unix `socket` if there is one. Reads the
    /// system's root certificates if it needs them, once for all clients; error: they,
    /// or the proxy, cannot be used.
    pub(crate) fn new(endpoint: &Url, socket: Option<&Path>) -> Result<Self, String> {
        let uri: Uri = endpoint
            .as_str()
            .parse()
            .map_err(|error| format!("endpoint: {error}"))?;
        let secure = endpoint.scheme() == "https";
        let plain = |dial| Way::Plain(pool::Pool::new(uri.clone(), dial));
        let pool = if let Some(socket) = socket {
            plain(Dial::Unix(socket.into()))
        } else {
            match Proxy::of(&uri)? {
                Some(proxy) => Way::Proxied(pool(HttpsConnector::from((proxy.tunnel(), tls()?)))),
                None if secure => Way::Tls(pool(HttpsConnector::from((connector(), tls()?)))),
                None => plain(Dial::Tcp(connector())),
            }
        };
        // Without the port if it is the scheme's own, as the URL has it.
        let host = &endpoint[url::Position::BeforeHost..url::Position::AfterPort];
        Ok(Self {
            endpoint: endpoint.clone(),
            host: HeaderValue::from_str(host).map_err(|error| format!("endpoint: {error}"))?,
            uri,
            pool,
        })
    }

    /// The endpoint.
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Adds the headers that each request to the endpoint has and that are its own.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        if matches!(self.pool, Way::Plain(_)) {
            let host = || self.host.clone();
            headers.entry(header::HOST).or_insert_with(host);
        }
    }

    /// Sends a request to the endpoint, and again to where it is redirected
    /// within the endpoint's origin.
    pub(super) fn send(
        &self,
        method: Method,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> impl Future<Output = Result<Response, Failure>> {
        self.send_to(&self.uri, method, headers, body)
    }

    /// The same to `uri`, which is within the endpoint's origin.
    pub(super) async fn send_to(
        &self,
        uri: &Uri,
        method: Method,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Response, Failure> {
        let mut moved = None;
        for _ in 0..=MAX_REDIRECTS {
            let target = moved.as_ref().unwrap_or(uri);
            let response = match &self.pool {
                // Not by way of another future: each has room for a request of its own.
                Way::Plain(pool) => pool
                    .request(self.request(target, &method, headers, body))
                    .await?
                    .map(Either::Left),
                Way::Tls(pool) => {
                    let sent = pool.request(self.request(target, &method, headers, body));
                    answered(sent.await)?
                }
                Way::Proxied(pool) => {
                    let sent = pool.request(self.request(target, &method, headers, body));
                    answered(sent.await)?
                }
            };
            match self.redirected(&method, response.status(), response.headers()) {
                None => return Ok(response.map(Either::Left)),
                Some(_) if headers.contains_key(PROOF) => {
                    return Err(refused(
                        "it redirects, and the proof of possession is for the first address: \
                         set endpoint to the address it moved to"
                            .to_owned(),
                    ));
                }
                Some(target) => moved = Some(target.map_err(refused)?),
            }
        }
        Err(refused("it redirects too often".to_owned()))
    }

    /// A request to `uri`, as the way there wants it.
    fn request(
        &self,
        uri: &Uri,
        method: &Method,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        let has = request.headers_mut();
        has.clone_from(headers);
        // Not what hyper would do itself: it would let the copy grow for it.
        if body.is_empty() {
            has.remove(header::CONTENT_LENGTH);
        } else {
            has.insert(header::CONTENT_LENGTH, body.len().into());
        }
        self.mark(has);
        *request.uri_mut() = match self.pool {
            Way::Plain(_) => uri.path_and_query().cloned().map(Uri::from),
            Way::Tls(_) | Way::Proxied(_) => Some(uri.clone()),
        }
        .unwrap_or_default();
        request
    }

    /// What `reference` of the server refers to; an error if it is another
    /// origin's, which must not get this backend's requests.
    pub(super) fn within_origin(&self, reference: &str) -> Result<Uri, &'static str> {
        let target = self.endpoint.join(reference).map_err(|_| "is no URL")?;
        if target.origin() != self.endpoint.origin() {
            return Err("is of another origin, which must not get this backend's requests");
        }
        target.as_str().parse().map_err(|_| "is no URL")
    }

    /// Where a response redirects to, if it does; an error if that is not to be
    /// followed.
    fn redirected(
        &self,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Result<Uri, String>> {
        let followed = match status {
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            // These would turn a POST into a GET.
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
                method == Method::GET
            }
            _ => return None,
        };
        let location = headers.get(header::LOCATION)?.to_str().ok()?;
        let Ok(target) = self.endpoint.join(location) else {
            return Some(Err("it redirects to what is no URL".to_owned()));
        };
        if target.origin() != self.endpoint.origin() {
            return Some(Err(format!(
                "it redirects to another origin ({}), which must not get this backend's requests: \
                 set endpoint to the address it moved to",
                target.origin().ascii_serialization()
            )));
        }
        if !followed {
            return Some(Err(format!(
                "it redirects with {status}, which loses the request: set endpoint to the address it moved to"
            )));
        }
        Some(
            target
                .as_str()
                .parse()
                .map_err(|error| format!("it redirects to what is no URL: {error}")),
        )
    }
}

/// What a pool of hyper-util's has brought, beside what else a way may bring.
fn answered<A>(
    sent: Result<http::Response<Incoming>, legacy::Error>,
) -> Result<http::Response<Either<A, Incoming>>, Failure> {
    let response = sent.map_err(|error| Failure {
        unreached: error.is_connect(),
        error: failure(&error, error.is_connect()),
    })?;
    Ok(response.map(Either::Right))
}

fn refused(reason: String) -> Failure {
    Failure {
        error: BackendError::Http(reason),
        unreached: false,
    }
}

fn pool<C>(connector: C) -> Pool<C>
where
    C: legacy::connect::Connect + Clone,
{
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .build(connector)
}

/// What went wrong, without the URL, which may hold a secret.
pub(super) fn failure(error: &(dyn Error + 'static), connecting: bool) -> BackendError {
    let mut text = if connecting {
        "cannot connect".to_owned()
    } else {
        "the HTTP exchange failed".to_owned()
    };
    let cause = innermost(error);
    let _ = if is_no_tls(cause) {
        write!(text, ": it does not speak TLS: is https right in endpoint?")
    } else {
        write!(text, ": {cause}")
    };
    BackendError::Http(text)
}

/// Whether what came in place of a handshake was none, as from a server of plain HTTP.
fn is_no_tls(mut cause: &(dyn Error + 'static)) -> bool {
    // An I/O error passes over what it holds when it is asked for its source.
    while let Some(held) = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        cause = held;
    }
    matches!(cause.downcast_ref(), Some(rustls::Error::InvalidMessage(_)))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{Bytes, Client, HeaderMap, HeaderValue, Method, PROOF};

    #[tokio::test]
    async fn a_proof_for_one_address_goes_to_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut read = vec![0; 4096];
                let count = stream.read(&mut read).await.expect("a request");
                let answer = if read[..count].starts_with(b"POST /old ") {
                    "HTTP/1.1 307 Moved\r\nlocation: /new\r\n"
                } else {
                    "HTTP/1.1 200 OK\r\n"
                };
                let answer = format!("{answer}connection: close\r\ncontent-length: 0\r\n\r\n");
                let written = stream.write_all(answer.as_bytes()).await;
                written.expect("written");
            }
        });
        let endpoint = format!("http://{address}/old").parse().expect("a URL");
        let client = Client::new(&endpoint, None).expect("a client");
        let mut headers = HeaderMap::new();
        let plain = client.send(Method::POST, &headers, &Bytes::new()).await;
        assert_eq!(plain.expect("an answer").status(), 200);
        headers.insert(PROOF, HeaderValue::from_static("a proof"));
        let proven = client.send(Method::POST, &headers, &Bytes::new()).await;
        let error = proven.expect_err("a redirect").error.to_string();
        assert!(error.contains("set endpoint to the address"), "{error}");
        serving.abort();
    }
}
