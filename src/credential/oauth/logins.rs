//! The logins of all backends, as the daemon, the control socket and the
//! browser that comes back see them.

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use oauth2::{AccessToken, RefreshToken, StandardRevocableToken};
use tracing::{error, info, warn};

use super::{
    Begun, LoggedOut, LoginError, LoginState, LoginStatus, Returned, Wish,
    consent::unknown,
    house::House,
    login::{Login, joined},
    record::Record,
    state::Standing,
    steps::Step,
    tokens::Tokens,
};
use crate::{
    config::{Auth, BackendName, BackendSettings, Config, Environment, Transport},
    credential::vault::Kind,
    nearest::no_backend,
};

/// All backends' logins.
#[derive(Debug)]
pub struct Logins {
    house: Arc<House>,
    backends: ArcSwap<Vec<Known>>,
}

/// A backend, and its login if it needs one.
#[derive(Debug)]
struct Known {
    name: BackendName,
    kind: &'static str,
    login: Option<Arc<Login>>,
}

impl Logins {
    /// The logins that `config` needs, for a process that people can be sent
    /// back to. Opens no store and asks nobody.
    pub fn new(config: &Config) -> Arc<Self> {
        Self::with(config, true)
    }

    /// The same for a process that comes and goes: it uses tokens, and asks
    /// nobody to consent.
    pub fn unattended(config: &Config) -> Arc<Self> {
        Self::with(config, false)
    }

    fn with(config: &Config, attended: bool) -> Arc<Self> {
        let house = Arc::new(House::new(config, Environment::process(), attended));
        let backends = known(config, &[], &house);
        Arc::new(Self {
            house,
            backends: ArcSwap::from_pointee(backends),
        })
    }

    /// Goes over to the logins that `config` needs; those that are equal stay as
    /// they are. Of the others nobody is asked to consent any more.
    pub fn turn_to(&self, config: &Config) {
        let before = self.backends.load_full();
        let now = Arc::new(known(config, &before, &self.house));
        self.backends.store(Arc::clone(&now));
        for login in before.iter().filter_map(|known| known.login.as_ref()) {
            let mut logins = now.iter().filter_map(|known| known.login.as_ref());
            if logins.any(|kept| Arc::ptr_eq(kept, login)) {
                continue;
            }
            let flow = login.state().flow.take();
            if let Some(flow) = flow {
                let why = "the configuration of the backend has changed";
                flow.end(Err(LoginError(why.to_owned())));
            }
        }
    }

    /// Opens the store, if there is anything to keep, so that what is wrong with
    /// it is said at the start and not when somebody has just logged in.
    ///
    /// Must be called within a Tokio runtime.
    pub fn open_store(&self) {
        if self
            .backends
            .load()
            .iter()
            .all(|known| known.login.is_none())
        {
            return;
        }
        let house = Arc::clone(&self.house);
        tokio::spawn(async move {
            if let Err(error) = house.vault().await {
                error!("{error}");
            }
        });
    }

    /// mcpmux itself listens at `address`: browsers come back there, to
    /// `/oauth/callback`. Without, a loopback port is bound for each login.
    pub fn served_at(&self, address: SocketAddr) {
        self.house.served_at(address);
    }

    /// The login of `backend`, if it has one.
    pub(crate) fn of(&self, backend: &BackendName) -> Option<Arc<Login>> {
        let backends = self.backends.load();
        let known = backends.iter().find(|known| known.name == *backend);
        known?.login.clone()
    }

    /// Whether a person is asked to consent, or a token is being fetched.
    pub fn is_busy(&self) -> bool {
        let backends = self.backends.load();
        let mut logins = backends.iter().filter_map(|known| known.login.as_ref());
        logins.any(|login| {
            let state = login.state();
            state.run.is_some() || state.flow.as_ref().is_some_and(|flow| flow.is_open())
        })
    }

    /// How every backend's login stands.
    pub async fn status(&self) -> Vec<LoginStatus> {
        let mut all = Vec::new();
        for known in self.backends.load_full().iter() {
            all.push(match &known.login {
                Some(login) => login.status().await,
                None => LoginStatus {
                    backend: known.name.to_string(),
                    kind: known.kind.to_owned(),
                    login: None,
                    account: None,
                    issuer: None,
                    scopes: Vec::new(),
                    expires: None,
                    refreshes: (known.kind == "command").then(|| "helper command".to_owned()),
                    stored: None,
                    trouble: None,
                },
            });
        }
        all
    }

