//! A listener of one login's own, for a browser that comes back to a loopback
//! port (RFC 8252, section 7.3). It is there while the login is; what the
//! browser brings is handed on.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, header, uri::Authority};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::{CALLBACK_PATH, Returned, callback_query, page};

/// The most connections at once; a browser makes one or two.
const MAX_CONNECTIONS: usize = 16;

/// How long a connection may take to send a request's head, or be idle.
const IDLE: Duration = Duration::from_secs(10);

/// How long an answer may take to reach the browser after the login has ended.
const LAST_WORD: Duration = Duration::from_secs(5);

/// The pause after an `accept` that failed, as it does without free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The longest request head, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// Answers browsers that come back to `listener` with what `returned` makes of
/// their query, until told. Then those that are being answered get their page,
/// within 5 s, and the listener is closed before that.
pub(super) async fn serve<F, R>(listener: TcpListener, returned: F, until: CancellationToken)
where
    F: Fn(String) -> R + Send + Sync + 'static,
    R: Future<Output = Returned> + Send,
{
    let returned = Arc::new(returned);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let aborted = CancellationToken::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            () = until.cancelled() => break,
            accepted = accepted => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (returned, until, aborted) = (Arc::clone(&returned), until.clone(), aborted.clone());
        connections.spawn(async move {
            let _place = place;
            aborted
                .run_until_cancelled(connection(stream, returned, until))
                .await;
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(LAST_WORD, connections.wait())
        .await
        .is_err()
    {
        aborted.cancel();
    }
}

/// Serves one connection; after `until`, only what is in flight.
async fn connection<F, R>(stream: TcpStream, returned: Arc<F>, until: CancellationToken)
where
    F: Fn(String) -> R,
    R: Future<Output = Returned>,
{
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let service = service_fn(move |request| {
        let returned = Arc::clone(&returned);
        async move { Ok::<_, Infallible>(answer(local, &request, &*returned).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let done = tokio::select! {
        done = &mut connection => done,
        () = until.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        debug!("a browser's connection ended: {error}");
    }
}

async fn answer<F, R>(
    local: SocketAddr,
    request: &Request<Incoming>,
    returned: &F,
) -> Response<String>
where
    F: Fn(String) -> R,
    R: Future<Output = Returned>,
{
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok()),
    };
    if !host.is_some_and(|host| is_own(host, local)) {
        return page::refusal(
            StatusCode::FORBIDDEN,
            "The request was meant for another host.",
        );
    }
    if request.uri().path() != CALLBACK_PATH {
        return page::refusal(StatusCode::NOT_FOUND, "There is nothing at this address.");
    }
    match callback_query(request.method(), request.uri(), request.headers()) {
        Ok(query) => page::page(&returned(query.to_owned()).await),
        Err(refused) => refused,
    }
}

/// Whether `host` names this loopback listener, so that no name of somebody
/// else's that was bent to this address (DNS rebinding) gets in.
fn is_own(host: &str, local: SocketAddr) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || literal
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    is_loopback && authority.port_u16().unwrap_or(80) == local.port()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::{mpsc, oneshot},
    };

    use super::*;

    /// What one request is answered.
    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn get(target: &str, host: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn welcome() -> Returned {
        Returned::LoggedIn {
            backend: "linear".to_owned(),
        }
    }

    #[tokio::test]
    async fn only_a_browser_that_comes_back_to_this_host_is_heard() {
        let (listener, address) = listener().await;
        let (heard, mut queries) = mpsc::unbounded_channel();
        let returned = move |query: String| {
            heard.send(query).unwrap();
            std::future::ready(welcome())
        };
        let until = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, returned, until.clone()));

        let own = address.to_string();
        let localhost = format!("LOCALHOST:{}", address.port());
        for (host, target, status) in [
            (own.as_str(), "/oauth/callback?code=1", "200"),
            (&localhost, "/oauth/callback?code=2", "200"),
            ("evil.example", "/oauth/callback?code=3", "403"),
            ("localhost", "/oauth/callback?code=4", "403"),
            ("10.0.0.1", "/oauth/callback?code=5", "403"),
            (&own, "/", "404"),
            (&own, "/oauth/callback/?code=6", "404"),
        ] {
            let answer = ask(address, &get(target, host)).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{host} {target}: {answer}"
            );
        }
        let post = get("/oauth/callback?code=7", &own).replacen("GET", "POST", 1);
        assert!(ask(address, &post).await.starts_with("HTTP/1.1 405 "));
        assert_eq!(queries.recv().await.unwrap(), "code=1");
        assert_eq!(queries.recv().await.unwrap(), "code=2");
        assert!(queries.try_recv().is_err());
        until.cancel();
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_browser_gets_its_page_though_the_login_ends_with_it() {
        let (listener, address) = listener().await;
        let until = CancellationToken::new();
        let (go, wait) = oneshot::channel::<()>();
        let wait = std::sync::Mutex::new(Some(wait));
        let ending = until.clone();
        let returned = move |_| {
            let wait = wait.lock().unwrap().take();
            ending.cancel();
            async move {
                wait.unwrap().await.unwrap();
                welcome()
            }
        };
        let serving = tokio::spawn(serve(listener, returned, until.clone()));
        let request = get("/oauth/callback?code=1", &address.to_string());
        let asking = tokio::spawn(async move { ask(address, &request).await });
        until.cancelled().await;
        go.send(()).unwrap();
        assert!(asking.await.unwrap().contains("linear is logged in"));
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn connections_that_say_nothing_do_not_hold_up_the_end() {
        let (listener, address) = listener().await;
        let until = CancellationToken::new();
        let returned = |_| std::future::ready(welcome());
        let serving = tokio::spawn(serve(listener, returned, until.clone()));
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS + 2 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        until.cancel();
        tokio::time::timeout(Duration::from_secs(4), serving)
            .await
            .expect("an end")
            .unwrap();
    }
}
