//! What is asked of a login and told of it, in values that can be sent to
//! another process.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// How a login is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// On this machine's browser, or on another device (RFC 8628).
    pub way: LoginWay,
    /// Whether a browser may be opened here, if the configuration allows it.
    pub browser: bool,
}

/// Where a person consents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginWay {
    /// In a browser, which comes back to mcpmux.
    Redirect,
    /// On any device, with a code that is typed in.
    Device,
}

/// A login that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The backend.
    pub backend: String,
    /// Where to consent.
    pub page: Page,
    /// Until when.
    pub expires: SystemTime,
}

/// Where to consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Page {
    /// A page that sends the browser back to mcpmux.
    Redirect {
        /// The page.
        url: String,
        /// Whether it was opened in a browser here.
        opened: bool,
    },
    /// A page that asks for a code.
    Device {
        /// The page.
        url: String,
        /// The page with the code filled in.
        complete_url: Option<String>,
        /// The code.
        code: String,
    },
}

/// What is known of one backend's credential.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoginStatus {
    /// The backend.
    pub backend: String,
    /// `none`, `bearer`, `header`, `command`, `oauth`, or `environment` for a
    /// command backend.
    pub kind: String,
    /// How it stands; only with `oauth`.
    pub login: Option<LoginState>,
    /// Whose it is, where the authorization server has told.
    pub account: Option<String>,
    /// The authorization server.
    pub issuer: Option<String>,
    /// The scopes of the token.
    pub scopes: Vec<String>,
    /// When the token expires.
    pub expires: Option<SystemTime>,
    /// How the next one is had: `refresh token`, `client credentials`, `workload
    /// identity`, `identity provider`, `helper command`, or not at all.
    pub refreshes: Option<String>,
    /// Where it is kept, and why there.
    pub stored: Option<String>,
    /// What went wrong last.
    pub trouble: Option<String>,
}

/// How a backend's login stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginState {
    /// There is a token, or one can be had without a person.
    LoggedIn,
    /// A person has to consent, and nobody was asked yet.
    NeedsLogin,
    /// A person was asked.
    Waiting(Begun),
    /// The server has not asked for a token so far.
    NotAsked,
}

/// What a logout has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedOut {
    /// Whether there was anything to forget.
    pub was_logged_in: bool,
    /// Whether the authorization server has revoked the tokens (RFC 7009);
    /// `None` if it offers no revocation.
    pub revoked: Option<bool>,
}

/// Why there is no login, in words for a person.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct LoginError(pub String);

/// What became of a browser that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returned {
    /// The backend is logged in.
    LoggedIn {
        /// Its name.
        backend: String,
    },
    /// It is not.
    Failed {
        /// Its name, if the answer belongs to a login at all.
        backend: Option<String>,
        /// What happened, and what to do.
        reason: String,
    },
}
