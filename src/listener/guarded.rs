//! A stream ends with what let its reader in: a key that is revoked, a token that is
//! over, a configuration that says otherwise. Who reads it then comes back, and meets
//! the door.

use std::{future::poll_fn, sync::Arc, task::Poll};

use http::Response;
use tracing::debug;

use super::body::Reply;
use crate::access::{Access, Admitted};

/// `response`, as long as `access` would still let in who was `admitted`. That is
/// looked at before anything is taken that goes out, so that nothing is lost; a
/// stream that is silent takes its look when it says that it is still there
/// ([`KEEP_ALIVE`](super::render::KEEP_ALIVE)).
pub(super) fn guarded(
    response: Response<Reply>,
    access: &Arc<Access>,
    admitted: Admitted,
) -> Response<Reply> {
    let (parts, reply) = response.into_parts();
    let Reply::Stream(mut stream) = reply else {
        return Response::from_parts(parts, reply);
    };
    let access = Arc::clone(access);
    let stream = async_stream::stream! {
        while access.still_admits(&admitted).await {
            let mut waited = false;
            let next = poll_fn(|cx| {
                if waited {
                    return Poll::Ready(None);
                }
                let next = stream.as_mut().poll_next(cx).map(Some);
                waited = next.is_pending();
                next
            });
            match next.await {
                Some(Some(bytes)) => yield bytes,
                Some(None) => return,
                None => {}
            }
        }
        debug!("a stream of {} ends, for it would not be let in any more", admitted.who.name());
    };
    Response::from_parts(parts, Reply::Stream(Box::pin(stream)))
}
