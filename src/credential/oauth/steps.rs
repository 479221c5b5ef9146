//! What it takes to get a token without a person: the store is read, a refresh
//! token exchanged, a token of the client's own asked for. Each step is taken by
//! one task at a time, under the store's lock where others could do the same.

use std::{fmt, sync::Arc, time::SystemTime};

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{
    Wish, identity,
    login::Login,
    record::Record,
    requests::{RequestError, Requests},
    state::Standing,
    trouble::Trouble,
    web::Web,
};
use crate::{config::Dpop, credential::vault::Vault};

/// One thing to do, which takes time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Read the store.
    Load,
    /// Read it again, where there is no token.
    LookAgain,
    /// Exchange the refresh token.
    Refresh,
    /// Ask for a token of the client's own.
    Own,
    /// Ask a person to consent.
    Consent(Wish),
}

impl Step {
    /// Whether a person waits for it, and not a request.
    pub(super) fn is_asked_for(self) -> bool {
        matches!(self, Self::Consent(_))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "reading the store",
            Self::LookAgain => "reading the store again",
            Self::Refresh => "refreshing the token",
            Self::Own => "asking for a token of the client's own",
            Self::Consent(_) => "asking for a person's consent",
        })
    }
}

impl Login {
    /// Takes one step.
    pub(super) async fn take(self: &Arc<Self>, step: Step) -> Result<(), Trouble> {
        match step {
            Step::Load => self.load().await,
            Step::LookAgain => self.take_from_others().await,
            Step::Refresh => self.refresh().await,
            Step::Own => self.own().await,
            Step::Consent(wish) => self.ask(wish).await,
        }
    }

    /// Reads what the store has.
    async fn load(self: &Arc<Self>) -> Result<(), Trouble> {
        let vault = self.house.vault().await.map_err(troubled)?;
        match self.stored(&vault).await? {
            Some(record) => self.adopt(record),
            None => self.state().loaded = true,
        }
        Ok(())
    }

    /// Takes tokens that another process was given meanwhile: then nobody has to
    /// be asked here any more.
    async fn take_from_others(self: &Arc<Self>) -> Result<(), Trouble> {
        let vault = self.house.vault().await.map_err(troubled)?;
        let stored = self.stored(&vault).await?;
        let Some(record) = stored.filter(|record| record.tokens.is_some()) else {
            return Ok(());
        };
        let asked = {
            let mut state = self.state();
            if state.tokens().is_some() {
                return Ok(());
            }
            state.flow.take()
        };
        info!(backend = %self.backend, "logged in by another process");
        self.adopt(record);
        if let Some(asked) = asked {
            asked.end(Ok(()));
        }
        Ok(())
    }

    /// What the store has for this endpoint, the newest if there is more.
    pub(super) async fn stored(&self, vault: &Vault) -> Result<Option<Record>, Trouble> {
        let entries = vault.entries(&self.backend).await.map_err(troubled)?;
        let records = entries.iter().filter_map(|entry| {
            let record = Record::read(&entry.record);
            if record.is_none() {
                warn!(backend = %self.backend, "what is stored of its login cannot be read, it is left alone");
            }
            let record = record.filter(|record| record.endpoint == self.endpoint)?;
            Some(self.bound(record))
        });
        let age = |record: &Record| record.tokens.as_ref().map(|tokens| tokens.received);
        Ok(records.max_by_key(age))
    }

    /// Exchanges the refresh token, unless another process has done so.
    async fn refresh(self: &Arc<Self>) -> Result<(), Trouble> {
        let web = self.web()?;
        let vault = self.house.vault().await.map_err(troubled)?;
        let _lock = vault.lock(&self.backend).await.map_err(troubled)?;
        let Some(record) = self.state().record.clone() else {
            return Ok(());
        };
        if self.adopt_news(&vault, &record).await? {
            return Ok(());
        }
        let Some(tokens) = &record.tokens else {
            return Ok(());
        };
        let Some(refresh) = &tokens.refresh else {
            return Ok(());
        };
        let requests = self.requests(web, &record);
        match requests.refresh(refresh, tokens).await {
            Ok(tokens) => {
                let record = Record {
                    tokens: Some(tokens),
                    ..Record::clone(&record)
                };
                self.keep(&vault, record).await;
                info!(backend = %self.backend, "its token was refreshed");
                Ok(())
            }
            // The store is read again: another process may have been quicker,
            // and a copy of an older store slower.
            Err(error) if error.is("invalid_grant") => {
                if self.adopt_news(&vault, &record).await? {
                    return Ok(());
                }
                self.give_up(&vault, &record, &error).await;
                Ok(())
            }
            Err(error) if is_unknown_client(&error) => {
                self.give_up(&vault, &record, &error).await;
                Ok(())
            }
            Err(error) => Err(format!("its token could not be refreshed: {error}").into()),
        }
    }

