//! The page that a browser shows when it has come back from the authorization
//! server: what happened, and what to do next. It needs no script and loads
//! nothing. Which requests are answered is [`super::callback`]'s to say.

use std::{fmt::Write, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};

use super::Returned;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto 2rem;padding:0 1.5rem;\
color:#1a1a1a;background:#fff}\
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem;padding-left:1rem;border-left:.3rem solid}\
h1.good{border-color:#1a7f37}\
h1.bad{border-color:#cf222e}\
p{overflow-wrap:anywhere}\
code{display:inline-block;font:.95em ui-monospace,monospace;background:#eee;padding:.15em .4em;border-radius:.3em}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#181818}code{background:#333}\
h1.good{border-color:#3fb950}h1.bad{border-color:#f85149}}";

/// Lets the page's own style in and nothing else (Content Security Policy
/// Level 3, section 2.3.1, hashes).
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The page for a browser that came back: 200 where the backend is logged in,
/// else 400.
pub fn page(returned: &Returned) -> Response<String> {
    match returned {
        Returned::LoggedIn { backend } => answer(
            StatusCode::OK,
            &document(
                "good",
                &format!("{backend} is logged in"),
                "mcpmux holds the login now. You can close this page.",
                &[],
            ),
        ),
        Returned::Failed { backend, reason } => {
            let title = match backend {
                Some(backend) => format!("{backend} is not logged in"),
                None => "Nothing was logged in".to_owned(),
            };
            let login = format!("mcpmux auth login {}", backend.as_deref().unwrap_or("NAME"));
            let mut next = vec![("To try again, run", login.as_str())];
            if backend.is_none() {
                next.insert(
                    0,
                    ("To see which login is missing, run", "mcpmux auth status"),
                );
            }
            answer(
                StatusCode::BAD_REQUEST,
                &document("bad", &title, &sentence(reason), &next),
            )
        }
    }
}

/// The page for a request that is none of a browser coming back, with why.
pub fn refusal(status: StatusCode, why: &str) -> Response<String> {
    answer(
        status,
        &document("bad", "This was not a login", &sentence(why), &[]),
    )
}

/// A reason, which reads on after a colon elsewhere, as a sentence.
fn sentence(reason: &str) -> String {
    let mut chars = reason.chars();
    let mut sentence: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    sentence.push_str(chars.as_str());
    if sentence.ends_with(char::is_alphanumeric) {
        sentence.push('.');
    }
    sentence
}

/// The page's HTML. All text is escaped here; `next` are an introduction and a
/// command each.
fn document(class: &str, title: &str, text: &str, next: &[(&str, &str)]) -> String {
    let (title, text) = (Escaped(title), Escaped(text));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title} – mcpmux</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1 class=\"{class}\">{title}</h1>\n<p>{text}</p>\n"
    );
    for (introduction, command) in next {
        let (introduction, command) = (Escaped(introduction), Escaped(command));
        let _ = writeln!(html, "<p>{introduction} <code>{command}</code></p>");
    }
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn answer(status: StatusCode, html: &str) -> Response<String> {
    let mut response = Response::new(html.to_owned());
    *response.status_mut() = status;
    *response.headers_mut() = headers();
    response
}

/// The page is of one login and of nobody else's business: it is not kept, not
/// framed, and its address, which had the code in it, is told to nobody.
fn headers() -> HeaderMap {
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    let mut headers: HeaderMap = fixed
        .into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    headers
}

/// Text in which nothing is markup, in an element or in an attribute.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Also U+202E and its like, which turn text around.
                c if c.is_control() || is_direction(c) => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Whether `c` steers the direction of the text around it (Unicode Standard
/// Annex 9, section 2).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(backend: Option<&str>, reason: &str) -> Response<String> {
        page(&Returned::Failed {
            backend: backend.map(str::to_owned),
            reason: reason.to_owned(),
        })
    }

    #[test]
    fn success_is_said_with_200() {
        let page = page(&Returned::LoggedIn {
            backend: "linear".to_owned(),
        });
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.body().contains(">linear is logged in</h1>"));
        assert!(page.body().contains("close this page"));
    }

    #[test]
    fn a_failure_says_why_and_what_to_do_with_400() {
        let page = failed(Some("linear"), "consent was refused");
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
        assert!(page.body().contains(">linear is not logged in</h1>"));
        assert!(page.body().contains("<p>Consent was refused.</p>"));
        assert!(
            page.body()
                .contains("<code>mcpmux auth login linear</code>")
        );
        let page = failed(None, "This login is not known.");
        assert!(page.body().contains("<code>mcpmux auth login NAME</code>"));
        assert!(page.body().contains("<code>mcpmux auth status</code>"));
    }

    #[test]
    fn the_page_is_not_kept_framed_or_scripted_and_loads_nothing() {
        for page in [
            failed(None, "no"),
            refusal(StatusCode::FORBIDDEN, "no"),
            page(&Returned::LoggedIn {
                backend: "b".to_owned(),
            }),
        ] {
            let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("cache-control"), "no-store");
            assert_eq!(header("referrer-policy"), "no-referrer");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("x-frame-options"), "DENY");
            assert_eq!(header("content-type"), "text/html; charset=utf-8");
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
            assert!(!policy.contains("unsafe"));
            for loaded in ["<script", "<link", "<img", "<a ", "url(", "@import", "://"] {
                assert!(!page.body().contains(loaded), "{loaded}");
            }
        }
    }

    #[test]
    fn the_policy_lets_in_the_style_that_the_page_has() {
        let page = failed(None, "no");
        let start = page.body().find("<style>").unwrap() + "<style>".len();
        let end = page.body().find("</style>").unwrap();
        let hash = STANDARD.encode(Sha256::digest(&page.body()[start..end]));
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains(&format!("'sha256-{hash}'")));
    }

    #[test]
    fn what_would_steer_a_terminal_or_the_text_is_not_shown() {
        let page = failed(None, "a\u{1b}[31m\u{202e}b");
        assert!(page.body().contains("A\u{fffd}[31m\u{fffd}b"));
    }

    proptest! {
        #[test]
        fn no_markup_of_the_text_survives(backend in ".*", reason in "(.|[<>&\"'])*") {
            let plain = failed(Some(""), "");
            let page = failed(Some(&backend), &reason);
            for c in ['<', '>', '"', '\''] {
                let count = |page: &Response<String>| page.body().matches(c).count();
                prop_assert_eq!(count(&page), count(&plain), "{}", c);
            }
            // Every ampersand begins one of ours.
            for rest in page.body().split('&').skip(1) {
                let ours = ["amp;", "lt;", "gt;", "quot;", "#39;"];
                prop_assert!(ours.iter().any(|entity| rest.starts_with(entity)));
            }
        }
    }
}
