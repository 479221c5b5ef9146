//! An organisation's identity provider as the one who consents (MCP's extension
//! `enterprise-managed-authorization`, SEP-990): it exchanges an identity token
//! (RFC 8693) for a grant that the authorization server takes, the Identity
//! Assertion JWT Authorization Grant. The grant is not read here.

use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    client::{Client, Configured},
    discovery,
    metadata::ServerMetadata,
    record::Record,
    requests::{AUTHORIZATION_SERVER, RequestError, Requests},
    web::Web,
};
use crate::{
    Secret,
    config::{IdentityPlace, IdentityProvider},
};

const PROVIDER: &str = "the identity provider";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// What an identity provider has granted.
#[derive(Debug)]
pub(super) struct Granted {
    /// What the authorization server is shown.
    pub(super) assertion: Secret,
    /// The scopes that it is for; fewer than those asked for, maybe.
    pub(super) scopes: Vec<String>,
}

/// The answer to a token exchange (section 4.2 of the extension).
#[derive(Deserialize)]
struct Answer {
    #[serde(deserialize_with = "super::exposed::value::deserialize")]
    access_token: Secret,
    issued_token_type: Option<String>,
    scope: Option<String>,
}

/// Exchanges `identity` at `provider` for a grant to use at the server, with the
/// resource, and for the scopes of `record`.
pub(super) async fn exchange(
    provider: &IdentityProvider,
    identity: &Secret,
    record: &Record,
) -> Result<Granted, RequestError> {
    let Some(resource) = &record.resource else {
        return Err(unanswered(
            "there is no resource to ask for (auth.resource)",
        ));
    };
    let (web, server) = found(provider).await?;
    let configured = Configured {
        id: &provider.client_id,
        secret: provider.client_secret.as_ref(),
        has_key: false,
    };
    let client = Client::configured(&server, configured);
    let asked = record.requested.join(" ");
    let mut parameters = vec![
        ("grant_type", TOKEN_EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("audience", record.server.issuer.as_str()),
        ("subject_token", identity.expose()),
        ("subject_token_type", ID_TOKEN),
    ];
    if !asked.is_empty() {
        parameters.push(("scope", &asked));
    }
    // The resource is what every token request carries.
    let requests = Requests::new(&web, &server, &client, Some(resource), None);
    let answer: Answer = requests.post(&parameters).await.map_err(by_provider)?;
    if answer.issued_token_type.as_deref() != Some(ID_JAG) {
        return Err(unanswered(
            "the identity provider gave another token than was asked for (issued_token_type)",
        ));
    }
    Ok(Granted {
        assertion: answer.access_token,
        scopes: match answer.scope {
            Some(scope) => scope.split_whitespace().map(str::to_owned).collect(),
            None => record.requested.clone(),
        },
    })
}

/// A way to the provider, and what is known of it. It may be wherever the
/// operator says: what is asked of it has nothing to do with the backend's place.
async fn found(provider: &IdentityProvider) -> Result<(Web, ServerMetadata), RequestError> {
    let unusable = |error: &dyn std::fmt::Display| {
        unanswered(format!("the identity provider cannot be used: {error}"))
    };
    match &provider.place {
        IdentityPlace::Issuer(issuer) => {
            let url: Url = issuer.parse().map_err(|error| unusable(&error))?;
            let web = Web::new(&url).map_err(|error| unusable(&error))?;
            let server = discovery::issuer(&web, issuer).await;
            let server = server.map_err(|error| unusable(&error))?;
            Ok((web, server))
        }
        IdentityPlace::TokenEndpoint(url) => {
            let web = Web::new(url).map_err(|error| unusable(&error))?;
            let document = json!({ "issuer": url, "token_endpoint": url }).to_string();
            let server = ServerMetadata::parse(document.as_bytes(), web.policy());
            let server = server.map_err(|error| unusable(&error))?;
            Ok((web, server))
        }
    }
}

/// The same, said of the one who has answered.
fn by_provider(error: RequestError) -> RequestError {
    match error {
        RequestError::Refused {
            code, description, ..
        } => RequestError::Refused {
            by: PROVIDER,
            code,
            description,
        },
        RequestError::Unanswered(text) => {
            RequestError::Unanswered(text.replacen(AUTHORIZATION_SERVER, PROVIDER, 1))
        }
    }
}

fn unanswered(text: impl Into<String>) -> RequestError {
    RequestError::Unanswered(text.into())
}

#[cfg(test)]
mod tests;
