//! `mcpmux demo-server`: a small MCP server on stdin and stdout, for trying
//! mcpmux (or any client) with nothing else installed.
//!
//! It is an ordinary server built on rmcp, so it speaks what rmcp speaks:
//! `initialize` up to 2025-11-25 and stateless `server/discover` from
//! 2026-07-28 on. What it says about itself goes to the log, never to stdout,
//! which belongs to the protocol.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{SecondsFormat, Utc};
use rmcp::{
    ErrorData, Json, RoleServer, ServerHandler, ServiceExt as _,
    handler::server::wrapper::Parameters,
    model::{Implementation, ProgressNotificationParam, ServerCapabilities, ServerConfig},
    service::{RequestContext, ServerInitializeError},
    tool, tool_handler, tool_router,
    transport::stdio,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep_until},
};

/// The longest that `slow` may be asked to take, in seconds.
const LONGEST: f64 = 3600.0;
/// The most steps that `slow` may be asked to report.
const MOST_STEPS: u32 = 1000;

/// Serves on stdin and stdout until stdin ends, or SIGTERM or SIGINT comes.
///
/// Makes a runtime of its own and leaves without waiting for it: a thread that
/// reads stdin cannot be called back, and must not keep the process alive.
pub(super) fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(serve());
    runtime.shutdown_background();
    outcome
}

async fn serve() -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    tokio::select! {
        outcome = serve_stdio() => outcome,
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    }
}

async fn serve_stdio() -> anyhow::Result<()> {
    let running = match DemoServer.serve(stdio()).await {
        Ok(running) => running,
        // A client that leaves before it said anything has done no wrong.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(error).context("no MCP client on stdin"),
    };
    running
        .waiting()
        .await
        .context("the server ended by itself")?;
    Ok(())
}

/// The server: it has no state.
#[derive(Debug, Clone, Copy)]
struct DemoServer;

#[tool_handler]
impl ServerHandler for DemoServer {
    fn get_info(&self) -> ServerConfig {
        let itself = Implementation::new("mcpmux-demo-server", env!("CARGO_PKG_VERSION"))
            .with_title("mcpmux demo server")
            .with_description("A handful of harmless tools for trying an MCP connection");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(itself)
            .with_instructions(
                "Harmless tools for trying a connection. `echo` and `add` show that arguments and \
                 results get through, `current_time` that an answer is fresh, and `slow` that \
                 progress, cancellation and time-outs work.",
            )
    }
}

#[tool_router]
impl DemoServer {
    #[tool(
        description = "Returns `message` exactly as it came in.",
        annotations(
            title = "Echo",
            read_only_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn echo(&self, Parameters(Echo { message }): Parameters<Echo>) -> String {
        message
    }

    #[tool(
        description = "Adds two numbers. The sum comes as structured content, and as text for clients \
                       that read text only.",
        annotations(
            title = "Add two numbers",
            read_only_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn add(&self, Parameters(Add { a, b }): Parameters<Add>) -> Json<Sum> {
        Json(Sum { sum: a + b })
    }

    #[tool(
        description = "Tells the current time: in UTC as RFC 3339 text with milliseconds, and as \
                       whole seconds since 1970-01-01T00:00:00Z.",
        annotations(
            title = "Current time",
            read_only_hint = true,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn current_time(&self) -> Json<CurrentTime> {
        let now = Utc::now();
        Json(CurrentTime {
            utc: now.to_rfc3339_opts(SecondsFormat::Millis, true),
            unix_seconds: now.timestamp(),
        })
    }

    #[tool(
        description = "Takes its time: waits `seconds` in `steps` equal parts and then says so. After \
                       each part it reports progress, if the request carries a progress token. Cancel \
                       it to end it early.",
        annotations(
            title = "Slow",
            read_only_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn slow(
        &self,
        Parameters(wait): Parameters<Slow>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        let Slow { seconds, steps } = wait.checked()?;
        let started = Instant::now();
        for step in 1..=steps {
            let part = f64::from(step) / f64::from(steps);
            tokio::select! {
                () = sleep_until(started + Duration::from_secs_f64(seconds * part)) => {}
                () = context.ct.cancelled() => {
                    tracing::info!(step, steps, "slow was cancelled");
                    // Nobody is told: a cancelled request has no response.
                    return Ok(String::new());
                }
            }
            if let Some(token) = context.meta.get_progress_token() {
                let progress = ProgressNotificationParam::new(token, step.into())
                    .with_total(steps.into())
                    .with_message(format!("step {step} of {steps}"));
                if let Err(error) = context.peer.notify_progress(progress).await {
                    tracing::debug!(%error, "progress could not be sent");
                }
            }
        }
        Ok(format!("Waited {seconds} s in {steps} steps."))
    }
}

/// Arguments of `echo`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Echo {
    /// The text to get back.
    message: String,
}

/// Arguments of `add`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Add {
    /// The first number.
    a: f64,
    /// The second number.
    b: f64,
}

/// Result of `add`.
#[derive(Debug, Serialize, JsonSchema)]
struct Sum {
    /// `a` plus `b`.
    sum: f64,
}

/// Result of `current_time`.
#[derive(Debug, Serialize, JsonSchema)]
struct CurrentTime {
    /// The time in UTC, as in `2026-07-28T09:30:00.000Z`.
    utc: String,
    /// Whole seconds since 1970-01-01T00:00:00Z.
    unix_seconds: i64,
}

/// Arguments of `slow`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct Slow {
    /// How long it takes in all, in seconds.
    #[schemars(range(min = 0, max = 3600))]
    seconds: f64,
    /// The number of parts, and so of progress reports.
    #[schemars(range(min = 1, max = 1000))]
    steps: u32,
}

impl Default for Slow {
    fn default() -> Self {
        Self {
            seconds: 5.0,
            steps: 5,
        }
    }
}

impl Slow {
    /// The same, or the error (`Invalid params`) that says what is out of its range.
    fn checked(self) -> Result<Self, ErrorData> {
        if !(0.0..=LONGEST).contains(&self.seconds) {
            return Err(ErrorData::invalid_params(
                format!("seconds must be between 0 and {LONGEST}"),
                None,
            ));
        }
        if !(1..=MOST_STEPS).contains(&self.steps) {
            return Err(ErrorData::invalid_params(
                format!("steps must be between 1 and {MOST_STEPS}"),
                None,
            ));
        }
        Ok(self)
    }
}
