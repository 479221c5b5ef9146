//! `auth.type: oauth`: tokens that a person consents to, or that a client has for
//! credentials of its own (`OAuth` 2.1 as MCP's authorization specification uses
//! it).
//!
//! A [`Login`] is one backend's: it takes [`steps`] to a token and asks for a
//! person's [`consent`] where there is no other way. [`Logins`] are those of all
//! backends.
//!
//! What is asked of other servers before a person consents: [`discovery`] finds
//! the authorization server of a backend and what it can do ([`metadata`]) from
//! the [`challenge`] of a 401; [`registration`] makes mcpmux known to it;
//! [`scope`] says what to ask for; [`assertion`] proves who asks where there is
//! a key instead of a secret. [`requests`] are for tokens, with [`form`] for the
//! grants that few ask for; [`unattended`] are those that need no person, and [`enterprise`] asks an
//! organisation instead of one. [`binding`] says when tokens are bound to a key, and
//! [`dpop`] proves that it is ours. A [`sender`] sends what is asked; [`web`] is the
//! one way out, and [`address`] says where it leads.

mod address;
mod answer;
mod assertion;
mod binding;
mod browser;
mod callback;
mod challenge;
mod client;
mod consent;
mod device;
mod discovery;
mod dpop;
mod enterprise;
mod exposed;
#[cfg(test)]
mod faults;
mod flow;
mod form;
mod house;
mod identity;
mod keys;
mod login;
mod logins;
mod loopback;
mod metadata;
mod needed;
mod page;
mod paste;
mod record;
mod registration;
mod requests;
mod scope;
mod sender;
mod standing;
mod state;
mod steps;
mod terms;
mod tokens;
mod trouble;
mod unattended;
mod web;
mod well_known;

pub use callback::{CALLBACK_PATH, callback_query};
pub use dpop::ProofError;
pub(super) use dpop::{HEADER as DPOP, Proof};
pub(crate) use keys::jwks;
pub(crate) use login::Login;
pub use logins::Logins;
pub use needed::LoginNeeded;
pub use page::{page as callback_page, refusal as callback_refusal};
pub use standing::{
    Begun, LoggedOut, LoginError, LoginState, LoginStatus, LoginWay, Page, Returned, Wish,
};
pub(super) use state::Access;
pub(crate) use state::Standing;
pub use trouble::LoginFailure;
