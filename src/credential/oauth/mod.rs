//! Tokens that a person consents to, or that a client has for its own
//! credentials (`OAuth` 2.1 as MCP's authorization specification uses it).

mod logins;

pub use logins::{
    Begun, LoggedOut, LoginError, LoginState, LoginStatus, LoginWay, Logins, Page, Returned, Wish,
};
//! `auth.type: oauth`: how a person's consent is asked for, kept and renewed
//! (the specification's "Authorization"; OAuth 2.1).
//!
//! Every request goes out through [`web`], and [`address`] says where to.

mod address;
mod web;
