//! A browser that comes back from a login, on mcpmux's own listener. What it
//! brings is the room of credentials' to judge, and the page its to write.

use http::{Request, Response};

use super::{body::Reply, origin::Refused};
use crate::credential::{Logins, callback_page, callback_query, callback_refusal};

pub(super) use crate::credential::CALLBACK_PATH as PATH;

/// Answers a request to [`PATH`] that the doors let in.
pub(super) async fn answer<B>(logins: &Logins, request: &Request<B>) -> Response<Reply> {
    let query = callback_query(request.method(), request.uri(), request.headers());
    let page = match query {
        Ok(query) => callback_page(&logins.returned(query).await),
        Err(refused) => refused,
    };
    page.map(Reply::whole)
}

/// Answers one that they did not.
pub(super) fn refuse(refused: &Refused) -> Response<Reply> {
    callback_refusal(http::StatusCode::FORBIDDEN, &refused.to_string()).map(Reply::whole)
}
