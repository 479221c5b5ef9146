//! What is sent to a backend and nobody waits for: an answer, a notification, a
//! request whose response is of no use. Each in a task of its own, and bounded in
//! time, since a server may never take it.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, time::timeout};

use super::Connection;
use crate::protocol::Message;

/// How long the backend may take to take it.
const PATIENCE: Duration = Duration::from_secs(30);

impl Connection {
    /// Sends a notification or a response.
    pub(crate) fn tell(self: &Arc<Self>, message: Message) {
        let connection = Arc::clone(self);
        unwaited(async move {
            // Where it does not get there, whoever needs it hears of the loss.
            let _ = connection.link.send(&message).await;
        });
    }
}

/// Does `work` aside, for so long at most.
pub(crate) fn unwaited(work: impl Future<Output = ()> + Send + 'static) {
    // Without a runtime there is no backend any more.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(timeout(PATIENCE, work));
    }
}
