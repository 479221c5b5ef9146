//! Who mcpmux is to an authorization server: a client that was registered by
//! hand, one that describes itself at a URL, or one that registers itself.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    client::{Client, Configured, Origin},
    form::JWT_BEARER,
    house::House,
    metadata::ServerMetadata,
    registration::{self, Wanted},
    requests::SigningKey,
    web::Web,
};
use crate::{
    Secret,
    config::{Given, Grant, OAuthSettings},
    credential::helper::Helper,
};

/// Who mcpmux is to `server`, whose redirects come to `redirect`. One that is
/// `known` is used again as long as it is good; a new one is registered last
/// (2026-07-28, `basic/authorization/client-registration`).
pub(super) async fn client(
    house: &House,
    web: &Web,
    settings: &OAuthSettings,
    server: &ServerMetadata,
    redirect: Option<&str>,
    known: Option<&Client>,
) -> Result<Client, String> {
    if let Some(id) = &settings.client_id {
        let secret = match &settings.client_secret {
            Some(secret) => Some(given(secret, house).await?),
            None => None,
        };
        let id = given(id, house).await?;
        let configured = Configured {
            id: id.expose(),
            secret: secret.as_ref(),
            has_key: settings.private_key.is_some(),
        };
        return Ok(Client::configured(server, configured));
    }
    if let Some(url) = &settings.client_metadata_url
        && server.client_id_metadata_document_supported
    {
        let unfit =
            |why| format!("the URL of the client's metadata (auth.client_metadata_url) {why}");
        return Client::document(url).map_err(unfit);
    }
    if let Some(known) = known
        && known.origin == Origin::Dynamic
        && (redirect.is_none() || known.redirect_uri.as_deref() == redirect)
        && known.expires_at.is_none_or(|until| until > now())
    {
        return Ok(known.clone());
    }
    let redirects: Vec<String> = redirect.map(str::to_owned).into_iter().collect();
    let mut grants = match settings.grant {
        // Who gets codes must name a redirect, which a device has not.
        Grant::AuthorizationCode if redirect.is_none() => vec!["refresh_token"],
        Grant::AuthorizationCode => vec!["authorization_code", "refresh_token"],
        Grant::ClientCredentials => vec!["client_credentials"],
        Grant::JwtBearer { .. } => return Ok(Client::unnamed()),
        Grant::EnterpriseManaged(_) => vec![JWT_BEARER],
    };
    if server.device_authorization_endpoint.is_some() && !settings.grant.is_unattended() {
        grants.push(super::device::GRANT);
    }
    let wanted = Wanted {
        client_name: &settings.client_name,
        redirect_uris: &redirects,
        // What is needed later may be more than what is asked for now, and a
        // server may hold a client to what it was registered with.
        scopes: (!settings.scopes.is_empty()).then_some(&settings.scopes),
        grant_types: &grants,
        application_type: "native",
    };
    registration::register(web, server, &wanted)
        .await
        .map_err(|error| error.to_string())
}

/// The key that signs for the client, if there is one.
pub(super) fn key(settings: &OAuthSettings) -> Option<SigningKey<'_>> {
    settings.private_key.as_ref().map(|pem| SigningKey {
        pem,
        algorithm: settings.signing_algorithm.as_deref(),
    })
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The value, which a command prints anew each time.
pub(super) async fn given(given: &Given, house: &House) -> Result<Secret, String> {
    match given {
        Given::Value(value) => Ok(value.clone()),
        Given::Command(argv) => {
            let helper = Helper::new(argv, &house.environment);
            let printed = helper.run().await;
            printed.map_err(|failure| format!("the helper {:?} {failure}", helper.program()))
        }
    }
}
