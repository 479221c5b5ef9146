//! Tasks (2025-11-25, `basic/utilities/tasks`, and the extension
//! `io.modelcontextprotocol/tasks`): whose each task is, so that only who
//! began it sees it, and following one for a client whose era has no form for it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use memchr::memmem::Finder;

use crate::{
    backend::Backend,
    mux::Caller,
    protocol::{Message, RawObject},
};

mod follow;
mod list;

pub(super) use follow::{Following, needs_task, with_tasks};

/// The most tasks that are remembered; beyond, the oldest is forgotten.
const MAX: usize = 10_000;

/// What every response that begins a task holds, looked for in all of them.
static TASK_ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("taskId"));

/// The extension's key among capabilities.
pub(super) const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Who began which task where.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    owners: HashMap<String, Owner>,
    /// The oldest first.
    order: VecDeque<String>,
}

/// Where a task runs and for whom.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    /// The backend that runs it.
    pub(super) backend: Arc<Backend>,
    /// The number of the legacy client that began it; `None` for a modern one,
    /// who has shown that it is its own by knowing its id.
    client: Option<u64>,
    /// The principal that began it.
    principal: String,
}

impl Owner {
    /// Whether it is the one that `caller` is.
    pub(super) fn is(&self, caller: &Caller) -> bool {
        let client = caller.introduction.as_ref().map(|client| client.number);
        self.client == client && self.principal == caller.principal.owner()
    }
}

impl Tasks {
    /// Notes the task of `caller` that `response` says was begun, if it says so; gives its id.
    pub(super) fn note(
        &self,
        response: &Message,
        backend: &Arc<Backend>,
        caller: &Caller,
    ) -> Option<String> {
        let id = begun(response)?;
        let owner = Owner {
            backend: Arc::clone(backend),
            client: caller.introduction.as_ref().map(|client| client.number),
            principal: caller.principal.owner().to_owned(),
        };
        let mut table = self.table();
        if table.owners.insert(id.clone(), owner).is_none() {
            table.order.push_back(id.clone());
        }
        while table.order.len() > MAX {
            if let Some(oldest) = table.order.pop_front() {
                table.owners.remove(&oldest);
            }
        }
        Some(id)
    }

    /// Who began the task `id` where, if that is remembered.
    pub(super) fn owner(&self, id: &str) -> Option<Owner> {
        self.table().owners.get(id).cloned()
    }

    /// The tasks of `client` that are remembered, the oldest first.
    fn of(&self, client: u64) -> Vec<(String, Arc<Backend>)> {
        let table = self.table();
        let all = table.order.iter();
        all.filter_map(|id| Some((id, table.owners.get(id)?)))
            .filter(|(_, owner)| owner.client == Some(client))
            .map(|(id, owner)| (id.clone(), Arc::clone(&owner.backend)))
            .collect()
    }

    /// The task `id` is no more.
    fn forget(&self, id: &str) {
        let mut table = self.table();
        if table.owners.remove(id).is_some() {
            table.order.retain(|other| other != id);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the task that `response` says was begun: in the member `task` of
/// 2025-11-25, or in the result itself where its `resultType` is `task`.
pub(super) fn begun(response: &Message) -> Option<String> {
    let text = response.payload()?;
    TASK_ID.find(text.as_bytes())?;
    let result = RawObject::parse(text).ok()?;
    let id = |task: &RawObject<'_>| Some(task.get_str("taskId").ok()??.into_owned());
    if let Some(task) = result.get("task").ok()? {
        return id(&RawObject::parse(task).ok()?);
    }
    let kind = result.get_str("resultType").ok()??;
    (kind == "task").then(|| id(&result))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Id;

    #[test]
    fn a_begun_task_is_found_in_both_forms_and_nowhere_else() {
        let begun = |result: &str| begun(&Message::success(&Id::from(1), result));
        assert_eq!(
            begun(r#"{"task":{"taskId":"a","x":1}}"#).as_deref(),
            Some("a")
        );
        assert_eq!(
            begun(r#"{"taskId":"b","resultType":"task"}"#).as_deref(),
            Some("b")
        );
        assert_eq!(begun(r#"{"taskId":"c","resultType":"complete"}"#), None);
        assert_eq!(begun(r#"{"content":[{"text":"taskId"}]}"#), None);
    }
}
