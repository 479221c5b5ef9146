//! Tokens that need no person: by the grant that `auth.grant` names. What was
//! shown for one and refused is not shown again at once, but what a command
//! prints anew is.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    enterprise, identity, login::Login, record::Record, requests::RequestError, tokens::Tokens,
    trouble::Trouble, web::Web,
};
use crate::{
    Secret,
    config::{Given, Grant},
};

/// How long what was refused is not shown again: a server that has been set right
/// meanwhile gets another chance.
const REST: Duration = Duration::from_secs(300);

/// What was shown for a token, and refused.
#[derive(Debug)]
pub(super) struct Refused {
    shown: Secret,
    scopes: Vec<String>,
    at: Instant,
    trouble: Trouble,
}

impl Login {
    /// A token for the client of `record`, by the grant that is configured.
    pub(super) async fn unattended(&self, web: &Web, record: &Record) -> Result<Tokens, Trouble> {
        let requests = self.requests(web, record);
        let scopes = &record.requested;
        let mut tokens = match &self.settings.grant {
            Grant::JwtBearer { assertion } => {
                let assertion = self.proof(assertion, scopes).await?;
                let tokens = requests.jwt_bearer(&assertion, scopes).await;
                self.judged(assertion, scopes, tokens)?
            }
            Grant::EnterpriseManaged(provider) => {
                let identity = self.proof(&provider.identity_token, scopes).await?;
                let granted = enterprise::exchange(provider, &identity, record).await;
                let granted = self.judged(identity, scopes, granted)?;
                // The extension's section 5: what may be done stands in the grant.
                let tokens = requests.jwt_bearer(&granted.assertion, &[]).await;
                let mut tokens = tokens.map_err(|error| Trouble::from(error.to_string()))?;
                if tokens.scopes.is_empty() {
                    tokens.scopes = granted.scopes;
                }
                tokens
            }
            Grant::AuthorizationCode | Grant::ClientCredentials => {
                let tokens = requests.own(scopes).await;
                tokens.map_err(|error| Trouble::from(error.to_string()))?
            }
        };
        // None should come (RFC 6749 section 4.4.3, RFC 7521 section 4.1), and
        // another token can be had without.
        tokens.refresh = None;
        Ok(tokens)
    }

    /// How the next token is had, if that needs no person.
    pub(super) fn renewed_by(&self) -> Option<&'static str> {
        match self.settings.grant {
            Grant::AuthorizationCode => None,
            Grant::ClientCredentials => Some("client credentials"),
            Grant::JwtBearer { .. } => Some("workload identity"),
            Grant::EnterpriseManaged(_) => Some("identity provider"),
        }
    }

    /// What is shown for a token, unless it was refused just now.
    async fn proof(&self, given: &Given, scopes: &[String]) -> Result<Secret, Trouble> {
        let proof = identity::given(given, &self.house).await?;
        let state = self.state();
        let refused = state.refused.as_ref().filter(|refused| {
            refused.shown == proof && refused.scopes == scopes && refused.at.elapsed() < REST
        });
        match refused {
            Some(refused) => Err(refused.trouble.clone()),
            None => Ok(proof),
        }
    }

    /// Takes note of a refusal.
    fn judged<T>(
        &self,
        shown: Secret,
        scopes: &[String],
        outcome: Result<T, RequestError>,
    ) -> Result<T, Trouble> {
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let trouble = Trouble::from(error.to_string());
        if matches!(error, RequestError::Refused { .. }) {
            self.state().refused = Some(Refused {
                shown,
                scopes: scopes.to_vec(),
                at: Instant::now(),
                trouble: trouble.clone(),
            });
        }
        Err(trouble)
    }
}

#[cfg(test)]
pub(super) mod tests;
