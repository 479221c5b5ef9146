//! Tokens that a person consents to, or that a client has for its own
//! credentials (`OAuth` 2.1 as MCP's authorization specification uses it).

mod browser;
mod callback;
mod logins;
mod loopback;
mod page;
mod paste;

pub use callback::{CALLBACK_PATH, callback_query};
pub use logins::{
    Begun, LoggedOut, LoginError, LoginState, LoginStatus, LoginWay, Logins, Page, Returned, Wish,
};
//! `auth.type: oauth`: how a person's consent is asked for, kept and renewed
//! (the specification's "Authorization"; OAuth 2.1).
//!
//! What is asked of other servers before a person consents: [`discovery`] finds
//! the authorization server of a backend and what it can do ([`metadata`]) from
//! the [`challenge`] of a 401; [`registration`] makes mcpmux known to it;
//! [`scope`] says what to ask for; [`assertion`] proves who asks where there is
//! a key instead of a secret. [`web`] is the one way out, and [`address`] says
//! where it leads.

mod address;
mod assertion;
mod challenge;
mod discovery;
mod metadata;
mod registration;
mod scope;
mod web;
pub use page::{page as callback_page, refusal as callback_refusal};
