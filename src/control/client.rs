//! A command's side of the control socket.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use rustix::process::geteuid;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::timeout,
};

use super::message::{Answer, Hello, MAX_ANSWER, PATIENCE, PROTOCOL, Request};

/// Why the running mcpmux has not done what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It will not, or cannot.
    #[error("{0}")]
    Refused(String),
    /// It is of another version.
    #[error("the running mcpmux is of version {0} and speaks another protocol: restart it")]
    Version(String),
    /// It is another user's.
    #[error("{0} is another user's")]
    Foreign(String),
    /// This user may not speak to it.
    #[error("{path}: {source}")]
    NotPermitted {
        /// Its control socket.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// It went away, or says what is not understood.
    #[error("the running mcpmux does not answer: {0}")]
    Lost(#[source] io::Error),
}

impl ControlError {
    /// Whether there was nobody to do what was asked.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Version(_))
    }

    /// Whether the system does not permit what was asked.
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::NotPermitted { .. } | Self::Foreign(_))
    }
}

/// What the running mcpmux answers to one request.
#[derive(Debug)]
pub struct Answers {
    stream: BufReader<UnixStream>,
    /// Who answers.
    pub hello: Hello,
}

/// Asks the mcpmux that serves the control socket at `path`; `None` if none does.
pub async fn ask(path: &Path, request: &Request) -> Result<Option<Answers>, ControlError> {
    let connected = timeout(PATIENCE, UnixStream::connect(path))
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::ConnectionRefused => {
                    Ok(None)
                }
                ErrorKind::PermissionDenied => Err(ControlError::NotPermitted {
                    path: path.display().to_string(),
                    source: error,
                }),
                _ => Err(ControlError::Lost(error)),
            };
        }
    };
    let (own, peer) = (geteuid(), stream.peer_cred().map_err(ControlError::Lost)?);
    if !own.is_root() && peer.uid() != own.as_raw() && peer.uid() != 0 {
        return Err(ControlError::Foreign(path.display().to_string()));
    }
    let line = request
        .to_line()
        .map_err(|error| ControlError::Lost(error.into()))?;
    timeout(PATIENCE, stream.write_all(line.expose().as_bytes()))
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
        .map_err(ControlError::Lost)?;
    let mut stream = BufReader::new(stream);
    let first = timeout(PATIENCE, read(&mut stream))
        .await
        .unwrap_or_else(|_| Err(ControlError::Lost(ErrorKind::TimedOut.into())))?;
    match first {
        Some(Answer::Hello(hello)) if hello.protocol == PROTOCOL => {
            Ok(Some(Answers { stream, hello }))
        }
        Some(Answer::Hello(hello)) => Err(ControlError::Version(hello.version)),
        Some(Answer::Refused { reason }) => Err(ControlError::Refused(reason)),
        _ => Err(ControlError::Lost(ErrorKind::InvalidData.into())),
    }
}

impl Answers {
    /// The next answer; an error if there is none, or it is a refusal. Waits as
    /// long as mcpmux has nothing to say.
    pub async fn next(&mut self) -> Result<Answer, ControlError> {
        match read(&mut self.stream).await? {
            Some(Answer::Refused { reason }) => Err(ControlError::Refused(reason)),
            Some(answer) => Ok(answer),
            None => Err(ControlError::Lost(ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// One answer; `None` at the end.
async fn read(stream: &mut BufReader<UnixStream>) -> Result<Option<Answer>, ControlError> {
    let mut line = Vec::new();
    let mut bounded = stream.take(MAX_ANSWER as u64);
    let read = bounded.read_until(b'\n', &mut line).await;
    if read.map_err(ControlError::Lost)? == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&line)
        .map(Some)
        .map_err(|error| ControlError::Lost(error.into()))
}
