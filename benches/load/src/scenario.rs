//! What is measured: which call, by how many clients, through what.

use crate::{
    backend::Era,
    request::Call,
    target::{Target, Upstream},
};

/// How many tools the backend has.
pub const TOOLS: usize = 200;

/// How many clients there are: one for the time of a call, many for the cost.
pub const CLIENTS: [usize; 2] = [1, 32];

/// A call and what it is measured through.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line and in JSON.
    pub name: &'static str,
    /// Its heading in the table.
    pub title: &'static str,
    /// What the clients ask for.
    pub call: Call,
    /// The clients' era.
    pub era: Era,
    /// The backend.
    pub upstream: Upstream,
    /// What is measured, in this order in even rounds.
    pub targets: &'static [Target],
}

/// The ordinary backend.
pub const LEGACY: Upstream = Upstream {
    path: "/mcp",
    era: Era::Legacy,
};
const MODERN: Upstream = Upstream {
    path: "/mcp",
    era: Era::Modern,
};
const SMALL: Call = Call::Echo(64);
const EVERY: &[Target] = &[
    Target::Direct,
    Target::Nginx,
    Target::Hyper,
    Target::Mcpmux,
    Target::Stdio,
];
const HTTP: &[Target] = &[Target::Direct, Target::Nginx, Target::Hyper, Target::Mcpmux];

/// All scenarios, in the order of the report.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "small",
        title: "small call (64 bytes), legacy client and backend",
        call: SMALL,
        era: Era::Legacy,
        upstream: LEGACY,
        targets: EVERY,
    },
    Scenario {
        name: "small-sse",
        title: "small call, answered as an event stream",
        call: SMALL,
        era: Era::Legacy,
        upstream: Upstream {
            path: "/sse",
            era: Era::Legacy,
        },
        targets: HTTP,
    },
    Scenario {
        name: "small-modern",
        title: "small call, modern client and backend",
        call: SMALL,
        era: Era::Modern,
        upstream: MODERN,
        targets: HTTP,
    },
    Scenario {
        name: "small-up",
        title: "small call, legacy client and modern backend",
        call: SMALL,
        era: Era::Legacy,
        upstream: MODERN,
        targets: &[Target::Mcpmux],
    },
    Scenario {
        name: "small-down",
        title: "small call, modern client and legacy backend",
        call: SMALL,
        era: Era::Modern,
        upstream: LEGACY,
        targets: &[Target::Mcpmux],
    },
    Scenario {
        name: "large",
        title: "large call (64 KiB there and back)",
        call: Call::Echo(64 * 1024),
        era: Era::Legacy,
        upstream: LEGACY,
        targets: EVERY,
    },
    Scenario {
        name: "progress",
        title: "call with 100 reports of progress, each sent for itself",
        call: Call::Progress(100),
        era: Era::Legacy,
        upstream: LEGACY,
        targets: EVERY,
    },
    Scenario {
        name: "broken",
        title: "small call to a good backend, with and without broken ones beside it",
        call: SMALL,
        era: Era::Legacy,
        upstream: LEGACY,
        targets: &[
            Target::Good,
            Target::Half,
            Target::GoodStdio,
            Target::HalfStdio,
        ],
    },
    Scenario {
        name: "access",
        title: "small call, with a key, in one of 20 roles, audited",
        call: SMALL,
        era: Era::Legacy,
        upstream: LEGACY,
        targets: &[Target::Mcpmux, Target::Doors],
    },
    Scenario {
        name: "hidden",
        title: "call to a tool that is another role's, and to one that there is not",
        call: Call::Nothing,
        era: Era::Legacy,
        upstream: LEGACY,
        targets: &[Target::Hidden, Target::Absent],
    },
    Scenario {
        name: "list",
        title: "tools/list (200 tools)",
        call: Call::List(TOOLS),
        era: Era::Legacy,
        upstream: LEGACY,
        targets: &[
            Target::Direct,
            Target::Kept,
            Target::Nginx,
            Target::Hyper,
            Target::Mcpmux,
            Target::Fifty,
        ],
    },
];
