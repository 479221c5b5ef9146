//! MCP on the wire, without I/O: messages as raw JSON, eras and revisions,
//! names, `_meta` keys, headers and error codes.

pub mod ability;
mod envelope;
pub mod error;
pub mod frame;
pub mod header;
mod id;
pub mod level;
pub mod message;
pub mod meta;
pub mod method;
pub mod name;
pub mod raw;
pub mod revision;
mod scan;
mod span;
pub mod sse;

pub use ability::Abilities;
pub use error::RpcError;
pub use id::Id;
pub use level::Level;
pub use message::{Kind, Message};
pub use raw::RawObject;
pub use revision::{Era, Revision};
