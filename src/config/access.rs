//! Who may come in: from the document to the settings.

use std::path::PathBuf;

use super::{
    document, format,
    settings::{AccessSettings, KeysSetting, Pem, TlsSettings, TokenSettings},
};

/// `listen.tls`.
pub(super) fn tls(tls: document::Tls) -> TlsSettings {
    TlsSettings {
        certificate: Pem::of(tls.certificate.into()),
        key: Pem::of(tls.key),
        client_ca: tls.client_ca.map(|ca| Pem::of(ca.into())),
    }
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
