//! Asking a person to consent in a browser, and what comes back (RFC 6749,
//! section 4.1, with PKCE, RFC 7636, and the issuer's name, RFC 9207).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Begun, LoginError, LoginWay, Page, Returned, Wish,
    answer::Answer,
    browser, device,
    flow::{Expected, Flow},
    login::Login,
    loopback,
    record::Record,
    requests::readable,
    steps::troubled,
    trouble::Trouble,
};
use crate::{Secret, credential::vault::Vault, systemd};

/// How long a person has.
const TIME: Duration = Duration::from_secs(600);

impl Login {
    /// Begins to ask a person to consent, as `wish` says.
    pub(super) async fn ask(self: &Arc<Self>, wish: Wish) -> Result<(), Trouble> {
        if self.is_unattended() {
            let grant = self.settings.grant.name();
            return Err(format!("nobody has to consent (auth.grant: {grant})").into());
        }
        let web = self.web()?;
        // One that is open holds its port.
        if let Some(before) = self.state().flow.take() {
            before.end(Err(LoginError(
                "another login was begun in its place".to_owned(),
            )));
        }
        let discovered = self.discover(web).await?;
        let redirect = match wish.way {
            LoginWay::Redirect => {
                if !discovered.server.supports_s256() {
                    // 2026-07-28, security considerations: absent means unsupported.
                    return Err(format!(
                        "{} does not offer PKCE with S256 (code_challenge_methods_supported), \
                         without which no login is begun",
                        readable(&discovered.issuer)
                    )
                    .into());
                }
                Some(self.house.redirect(self.settings.callback_port).await?)
            }
            LoginWay::Device if discovered.server.device_authorization_endpoint.is_none() => {
                return Err(format!(
                    "{} offers no login on another device (RFC 8628); use --paste",
                    readable(&discovered.issuer)
                )
                .into());
            }
            LoginWay::Device => None,
        };
        let vault = self.house.vault().await.map_err(troubled)?;
        let address = redirect.as_ref().map(|redirect| redirect.uri.as_str());
        let (record, known) = self.terms(web, discovered, address).await?;
        let is_known =
            |known: &Arc<Record>| known.tokens.is_some() || known.client == record.client;
        if !known.as_ref().is_some_and(is_known) {
            // So that a client is registered once, whether or not anybody consents.
            let remembered = self.remember_client(&vault, &record).await;
            if let Err(trouble) = remembered {
                debug!(backend = %self.backend, "its client could not be stored: {trouble}");
            }
        }
        match redirect {
            Some(redirect) => {
                self.ask_in_browser(wish, record, redirect.uri, redirect.listener)
                    .await
            }
            None => device::ask(self, record).await,
        }
    }

    /// Opens the page of a login that was begun when no browser could be opened,
    /// or none was wished for.
    pub(super) async fn show(&self, begun: &mut Begun) {
        if let Page::Redirect {
            url,
            opened: is_open @ false,
        } = &mut begun.page
            && self.settings.open_browser
        {
            *is_open = opened(url).await;
        }
    }

    /// From now on `flow` is the consent that is waited for.
    pub(super) fn wait_for(&self, flow: &Arc<Flow>) {
        let mut state = self.state();
        state.flow = Some(Arc::clone(flow));
        state.last = Some(Arc::clone(flow));
    }

    async fn ask_in_browser(
        self: &Arc<Self>,
        wish: Wish,
        record: Record,
        redirect: String,
        listener: Option<TcpListener>,
    ) -> Result<(), Trouble> {
        let asked = self
            .requests(self.web()?, &record)
            .authorize(&redirect, &record.requested)?;
        let url = asked.url.to_string();
        let opened = wish.browser && self.settings.open_browser && opened(&url).await;
        let begun = Begun {
            backend: self.backend.to_string(),
            page: Page::Redirect {
                url: url.clone(),
                opened,
            },
            expires: SystemTime::now() + TIME,
        };
        let ends = CancellationToken::new();
        if let Some(listener) = listener {
            let login = Arc::downgrade(self);
            let until = ends.clone();
            let answer = move |query: String| {
                let login = login.clone();
                async move {
                    match login.upgrade() {
                        Some(login) => login.returned(&query).await.unwrap_or_else(unknown),
                        None => unknown(),
                    }
                }
            };
            tokio::spawn(async move {
                // A page may be fetched again; a login is over when it is over.
                tokio::select! {
                    () = loopback::serve(listener, answer, until) => {}
                    () = tokio::time::sleep(TIME) => {}
                }
            });
        }
        let scopes = record.requested.clone();
        let expected = Expected {
            state: asked.state,
            verifier: asked.verifier,
            redirect,
            record,
        };
        let flow = Flow::new(begun, LoginWay::Redirect, scopes, Some(expected), ends);
        self.wait_for(&Arc::new(flow));
        systemd::login_needed(self.backend.as_str(), &url);
        Ok(())
    }

