//! Who logs in and out: the mcpmux that runs, or this process alone.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use crate::{
    Secret,
    cli::{
        exit,
        running::{Found, find},
    },
    config::{Config, ConfigError, ListenTransport},
    control::{Answer, Answers, ControlError, Hello, Request, ask},
    credential::{Begun, LoggedOut, LoginError, LoginStatus, Logins, Wish},
    nearest::nearest,
};

/// How long a service that was just started may take to serve its control
/// socket.
const START: Duration = Duration::from_secs(5);

/// Who has the logins.
pub(super) enum Source {
    /// The mcpmux that serves the control socket at this path.
    Running {
        /// The socket.
        path: PathBuf,
        /// What it said of itself.
        hello: Hello,
    },
    /// This process.
    Alone {
        /// Its own logins.
        logins: Arc<Logins>,
        /// The configuration that they are of.
        config: Option<PathBuf>,
    },
}

/// Why what was asked was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is no configuration that can be used.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The running mcpmux did not do it.
    #[error("{0}")]
    Control(#[from] ControlError),
    /// There is no login, in words for a person.
    #[error("{0}")]
    Login(String),
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        Self::Login(error.0)
    }
}

impl Failure {
    /// Tells a person, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        match self {
            // It names its file by itself.
            Self::Config(error) => eprintln!("{error}"),
            other => eprintln!("mcpmux: {other}"),
        }
        self.code()
    }

    fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) => exit::CONFIG.into(),
            Self::Control(error) if error.is_permission() => exit::NOT_PERMITTED.into(),
            Self::Control(error) if error.is_lost() => exit::UNAVAILABLE.into(),
            Self::Control(_) | Self::Login(_) => ExitCode::FAILURE,
        }
    }
}

/// A login that is under way.
pub(super) enum Ending {
    /// At the running mcpmux.
    Running(Answers),
    /// In this process.
    Alone(Arc<Logins>, String),
}

