//! A backend reached over streamable HTTP, in JSON and event-stream form.

mod answer;
mod call;
mod client;
mod link;
mod listen;

pub(super) use client::Client;
pub(super) use link::HttpLink;
pub(super) use listen::listen;
