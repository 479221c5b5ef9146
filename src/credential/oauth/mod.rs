//! Tokens that a person consents to, or that a client has for its own
//! credentials (`OAuth` 2.1 as MCP's authorization specification uses it).

mod logins;

pub use logins::{
    Begun, LoggedOut, LoginError, LoginState, LoginStatus, LoginWay, Logins, Page, Returned, Wish,
};
