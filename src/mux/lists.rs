//! What clients are answered from memory: lists, and what mcpmux says of itself.

use std::sync::{Arc, atomic::Ordering};

use super::{Changed, Mux};
use crate::{
    access::Principal,
    backend::Exchange,
    mux::Catalog,
    protocol::{Era, Id, Message, RawObject, Revision, RpcError, error::INVALID_PARAMS, method},
};

/// Takes the list of one method out of a catalog.
type List = fn(&Catalog, Era) -> &str;

/// The list that `method` asks for.
pub(super) fn list(method: &str) -> Option<List> {
    match method {
        method::TOOLS_LIST => Some(Catalog::tools),
        method::PROMPTS_LIST => Some(Catalog::prompts),
        method::RESOURCES_LIST => Some(Catalog::resources),
        method::TEMPLATES_LIST => Some(Catalog::templates),
        _ => None,
    }
}

impl Mux {
    /// Answers `message` of `asking`, which asks for `list`.
    pub(super) fn list(
        self: &Arc<Self>,
        list: List,
        era: Era,
        id: Id,
        asking: &Principal,
        message: &Message,
    ) -> Exchange {
        let cursor = message
            .payload()
            .and_then(|params| RawObject::parse(params).ok()?.get("cursor").ok()?)
            .is_some_and(|cursor| cursor != "null");
        if cursor {
            // The list is one page, so no cursor was ever given out.
            let error = RpcError::new(INVALID_PARAMS, "Invalid params: unknown cursor");
            return Exchange::ready(Ok(Message::failure(Some(&id), &error)));
        }
        if self.settled.load(Ordering::Relaxed) {
            return Exchange::ready(Ok(Message::success(
                &id,
                list(&self.view(asking.role()).catalog(), era),
            )));
        }
        let (mux, asking) = (Arc::clone(self), asking.clone());
        Exchange::new(async_stream::stream! {
            mux.settled().await;
            yield Ok(Message::success(&id, list(&mux.view(asking.role()).catalog(), era)));
        })
    }

    /// Answers `server/discover` of a client in `role`.
    pub(super) fn discover(&self, role: &str, id: &Id) -> Exchange {
        let catalog = self.view(role).catalog();
        Exchange::ready(Ok(Message::success(id, catalog.discovered())))
    }

    /// The result of the `initialize` of a legacy client in `role`, at `revision`
    /// (JSON text).
    pub fn initialize(&self, role: &str, revision: Revision) -> String {
        self.view(role).catalog().initialized(revision)
    }

    /// The lists whose changes clients in `role` are told.
    pub(super) fn announced(&self, role: &str) -> Changed {
        self.view(role).catalog().announced()
    }
}
