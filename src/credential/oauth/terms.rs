//! On which terms a token is asked for: of which server, as which client, with
//! which scopes and for which resource.

use std::sync::Arc;

use tracing::debug;

use super::{
    challenge::Challenge,
    discovery::{self, Discovered},
    identity,
    login::Login,
    record::Record,
    scope,
    trouble::Trouble,
    web::Web,
};
use crate::config::Resource;

impl Login {
    /// A record of what is asked for, of the server that was `discovered`, with
    /// redirects to `redirect`; and the one of before at the same server.
    pub(super) async fn terms(
        &self,
        web: &Web,
        discovered: Discovered,
        redirect: Option<&str>,
    ) -> Result<(Record, Option<Arc<Record>>), Trouble> {
        let known = self.state().record.clone();
        let known = known.filter(|record| record.server.issuer == discovered.issuer);
        let client = identity::client(
            &self.house,
            web,
            &self.settings,
            &discovered.server,
            redirect,
            known.as_ref().map(|record| &record.client),
        )
        .await?;
        let record = Record {
            endpoint: self.endpoint.clone(),
            resource: self.resource(&discovered),
            dpop: self.prover(&discovered, known.as_deref())?,
            requested: self.scopes(&discovered),
            server: discovered.server,
            client,
            tokens: None,
        };
        Ok((record, known))
    }

    /// Asks the backend what it wants, if it has not said so yet: its challenge
    /// names the scopes and the place of its metadata.
    async fn look(&self, web: &Web) {
        if self.state().challenge.is_some() {
            return;
        }
        let request = http::Request::post(self.endpoint.as_str())
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json, text/event-stream")
            .body(br#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#.to_vec());
        let Ok(request) = request else { return };
        match web.send(request).await {
            Ok(response) if response.status() == http::StatusCode::UNAUTHORIZED => {
                self.state().challenge = Challenge::of(response.headers());
            }
            Ok(_) => {}
            Err(error) => debug!(backend = %self.backend, "it could not be asked: {error}"),
        }
    }

    /// Asks who gives tokens for the backend.
    pub(super) async fn discover(&self, web: &Web) -> Result<Discovered, Trouble> {
        self.look(web).await;
        let (challenge, known) = {
            let state = self.state();
            let known = state.record.as_ref();
            (
                state.challenge.clone(),
                known.map(|record| record.server.issuer.clone()),
            )
        };
        let wanted = discovery::Wanted {
            endpoint: &self.endpoint,
            challenge: challenge.as_ref(),
            prefer: known.as_deref(),
            allow_issuer_mismatch: self.settings.allow_issuer_mismatch,
            any_resource: self.settings.resource != Resource::Found,
        };
        discovery::discover(web, wanted)
            .await
            .map_err(|error| Trouble::from(error.to_string()))
    }

    /// The scopes to ask for.
    fn scopes(&self, discovered: &Discovered) -> Vec<String> {
        let state = self.state();
        let initial = scope::initial(&self.settings.scopes, state.challenge.as_ref(), discovered);
        let initial = initial.unwrap_or_default();
        if state.wanted.is_empty() {
            return initial;
        }
        scope::union(&state.wanted, &initial)
    }

    /// The resource indicator to send (RFC 8707).
    fn resource(&self, discovered: &Discovered) -> Option<String> {
        match &self.settings.resource {
            Resource::None => None,
            Resource::Fixed(resource) => Some(resource.clone()),
            Resource::Found => Some(discovered.resource.clone().unwrap_or_else(|| {
                let mut endpoint = self.endpoint.clone();
                endpoint.set_fragment(None);
                let text = endpoint.as_str();
                // 2026-07-28, canonical server URI: without the slash of the root.
                let bare = endpoint.path() == "/" && endpoint.query().is_none();
                if bare {
                    text.trim_end_matches('/')
                } else {
                    text
                }
                .to_owned()
            })),
        }
    }
}
