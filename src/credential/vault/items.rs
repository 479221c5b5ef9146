//! The Secret Service (<https://specifications.freedesktop.org/secret-service/>)
//! as far as it is needed here: items of its default collection, found by their
//! attributes. It may be absent, locked or hang: every step is bounded in time,
//! and nobody is ever asked to unlock anything.

use std::{collections::HashMap, path::Path, time::Duration};

use secret_service::{Collection, EncryptionType, Error, SecretService};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::VaultError;
use crate::config::Environment;

/// How long it may take to answer at all.
const TO_CONNECT: Duration = Duration::from_secs(3);

/// How long it may take with the items of one request.
const TO_ACT: Duration = Duration::from_secs(10);

/// As many items as anybody has of one kind.
const MAX_ITEMS: usize = 1000;

/// What an item is found by. All of mcpmux's also have `application: mcpmux`.
pub(super) type Attributes<'a> = HashMap<&'a str, &'a str>;

/// A connection to the Secret Service, with a session whose secrets are
/// encrypted on the bus.
pub(super) struct Items(SecretService<'static>);

/// One item.
pub(super) struct Item {
    pub(super) attributes: HashMap<String, String>,
    pub(super) secret: Zeroizing<Vec<u8>>,
}

impl Items {
    /// Connects over the session bus of `environment`. Error: there is none, or
    /// its default collection is locked or missing.
    pub(super) async fn connect(environment: &Environment) -> Result<Self, VaultError> {
        let address = address(environment).ok_or_else(|| {
            unusable("there is no session bus ($DBUS_SESSION_BUS_ADDRESS is not set)")
        })?;
        within(TO_CONNECT, async {
            let builder = zbus::connection::Builder::address(address.as_str());
            let connection = builder.map_err(|_| unusable("the address of its bus is none"))?;
            let connection = connection.build().await;
            let connection =
                connection.map_err(|_| unusable("the session bus cannot be reached"))?;
            let service =
                SecretService::connect_with_existing(EncryptionType::Dh, connection).await;
            let items = Self(service.map_err(|error| failed(&error))?);
            items.collection().await?;
            Ok(items)
        })
        .await
    }

    /// The items that have all of these attributes.
    pub(super) async fn find(&self, attributes: &Attributes<'_>) -> Result<Vec<Item>, VaultError> {
        within(TO_ACT, async {
            let collection = self.collection().await?;
            let items = collection.search_items(owned(attributes)).await;
            let mut found = Vec::new();
            for item in items
                .map_err(|error| failed(&error))?
                .iter()
                .take(MAX_ITEMS)
            {
                let secret = item.get_secret().await.map_err(|error| failed(&error))?;
                let secret = Zeroizing::new(secret);
                let attributes = item
                    .get_attributes()
                    .await
                    .map_err(|error| failed(&error))?;
                found.push(Item { attributes, secret });
            }
            Ok(found)
        })
        .await
    }

    /// Keeps a secret in place of the item that has exactly these attributes.
    pub(super) async fn keep(
        &self,
        label: &str,
        attributes: &Attributes<'_>,
        secret: &str,
    ) -> Result<(), VaultError> {
        within(TO_ACT, async {
            let collection = self.collection().await?;
            let attributes = owned(attributes);
            let kept =
                collection.create_item(label, attributes, secret.as_bytes(), true, "text/plain");
            kept.await.map(drop).map_err(|error| failed(&error))
        })
        .await
    }

    /// Removes the items that have all of these attributes; whether there were any.
    pub(super) async fn remove(&self, attributes: &Attributes<'_>) -> Result<bool, VaultError> {
        within(TO_ACT, async {
            let collection = self.collection().await?;
            let items = collection.search_items(owned(attributes)).await;
            let items = items.map_err(|error| failed(&error))?;
            for item in &items {
                item.delete().await.map_err(|error| failed(&error))?;
            }
            Ok(!items.is_empty())
        })
        .await
    }

    /// The default collection, if it is there and unlocked.
    async fn collection(&self) -> Result<Collection<'_>, VaultError> {
        let collection = match self.0.get_default_collection().await {
            Ok(collection) => collection,
            Err(Error::NoResult) => {
                return Err(unusable(
                    "it has no default collection (a keyring to log in with)",
                ));
            }
            Err(error) => return Err(failed(&error)),
        };
        match collection.is_locked().await {
            Ok(false) => Ok(collection),
            Ok(true) => Err(failed(&Error::Locked)),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn owned<'a>(attributes: &Attributes<'a>) -> Attributes<'a> {
    let mut attributes = attributes.clone();
    attributes.insert("application", "mcpmux");
    attributes
}

/// The session bus: the one that is named, or else the user's.
fn address(environment: &Environment) -> Option<String> {
    if let Ok(address) = environment.variable("DBUS_SESSION_BUS_ADDRESS")
        && !address.is_empty()
    {
        return Some(address.to_owned());
    }
    let path = environment.directory("XDG_RUNTIME_DIR")?.join("bus");
    let plain = |path: &str| {
        path.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/_.-".contains(&b))
    };
    let path = Path::to_str(&path).filter(|path| plain(path) && Path::new(path).exists())?;
    Some(format!("unix:path={path}"))
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, VaultError>>,
) -> Result<T, VaultError> {
    let late = || {
        Err(unusable(&format!(
            "it gave no answer within {} s",
            limit.as_secs()
        )))
    };
    timeout(limit, work).await.unwrap_or_else(|_| late())
}

fn unusable(what: &str) -> VaultError {
    VaultError::SecretService(what.to_owned())
}

/// What the service said is not repeated: it is not known what that would show.
fn failed(error: &Error) -> VaultError {
    unusable(match error {
        Error::Locked => {
            "its default collection is locked, and mcpmux never asks for it to be unlocked"
        }
        Error::Prompt | Error::PromptDisconnected => "it wants to ask somebody first",
        Error::NoResult => "it has not what it should have",
        Error::Unavailable => "there is none",
        Error::Zbus(error) => match error {
            zbus::Error::MethodError(name, ..) => match name.as_str() {
                "org.freedesktop.DBus.Error.ServiceUnknown"
                | "org.freedesktop.DBus.Error.NameHasNoOwner" => "none answers on the session bus",
                _ => "it refuses",
            },
            _ => "the connection to it failed",
        },
        Error::ZbusFdo(
            zbus::fdo::Error::ServiceUnknown(_) | zbus::fdo::Error::NameHasNoOwner(_),
        ) => "none answers on the session bus",
        _ => "it says what cannot be understood",
    })
}