    /// Checks that tokens outlive this process; the error says why they do not.
    pub async fn check_store(&self) -> Result<(), LoginError> {
        let opened = self.house.vault().await;
        let vault = opened.map_err(|error| LoginError(error.to_string()))?;
        let about = vault.about();
        if about.kind != Kind::Memory {
            return Ok(());
        }
        Err(LoginError(format!(
            "tokens would be lost with this process, which can keep them in memory only: {}",
            about.why
        )))
    }

    /// Begins a login of `backend`, or joins the one under way.
    pub async fn begin(&self, backend: &str, wish: Wish) -> Result<Begun, LoginError> {
        let login = self.named(backend)?;
        let mut begun = login
            .begin(wish)
            .await
            .map_err(|trouble| LoginError(trouble.to_string()))?;
        if wish.browser {
            login.show(&mut begun).await;
        }
        Ok(begun)
    }

    /// Waits until the login of `backend` that is under way has ended.
    pub async fn ended(&self, backend: &str) -> Result<(), LoginError> {
        let flow = self.named(backend)?.state().last.clone();
        match flow {
            Some(flow) => flow.ended().await,
            None => Err(LoginError("no login is under way".to_owned())),
        }
    }

    /// A browser has come back with this `query` (without the `?`).
    pub async fn returned(&self, query: &str) -> Returned {
        let backends = self.backends.load_full();
        for login in backends.iter().filter_map(|known| known.login.as_ref()) {
            if let Some(returned) = login.returned(query).await {
                return returned;
            }
        }
        unknown()
    }

    /// Forgets the tokens of `backend`, and has them revoked where that can be.
    pub async fn logout(&self, backend: &str) -> Result<LoggedOut, LoginError> {
        let login = self.named(backend)?;
        // In a task of its own: half a logout is none.
        let done = tokio::spawn(async move { login.logout().await }).await;
        done.unwrap_or_else(|_| Err(LoginError("mcpmux is stopping".to_owned())))
    }

    fn named(&self, backend: &str) -> Result<Arc<Login>, LoginError> {
        let backends = self.backends.load();
        let mut known = backends.iter();
        let known = known.find(|known| known.name.as_str() == backend);
        let Some(known) = known else {
            let known = backends.iter().map(|known| known.name.as_str());
            return Err(LoginError(no_backend(backend, known)));
        };
        known.login.clone().ok_or_else(|| {
            LoginError(format!(
                "backend {backend:?} needs no login: its credential is of kind `{}`",
                known.kind
            ))
        })
    }
}

impl Login {
    async fn status(self: &Arc<Self>) -> LoginStatus {
        // What is not known yet is read; what cannot be is told as trouble.
        let loading = {
            let mut state = self.state();
            (!state.loaded).then(|| self.join_or_start(&mut state, Step::Load))
        };
        let loaded = match loading {
            Some(Ok(run)) => joined(run).await,
            Some(Err(trouble)) => Err(trouble),
            None => Ok(()),
        };
        let stored = match self.house.vault().await {
            Ok(vault) => vault.about().to_string(),
            Err(error) => format!("nowhere: {error}"),
        };
        let state = self.state();
        let tokens = state.tokens();
        let waiting = state.flow.as_ref().filter(|flow| flow.is_open());
        let login = match (tokens, waiting) {
            (_, Some(flow)) => LoginState::Waiting(flow.begun.clone()),
            (Some(_), None) => LoginState::LoggedIn,
            (None, None) if *self.standing.borrow() == Standing::Needed => LoginState::NeedsLogin,
            (None, None) if state.record.is_some() && !self.is_unattended() => {
                LoginState::NeedsLogin
            }
            (None, None) => LoginState::NotAsked,
        };
        let refreshes = self.renewed_by().or_else(|| {
            tokens
                .is_some_and(|tokens| tokens.refresh.is_some())
                .then_some("refresh token")
        });
        LoginStatus {
            backend: self.backend.to_string(),
            kind: "oauth".to_owned(),
            login: Some(login),
            account: tokens.and_then(|tokens| tokens.account.clone()),
            issuer: state
                .record
                .as_ref()
                .map(|record| record.server.issuer.clone()),
            scopes: tokens.map_or_else(Vec::new, |tokens| tokens.scopes.clone()),
            expires: tokens.and_then(Tokens::expires),
            refreshes: refreshes.map(str::to_owned),
            stored: Some(stored),
            trouble: loaded
                .err()
                .map(|trouble| trouble.to_string())
                .or_else(|| state.trouble.clone()),
        }
    }

