//! A minimal MCP server, as fast as one can easily be, so that it is never
//! what a measurement finds: what it answers ([`answer`]), and how it is asked,
//! over streamable HTTP ([`http`]) or over stdin and stdout ([`stdio`]).

pub mod answer;
pub mod http;
pub mod stdio;
mod tool;

/// A revision's kind of conversation, as a server or a client keeps to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize`, sessions; spoken here in the revision 2025-11-25.
    Legacy,
    /// Stateless: 2026-07-28.
    Modern,
}

impl Era {
    /// The revision spoken, as `MCP-Protocol-Version` carries it.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}
