//! Every page of one list of a server, read within bounds.

use std::{borrow::Cow, collections::HashSet};

use serde_json::json;
use tracing::warn;

use crate::{
    backend::{BackendError, handshake, link::Link},
    protocol::{RawObject, Revision, raw::elements},
};

/// The most pages that are read of one list.
const MAX_PAGES: usize = 1000;

/// The most bytes that the definitions of one list may take.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A list of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// The method that asks for a page.
    pub(super) method: &'static str,
    /// The member of the result that holds the definitions.
    pub(super) member: &'static str,
    /// What one of them is called.
    pub(super) item: &'static str,
}

/// Reads all pages of `list`. Each definition goes through `read`, which gives
/// it with what identifies it, or says why it is left out; so is one whose
/// identity an earlier one has.
pub(super) async fn read_all<T>(
    backend: &str,
    link: &Link,
    revision: Revision,
    list: List,
    read: impl Fn(&str) -> Result<(String, T), String>,
) -> Result<Vec<T>, BackendError> {
    let List {
        method,
        member,
        item,
    } = list;
    let mut items = Vec::new();
    let mut known = HashSet::new();
    let mut cursors = HashSet::new();
    let mut cursor: Option<String> = None;
    let mut bytes = 0;
    for page in 1.. {
        let params = cursor
            .as_ref()
            .map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        let result = handshake::query(link, revision, method, params).await?;
        let unreadable = || BackendError::Protocol(format!("its list of {item}s cannot be read"));
        let object = RawObject::parse(&result).map_err(|_| unreadable())?;
        let definitions = object
            .get(member)
            .ok()
            .flatten()
            .and_then(elements)
            .ok_or_else(unreadable)?;
        for definition in definitions {
            bytes += definition.len();
            match read(definition) {
                Ok((id, item)) if known.insert(id.clone()) => items.push(item),
                Ok((id, _)) => warn!(
                    backend,
                    "the {item} {id:?} is listed twice, the first one counts"
                ),
                Err(reason) => warn!(backend, "a {item} is left out: {reason}"),
            }
        }
        let next = object.get_str("nextCursor").ok().flatten();
        let Some(next) = next.map(Cow::into_owned) else {
            break;
        };
        if !cursors.insert(next.clone()) {
            warn!(
                backend,
                "its list of {item}s comes back to a cursor it gave before; read {page} pages"
            );
            break;
        }
        if page >= MAX_PAGES || bytes > MAX_BYTES {
            warn!(
                backend,
                "its list of {item}s does not end; read {page} pages, {} {item}s",
                items.len()
            );
            break;
        }
        cursor = Some(next);
    }
    Ok(items)
}
