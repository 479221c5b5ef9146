//! The methods and notifications that mcpmux acts upon; all others are relayed
//! or refused by name.

/// Opens a legacy session.
pub const INITIALIZE: &str = "initialize";
/// Ends a legacy handshake.
pub const INITIALIZED: &str = "notifications/initialized";
/// Asks a modern server what it is.
pub const DISCOVER: &str = "server/discover";
/// Legacy liveness check.
pub const PING: &str = "ping";
/// Lists tools.
pub const TOOLS_LIST: &str = "tools/list";
/// Calls a tool.
pub const TOOLS_CALL: &str = "tools/call";
/// Lists resources.
pub const RESOURCES_LIST: &str = "resources/list";
/// Lists resource templates.
pub const TEMPLATES_LIST: &str = "resources/templates/list";
/// Lists prompts.
pub const PROMPTS_LIST: &str = "prompts/list";
/// A resource is another one now.
pub const RESOURCES_UPDATED: &str = "notifications/resources/updated";
/// Opens a modern stream of change notifications.
pub const LISTEN: &str = "subscriptions/listen";
/// First message of a modern stream of change notifications.
pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// The list of tools is another one now.
pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
/// The list of prompts is another one now.
pub const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
/// The list of resources, or that of resource templates, is another one now.
pub const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
/// A request is no longer wanted.
pub const CANCELLED: &str = "notifications/cancelled";
/// How far a request has come.
pub const PROGRESS: &str = "notifications/progress";
/// A log message for the client.
pub const LOG_MESSAGE: &str = "notifications/message";
/// Gets a prompt, filled in.
pub const PROMPTS_GET: &str = "prompts/get";
/// Reads a resource.
pub const RESOURCES_READ: &str = "resources/read";
/// Completes an argument of a prompt or a resource template.
pub const COMPLETE: &str = "completion/complete";
/// Asks how a task of the extension stands.
pub const TASKS_GET: &str = "tasks/get";
/// Gives a task of the extension what it asked for.
pub const TASKS_UPDATE: &str = "tasks/update";
/// Cancels a task of the extension.
pub const TASKS_CANCEL: &str = "tasks/cancel";
/// Waits for the result of a task, in 2025-11-25.
pub const TASKS_RESULT: &str = "tasks/result";
/// Lists tasks, in 2025-11-25.
pub const TASKS_LIST: &str = "tasks/list";
/// Sets the lowest level of log messages that a legacy client wants.
pub const SET_LEVEL: &str = "logging/setLevel";
/// A server asks a client's user for input.
pub const ELICIT: &str = "elicitation/create";
/// A server asks a client's model.
pub const SAMPLE: &str = "sampling/createMessage";
/// A server asks a client for its roots.
pub const ROOTS_LIST: &str = "roots/list";
/// A legacy client wants to be told when a resource changes.
pub const SUBSCRIBE: &str = "resources/subscribe";
/// A legacy client no longer wants that.
pub const UNSUBSCRIBE: &str = "resources/unsubscribe";

/// The status of a task is another one now, in 2025-11-25.
pub const TASK_STATUS: &str = "notifications/tasks/status";
/// The user has done what a URL elicitation asked for, in 2025-11-25.
pub const ELICITED: &str = "notifications/elicitation/complete";

/// Whether `method` is one that the specification gives a meaning which is
/// mcpmux's own to serve, in one of the eras, or the client's. All else may be
/// an extension's.
pub fn is_own(method: &str) -> bool {
    matches!(
        method,
        INITIALIZE
            | DISCOVER
            | PING
            | TOOLS_LIST
            | RESOURCES_LIST
            | TEMPLATES_LIST
            | PROMPTS_LIST
            | LISTEN
            | SUBSCRIBE
            | UNSUBSCRIBE
            | SET_LEVEL
            | ELICIT
            | SAMPLE
            | ROOTS_LIST
    )
}

/// Whether `method` is a client's notification that the specification gives a
/// meaning. All else may be an extension's.
pub fn is_own_notification(method: &str) -> bool {
    matches!(
        method,
        INITIALIZED | CANCELLED | PROGRESS | "notifications/roots/list_changed" | TASK_STATUS
    )
}
