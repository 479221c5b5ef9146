//! Connections to HTTP backends are kept and used again: a proxy that opens
//! one a call spends more on that than on the call.

#![allow(clippy::expect_used)]

use std::{fs, path::PathBuf, sync::Arc, thread::available_parallelism};

use mcpmux_load::{
    backend::{
        Era,
        answer::Answers,
        http::{self, Stats},
    },
    daemon::{Backends, Daemon, Launcher},
    load::Client,
    request::Call,
    scenario::{LEGACY, TOOLS},
    target::Upstream,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};

/// mcpmux in front of a backend that counts its connections. The directory is
/// dropped last.
struct Front {
    daemon: Daemon,
    stats: Arc<Stats>,
    _dir: TempDir,
}

impl Front {
    async fn start(upstream: Upstream) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let launcher = Launcher {
            mcpmux: env!("CARGO_BIN_EXE_mcpmux").into(),
            backend: PathBuf::new(),
            broken: Vec::new(),
            http: listener.local_addr().expect("an address"),
            dir: dir.path().to_owned(),
        };
        let stats = Arc::<Stats>::default();
        tokio::spawn(http::serve(
            listener,
            Arc::new(Answers::new(TOOLS)),
            true,
            Arc::clone(&stats),
        ));
        let daemon = launcher
            .ready("mcpmux", Backends::Http(upstream))
            .await
            .expect("mcpmux starts");
        Self {
            daemon,
            stats,
            _dir: dir,
        }
    }

    /// How many threads serve connections beside the first.
    fn threads(&self) -> usize {
        let tasks = format!("/proc/{}/task", self.daemon.process.id());
        let tasks = fs::read_dir(tasks).expect("it runs");
        tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .filter(|name| name.starts_with("connections-"))
            .count()
    }

    /// `calls` calls by each of `clients` clients at the same time.
    async fn call(&self, clients: usize, calls: usize) {
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let endpoint = self.daemon.endpoint.clone();
            running.spawn(async move {
                let mut client = Client::open(&endpoint, Era::Legacy).await?;
                for _ in 0..calls {
                    client.call(Call::Echo(64)).await?;
                }
                client.close().await
            });
        }
        for outcome in running.join_all().await {
            outcome.expect("every call is answered");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_in_a_row_share_a_handful_of_connections() {
    let front = Front::start(LEGACY).await;
    front.call(1, 1000).await;
    assert!(front.stats.requests() >= 1000);
    assert!(
        front.stats.connections() <= 5,
        "{} connections",
        front.stats.connections()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_at_the_same_time_need_no_more_connections_than_clients() {
    let front = Front::start(LEGACY).await;
    front.call(8, 125).await;
    assert!(
        front.stats.connections() <= 8 + 5,
        "{} connections",
        front.stats.connections()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_at_the_same_time_have_as_many_threads_as_processors() {
    let front = Front::start(LEGACY).await;
    let processors = available_parallelism().map_or(1, usize::from);
    front.call(4 * processors, 50).await;
    assert_eq!(front.threads(), processors - 1);
    // They are there once, for whoever comes.
    front.call(8 * processors, 20).await;
    assert_eq!(front.threads(), processors - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_where_answers_are_event_streams() {
    let front = Front::start(Upstream {
        path: "/sse",
        era: Era::Legacy,
    })
    .await;
    front.call(1, 1000).await;
    assert!(
        front.stats.connections() <= 5,
        "{} connections",
        front.stats.connections()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_modern_backend_are_kept_too() {
    let front = Front::start(Upstream {
        path: "/mcp",
        era: Era::Modern,
    })
    .await;
    front.call(1, 1000).await;
    assert!(
        front.stats.connections() <= 5,
        "{} connections",
        front.stats.connections()
    );
}
