//! Records as items of the Secret Service, one for each backend and issuer.
//! They are as durable as the service makes them before it answers.

use zeroize::Zeroizing;

use super::{
    Entry, VaultError, book,
    items::{Attributes, Items},
};
use crate::{
    Secret,
    config::{BackendName, Environment},
};

/// What tells records from other items of mcpmux.
const KIND: (&str, &str) = ("kind", "oauth");

/// The records that the Secret Service keeps.
#[derive(Debug)]
pub(super) struct Keyring(Environment);

impl Keyring {
    /// Those of the session of `environment`. Error: it cannot be used now.
    pub(super) async fn open(environment: &Environment) -> Result<Self, VaultError> {
        Items::connect(environment).await?;
        Ok(Self(environment.clone()))
    }

    pub(super) async fn entries(&self, backend: &BackendName) -> Result<Vec<Entry>, VaultError> {
        let attributes = Attributes::from([KIND, ("backend", backend.as_str())]);
        let items = Items::connect(&self.0).await?.find(&attributes).await?;
        let entry = |mut item: super::items::Item| {
            let issuer = item.attributes.remove("issuer")?;
            let record = text(item.secret)?;
            Some(Entry { issuer, record })
        };
        let entries: Option<Vec<_>> = items.into_iter().map(entry).collect();
        entries.ok_or_else(|| {
            let what = format!("its record of {backend} is damaged: remove it and log in anew");
            VaultError::SecretService(what)
        })
    }

    pub(super) async fn write(
        &self,
        backend: &BackendName,
        issuer: &str,
        record: &Secret,
    ) -> Result<(), VaultError> {
        book::check(backend, issuer, record)?;
        let attributes = attributes(backend, issuer);
        let label = format!("mcpmux: OAuth tokens of {backend}");
        let items = Items::connect(&self.0).await?;
        items.keep(&label, &attributes, record.expose()).await
    }

    pub(super) async fn remove(
        &self,
        backend: &BackendName,
        issuer: &str,
    ) -> Result<bool, VaultError> {
        let attributes = attributes(backend, issuer);
        Items::connect(&self.0).await?.remove(&attributes).await
    }
}

fn attributes<'a>(backend: &'a BackendName, issuer: &'a str) -> Attributes<'a> {
    Attributes::from([KIND, ("backend", backend.as_str()), ("issuer", issuer)])
}

/// The text that the bytes of a secret are.
pub(super) fn text(mut bytes: Zeroizing<Vec<u8>>) -> Option<Secret> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Some(Secret::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            None
        }
    }
}