impl Source {
    /// Finds who has the logins, and how they stand there. The running mcpmux
    /// comes first, unless it serves another configuration than `config`.
    ///
    /// With `start`, a service that systemd starts when somebody connects is
    /// started.
    pub(super) async fn find(
        config: Option<&Path>,
        start: bool,
    ) -> Result<(Self, Vec<LoginStatus>), Failure> {
        if let Some(found) = running(config).await? {
            return Ok(found);
        }
        let named = config.map(Path::to_owned);
        let loaded = spawn_blocking(move || Config::load(named.as_deref())).await;
        let loaded = loaded.map_err(|error| Failure::Login(error.to_string()))??;
        let address = loaded.listen.address;
        if start && loaded.listen.transport == ListenTransport::Http && answers(address).await {
            let deadline = Instant::now() + START;
            while Instant::now() < deadline {
                if let Some(found) = running(config).await? {
                    return Ok(found);
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        let logins = Logins::new(&loaded);
        let status = logins.status().await;
        let config = loaded.path;
        Ok((Self::Alone { logins, config }, status))
    }

    /// Begins a login, where its tokens can be kept.
    pub(super) async fn begin(
        &self,
        backend: &str,
        wish: Wish,
    ) -> Result<(Begun, Ending), Failure> {
        match self {
            Self::Running { path, .. } => {
                let backend = backend.to_owned();
                let mut answers = request(path, &Request::AuthLogin { backend, wish }).await?;
                match answers.next().await? {
                    Answer::Begun(begun) => Ok((begun, Ending::Running(answers))),
                    Answer::Ended { error: Some(error) } => Err(Failure::Login(error)),
                    _ => Err(unexpected()),
                }
            }
            Self::Alone { logins, .. } => {
                logins.check_store().await?;
                let begun = logins.begin(backend, wish).await?;
                Ok((begun, Ending::Alone(Arc::clone(logins), backend.to_owned())))
            }
        }
    }

    /// Brings the address that the browser ended at.
    pub(super) async fn paste(&self, backend: &str, url: Secret) -> Result<(), Failure> {
        match self {
            Self::Running { path, .. } => {
                let backend = backend.to_owned();
                let mut answers = request(path, &Request::AuthPaste { backend, url }).await?;
                ended(answers.next().await?)
            }
            Self::Alone { logins, .. } => Ok(logins.pasted(backend, &url).await?),
        }
    }

    /// Logs a backend out.
    pub(super) async fn logout(&self, backend: &str) -> Result<LoggedOut, Failure> {
        match self {
            Self::Running { path, .. } => {
                let backend = backend.to_owned();
                let mut answers = request(path, &Request::AuthLogout { backend }).await?;
                match answers.next().await? {
                    Answer::LoggedOut(done) => Ok(done),
                    _ => Err(unexpected()),
                }
            }
            Self::Alone { logins, .. } => Ok(logins.logout(backend).await?),
        }
    }

    /// Whether the login goes on without this process.
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

impl Ending {
    /// Waits for it.
    pub(super) async fn ended(self) -> Result<(), Failure> {
        match self {
            Self::Running(mut answers) => ended(answers.next().await?),
            Self::Alone(logins, backend) => Ok(logins.ended(&backend).await?),
        }
    }
}

fn ended(answer: Answer) -> Result<(), Failure> {
    match answer {
        Answer::Ended { error: None } => Ok(()),
        Answer::Ended { error: Some(error) } => Err(Failure::Login(error)),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> Failure {
    ControlError::Lost(std::io::ErrorKind::InvalidData.into()).into()
}

async fn request(path: &Path, request: &Request) -> Result<Answers, Failure> {
    let gone = || ControlError::Lost(std::io::ErrorKind::ConnectionRefused.into());
    Ok(ask(path, request).await?.ok_or_else(gone)?)
}

/// The mcpmux that runs, if it serves the configuration that was named.
async fn running(config: Option<&Path>) -> Result<Option<(Source, Vec<LoginStatus>)>, Failure> {
    let (path, mut answers) = match find(config, &Request::AuthStatus).await? {
        Found::Running { path, answers } => (path, answers),
        Found::Other(config) => {
            eprintln!(
                "mcpmux: the mcpmux that runs serves another configuration ({}); going on without it",
                config.display()
            );
            return Ok(None);
        }
        Found::Nobody => return Ok(None),
    };
    let hello = answers.hello.clone();
    let Answer::Logins { backends } = answers.next().await? else {
        return Err(unexpected());
    };
    Ok(Some((Source::Running { path, hello }, backends)))
}

/// Whether a mcpmux listens at `address`; asking starts one that systemd has not
/// started yet.
async fn answers(address: SocketAddr) -> bool {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(START, asking).await;
    answer.is_ok_and(|answer| {
        answer.is_ok_and(|answer| {
            answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nok\n")
        })
    })
}

/// The backend of this name that has a login; else what it has instead.
pub(super) fn with_login<'a>(
    backends: &'a [LoginStatus],
    name: &str,
) -> Result<&'a LoginStatus, Failure> {
    let backend = named(backends, name)?;
    let why = match backend.kind.as_str() {
        "oauth" => return Ok(backend),
        "none" => "nothing is asked of it",
        "environment" => "it is a command, which has its credentials from its environment",
        "bearer" => "its token stands in the configuration",
        "header" => "its header stands in the configuration",
        "command" => "a command prints its token",
        // A value of it could not be had.
        "unknown" => "its configuration is incomplete",
        other => other,
    };
    Err(Failure::Login(format!(
        "{name} has no login: {why} (only `auth.type: oauth` has one)"
    )))
}

/// The backend of this name.
pub(super) fn named<'a>(
    backends: &'a [LoginStatus],
    name: &str,
) -> Result<&'a LoginStatus, Failure> {
    let found = backends.iter().find(|backend| backend.backend == name);
    found.ok_or_else(|| {
        let known = backends.iter().map(|backend| backend.backend.as_str());
        let hint = match nearest(name, known) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "`mcpmux auth status` shows them all".to_owned(),
        };
        Failure::Login(format!("no backend is called {name}; {hint}"))
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::cli::auth::table::tests::status;

    #[test]
    fn a_backend_without_a_login_says_what_it_has() {
        let backends = [status("github", "bearer"), status("linear", "oauth")];
        let error = with_login(&backends, "github").unwrap_err().to_string();
        assert!(error.contains("github has no login: its token"), "{error}");
        let error = with_login(&backends, "liner").unwrap_err().to_string();
        assert!(error.contains("did you mean linear?"), "{error}");
        let error = with_login(&backends, "x").unwrap_err().to_string();
        assert!(error.contains("auth status"), "{error}");
        assert!(with_login(&backends, "linear").is_ok());
    }

    #[tokio::test]
    async fn only_what_answers_as_mcpmux_does_is_waited_for() {
        for (answer, is_mcpmux) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n", true),
            ("HTTP/1.1 200 OK\r\n\r\n<html>", false),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\nok\n", false),
            ("", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let serving = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
            assert_eq!(answers(address).await, is_mcpmux, "{answer}");
            serving.await.unwrap();
        }
    }
}