    async fn logout(self: &Arc<Self>) -> Result<LoggedOut, LoginError> {
        let failed = |error: &dyn std::fmt::Display| LoginError(error.to_string());
        let vault = self.house.vault().await.map_err(|error| failed(&error))?;
        let lock = vault
            .lock(&self.backend)
            .await
            .map_err(|error| failed(&error))?;
        let stored = self
            .stored(&vault)
            .await
            .map_err(|trouble| failed(&trouble))?;
        let known = self.state().record.clone();
        let record = stored.or_else(|| known.as_deref().cloned());
        if let Some(flow) = self.state().flow.take() {
            flow.end(Err(LoginError("logged out".to_owned())));
        }
        let Some(record) = record.filter(|record| record.tokens.is_some()) else {
            return Ok(LoggedOut {
                was_logged_in: false,
                revoked: None,
            });
        };
        let revoked = self.revoke(&record).await;
        self.forget_tokens(&vault, &record, false).await;
        drop(lock);
        {
            let mut state = self.state();
            // Who logs out does not want to be asked at once.
            state.browsed = true;
            state.trouble = None;
        }
        self.standing.send_replace(Standing::Needed);
        info!(backend = %self.backend, "logged out");
        Ok(LoggedOut {
            was_logged_in: true,
            revoked,
        })
    }

    /// Has all of its tokens revoked (RFC 7009); `None` where there is no
    /// revocation.
    async fn revoke(&self, record: &Record) -> Option<bool> {
        let tokens = record.tokens.as_ref()?;
        record.server.revocation_endpoint.as_ref()?;
        let web = self.web().ok()?;
        let requests = self.requests(web, record);
        let refresh = tokens.refresh.as_ref().map(|token| {
            StandardRevocableToken::RefreshToken(RefreshToken::new(token.expose().to_owned()))
        });
        let access = StandardRevocableToken::AccessToken(AccessToken::new(
            tokens.access.expose().to_owned(),
        ));
        let renewable = refresh.is_some();
        let mut all = true;
        for token in refresh.into_iter().chain([access]) {
            match requests.revoke(token).await {
                Ok(_) => {}
                // A self-contained access token cannot be taken back; without the
                // refresh token it is soon over.
                Err(error) if renewable && error.is("unsupported_token_type") => {}
                Err(error) => {
                    warn!(backend = %self.backend, "a token could not be revoked: {error}");
                    all = false;
                }
            }
        }
        Some(all)
    }
}

/// What `config` needs, with the logins of `before` where they suit it.
fn known(config: &Config, before: &[Known], house: &Arc<House>) -> Vec<Known> {
    let enabled = config.backends.iter().filter(|backend| backend.enabled);
    let known = enabled.map(|backend| Known {
        name: backend.name.clone(),
        kind: kind(backend),
        login: login(backend, before, house),
    });
    known.collect()
}

fn kind(backend: &BackendSettings) -> &'static str {
    match &backend.transport {
        Ok(Transport::Http(http) | Transport::Sse(http)) => match http.auth {
            Auth::None => "none",
            Auth::Bearer { .. } => "bearer",
            Auth::Header { .. } => "header",
            Auth::Command { .. } => "command",
            Auth::OAuth(_) => "oauth",
        },
        Ok(Transport::Command(_)) => "environment",
        Err(_) => "unknown",
    }
}

fn login(backend: &BackendSettings, before: &[Known], house: &Arc<House>) -> Option<Arc<Login>> {
    let Ok(Transport::Http(http) | Transport::Sse(http)) = &backend.transport else {
        return None;
    };
    match &http.auth {
        Auth::OAuth(settings) => {
            let mut known = before.iter();
            let known = known.find(|known| known.name == backend.name);
            let login = known.and_then(|known| known.login.clone());
            let same = login.filter(|login| login.is_of(http, settings));
            Some(same.unwrap_or_else(|| {
                let house = Arc::clone(house);
                Login::new(backend.name.clone(), http, settings, house)
            }))
        }
        _ => None,
    }
}
