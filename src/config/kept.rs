//! Where tokens and records are kept: from the document to the settings.

use std::path::PathBuf;

use super::{
    document,
    pattern::Pattern,
    settings::{AuditSettings, StoreKind, TokenStore, VaultKey},
};

/// `token_store`.
pub(super) fn token_store(store: document::TokenStore) -> TokenStore {
    TokenStore {
        enabled: store.enabled,
        kind: match store.kind {
            document::StoreKind::Auto => StoreKind::Auto,
            document::StoreKind::Memory => StoreKind::Memory,
            document::StoreKind::Runtime => StoreKind::Runtime,
            document::StoreKind::Vault => StoreKind::Vault,
            document::StoreKind::Keyring => StoreKind::Keyring,
        },
        key: match store.key {
            document::VaultKey::Auto => VaultKey::Auto,
            document::VaultKey::Credential => VaultKey::Credential,
            document::VaultKey::SecretService => VaultKey::SecretService,
            document::VaultKey::File => VaultKey::File,
        },
        path: store.path.map(PathBuf::from),
        key_file: store.key_file.map(PathBuf::from),
    }
}

/// `audit`.
pub(super) fn audit(audit: document::Audit) -> AuditSettings {
    let arguments = audit.arguments.iter().map(|text| Pattern::new(text));
    AuditSettings {
        journal: audit.journal,
        file: audit.file.map(PathBuf::from),
        arguments: arguments.collect(),
    }
}