    /// What a browser has come back with; `None` if it is not from this login.
    pub(super) async fn returned(self: &Arc<Self>, query: &str) -> Option<Returned> {
        let answer = Answer::read(query);
        let state = answer.state.as_deref()?;
        let flow = {
            let mut own = self.state();
            own.flow.take_if(|flow| flow.is_answered_by(state))?
        };
        let outcome = if flow.is_open() {
            self.answered(&flow, &answer).await
        } else {
            Err("the login had expired: its ten minutes were over".to_owned())
        };
        let backend = self.backend.to_string();
        Some(match outcome {
            Ok(()) => {
                info!(backend = %backend, "logged in");
                flow.end(Ok(()));
                Returned::LoggedIn { backend }
            }
            Err(reason) => {
                warn!(backend = %backend, "the login has failed: {reason}");
                self.state().trouble = Some(reason.clone());
                flow.end(Err(LoginError(reason.clone())));
                Returned::Failed {
                    backend: Some(backend),
                    reason,
                }
            }
        })
    }

    async fn answered(self: &Arc<Self>, flow: &Flow, answer: &Answer<'_>) -> Result<(), String> {
        let Some(expected) = &flow.answer else {
            return Err("it was not asked for in a browser".to_owned());
        };
        let server = &expected.record.server;
        // RFC 9207, section 2.4: before anything else of the answer is believed.
        match answer.iss.as_deref() {
            Some(iss) if iss == server.issuer => {}
            Some(_) => {
                return Err(format!(
                    "the answer names another authorization server than {}; it was thrown away",
                    server.issuer
                ));
            }
            None if server.authorization_response_iss_parameter_supported => {
                return Err(format!(
                    "the answer does not name the authorization server, as {} always does; it was thrown away",
                    server.issuer
                ));
            }
            None => {}
        }
        if let Some(error) = &answer.error {
            let description = answer.description.as_deref().map(readable);
            return Err(match (&**error, description) {
                ("access_denied", None) => "consent was refused".to_owned(),
                ("access_denied", Some(words)) => format!("consent was refused: {words}"),
                (error, None) => format!("the authorization server answered {}", readable(error)),
                (error, Some(words)) => {
                    format!(
                        "the authorization server answered {}: {words}",
                        readable(error)
                    )
                }
            });
        }
        let code = answer.code.as_deref().filter(|code| !code.is_empty());
        let Some(code) = code.map(|code| Secret::new(code.to_owned())) else {
            return Err("the answer holds neither a code nor an error".to_owned());
        };
        // In a task of its own: a browser that is closed now must not cost the code.
        let login = Arc::clone(self);
        let (verifier, redirect, record) = (
            expected.verifier.clone(),
            expected.redirect.clone(),
            expected.record.clone(),
        );
        let exchange =
            tokio::spawn(async move { login.exchange(&code, &verifier, &redirect, record).await });
        exchange
            .await
            .unwrap_or_else(|_| Err("mcpmux is stopping".to_owned()))
    }

    async fn exchange(
        self: &Arc<Self>,
        code: &Secret,
        verifier: &Secret,
        redirect: &str,
        record: Record,
    ) -> Result<(), String> {
        let text = |trouble: Trouble| trouble.to_string();
        let web = self.web().map_err(text)?;
        let requests = self.requests(web, &record);
        let tokens = requests
            .exchange(code, verifier, redirect, &record.requested)
            .await
            .map_err(|error| error.to_string())?;
        self.granted(Record {
            tokens: Some(tokens),
            ..record
        })
        .await
        .map_err(text)
    }

    /// Takes in the tokens of a consent.
    pub(super) async fn granted(self: &Arc<Self>, record: Record) -> Result<(), Trouble> {
        let vault = self.house.vault().await.map_err(troubled)?;
        let _lock = vault.lock(&self.backend).await.map_err(troubled)?;
        self.keep(&vault, record).await;
        // What was replaced before was of another login.
        self.state().renewed = None;
        Ok(())
    }

    /// Keeps who mcpmux is to the server, unless this or another process has been
    /// given tokens meanwhile, which would be lost.
    async fn remember_client(&self, vault: &Vault, record: &Record) -> Result<(), Trouble> {
        let _lock = vault.lock(&self.backend).await.map_err(troubled)?;
        {
            let mut state = self.state();
            if state.tokens().is_none() {
                state.record = Some(Arc::new(record.clone()));
            }
        }
        let stored = self.stored(vault).await?;
        if stored.is_some_and(|stored| stored.tokens.is_some()) {
            return Ok(());
        }
        let text = record.write()?;
        let issuer = &record.server.issuer;
        let written = vault.write(&self.backend, issuer, &text).await;
        written.map_err(troubled)
    }
}

/// What to tell a browser whose answer nobody waits for.
pub(super) fn unknown() -> Returned {
    Returned::Failed {
        backend: None,
        reason: "no login is waiting for this answer: it was used before, has expired, or was never begun here".to_owned(),
    }
}

async fn opened(url: &str) -> bool {
    match browser::open(url).await {
        Ok(()) => true,
        Err(reason) => {
            debug!("no browser was opened: {reason}");
            false
        }
    }
}
