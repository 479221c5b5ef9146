//! The second yardstick: the least that an HTTP proxy on hyper and hyper-util
//! does. It reads no body and keeps a pool of connections.

use std::{convert::Infallible, io, net::SocketAddr};

use http_body_util::{BodyExt, Either, Empty};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::{CONNECTION, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE},
    http::uri::{Authority, PathAndQuery, Scheme},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

/// Headers of one hop (RFC 9110, section 7.6.1), and `Host`, which the client
/// sets for the next one.
const NOT_PASSED_ON: [HeaderName; 5] = [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, HOST];

/// Passes what comes in at `listener` on to `upstream`, for ever.
pub async fn serve(listener: TcpListener, upstream: SocketAddr) -> io::Result<Infallible> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    let authority = Authority::try_from(upstream.to_string()).map_err(io::Error::other)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, authority) = (client.clone(), authority.clone());
        let service = service_fn(move |request| {
            let answer = client.request(onward(request, authority.clone()));
            async move {
                Ok::<_, Infallible>(match answer.await {
                    Ok(mut response) => {
                        for header in &NOT_PASSED_ON {
                            response.headers_mut().remove(header);
                        }
                        response.map(Either::Left)
                    }
                    Err(_) => bad_gateway(),
                })
            }
        });
        // A connection that breaks is its client's affair.
        tokio::spawn(async move {
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
        });
    }
}

fn onward(request: Request<Incoming>, authority: Authority) -> Request<Incoming> {
    let (mut head, body) = request.into_parts();
    let mut uri = head.uri.into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(authority);
    uri.path_and_query
        .get_or_insert(PathAndQuery::from_static("/"));
    head.uri = Uri::from_parts(uri).unwrap_or_default();
    for header in &NOT_PASSED_ON {
        head.headers.remove(header);
    }
    Request::from_parts(head, body)
}

fn bad_gateway<B>() -> Response<Either<B, Empty<Bytes>>>
where
    B: BodyExt,
{
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
