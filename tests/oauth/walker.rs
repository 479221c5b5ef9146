//! A person who goes from an authorization URL through login and consent to the
//! redirect, by plain HTTP: pages are fetched, cookies kept, forms filled in.

use std::collections::BTreeMap;

use url::Url;

use crate::{
    fetch::{Fetched, fetch, form, get, start},
    support::Connection,
};

/// How many pages a person looks at before giving up.
const PAGES: usize = 20;

/// Who walks, and how.
#[derive(Debug, Clone)]
pub(crate) struct Walker {
    /// The name to log in with.
    pub(crate) user: String,
    /// The password to log in with.
    pub(crate) password: String,
    /// Whether to cancel at the first page that can be cancelled.
    pub(crate) denies: bool,
}

/// The end of a walk: the redirect back to the client, not yet followed.
#[derive(Debug, Clone)]
pub(crate) struct Redirect(pub(crate) Url);

impl Walker {
    /// Alice, who consents.
    pub(crate) fn alice() -> Self {
        Self {
            user: "alice".to_owned(),
            password: format!("pw-{:016x}", fastrand::u64(..)),
            denies: false,
        }
    }

    /// Alice, who does not consent.
    pub(crate) fn denying() -> Self {
        Self {
            denies: true,
            ..Self::alice()
        }
    }

    /// Goes from an authorization URL to the redirect.
    #[track_caller]
    pub(crate) fn walk(&self, authorization: &str) -> Redirect {
        let start = Url::parse(authorization).expect("an authorization URL");
        let redirect = parameter(&start, "redirect_uri").expect("a redirect URI");
        self.visit(start, |url| url.as_str().starts_with(&redirect))
            .unwrap_or_else(|page| panic!("no redirect; the last page: {}", page.words()))
    }

    /// Goes through the pages of a device's login; gives the last page.
    #[track_caller]
    pub(crate) fn confirm(&self, verification: &str) -> Fetched {
        let start = Url::parse(verification).expect("a verification URL");
        let walked = self.visit(start, |_| false);
        walked.expect_err("a device's login does not end in a redirect")
    }

    /// Goes on until `home` is reached; the last page where there is no going on.
    #[track_caller]
    fn visit(&self, start: Url, home: impl Fn(&Url) -> bool) -> Result<Redirect, Fetched> {
        let mut cookies = Cookies::default();
        let mut url = start;
        let mut fields: Option<Vec<(String, String)>> = None;
        for _ in 0..PAGES {
            let page = cookies.fetch(&url, fields.take());
            if let Some(location) = page.header("location") {
                url = url.join(location).expect("a location");
                if home(&url) {
                    return Ok(Redirect(url));
                }
                continue;
            }
            assert!(
                page.status < 400,
                "{} at {url}: {}",
                page.status,
                page.words()
            );
            let abort = hrefs(&page.body).find(|href| href.ends_with("/abort"));
            if let Some(abort) = abort.filter(|_| self.denies) {
                url = url.join(&abort).expect("a link");
                continue;
            }
            let Some(found) = Form::first(&page.body) else {
                return Err(page);
            };
            url = url.join(&found.action).expect("a form's action");
            fields = Some(self.filled(found));
        }
        panic!("more than {PAGES} pages, the last at {url}")
    }

    fn filled(&self, form: Form) -> Vec<(String, String)> {
        let fill = |(name, value): (String, String)| match name.as_str() {
            "login" => (name, self.user.clone()),
            "password" => (name, self.password.clone()),
            _ => (name, value),
        };
        form.fields.into_iter().map(fill).collect()
    }
}

impl Redirect {
    /// The value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.0, name)
    }

    /// The same with another value of this parameter.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.without(name);
        changed.0.query_pairs_mut().append_pair(name, value);
        changed
    }

    /// The same without this parameter.
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut url = self.0.clone();
        let kept: Vec<_> = self
            .0
            .query_pairs()
            .filter(|(n, _)| n != name)
            .map(|(n, v)| (n.into_owned(), v.into_owned()))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
        Self(url)
    }

    /// Follows it, as a browser does; gives the page.
    #[track_caller]
    pub(crate) fn follow(&self) -> Fetched {
        get(&self.0)
    }

    /// Follows it and does not wait for the page.
    pub(crate) fn follow_and_leave(&self) -> Connection {
        start("GET", &self.0, &[], "")
    }

    /// Follows it with these headers.
    #[track_caller]
    pub(crate) fn follow_with(&self, headers: &[(&str, &str)]) -> Fetched {
        fetch("GET", &self.0, headers, "")
    }
}

/// The value of a query's parameter.
pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.into_owned())
}

/// Cookies of one walk, by host and port and name.
#[derive(Default)]
struct Cookies(BTreeMap<(String, String), String>);

impl Cookies {
    fn fetch(&mut self, url: &Url, fields: Option<Vec<(String, String)>>) -> Fetched {
        let site = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let own = self.0.iter().filter(|((of, _), _)| *of == site);
        let cookies: Vec<_> = own.map(|((_, n), v)| format!("{n}={v}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("Accept", "text/html")];
        if !cookies.is_empty() {
            headers.push(("Cookie", &cookies));
        }
        let page = match fields {
            None => fetch("GET", url, &headers, ""),
            Some(fields) => {
                headers.push(("Content-Type", "application/x-www-form-urlencoded"));
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(n, v)| (n.as_str(), v.as_str()))
                    .collect();
                fetch("POST", url, &headers, &form(&fields))
            }
        };
        for cookie in page.all("set-cookie") {
            let Some((name, value)) = cookie.split(';').next().and_then(|c| c.split_once('='))
            else {
                continue;
            };
            let key = (site.clone(), name.to_owned());
            if cookie.contains("1970") {
                self.0.remove(&key);
            } else {
                self.0.insert(key, value.to_owned());
            }
        }
        page
    }
}

/// A form of a page: where it is sent, and its fields with their values.
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    fn first(page: &str) -> Option<Self> {
        let start = page.find("<form")?;
        let rest = &page[start..];
        let rest = &rest[..rest.find("</form>").unwrap_or(rest.len())];
        let fields = rest.split("<input").skip(1).filter_map(|input| {
            let tag = input.split('>').next()?;
            Some((
                attribute(tag, "name")?,
                attribute(tag, "value").unwrap_or_default(),
            ))
        });
        Some(Self {
            action: attribute(rest.split('>').next()?, "action")?,
            fields: fields.collect(),
        })
    }
}

fn hrefs(page: &str) -> impl Iterator<Item = String> {
    page.split("<a")
        .skip(1)
        .filter_map(|tag| attribute(tag.split('>').next()?, "href"))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag
        .split_once(&format!(" {name}=\""))
        .or_else(|| tag.split_once(&format!("\n{name}=\"")))?;
    Some(rest.split('"').next()?.replace("&amp;", "&"))
}
