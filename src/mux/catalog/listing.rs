//! One list as it is sent: the whole result, written out for each era.

use crate::protocol::{Era, meta};

/// A list, ready to be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    legacy: String,
    modern: String,
}

impl Listing {
    /// The result as `era` has it.
    pub(super) fn text(&self, era: Era) -> &str {
        match era {
            Era::Legacy => &self.legacy,
            Era::Modern => &self.modern,
        }
    }
}

/// A list that is being written.
#[derive(Debug)]
pub(super) struct Draft {
    text: String,
    empty: bool,
}

impl Draft {
    /// An empty list; `member` is the result's member that holds it.
    pub(super) fn new(member: &str) -> Self {
        Self {
            text: format!("\"{member}\":["),
            empty: true,
        }
    }

    /// Adds a definition, JSON text.
    pub(super) fn push(&mut self, definition: &str) {
        if !std::mem::take(&mut self.empty) {
            self.text.push(',');
        }
        self.text.push_str(definition);
    }

    /// The results that hold the list.
    pub(super) fn finish(self) -> Listing {
        let list = &*self.text;
        let server = meta::implementation();
        let key = meta::SERVER_INFO;
        let tail =
            format!("],\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":{{\"{key}\":{server}}}}}");
        // Not formatted: that would leave them up to twice the room that they need.
        Listing {
            legacy: ["{", list, "]}"].concat(),
            modern: ["{\"resultType\":\"complete\",", list, &tail].concat(),
        }
    }
}
