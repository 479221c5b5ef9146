//! The requests about tools: what has changed, and to approve it.

use std::io;

use super::{backends::Served, message::Answer, server::Replies};

/// The tools that are not as they were approved, of all backends or of one.
pub(super) async fn diff(
    served: &Served,
    backend: Option<&str>,
    replies: &mut Replies,
) -> io::Result<()> {
    let answer = match served.mux.changed_tools(backend) {
        Ok(backends) => Answer::ToolChanges { backends },
        Err(reason) => Answer::Refused { reason },
    };
    replies.send(&answer).await
}

/// Approves tools as they are now; it is kept and in effect when that is answered.
pub(super) async fn approve(
    served: &Served,
    backend: &str,
    tool: Option<&str>,
    replies: &mut Replies,
) -> io::Result<()> {
    let answer = match served.mux.approve_tools(backend, tool).await {
        Ok(tools) => Answer::Approved { tools },
        Err(reason) => Answer::Refused { reason },
    };
    replies.send(&answer).await
}
