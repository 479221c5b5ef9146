//! The features, which revisions have them, and what becomes of each between
//! the eras.

use crate::{
    acts::{calls, changes, extensions, lists, questions, tasks},
    house::Place,
    revision::Revision,
    scene::Scene,
};

/// What a client does to use a feature.
pub(crate) type Act = fn(&Scene<'_>);

/// A feature.
#[derive(Clone, Copy)]
pub(crate) struct Feature {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Where it is looked at.
    pub(crate) place: Place,
    /// The first revision and the last one in which a server has it.
    pub(crate) backends: (Revision, Revision),
    /// The first revision in which a client has it.
    pub(crate) clients: Revision,
    /// The first revision in which a client can be asked for it.
    pub(crate) asked_since: Revision,
    /// Whether mcpmux says it itself, member for member as a server would.
    pub(crate) retold: bool,
    /// How it is used.
    pub(crate) act: Act,
    /// A legacy client with a modern backend.
    pub(crate) down: Bridge,
    /// A modern client with a legacy backend.
    pub(crate) up: Bridge,
}

/// What becomes of a feature between the eras.
#[derive(Clone, Copy)]
pub(crate) enum Bridge {
    /// The client sees what a server of its own revision would show it; how
    /// that comes about.
    Alike(&'static str),
    /// The client sees this instead, where its own revision has no form for it.
    Instead(&'static str, &'static [(&'static str, &'static str)]),
    /// No server of that era has it.
    Absent,
}

use Bridge::{Absent, Alike, Instead};

const OLDEST: Revision = Revision::V2024_11_05;
const NEWEST: Revision = Revision::V2026_07_28;

const fn feature(name: &'static str, act: Act, down: Bridge, up: Bridge) -> Feature {
    Feature {
        name,
        place: Place::Crowd,
        backends: (OLDEST, NEWEST),
        clients: OLDEST,
        asked_since: OLDEST,
        retold: false,
        act,
        down,
        up,
    }
}

impl Feature {
    const fn since(mut self, revision: Revision) -> Self {
        self.backends.0 = revision;
        self
    }

    const fn until(mut self, revision: Revision) -> Self {
        self.backends.1 = revision;
        self
    }

    const fn clients(mut self, revision: Revision) -> Self {
        self.clients = revision;
        self
    }

    /// A client of an older revision cannot be asked for it.
    const fn asks(mut self, revision: Revision) -> Self {
        self.asked_since = revision;
        self.since(revision)
    }

    const fn retold(mut self) -> Self {
        self.retold = true;
        self
    }

    const fn alone(mut self) -> Self {
        self.place = Place::Alone;
        self
    }

    /// Whether a client of the one revision and a server of the other have it.
    pub(crate) fn is_in(&self, client: Revision, backend: Revision) -> bool {
        let (first, last) = self.backends;
        self.clients <= client && first <= backend && backend <= last
    }
}

const LISTED: Bridge = Alike("without `resultType`, `ttlMs`, `cacheScope`");
const RELISTED: Bridge = Alike("with `resultType`, `ttlMs: 0`, `cacheScope: private`");
const STRIPPED: Bridge = Alike("without `resultType`");
const TYPED: Bridge = Alike("with `resultType: complete`");
const DRIVEN: Bridge = Alike("asked in a request; the call is sent again with the answer");
const PARKED: Bridge = Alike("`input_required` with a sealed handle, while the call is kept open");
const LISTENED: Bridge = Alike("from mcpmux's own `subscriptions/listen` there");
const TOLD: Bridge = Alike("on the client's `subscriptions/listen`");

/// All of them, in the order of the table.
pub(crate) const ALL: &[Feature] = &[
    feature(
        "handshake: what is offered",
        lists::handshake,
        Alike("`initialize` is answered by mcpmux"),
        Alike("`server/discover` is answered by mcpmux"),
    )
    .alone(),
    feature("tools: list", lists::tools, LISTED, RELISTED),
    feature(
        "tools: icons, annotations, `_meta`, unknown members",
        lists::decorations,
        LISTED,
        RELISTED,
    ),
    feature("tools: call", calls::plain, STRIPPED, TYPED),
    feature(
        "structured content, an object",
        calls::object,
        STRIPPED,
        TYPED,
    )
    .since(Revision::V2025_06_18),
    feature(
        "structured content, anything else",
        calls::array,
        Instead(
            "as a text block",
            &[(
                "response",
                r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"[1.0, \"\\u0061\"]"}]}}"#,
            )],
        ),
        Absent,
    )
    .since(NEWEST),
    feature("resources: list", lists::resources, LISTED, RELISTED),
    feature("resources: templates", lists::templates, LISTED, RELISTED),
    feature("resources: read", lists::read, LISTED, RELISTED),
    feature(
        "resources: not found",
        lists::missing,
        Alike("-32602 becomes -32002"),
        Alike("-32002 becomes -32602"),
    ),
    feature("prompts: list", lists::prompts, LISTED, RELISTED),
    feature("prompts: get", lists::prompt, STRIPPED, TYPED),
    feature(
        "completion for a prompt",
        lists::complete_prompt,
        STRIPPED,
        TYPED,
    ),
    feature(
        "completion for a resource",
        lists::complete_resource,
        STRIPPED,
        TYPED,
    ),
    feature(
        "logging",
        calls::logs,
        Alike("the session's level goes with each request"),
        Alike("the request's level is set at the backend"),
    ),
    feature("progress", calls::progress, STRIPPED, TYPED),
    feature(
        "cancellation",
        calls::cancelled,
        Alike("the stream is closed (HTTP), or a notification sent (stdio)"),
        Alike("a disconnect becomes `notifications/cancelled`"),
    ),
    feature(
        "ping",
        calls::ping,
        Alike("answered by mcpmux"),
        Alike("not offered: -32601"),
    ),
    feature("roots", questions::roots, DRIVEN, PARKED),
    feature("sampling", questions::sample, DRIVEN, PARKED),
    feature(
        "sampling with tools",
        questions::sample_tools,
        DRIVEN,
        PARKED,
    )
    .asks(Revision::V2025_11_25),
    feature("elicitation of a form", questions::form, DRIVEN, PARKED).asks(Revision::V2025_06_18),
    feature(
        "elicitation of a URL",
        questions::url,
        Alike("as a form, with an `elicitationId` of mcpmux's"),
        Alike("as a form, without `elicitationId`"),
    )
    .asks(Revision::V2025_11_25),
    feature(
        "elicitation of a URL, required by an error",
        questions::visit,
        Absent,
        Alike("-32042 becomes `input_required`; the call is made again"),
    )
    .since(Revision::V2025_11_25)
    .until(Revision::V2025_11_25),
    feature(
        "resources: subscribe, updated",
        changes::updated,
        LISTENED,
        Alike("counted `resources/subscribe`; told on the client's stream"),
    )
    .retold(),
    feature("tools: list changed", changes::tools, LISTENED, TOLD).alone().retold(),
    feature("prompts: list changed", changes::prompts, LISTENED, TOLD).alone().retold(),
    feature("resources: list changed", changes::resources, LISTENED, TOLD).alone().retold(),
    feature(
        "tasks of 2025-11-25",
        tasks::required,
        Absent,
        Alike("a tool that only runs as a task is called as one; its result is waited for"),
    )
    .since(Revision::V2025_11_25)
    .until(Revision::V2025_11_25)
    .clients(Revision::V2025_11_25)
    .alone(),
    feature(
        "tasks, the extension",
        tasks::extension,
        Alike("followed to its end by mcpmux"),
        Absent,
    )
    .since(NEWEST)
    .alone(),
    feature(
        "MCP Apps (`namespace: none`)",
        extensions::app,
        LISTED,
        RELISTED,
    )
    .alone(),
    feature(
        "an extension's request",
        extensions::method,
        STRIPPED,
        TYPED,
    )
    .alone(),
    feature(
        "an extension's notification, of the client",
        extensions::seen,
        Alike("passed on"),
        Alike("passed on"),
    )
    .alone(),
    feature(
        "an extension's notification, of the server",
        extensions::told,
        Alike("passed on"),
        Alike("passed on"),
    )
    .alone(),
];
