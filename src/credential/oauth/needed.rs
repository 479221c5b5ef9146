//! That a person has to log in, as it is told to who cannot go on without.

use std::fmt;

use super::Page;

/// A backend that awaits a person's consent. It reads on after the backend's
/// name, and says what to do.
#[derive(Debug, Clone)]
pub struct LoginNeeded {
    /// The backend.
    pub backend: String,
    /// Where to consent, if that is known.
    pub url: Option<String>,
    /// What stands in the way, or what went wrong before.
    pub reason: Option<String>,
}

impl LoginNeeded {
    pub(super) fn at(backend: String, page: Page) -> Self {
        let (Page::Redirect { url, .. } | Page::Device { url, .. }) = page;
        Self {
            backend,
            url: Some(url),
            reason: None,
        }
    }

    pub(super) fn without_page(backend: String, reason: Option<String>) -> Self {
        Self {
            backend,
            url: None,
            reason,
        }
    }
}

impl std::error::Error for LoginNeeded {}

impl fmt::Display for LoginNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("needs login: ")?;
        if let Some(url) = &self.url {
            write!(f, "open {url} , or ")?;
        }
        write!(f, "run `mcpmux auth login {}`", self.backend)?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LoginNeeded;

    #[test]
    fn it_says_what_to_do() {
        let mut needed = LoginNeeded::without_page("linear".to_owned(), Some("expired".to_owned()));
        assert_eq!(
            needed.to_string(),
            "needs login: run `mcpmux auth login linear` (expired)"
        );
        needed.url = Some("https://as.example/a?b".to_owned());
        needed.reason = None;
        assert_eq!(
            needed.to_string(),
            "needs login: open https://as.example/a?b , or run `mcpmux auth login linear`"
        );
    }
}
