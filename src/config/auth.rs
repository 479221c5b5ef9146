//! From `backends[].auth`, as it is written, to the settings, as they are used.

use super::{
    document::{self, AuthType},
    format,
    settings::{Auth, Given, Grant, OAuthSettings, Resource},
};
use crate::Secret;

/// What a request to a backend carries, as `auth` describes it. Error: what is
/// wrong with it.
pub(super) fn credentials(auth: document::Auth) -> Result<Auth, String> {
    Ok(match auth.kind {
        AuthType::None => Auth::None,
        AuthType::Bearer => Auth::Bearer {
            token: auth.token.ok_or("`auth.token` is missing")?,
        },
        AuthType::Header => Auth::Header {
            name: format::header_name(auth.header.as_deref().unwrap_or_default())?,
            value: auth.value.ok_or("`auth.value` is missing")?,
        },
        AuthType::Command => Auth::Command {
            argv: auth.command,
            ttl: auth.ttl.0,
        },
        AuthType::Oauth => Auth::OAuth(Box::new(oauth(auth)?)),
    })
}

fn oauth(auth: document::Auth) -> Result<OAuthSettings, String> {
    let client_id = given(
        "client_id",
        auth.client_id.map(Secret::new),
        auth.client_id_command,
    )?;
    let client_secret = given(
        "client_secret",
        auth.client_secret,
        auth.client_secret_command,
    )?;
    let grant = match auth.grant {
        document::Grant::AuthorizationCode => Grant::AuthorizationCode,
        document::Grant::ClientCredentials => Grant::ClientCredentials,
    };
    if client_id.is_none() && (client_secret.is_some() || auth.private_key.is_some()) {
        return Err("`auth.client_id` is missing: whose secret or key is it?".to_owned());
    }
    if grant == Grant::ClientCredentials && client_secret.is_none() && auth.private_key.is_none() {
        return Err(
            "`auth.grant: client_credentials` needs `auth.client_id` with `auth.client_secret` or `auth.private_key`"
                .to_owned(),
        );
    }
    Ok(OAuthSettings {
        grant,
        scopes: auth.scopes,
        client_name: auth.client_name,
        open_browser: auth.open_browser,
        callback_port: (auth.callback_port != 0).then_some(auth.callback_port),
        client_id,
        client_secret,
        private_key: auth.private_key,
        signing_algorithm: auth.signing_algorithm,
        client_metadata_url: auth
            .client_metadata_url
            .map(|url| format::http_url(&url))
            .transpose()?,
        resource: match auth.resource.as_deref() {
            None => Resource::Found,
            Some("none") => Resource::None,
            Some(_) => Resource::Fixed(auth.resource.unwrap_or_default()),
        },
        allow_issuer_mismatch: auth.allow_issuer_mismatch,
    })
}

fn given(key: &str, value: Option<Secret>, command: Vec<String>) -> Result<Option<Given>, String> {
    match (value, command.is_empty()) {
        (Some(_), false) => Err(format!(
            "`auth.{key}` and `auth.{key}_command` exclude each other"
        )),
        (Some(value), true) => Ok(Some(Given::Value(value))),
        (None, false) => Ok(Some(Given::Command(command))),
        (None, true) => Ok(None),
    }
}