    /// Takes what the store has, if it is newer than `record`.
    async fn adopt_news(self: &Arc<Self>, vault: &Vault, record: &Record) -> Result<bool, Trouble> {
        let news = self.stored(vault).await?;
        let age = |record: &Record| record.tokens.as_ref().map(|tokens| tokens.received);
        let news = news.filter(|stored| {
            !stored.has_tokens_of(record) && age(stored) >= age(record).max(Some(0))
        });
        let unsaved = self.state().unsaved;
        match news {
            Some(stored) if !unsaved => {
                self.adopt(stored);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Asks for a token of the client's own.
    pub(super) async fn own(self: &Arc<Self>) -> Result<(), Trouble> {
        let web = self.web()?;
        let vault = self.house.vault().await.map_err(troubled)?;
        let _lock = vault.lock(&self.backend).await.map_err(troubled)?;
        let discovered = self.discover(web).await?;
        let (mut record, _) = self.terms(web, discovered, None).await?;
        record.tokens = Some(self.unattended(web, &record).await?);
        self.keep(&vault, record).await;
        info!(backend = %self.backend, "it has a token of its own");
        Ok(())
    }

    pub(super) fn requests<'a>(&'a self, web: &'a Web, record: &'a Record) -> Requests<'a> {
        Requests::new(
            web,
            &record.server,
            &record.client,
            record.resource.as_deref(),
            identity::key(&self.settings),
        )
        .bound_to(record.dpop.as_ref(), self.settings.dpop == Dpop::Required)
    }

    pub(super) fn web(&self) -> Result<&Web, Trouble> {
        self.web.as_ref().map_err(Trouble::from)
    }

    /// Puts new tokens into the store, and only then to use. A store that cannot
    /// take them does not cost the login, but is said.
    pub(super) async fn keep(self: &Arc<Self>, vault: &Vault, record: Record) {
        let written = match record.write() {
            Ok(text) => vault
                .write(&self.backend, &record.server.issuer, &text)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        if let Err(error) = &written {
            warn!(
                backend = %self.backend,
                "its token could not be stored and is lost when mcpmux ends: {error}"
            );
        }
        self.adopt(record);
        let mut state = self.state();
        state.unsaved = written.is_err();
        state.trouble = written.err();
    }

    /// Has requests carry what `record` has from now on.
    fn adopt(self: &Arc<Self>, record: Record) {
        let standing = {
            let mut state = self.state();
            state.loaded = true;
            state.generation += 1;
            state
                .wanted
                .retain(|scope| !record.requested.contains(scope));
            let due = record
                .tokens
                .as_ref()
                .and_then(|tokens| tokens.due(SystemTime::now()))
                .filter(|_| self.house.attended);
            let generation = state.generation;
            state.keeper = due.map(|due| {
                let login = Arc::downgrade(self);
                AbortOnDropHandle::new(tokio::spawn(async move {
                    sleep(due).await;
                    if let Some(login) = login.upgrade() {
                        let mut state = login.state();
                        if state.generation == generation {
                            let _ = login.join_or_start(&mut state, Step::Refresh);
                        }
                    }
                }))
            });
            let has_tokens = record.tokens.is_some();
            if has_tokens {
                state.trouble = None;
            }
            state.record = Some(Arc::new(record));
            has_tokens.then_some(Standing::LoggedIn(generation))
        };
        if let Some(standing) = standing {
            self.standing.send_replace(standing);
        }
    }

    /// The grant has ended: its tokens are forgotten, here and in the store. The
    /// client is as well, if the server does not know it any more.
    async fn give_up(self: &Arc<Self>, vault: &Vault, record: &Record, error: &RequestError) {
        warn!(backend = %self.backend, "its login has ended: {error}");
        self.state().trouble = Some(format!("the login has ended: {error}"));
        self.forget_tokens(vault, record, is_unknown_client(error))
            .await;
    }

    /// Forgets the tokens, and the client too if told to.
    pub(super) async fn forget_tokens(&self, vault: &Vault, record: &Record, client_too: bool) {
        let left = Record {
            dpop: None,
            tokens: None,
            ..record.clone()
        };
        let issuer = &record.server.issuer;
        let stored = match left.write() {
            Ok(text) if !client_too => vault.write(&self.backend, issuer, &text).await,
            _ => vault.remove(&self.backend, issuer).await.map(drop),
        };
        if let Err(error) = stored {
            warn!(backend = %self.backend, "the store could not forget its tokens: {error}");
        }
        let mut state = self.state();
        state.generation += 1;
        state.keeper = None;
        state.record = (!client_too).then(|| Arc::new(left));
    }
}

pub(super) fn troubled(error: impl fmt::Display) -> Trouble {
    Trouble::from(error.to_string())
}

/// Whether a server does not know the client, which it may once have known.
fn is_unknown_client(error: &RequestError) -> bool {
    error.is("invalid_client") || error.is("unauthorized_client")
}
