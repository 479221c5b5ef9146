//! One attempt to connect to a backend: its link is opened, hands are shaken, its
//! lists read.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::debug;

use super::{
    Backend, BackendError, Connection, Ear, Inventory, Link, Lists, Places, Unasked, Way,
    handshake, inventory,
};
use crate::{config::EraSetting, protocol::Era};

/// Messages outside of any exchange that may wait for the supervisor.
const UNASKED: usize = 64;

impl Backend {
    /// One attempt. A process that ends on the probe is launched once more without
    /// it; what an earlier run knew is no reason to fail.
    pub(super) async fn attempt(
        &self,
        way: &Way,
        era: &mut Option<Era>,
    ) -> Result<(Arc<Connection>, Inventory, mpsc::Receiver<Unasked>), BackendError> {
        let probing = era.is_none() && self.settings().era == EraSetting::Auto;
        let done = self.connect_as(way, *era).await;
        let ended = matches!(done, Err(BackendError::Closed(_)));
        let done = match done {
            Err(_) if probing && ended && matches!(way, Way::Command(_)) => {
                debug!(
                    backend = self.name(),
                    "the process ended on the probe, launching it without"
                );
                self.connect_as(way, Some(Era::Legacy)).await
            }
            Err(error) if era.is_some() && self.is_another(&error) => {
                self.connect_as(way, None).await
            }
            done => done,
        };
        // A server that was replaced may speak another era now.
        *era = done.as_ref().ok().map(|(connection, ..)| connection.era());
        done
    }

    async fn connect_as(
        &self,
        way: &Way,
        era: Option<Era>,
    ) -> Result<(Arc<Connection>, Inventory, mpsc::Receiver<Unasked>), BackendError> {
        let (sender, unasked) = mpsc::channel(UNASKED);
        let link = Link::open(
            &self.name,
            way,
            self.settings().max_message,
            Ear::new(sender, Arc::clone(&self.told)),
            &self.keepers,
            &self.tail,
            self.client.as_ref(),
        )
        .await?;
        let shaken = async {
            let handshake =
                handshake::shake(&link, self.settings().era, era, self.client.as_deref()).await?;
            let known = Inventory {
                offers: Some(Arc::new(handshake.offers)),
                instructions: handshake.instructions,
                ..Inventory::clone(&self.inventory())
            };
            let revision = handshake.revision;
            let inventory = if self.client.is_none() {
                inventory::read(self.name(), &link, revision, Lists::ALL, &known).await?
            } else {
                known
            };
            Ok((revision, handshake.server, inventory))
        };
        match shaken.await {
            Ok((revision, server, inventory)) => {
                let offers = inventory.offers.clone().unwrap_or_default();
                let name = Arc::clone(&self.name);
                let places = Places::new(self.settings().concurrency);
                let connection = Connection::new(link, revision, offers, server, name, places);
                Ok((Arc::new(connection), inventory, unasked))
            }
            Err(error) => {
                link.end().await;
                Err(error)
            }
        }
    }
}
