//! What is said on the control socket, and within which bounds.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    backends::{Deed, Status},
    logs::Log,
    reload::Reloaded,
};
use crate::{
    Secret,
    credential::{Begun, LoggedOut, LoginStatus, Wish},
    mux::BackendChanges,
};

/// The version of the protocol; another one is refused.
pub const PROTOCOL: u32 = 1;

/// The longest request, in bytes without its newline.
pub(super) const MAX_REQUEST: usize = 64 * 1024;

/// The longest answer, in bytes: the status of thousands of backends.
pub(super) const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How long either side may take to send what it is to send at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked of the running mcpmux.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request")]
pub enum Request {
    /// How it is. Answered by [`Answer::Status`].
    #[serde(rename = "status")]
    Status,
    /// Start, stop or restart a backend. Answered by [`Answer::Done`] as soon as
    /// it is under way.
    #[serde(rename = "backend")]
    Backend {
        /// What is to be done.
        deed: Deed,
        /// The backend.
        backend: String,
    },
    /// Read the configuration again. Answered by [`Answer::Reloaded`] or
    /// [`Answer::Invalid`] once that is done.
    #[serde(rename = "reload")]
    Reload,
    /// Where a backend's log is, and what is new in it. Answered by
    /// [`Answer::Log`].
    #[serde(rename = "log")]
    Log {
        /// The backend.
        backend: String,
        /// The most lines that are wanted.
        most: usize,
        /// How many lines were seen.
        seen: u64,
    },
    /// The tools that are not as they were approved. Answered by
    /// [`Answer::ToolChanges`].
    #[serde(rename = "tools.diff")]
    ToolsDiff {
        /// Of this backend only.
        backend: Option<String>,
    },
    /// Approve tools as they are now. Answered by [`Answer::Approved`].
    #[serde(rename = "tools.approve")]
    ToolsApprove {
        /// The backend.
        backend: String,
        /// This tool only.
        tool: Option<String>,
    },
    /// How every backend's login stands. Answered by [`Answer::Logins`].
    #[serde(rename = "auth.status")]
    AuthStatus,
    /// Log a backend in. Answered by [`Answer::Begun`] at once, and by
    /// [`Answer::Ended`] when a person has consented, or has not.
    #[serde(rename = "auth.login")]
    AuthLogin {
        /// The backend.
        backend: String,
        /// How.
        wish: Wish,
    },
    /// The address that the browser came back to, where it could not reach
    /// mcpmux. Answered by [`Answer::Ended`].
    #[serde(rename = "auth.paste")]
    AuthPaste {
        /// The backend whose login is under way.
        backend: String,
        /// The address, with the code in it.
        #[serde(with = "exposed")]
        url: Secret,
    },
    /// Log a backend out. Answered by [`Answer::LoggedOut`].
    #[serde(rename = "auth.logout")]
    AuthLogout {
        /// The backend.
        backend: String,
    },
}

/// What the running mcpmux says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Who answers: the first of all answers.
    Hello(Hello),
    /// It will not or cannot: the last.
    Refused {
        /// Why.
        reason: String,
    },
    /// How it is.
    Status(Status),
    /// It is under way.
    Done,
    /// The configuration was read again.
    Reloaded(Reloaded),
    /// It has errors; nothing was changed.
    Invalid {
        /// All of them.
        problems: Vec<String>,
    },
    /// Where a backend's log is.
    Log(Log),
    /// The tools that are not as they were approved.
    ToolChanges {
        /// The backends that have such tools.
        backends: Vec<BackendChanges>,
    },
    /// Tools were approved.
    Approved {
        /// Those that had not been.
        tools: Vec<String>,
    },
    /// How every backend's login stands.
    Logins {
        /// The backends, as in the configuration.
        backends: Vec<LoginStatus>,
    },
    /// A login waits for a person.
    Begun(Begun),
    /// A login has ended.
    Ended {
        /// Why there is none; `None` if there is.
        error: Option<String>,
    },
    /// A backend was logged out.
    LoggedOut(LoggedOut),
}

/// Who answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// Its own version.
    pub version: String,
    /// The configuration that it serves.
    pub config: Option<PathBuf>,
}

/// A request on the wire.
#[derive(Serialize)]
struct Line<'a> {
    protocol: u32,
    #[serde(flatten)]
    request: &'a Request,
}

/// What is read of a request first: the rest may be of another time.
#[derive(Deserialize)]
struct Head {
    protocol: u32,
    request: String,
}

impl Request {
    /// The request as one line.
    pub(super) fn to_line(&self) -> serde_json::Result<Secret> {
        let line = Line {
            protocol: PROTOCOL,
            request: self,
        };
        Ok(Secret::new(serde_json::to_string(&line)? + "\n"))
    }

    /// Reads a line; the error is for who sent it.
    pub(super) fn of_line(line: &[u8]) -> Result<Self, String> {
        let version = env!("CARGO_PKG_VERSION");
        // What a parser says of a line may quote it.
        let head: Head =
            serde_json::from_slice(line).map_err(|_| "this is no request".to_owned())?;
        if head.protocol != PROTOCOL {
            return Err(format!(
                "the running mcpmux ({version}) and this command are of different versions: \
                 restart mcpmux"
            ));
        }
        serde_json::from_slice(line).map_err(|_| {
            let name: String = head.request.escape_debug().take(40).collect();
            format!("the running mcpmux ({version}) does not know the request {name}, or not so")
        })
    }
}

/// A secret on its way to the other end.
mod exposed {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::Secret;

    pub(super) fn serialize<S: Serializer>(
        secret: &Secret,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::LoginWay;

    #[test]
    fn a_request_is_one_line_and_comes_back_as_it_was() {
        let request = Request::AuthLogin {
            backend: "linear".to_owned(),
            wish: Wish {
                way: LoginWay::Device,
                browser: false,
            },
        };
        let line = request.to_line().unwrap();
        assert_eq!(
            line.expose(),
            "{\"protocol\":1,\"request\":\"auth.login\",\"backend\":\"linear\",\
             \"wish\":{\"way\":\"device\",\"browser\":false}}\n"
        );
        let read = Request::of_line(line.expose().as_bytes()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{request:?}"));
    }

    #[test]
    fn a_pasted_address_is_not_shown() {
        let line =
            br#"{"protocol":1,"request":"auth.paste","backend":"b","url":"http://h/?code=s3cret"}"#;
        let request = Request::of_line(line).unwrap();
        assert!(!format!("{request:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_to_do_and_without_quoting_it() {
        for (line, reason) in [
            (
                r#"{"protocol":2,"request":"auth.status"}"#,
                "restart mcpmux",
            ),
            (
                r#"{"protocol":1,"request":"fly","s3cret":1}"#,
                "does not know the request fly",
            ),
            (
                r#"{"protocol":1,"request":"auth.paste","url":"s3cret"}"#,
                "auth.paste, or not so",
            ),
            (r#""s3cret""#, "no request"),
            ("GET /s3cret HTTP/1.1", "no request"),
        ] {
            let error = Request::of_line(line.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
            assert!(!error.contains("s3cret"), "{line}: {error}");
        }
    }
}
