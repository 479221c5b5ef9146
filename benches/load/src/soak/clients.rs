//! Clients that come, do what clients do, and go: some properly, some not.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::time::{sleep, timeout};

use super::Tally;
use crate::{
    backend::Era,
    daemon::Backends,
    request::{self, Call, Endpoint},
    wire::{Connection, Reply},
};

/// Calls in a client's life.
const CALLS: usize = 20;

/// Reports of progress of one of them.
const REPORTS: usize = 10;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pause between two lives, and between two calls.
const PAUSE: Duration = Duration::from_millis(20);

/// A tool that never answers.
const NEVER: &str = "http-stalls-in-call__echo";

/// Lives one life after another, of each kind by turns.
pub(super) async fn come_and_go(endpoint: Arc<Endpoint>, number: usize, tally: Arc<Tally>) {
    for life in number.. {
        let lived = match life % 3 {
            0 => legacy(&endpoint, life, &tally).await,
            1 => modern(&endpoint, life, &tally).await,
            _ => rude(&endpoint, life, &tally).await,
        };
        match lived {
            Ok(()) => tally.lives.fetch_add(1, Relaxed),
            Err(problem) => {
                tally.failed(format!("{problem:#}"));
                0
            }
        };
        sleep(PAUSE).await;
    }
}

/// The tool of a good backend that nobody stops.
fn good(endpoint: &Endpoint, number: usize) -> Endpoint {
    Endpoint {
        tool: format!("bench{:02}__echo", number % Backends::STEADY),
        ..endpoint.clone()
    }
}

fn of(endpoint: &Endpoint, tool: &str) -> Endpoint {
    Endpoint {
        tool: tool.to_owned(),
        ..endpoint.clone()
    }
}

async fn exchange(connection: &mut Connection, request: &[u8]) -> anyhow::Result<Reply> {
    let reply = timeout(PATIENCE, connection.exchange(request)).await;
    Ok(reply.context("no answer")??)
}

/// Some calls of good backends, all of which must be answered, and of one that
/// is stopped and started, which may not be.
async fn calls(
    endpoint: &Endpoint,
    connection: &mut Connection,
    (era, session): (Era, Option<&str>),
    life: usize,
    tally: &Tally,
) -> anyhow::Result<()> {
    for number in life..life + CALLS {
        let place = good(endpoint, number);
        let call = match number % 10 {
            0 => Call::Progress(REPORTS),
            1 => Call::Echo(64 * 1024),
            _ => Call::Echo(64),
        };
        let reply = exchange(connection, call.request(&place, era, session).renew()).await?;
        if let Err(problem) = call.check(&reply) {
            anyhow::bail!("{}: {problem}", place.tool);
        }
        tally.calls.fetch_add(1, Relaxed);
        sleep(PAUSE).await;
    }
    let pipe = of(endpoint, Backends::PIPE);
    let mut request = Call::Echo(64).request(&pipe, era, session);
    let reply = exchange(connection, request.renew()).await?;
    ensure!(reply.status < 500, "{}: status {}", pipe.tool, reply.status);
    Ok(())
}

/// A session with a stream, that is ended as it should be. One call is
/// cancelled.
async fn legacy(endpoint: &Endpoint, life: usize, tally: &Tally) -> anyhow::Result<()> {
    let mut connection = Connection::open(endpoint.address).await?;
    let session = begin(endpoint, &mut connection).await?;
    let mut stream = Connection::open_small(endpoint.address).await?;
    timeout(
        PATIENCE,
        stream.open_stream(&request::stream(endpoint, &session)),
    )
    .await
    .context("no stream")??;
    calls(
        endpoint,
        &mut connection,
        (Era::Legacy, Some(&session)),
        life,
        tally,
    )
    .await?;

    let never = of(endpoint, NEVER);
    let mut request = Call::Echo(8).request(&never, Era::Legacy, Some(&session));
    let mut waiting = Connection::open_small(endpoint.address).await?;
    waiting.send(request.renew()).await?;
    let cancel = request::cancelled(endpoint, &session, request.id());
    let accepted = exchange(&mut connection, &cancel).await?;
    ensure!(
        accepted.status == 202,
        "a cancellation: status {}",
        accepted.status
    );
    tally.left.fetch_add(1, Relaxed);
    end(endpoint, &session, &mut connection).await
}

/// Stateless calls beside a subscription.
async fn modern(endpoint: &Endpoint, life: usize, tally: &Tally) -> anyhow::Result<()> {
    let mut stream = Connection::open_small(endpoint.address).await?;
    timeout(PATIENCE, stream.open_stream(&request::listen(endpoint)))
        .await
        .context("no subscription")??;
    let mut connection = Connection::open(endpoint.address).await?;
    calls(endpoint, &mut connection, (Era::Modern, None), life, tally).await?;
    let mut waiting = Connection::open_small(endpoint.address).await?;
    let mut request = Call::Echo(8).request(&of(endpoint, NEVER), Era::Modern, None);
    waiting.send(request.renew()).await?;
    tally.left.fetch_add(1, Relaxed);
    Ok(())
}

/// A session whose client goes in the middle of an answer; the session is ended
/// by another connection, as it would otherwise be kept for a day.
async fn rude(endpoint: &Endpoint, life: usize, tally: &Tally) -> anyhow::Result<()> {
    let mut connection = Connection::open(endpoint.address).await?;
    let session = begin(endpoint, &mut connection).await?;
    for number in life..life + CALLS {
        let place = good(endpoint, number);
        let mut request = Call::Progress(REPORTS).request(&place, Era::Legacy, Some(&session));
        let mut going = Connection::open_small(endpoint.address).await?;
        going.send(request.renew()).await?;
        if number % 2 == 0 {
            sleep(PAUSE).await;
        }
        tally.left.fetch_add(1, Relaxed);
    }
    end(endpoint, &session, &mut connection).await
}

async fn begin(endpoint: &Endpoint, connection: &mut Connection) -> anyhow::Result<String> {
    let welcome = exchange(connection, &request::initialize(endpoint)).await?;
    let session = welcome.session.context("no session")?;
    let accepted = exchange(connection, &request::initialized(endpoint, Some(&session))).await?;
    ensure!(
        accepted.status == 202,
        "initialized: status {}",
        accepted.status
    );
    Ok(session)
}

async fn end(
    endpoint: &Endpoint,
    session: &str,
    connection: &mut Connection,
) -> anyhow::Result<()> {
    let reply = exchange(connection, &request::farewell(endpoint, session)).await?;
    ensure!(
        reply.status == 204,
        "the end of a session: status {}",
        reply.status
    );
    Ok(())
}
