//! What the scripted authorization server has given out: codes, access tokens,
//! and refresh tokens that are good once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::http::{Answer, Request};
use crate::secrets::Secrets;

/// All that was given out.
pub(super) struct Grants {
    secrets: Secrets,
    /// How long an access token is good.
    pub(super) lifetime: Duration,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Refresh>,
    ended: BTreeSet<u64>,
}

struct Code {
    challenge: String,
    redirect: String,
    scope: String,
}

struct Access {
    family: u64,
    scope: String,
    until: Instant,
}

struct Refresh {
    family: u64,
    scope: String,
    used: bool,
}

impl Grants {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            lifetime: Duration::from_secs(3600),
            codes: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    /// A random secret of this kind.
    pub(super) fn secret(&self, what: &str) -> String {
        let mut bytes = [0; 24];
        fastrand::fill(&mut bytes);
        let secret = format!("{what}-{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
        self.secrets.add(what, &secret);
        secret
    }

    /// A code for an authorization request.
    pub(super) fn code(&mut self, request: &Request) -> String {
        let code = self.secret("code");
        self.codes.insert(
            code.clone(),
            Code {
                challenge: request.field("code_challenge").to_owned(),
                redirect: request.field("redirect_uri").to_owned(),
                scope: request.field("scope").to_owned(),
            },
        );
        code
    }

    /// The answer to a token request.
    pub(super) fn token(&mut self, request: &Request) -> Answer {
        match request.field("grant_type") {
            "authorization_code" => {
                let verifier = request.field("code_verifier");
                if !verifier.is_empty() {
                    self.secrets.add("code_verifier", verifier);
                }
                let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
                match self.codes.remove(request.field("code")) {
                    Some(code)
                        if code.challenge == challenge
                            && code.redirect == request.field("redirect_uri") =>
                    {
                        self.give(fastrand::u64(..), &code.scope)
                    }
                    _ => refused("invalid_grant"),
                }
            }
            "refresh_token" => match self.refresh.get_mut(request.field("refresh_token")) {
                Some(token) if token.used => {
                    let family = token.family;
                    self.end(family);
                    refused("invalid_grant")
                }
                Some(token) if !self.ended.contains(&token.family) => {
                    token.used = true;
                    let (family, scope) = (token.family, token.scope.clone());
                    self.give(family, &scope)
                }
                _ => refused("invalid_grant"),
            },
            "client_credentials" => self.give(fastrand::u64(..), request.field("scope")),
            _ => refused("unsupported_grant_type"),
        }
    }

    fn give(&mut self, family: u64, scope: &str) -> Answer {
        let (access, refresh) = (self.secret("access_token"), self.secret("refresh_token"));
        let body = json!({
            "access_token": access, "refresh_token": refresh, "scope": scope,
            "token_type": "Bearer", "expires_in": self.lifetime.as_secs(),
        });
        let scope = scope.to_owned();
        let until = Instant::now() + self.lifetime;
        let used = false;
        self.refresh.insert(
            refresh,
            Refresh {
                family,
                scope: scope.clone(),
                used,
            },
        );
        self.access.insert(
            access,
            Access {
                family,
                scope,
                until,
            },
        );
        Answer::json(200, &body)
    }

    fn end(&mut self, family: u64) {
        self.ended.insert(family);
        self.access.retain(|_, token| token.family != family);
    }

    /// Lets every access token be over.
    pub(super) fn expire(&mut self) {
        self.access.clear();
    }

    /// The scope of the access token that a request carries, while it is good.
    pub(super) fn admits(&self, request: &Request) -> Option<&str> {
        let token = request
            .headers
            .get("authorization")?
            .strip_prefix("Bearer ")?;
        let access = self.access.get(token)?;
        (Instant::now() < access.until).then_some(&access.scope)
    }
}

/// An error of the token endpoint.
pub(super) fn refused(error: &str) -> Answer {
    let body: Value = json!({ "error": error, "error_description": "as the script says" });
    Answer::json(400, &body)
}
