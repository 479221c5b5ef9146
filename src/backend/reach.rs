//! How a call gets hold of a backend's connection, or learns why it cannot.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout_at};

use super::{Backend, BackendError, Connection, Down, State};
use crate::credential::{CredentialError, LoginFailure};

impl Backend {
    /// Its connection. Waits up to `patience` while it starts; fails at once
    /// while it is down.
    pub(crate) async fn connection(
        &self,
        patience: Duration,
    ) -> Result<Arc<Connection>, BackendError> {
        if let Some(connection) = self.connected()
            && connection.usage.is_open()
        {
            return Ok(connection);
        }
        let deadline = tokio::time::Instant::now() + patience;
        let mut states = self.watch();
        // Where a login is awaited, another process may have been given it: then
        // the supervisor is about to connect.
        let given = matches!(self.state(), State::AwaitingLogin(_))
            && match self.login() {
                Some(login) => login.look_again().await,
                None => false,
            };
        let settling = async {
            if given {
                let awaits = |state: &State| matches!(state, State::AwaitingLogin(_));
                states.wait_for(|state| !awaits(state)).await?;
            }
            let starts = |state: &State| {
                if matches!(state, State::Idle(_)) {
                    self.needed.notify_one();
                }
                match state {
                    State::Starting(_) | State::Idle(_) => true,
                    // It is about to be ended for want of use.
                    State::Up(connection, _) => !connection.usage.is_open(),
                    _ => false,
                }
            };
            let settled = states.wait_for(|state| !starts(state)).await?;
            Ok::<_, watch::error::RecvError>(settled.clone())
        };
        let settled = timeout_at(deadline, settling).await;
        let detail = match settled {
            Ok(Ok(state)) => match state {
                State::Up(connection, _) => return Ok(connection),
                State::AwaitingLogin(why) => return Err(self.needs_login(&why).await),
                State::Down(down) => down.to_string(),
                State::Stopped(_) => stopped(&self.name),
                State::Starting(_) | State::Idle(_) => "it is starting".to_owned(),
            },
            Ok(Err(_)) => "mcpmux is stopping".to_owned(),
            Err(_) => format!("it is still starting after {} s", patience.as_secs_f64()),
        };
        Err(BackendError::Unavailable {
            backend: self.name.to_string(),
            detail,
        })
    }

    /// What to tell who needs it while it awaits a login: where that is done now.
    async fn needs_login(&self, why: &Down) -> BackendError {
        match self.login() {
            Some(login) => {
                CredentialError::from(LoginFailure::Needed(Box::new(login.needed().await))).into()
            }
            None => BackendError::Unavailable {
                backend: self.name.to_string(),
                detail: why.to_string(),
            },
        }
    }
}

/// Why a call to a backend fails that was stopped.
fn stopped(name: &str) -> String {
    format!("it was stopped; `mcpmux start {name}` starts it")
}
