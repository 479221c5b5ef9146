//! A backend reached over HTTP: streamable, in JSON and event-stream form, or by
//! the older transport with one event stream.

mod answer;
mod call;
mod client;
mod link;
mod listen;
mod mode;
mod pool;
mod resume;
mod sse;
mod wire;

pub(super) use client::Client;
pub(super) use link::HttpLink;
pub(super) use listen::listen;
pub(super) use sse::SseLink;
