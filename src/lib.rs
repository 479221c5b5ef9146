//! mcpmux: one MCP endpoint in front of many servers.
//!
//! The rooms, ground floor first; a room may only use rooms of a lower floor
//! (see `ARCHITECTURE.md`).

mod alarm;
mod bell;
pub mod config;
mod nearest;
pub mod protocol;
mod secret;
mod signature;
mod thread;
mod web;

pub mod audit;
pub mod credential;
pub mod limits;
mod store;
pub mod systemd;

pub mod access;
pub mod backend;

pub mod mux;

pub mod control;
pub mod listener;

pub mod daemon;

pub mod cli;

pub use config::Config;
pub use mux::Mux;
pub use secret::Secret;
