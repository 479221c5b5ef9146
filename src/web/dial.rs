//! How a connection without TLS is made: over TCP, or to a unix socket.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::either::Either;
use tower_service::Service;

/// A connection.
pub(crate) type Stream = Either<TcpStream, UnixStream>;

/// How long a unix socket may have no room for another connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where connections lead.
#[derive(Debug, Clone)]
pub(crate) enum Dial {
    /// To the host that a URI names.
    Tcp(HttpConnector),
    /// To this socket, whatever host a URI names.
    Unix(Arc<Path>),
}

impl Dial {
    /// Connects, for a request to `server`.
    pub(crate) async fn connect(
        &self,
        server: &Uri,
    ) -> Result<Stream, Box<dyn Error + Send + Sync>> {
        match self {
            Self::Tcp(connector) => {
                let stream = connector.clone().call(server.clone()).await?;
                Ok(Either::Left(stream.into_inner()))
            }
            Self::Unix(path) => {
                let stream = timeout(PATIENCE, UnixStream::connect(path)).await??;
                Ok(Either::Right(stream))
            }
        }
    }
}
