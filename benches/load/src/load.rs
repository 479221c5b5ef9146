//! Load: clients that each make one call after another for a while, and what
//! was seen meanwhile.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use hdrhistogram::Histogram;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    backend::Era,
    request::{self, Call, Endpoint},
    usage,
    wire::Connection,
};

/// The part of the duration that a client calls before it counts.
const WARM_UP: u32 = 10;

/// A call that takes longer than this has failed.
const LIMIT: Duration = Duration::from_secs(20);

/// What was seen in one stretch of load.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Calls made.
    pub calls: u64,
    /// The median time of a call, in microseconds.
    pub p50: f64,
    /// The time that 99 of 100 calls stay under, in microseconds.
    pub p99: f64,
    /// Calls per second, of all clients together.
    pub rate: f64,
    /// CPU time per call of the watched processes, in microseconds.
    pub cpu: f64,
    /// The most memory that the watched processes had resident, in MiB.
    pub peak: f64,
}

/// A client in conversation with a server.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    session: Option<String>,
    endpoint: Endpoint,
    era: Era,
}

impl Client {
    /// Connects, and goes through the era's handshake where it has one.
    pub async fn open(endpoint: &Endpoint, era: Era) -> anyhow::Result<Self> {
        let mut connection = Connection::open(endpoint.address).await?;
        let mut session = None;
        if era == Era::Legacy {
            let welcome = connection.exchange(&request::initialize(endpoint)).await?;
            if welcome.status != 200 {
                bail!("initialize was answered with status {}", welcome.status);
            }
            session = welcome.session;
            let accepted = connection
                .exchange(&request::initialized(endpoint, session.as_deref()))
                .await?;
            if accepted.status != 202 {
                bail!(
                    "notifications/initialized was answered with status {}",
                    accepted.status
                );
            }
        }
        Ok(Self {
            connection,
            session,
            endpoint: endpoint.clone(),
            era,
        })
    }

    /// Makes `call` once; an error says what is wrong with the answer.
    pub async fn call(&mut self, call: Call) -> anyhow::Result<()> {
        let mut request = call.request(&self.endpoint, self.era, self.session.as_deref());
        let reply = self.connection.exchange(request.renew()).await?;
        call.check(&reply).map_err(|problem| anyhow!(problem))
    }

    /// Ends the session, if there is one.
    pub async fn close(mut self) -> anyhow::Result<()> {
        if let Some(session) = &self.session {
            self.connection
                .exchange(&request::farewell(&self.endpoint, session))
                .await?;
        }
        Ok(())
    }

    /// Makes `call` until `end`; the times are in nanoseconds.
    async fn repeat(&mut self, call: Call, end: Instant) -> anyhow::Result<Histogram<u64>> {
        let mut times = Histogram::new_with_bounds(1, LIMIT.as_nanos().try_into()?, 3)?;
        let mut request = call.request(&self.endpoint, self.era, self.session.as_deref());
        let mut right_size = None;
        loop {
            let start = Instant::now();
            let reply = self.connection.exchange(request.renew()).await?;
            let now = Instant::now();
            times.saturating_record(u64::try_from((now - start).as_nanos())?);
            // Replies of the same size as a right one are not looked into.
            if reply.status != 200 || right_size != Some(reply.body.len()) {
                call.check(&reply).map_err(|problem| anyhow!(problem))?;
                right_size = Some(reply.body.len());
            }
            if now >= end {
                return Ok(times);
            }
        }
    }
}

/// Lets `clients` clients make `call` at `endpoint` for `duration`, and
/// watches what that costs the processes `pids`.
pub async fn run(
    endpoint: &Endpoint,
    era: Era,
    call: Call,
    clients: usize,
    duration: Duration,
    pids: &[u32],
) -> anyhow::Result<Sample> {
    // One barrier after the warm-up, one when the costs so far are read.
    let barrier = Arc::new(Barrier::new(clients + 1));
    let mut running: JoinSet<anyhow::Result<_>> = JoinSet::new();
    for _ in 0..clients {
        let (endpoint, barrier) = (endpoint.clone(), Arc::clone(&barrier));
        running.spawn(async move {
            let warmed = async {
                let mut client = Client::open(&endpoint, era).await?;
                client
                    .repeat(call, Instant::now() + duration / WARM_UP)
                    .await?;
                anyhow::Ok(client)
            }
            .await;
            barrier.wait().await;
            barrier.wait().await;
            let mut client = warmed?;
            let times = client.repeat(call, Instant::now() + duration).await?;
            Ok((client, times, Instant::now()))
        });
    }
    let measured = async {
        barrier.wait().await;
        usage::reset_peak(pids);
        let before = usage::read(pids)?;
        let start = Instant::now();
        barrier.wait().await;
        let mut open = Vec::with_capacity(clients);
        let mut times = Histogram::<u64>::new_with_bounds(1, LIMIT.as_nanos().try_into()?, 3)?;
        let mut end = start;
        while let Some(finished) = running.join_next().await {
            let (client, its_times, its_end): (Client, _, _) =
                finished?.with_context(|| format!("{call:?}"))?;
            times.add(&its_times)?;
            end = end.max(its_end);
            open.push(client);
        }
        let after = usage::read(pids)?;
        for client in open {
            client.close().await?;
        }
        let calls = times.len();
        Ok(Sample {
            calls,
            p50: micros(times.value_at_quantile(0.5)),
            p99: micros(times.value_at_quantile(0.99)),
            rate: per(calls, (end - start).as_secs_f64()),
            cpu: after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / per(calls, 1.0),
            peak: per(after.peak, 1024.0),
        })
    };
    let slack = duration * 2 + LIMIT;
    tokio::time::timeout(slack, measured)
        .await
        .unwrap_or_else(|_| bail!("{call:?}: no end within {slack:?}"))
}

fn micros(nanoseconds: u64) -> f64 {
    per(nanoseconds, 1000.0)
}

/// A count by a measure; counts here stay far below 2^52.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts here stay far below 2^52"
)]
fn per(count: u64, measure: f64) -> f64 {
    count as f64 / measure
}
