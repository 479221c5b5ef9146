//! `tasks/list`: the tasks that the asking client has begun, as their backends
//! describe them now.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::{
    backend::{BackendError, Exchange},
    mux::{Caller, Mux},
    protocol::{Id, Message, RpcError, method},
};

/// The most tasks that one list names, the newest.
const MAX: usize = 100;

/// How long the backends may take to describe them all; what is not described
/// by then is left out.
const PATIENCE: Duration = Duration::from_secs(10);

impl Mux {
    /// Answers `tasks/list` of a legacy client. What others have begun on a
    /// shared backend is not its business.
    pub(in crate::mux) fn list_tasks(self: &Arc<Self>, caller: &Caller, id: Id) -> Exchange {
        let Some(client) = caller.introduction.as_ref().map(|client| client.number) else {
            let error = RpcError::method_not_found(method::TASKS_LIST);
            return Exchange::ready(Ok(Message::failure(Some(&id), &error)));
        };
        let mux = Arc::clone(self);
        Exchange::new(async_stream::stream! {
            let own = mux.commons.tasks.of(client);
            let deadline = Instant::now() + PATIENCE;
            let mut described = Vec::new();
            for (task, backend) in own.iter().rev().take(MAX).rev() {
                let there = backend.connected().or_else(|| mux.backend(backend.name())?.connected());
                let Some(connection) = there else { continue };
                let asked = connection.query(method::TASKS_GET, json!({ "taskId": task }));
                match timeout_at(deadline, asked).await {
                    Ok(Ok(now)) => described.push(now),
                    Ok(Err(BackendError::Refused { .. })) => mux.commons.tasks.forget(task),
                    Ok(Err(_)) | Err(_) => {}
                }
            }
            let list = format!("{{\"tasks\":[{}]}}", described.join(","));
            yield Ok(Message::success(&id, &list));
        })
    }
}
