//! The control socket: by which a person's commands reach the mcpmux that runs.
//!
//! It is a unix socket of its user's own, beside the one for clients: who reaches
//! it may log in and out. One connection carries one [`Request`], a line of JSON,
//! and its [`Answer`]s, a line each, until mcpmux closes it; who closes their
//! side first is gone. The protocol is between one mcpmux and another of about
//! the same version, and promises nothing to other programs.
//!
//! To add a verb: a variant of [`Request`] (and of [`Answer`], where its answers
//! are new), and the function that [`server`] gives it to.

mod auth;
mod backends;
mod client;
mod location;
mod logs;
mod message;
mod reload;
mod server;
mod socket;
mod tools;

pub use backends::{Deed, Served, Status};
pub use client::{Answers, ControlError, ask};
pub use location::{VARIABLE, candidates, is_nowhere};
pub use logs::Log;
pub use message::{Answer, Hello, PROTOCOL, Request};
pub use reload::{Ask, Reload, Reloaded};
pub use server::{Control, start};
