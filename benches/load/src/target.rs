//! What a measured client can be put in front of.

use serde::Serialize;

use crate::backend::Era;

/// What stands between the client and the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Nothing.
    Direct,
    /// Nothing, and the backend has its list of tools serialised beforehand.
    Kept,
    /// nginx as a reverse proxy.
    Nginx,
    /// The bare hyper pass-through.
    Hyper,
    /// mcpmux, with one HTTP backend.
    Mcpmux,
    /// mcpmux, with one stdio backend.
    Stdio,
    /// mcpmux, with 50 HTTP backends that have as many tools together as one
    /// otherwise has.
    Fifty,
    /// mcpmux, with 25 backends that work.
    Good,
    /// The same, and as many broken ones.
    Half,
    /// As [`Good`](Self::Good); what is called is a stdio backend.
    GoodStdio,
    /// As [`Half`](Self::Half); what is called is a stdio backend.
    HalfStdio,
    /// mcpmux, with one HTTP backend, 20 roles, keys of clients, and an audit file.
    Doors,
    /// The same, and what is called the client's role may not use.
    Hidden,
    /// The same, and what is called there is not.
    Absent,
}

impl Target {
    /// How the table names it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Kept => "direct, list kept",
            Self::Nginx => "nginx",
            Self::Hyper => "hyper pass-through",
            Self::Mcpmux => "mcpmux",
            Self::Stdio => "mcpmux, stdio",
            Self::Fifty => "mcpmux, 50 backends",
            Self::Good => "25 good",
            Self::Half => "25 good, 25 broken",
            Self::GoodStdio => "25 good, stdio",
            Self::HalfStdio => "25 and 25, stdio",
            Self::Doors => "mcpmux, with doors",
            Self::Hidden => "not allowed",
            Self::Absent => "not there",
        }
    }

    /// Whether it is mcpmux.
    pub const fn is_mcpmux(self) -> bool {
        !matches!(self, Self::Direct | Self::Kept | Self::Nginx | Self::Hyper)
    }

    /// The target that this one is as, but for what is measured of it.
    pub const fn plain(self) -> Option<Self> {
        match self {
            Self::Half => Some(Self::Good),
            Self::HalfStdio => Some(Self::GoodStdio),
            Self::Doors => Some(Self::Mcpmux),
            Self::Hidden => Some(Self::Absent),
            _ => None,
        }
    }

    /// Whether there are broken backends behind it.
    pub const fn has_broken(self) -> bool {
        matches!(self, Self::Half | Self::HalfStdio)
    }

    /// Whether there is a process of its own to be watched.
    pub const fn is_proxy(self) -> bool {
        !matches!(self, Self::Direct | Self::Kept)
    }
}

/// The backend as seen from the proxy: at which path of the HTTP backend, and
/// in which era mcpmux speaks to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// The path (see [`backend::http`](crate::backend::http)).
    pub path: &'static str,
    /// The era.
    pub era: Era,
}
