//! A browser that came back where mcpmux is not, on another machine: its address
//! is brought by hand.

use url::form_urlencoded;

use super::{LoginError, Logins, Returned, callback::MAX_QUERY};
use crate::Secret;

impl Logins {
    /// A person has brought the `address` that the browser of the login of
    /// `backend` ended at. The error says why that is no login, or what else to
    /// bring; the login under way goes on where the address was not one.
    pub async fn pasted(&self, backend: &str, address: &Secret) -> Result<(), LoginError> {
        let query = query_of(address.expose()).map_err(|error| LoginError(error.to_owned()))?;
        match self.returned(query).await {
            Returned::LoggedIn { backend: own } if own == backend => Ok(()),
            Returned::LoggedIn { backend: own } => Err(LoginError(format!(
                "this was the login of {own}, which is logged in now"
            ))),
            Returned::Failed { reason, .. } => Err(LoginError(reason)),
        }
    }
}

/// The query of an address that a person copied out of the browser that came
/// back, where it could not reach mcpmux. The error says what to paste instead.
fn query_of(address: &str) -> Result<&str, &'static str> {
    let address = address.trim();
    let is_web = |scheme: &str| {
        address
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if !is_web("http://") && !is_web("https://") {
        return Err(
            "this is not a whole address: paste all of what the browser shows, from http on",
        );
    }
    let address = address.split_once('#').map_or(address, |(start, _)| start);
    let query = address.split_once('?').map_or("", |(_, query)| query);
    if query.len() > MAX_QUERY {
        return Err("this address is longer than any login's");
    }
    let is_answer = form_urlencoded::parse(query.as_bytes())
        .any(|(name, _)| matches!(&*name, "code" | "error"));
    if !is_answer {
        return Err(
            "the browser did not come back to this address: it has neither a code nor an error \
             in it. Paste the one that the browser shows after you have consented",
        );
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_the_browser_came_back_to_is_taken_by_hand() {
        for address in [
            " http://127.0.0.1:8080/oauth/callback?code=a%2Fb&state=c\n",
            "HTTPS://h/?code=a%2Fb&state=c#fragment",
        ] {
            assert_eq!(query_of(address), Ok("code=a%2Fb&state=c"));
        }
        assert!(query_of("http://h/?error=access_denied").is_ok());
        for (address, error) in [
            ("", "whole address"),
            ("code=a&state=c", "whole address"),
            ("127.0.0.1:8080/oauth/callback?code=a", "whole address"),
            (
                "https://as/authorize?response_type=code&state=s",
                "come back",
            ),
            ("http://127.0.0.1:8080/oauth/callback", "come back"),
            ("http://127.0.0.1:8080/#code=a", "come back"),
        ] {
            assert!(query_of(address).unwrap_err().contains(error), "{address}");
        }
    }
}
