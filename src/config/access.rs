//! Who may come in: from the document to the settings.

use std::path::PathBuf;

use super::{
    document, format,
    settings::{AccessSettings, KeysSetting, Listen, Pem, TlsSettings, TokenSettings},
};

/// `listen.tls`.
pub(super) fn tls(tls: document::Tls) -> TlsSettings {
    TlsSettings {
        certificate: Pem::of(tls.certificate.into()),
        key: Pem::of(tls.key),
        client_ca: tls.client_ca.map(|ca| Pem::of(ca.into())),
        client_crl: tls.client_crl.map(|crl| Pem::of(crl.into())),
    }
}

/// What is wrong with revocation lists of no authority, if there are such.
pub(super) fn listless(listen: &Listen) -> Option<&'static str> {
    let tls = listen.tls.as_ref()?;
    let listless = tls.client_crl.is_some() && tls.client_ca.is_none();
    listless.then_some("names certificates of nobody without client_ca")
}

/// `access`.
pub(super) fn settings(access: document::Access) -> AccessSettings {
    AccessSettings {
        local_users: access.local_users,
        keys: match access.keys {
            document::Keys::Off => KeysSetting::Off,
            document::Keys::Allow => KeysSetting::Allow,
            document::Keys::Require => KeysSetting::Require,
        },
        keys_file: access.keys_file.map(PathBuf::from),
        oauth: access.oauth.map(|oauth| TokenSettings {
            issuer: oauth.issuer,
            resource: oauth.resource,
            audience: oauth.audience,
            jwks_uri: oauth.jwks_uri.and_then(|uri| format::http_url(&uri).ok()),
            algorithms: oauth.algorithms,
            scopes: oauth.scopes,
        }),
        insecure: access.insecure,
    }
}
