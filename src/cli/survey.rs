//! Every backend of a configuration, started once to be looked at and ended
//! again: what `list` and `check --connect` have in common.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use super::terminal::printable;
use crate::{
    backend::{Backend, State},
    config::{BackendSettings, Config, ConnectRetry, Start},
    mux::Mux,
};

/// How long it takes before a person is told what is waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// How many of the last lines of a process that failed are shown: a stack trace has
/// what matters at its end.
const LAST_WORDS: usize = 10;

/// The same configuration, in which nothing is tried twice.
pub(super) fn once(config: Config) -> Config {
    let connect_retry = ConnectRetry {
        enabled: false,
        ..config.connect_retry
    };
    // Nobody calls, and all are to be seen.
    let backends = config.backends.into_iter();
    let backends = backends.map(|backend| BackendSettings {
        start: Start::Eager,
        ..backend
    });
    Config {
        connect_retry,
        backends: backends.collect(),
        ..config
    }
}

/// Runs `work` on a runtime of its own.
///
/// What still runs when it is done is not waited for: a thread that reads stdin
/// cannot be called back.
pub(super) fn run(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("mcpmux: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits until every backend is up or has failed; `false` if Ctrl-C came first.
pub(super) async fn wait(mux: &Mux) -> bool {
    tokio::select! {
        () = all(mux, io::stderr().is_terminal()) => true,
        _ = tokio::signal::ctrl_c() => false,
    }
}

/// Waits for all of them; on a terminal, a person is told for which one.
async fn all(mux: &Mux, terminal: bool) {
    for backend in mux.backends().iter() {
        let mut states = backend.watch();
        let settled = states.wait_for(|state| !matches!(state, State::Starting(_)));
        tokio::pin!(settled);
        let patience = if terminal { SILENCE } else { Duration::MAX };
        if tokio::time::timeout(patience, &mut settled).await.is_err() {
            eprint!("waiting for {} …\r", backend.name());
            let _ = settled.await;
            eprint!("\u{1b}[2K");
        }
    }
}

/// Why `backend` is not up; `None` if it is.
pub(super) fn reason(backend: &Backend) -> Option<Arc<str>> {
    match backend.state() {
        State::Up(..) => None,
        State::Down(down) | State::AwaitingLogin(down) | State::Stopped(down) => Some(down.reason),
        State::Starting(_) | State::Idle(_) => Some("interrupted".into()),
    }
}

/// Names on stderr the backends that are not up, by `name` where they have none
/// of their own, each with the last that its process said; gives their number.
pub(super) fn report_failures(mux: &Mux, name: Option<&str>) -> usize {
    let mut failed = 0;
    for backend in mux.backends().iter() {
        if let Some(reason) = reason(backend) {
            eprintln!("mcpmux: {}: {reason}", name.unwrap_or(backend.name()));
            for line in backend.tail().latest(LAST_WORDS) {
                eprintln!("    {}", printable(&line));
            }
            failed += 1;
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Environment, credential::Logins};

    #[tokio::test]
    async fn on_a_terminal_the_wait_ends_as_well() {
        let text = "
backends:
  - { name: a, transport: http, endpoint: '${NOT_SET}' }
  - { name: b, transport: command, command: [/nonexistent] }
";
        let config = Config::parse(text, "m.yaml", &Environment::default()).unwrap();
        for terminal in [true, false] {
            let config = once(config.clone());
            let mux = Mux::start(&config, &Logins::unattended(&config));
            all(&mux, terminal).await;
            assert_eq!(report_failures(&mux, None), 2);
            mux.stop().await;
        }
    }
}
