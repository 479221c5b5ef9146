//! For tests: a backend that is up without a process, because the test speaks at
//! the other end of its pipe.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

use super::{Backend, Connection, Ear, Link, Places, State, command::CommandLink};
use crate::{
    config::{
        BackendName, BackendSettings, EraSetting, Namespace, Pin, SessionSetting, Start,
        ToolSettings, Unresolved,
    },
    protocol::Revision,
};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(1_000_000);

impl Backend {
    /// A backend that speaks `revision` over this stdin and stdout.
    pub(crate) fn piped(
        revision: Revision,
        stdin: impl AsyncWrite + Unpin + Send + 'static,
        stdout: impl AsyncRead + Unpin + Send + 'static,
    ) -> Self {
        let name = BackendName::new("b").unwrap();
        let backend = Self::new(
            BackendSettings {
                name,
                description: None,
                enabled: true,
                namespace: Namespace::Prefix,
                session: SessionSetting::Shared,
                era: EraSetting::Auto,
                start: Start::Eager,
                quota: crate::config::Quota::default(),
                idle_stop: None,
                timeout: LONG,
                max_timeout: LONG,
                max_message: 1 << 20,
                concurrency: None,
                tools: ToolSettings::default(),
                health: None,
                pin: Pin::Off,
                transport: Err(Unresolved {
                    key: String::new(),
                    problem: String::new(),
                    credentials: Vec::new(),
                }),
            },
            None,
        );
        let (unasked, _) = mpsc::channel(1);
        let ear = Ear::new(unasked, Arc::default());
        let link = CommandLink::over(stdin, stdout, ear);
        let link = Link::Command(link);
        let connection = Connection::new(
            link,
            revision,
            Arc::default(),
            None,
            Arc::clone(&backend.name),
            Places::new(None),
        );
        let up = State::Up(Arc::new(connection), tokio::time::Instant::now());
        backend.turn(up);
        backend
    }
}
