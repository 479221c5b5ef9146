//! What a client hears who may not come in: one whose connection is refused, one
//! answer, whatever it asked, and the end; one whose request is, why not.

use std::{sync::Arc, time::Duration};

use http::{Response, header};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Semaphore,
    time::timeout,
};

use super::{body::Reply, endpoint::refuse};
use crate::{
    access::{Denied, Refused},
    protocol::{RpcError, error::INVALID_REQUEST},
};

/// How many are told at once; others find their connection closed.
const AT_ONCE: usize = 64;

/// How long each may take, to ask and to be told.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most that is read of what it asked.
const MAX_READ: u64 = 64 << 10;

/// Those who are being told.
#[derive(Debug, Clone)]
pub(super) struct Refusal(Arc<Semaphore>);

impl Default for Refusal {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Refusal {
    /// Answers whoever is at the other end of `stream` with HTTP 403, and closes it.
    pub(super) async fn tell<S>(&self, mut stream: S, refused: Refused)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Ok(_place) = self.0.try_acquire() else {
            return;
        };
        // A client may take an answer that comes before its question for garbage.
        let _ = timeout(PATIENCE, stream.read_u8()).await;
        let text = format!("{refused}\n");
        let answer = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{text}",
            text.len()
        );
        let parting = async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            // Closing a socket with unread data resets the connection, and the
            // answer with it.
            let mut rest = stream.take(MAX_READ);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
        };
        let _ = timeout(PATIENCE, parting).await;
    }
}

/// The answer to a request of somebody who may not come in.
pub(super) fn deny(denied: Denied) -> Response<Reply> {
    let Denied {
        status,
        challenge,
        why,
    } = denied;
    let mut response = refuse((status, RpcError::new(INVALID_REQUEST, why)));
    if let Some(challenge) = challenge {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
