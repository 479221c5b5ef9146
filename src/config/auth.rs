//! From `backends[].auth`, as it is written, to the settings, as they are used.

use super::{
    document::{self, AuthType},
    format,
    settings::{
        Auth, Dpop, Given, Grant, IdentityPlace, IdentityProvider, OAuthSettings, Resource,
    },
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

fn oauth(mut auth: document::Auth) -> Result<OAuthSettings, String> {
    let grant = grant(&mut auth)?;
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
    if client_id.is_none() && (client_secret.is_some() || auth.private_key.is_some()) {
        return Err("`auth.client_id` is missing: whose secret or key is it?".to_owned());
    }
    if matches!(grant, Grant::ClientCredentials)
        && client_secret.is_none()
        && auth.private_key.is_none()
    {
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
        dpop: match auth.dpop {
            document::Dpop::Auto => Dpop::Auto,
            document::Dpop::Required => Dpop::Required,
            document::Dpop::Off => Dpop::Off,
        },
    })
}

/// The grant, with the keys that no other one has.
fn grant(auth: &mut document::Auth) -> Result<Grant, String> {
    use document::Grant as Named;
    let own = [
        (Named::JwtBearer, "assertion", auth.assertion.is_some()),
        (
            Named::JwtBearer,
            "assertion_command",
            !auth.assertion_command.is_empty(),
        ),
        (
            Named::EnterpriseManaged,
            "identity_token",
            auth.identity_token.is_some(),
        ),
        (
            Named::EnterpriseManaged,
            "identity_token_command",
            !auth.identity_token_command.is_empty(),
        ),
        (
            Named::EnterpriseManaged,
            "idp_issuer",
            auth.idp_issuer.is_some(),
        ),
        (
            Named::EnterpriseManaged,
            "idp_token_endpoint",
            auth.idp_token_endpoint.is_some(),
        ),
        (
            Named::EnterpriseManaged,
            "idp_client_id",
            auth.idp_client_id.is_some(),
        ),
        (
            Named::EnterpriseManaged,
            "idp_client_secret",
            auth.idp_client_secret.is_some(),
        ),
    ];
    for (owner, key, is_there) in own {
        if is_there && owner != auth.grant {
            let owner = match owner {
                Named::EnterpriseManaged => "enterprise_managed",
                _ => "jwt_bearer",
            };
            return Err(format!("`auth.{key}` is for `auth.grant: {owner}` only"));
        }
    }
    Ok(match auth.grant {
        Named::AuthorizationCode => Grant::AuthorizationCode,
        Named::ClientCredentials => Grant::ClientCredentials,
        Named::JwtBearer => Grant::JwtBearer {
            assertion: needed(
                "jwt_bearer",
                "assertion",
                auth.assertion.take(),
                &mut auth.assertion_command,
            )?,
        },
        Named::EnterpriseManaged => Grant::EnterpriseManaged(Box::new(provider(auth)?)),
    })
}

fn provider(auth: &mut document::Auth) -> Result<IdentityProvider, String> {
    const NAME: &str = "enterprise_managed";
    if auth.resource.as_deref() == Some("none") {
        return Err(format!(
            "`auth.grant: {NAME}` cannot be without a resource (`auth.resource: none`)"
        ));
    }
    let place = match (auth.idp_issuer.take(), auth.idp_token_endpoint.take()) {
        (Some(issuer), None) => IdentityPlace::Issuer(issuer),
        (None, Some(url)) => IdentityPlace::TokenEndpoint(format::http_url(&url)?),
        (Some(_), Some(_)) => {
            return Err(
                "`auth.idp_issuer` and `auth.idp_token_endpoint` exclude each other".to_owned(),
            );
        }
        (None, None) => {
            return Err(format!(
                "`auth.grant: {NAME}` needs `auth.idp_issuer` or `auth.idp_token_endpoint`"
            ));
        }
    };
    Ok(IdentityProvider {
        identity_token: needed(
            NAME,
            "identity_token",
            auth.identity_token.take(),
            &mut auth.identity_token_command,
        )?,
        place,
        client_id: auth
            .idp_client_id
            .take()
            .ok_or_else(|| format!("`auth.grant: {NAME}` needs `auth.idp_client_id`"))?,
        client_secret: auth.idp_client_secret.take(),
    })
}

/// The value of `key`, or the command that prints it, without which there is no
/// `grant`.
fn needed(
    grant: &str,
    key: &str,
    value: Option<Secret>,
    command: &mut Vec<String>,
) -> Result<Given, String> {
    let given = given(key, value, std::mem::take(command))?;
    given.ok_or_else(|| format!("`auth.grant: {grant}` needs `auth.{key}` or `auth.{key}_command`"))
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

#[cfg(test)]
mod tests {
    use crate::config::{Config, Environment};

    /// What is wrong with these keys of `auth`, if anything is.
    fn wrong(keys: &str) -> Option<String> {
        let text = format!(
            "backends:\n- name: b\n  transport: http\n  endpoint: https://b.example/mcp\n  \
             auth: {{type: oauth, {keys}}}\n"
        );
        let parsed = Config::parse(&text, "m.yaml", &Environment::default());
        parsed.err().map(|error| error.to_string())
    }

    #[track_caller]
    fn is_wrong(keys: &str, with: &str) {
        let error = wrong(keys).expect(keys);
        assert!(error.contains(with) && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn a_grant_has_what_it_needs_and_no_key_of_another() {
        is_wrong(
            "grant: jwt_bearer",
            "`auth.grant: jwt_bearer` needs `auth.assertion` or `auth.assertion_command`",
        );
        is_wrong(
            "grant: jwt_bearer, assertion: s3cret, assertion_command: [x]",
            "`auth.assertion` and `auth.assertion_command` exclude each other",
        );
        for grant in ["authorization_code", "client_credentials"] {
            is_wrong(
                &format!("grant: {grant}, assertion: s3cret"),
                "`auth.assertion` is for `auth.grant: jwt_bearer` only",
            );
        }
        assert_eq!(wrong("grant: jwt_bearer, assertion_command: [x]"), None);
    }

    #[test]
    fn an_identity_provider_is_named_once_and_in_full() {
        const GRANT: &str = "grant: enterprise_managed, identity_token: s3cret";
        const PLACE: &str = "idp_issuer: https://idp.example";
        const CLIENT: &str = "idp_client_id: c";
        is_wrong(
            &format!("{PLACE}, {CLIENT}, grant: enterprise_managed"),
            "needs `auth.identity_token` or `auth.identity_token_command`",
        );
        is_wrong(
            &format!("{GRANT}, {CLIENT}"),
            "needs `auth.idp_issuer` or `auth.idp_token_endpoint`",
        );
        is_wrong(
            &format!("{GRANT}, {CLIENT}, {PLACE}, idp_token_endpoint: https://idp.example/t"),
            "`auth.idp_issuer` and `auth.idp_token_endpoint` exclude each other",
        );
        is_wrong(&format!("{GRANT}, {PLACE}"), "needs `auth.idp_client_id`");
        is_wrong(
            &format!("{GRANT}, {PLACE}, {CLIENT}, resource: none"),
            "cannot be without a resource",
        );
        is_wrong(
            "grant: jwt_bearer, assertion: s3cret, idp_client_secret: s3cret",
            "`auth.idp_client_secret` is for `auth.grant: enterprise_managed` only",
        );
        assert_eq!(wrong(&format!("{GRANT}, {PLACE}, {CLIENT}")), None);
    }
}
