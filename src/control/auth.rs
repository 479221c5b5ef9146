//! The requests about logins.

use std::io;

use super::{message::Answer, server::Replies};
use crate::{
    Secret,
    credential::{LoginError, Logins, Wish},
};

/// How every backend's login stands.
pub(super) async fn status(logins: &Logins, replies: &mut Replies) -> io::Result<()> {
    let backends = logins.status().await;
    replies.send(&Answer::Logins { backends }).await
}

/// Begins a login, and waits for its end.
pub(super) async fn login(
    logins: &Logins,
    backend: &str,
    wish: Wish,
    replies: &mut Replies,
) -> io::Result<()> {
    let begun = match logins.begin(backend, wish).await {
        Ok(begun) => begun,
        Err(error) => return replies.send(&ended(Err(error))).await,
    };
    // Its end is waited for from the beginning: it may come before the answer
    // has gone out.
    let begun = Answer::Begun(begun);
    let ((), outcome) = tokio::try_join!(replies.send(&begun), async {
        Ok(logins.ended(backend).await)
    })?;
    replies.send(&ended(outcome)).await
}

/// A browser came back, by hand.
pub(super) async fn paste(
    logins: &Logins,
    backend: &str,
    url: &Secret,
    replies: &mut Replies,
) -> io::Result<()> {
    let outcome = logins.pasted(backend, url).await;
    replies.send(&ended(outcome)).await
}

/// Logs a backend out.
pub(super) async fn logout(
    logins: &Logins,
    backend: &str,
    replies: &mut Replies,
) -> io::Result<()> {
    match logins.logout(backend).await {
        Ok(done) => replies.send(&Answer::LoggedOut(done)).await,
        Err(error) => {
            let reason = error.to_string();
            replies.send(&Answer::Refused { reason }).await
        }
    }
}

fn ended(outcome: Result<(), LoginError>) -> Answer {
    Answer::Ended {
        error: outcome.err().map(|error| error.to_string()),
    }
}
