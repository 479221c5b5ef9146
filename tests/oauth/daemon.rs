//! mcpmux while it runs on a person's machine: what its log says of a backend,
//! how a person consents, and calls of tools through it.

use serde_json::Value;

use crate::{
    fetch::Fetched,
    house::House,
    support::{Answer, Client, Era, Mux},
    walker::Walker,
};

/// A running mcpmux of a house.
pub(crate) struct Daemon<'h, 'a> {
    /// The process.
    pub(crate) mux: Mux,
    pub(crate) house: &'h House<'a>,
}

impl Daemon<'_, '_> {
    /// The `number`-th authorization URL (from 1) that this backend has asked to be
    /// opened.
    #[track_caller]
    pub(crate) fn asks_for_login(&self, backend: &str, number: usize) -> String {
        let what = format!("ask for login {number} to {backend}");
        let url = |line: &String| {
            let message = message(line, backend)?;
            let (_, url) = message.split_once("needs login: open ")?;
            Some(url.split_whitespace().next()?.to_owned())
        };
        self.mux
            .find(&what, |lines| lines.iter().filter_map(url).nth(number - 1))
    }

    /// How often this backend has asked for login so far.
    pub(crate) fn logins_asked(&self, backend: &str) -> usize {
        let log = self.mux.log();
        let lines = log.lines().filter_map(|line| message(line, backend));
        lines
            .filter(|message| message.contains("needs login: open "))
            .count()
    }

    /// Waits until the log says this of this backend, for the `number`-th time.
    #[track_caller]
    pub(crate) fn says(&self, backend: &str, text: &str, number: usize) -> String {
        self.mux
            .find(&format!("say {text:?} of {backend}"), |lines| {
                let messages = lines.iter().filter_map(|line| message(line, backend));
                messages
                    .filter(|message| message.contains(text))
                    .nth(number - 1)
            })
    }

    /// The warnings so far that are about this backend.
    pub(crate) fn warnings(&self, backend: &str) -> Vec<String> {
        let log = self.mux.log();
        let lines = log.lines().filter(|line| level(line) == "WARN");
        lines.filter_map(|line| message(line, backend)).collect()
    }

    /// Waits until a warning about this backend says this.
    #[track_caller]
    pub(crate) fn warns(&self, backend: &str, text: &str) -> String {
        self.mux
            .find(&format!("warn {text:?} of {backend}"), |lines| {
                let warnings = lines.iter().filter(|line| level(line) == "WARN");
                let mut messages = warnings.filter_map(|line| message(line, backend));
                messages.find(|message| message.contains(text))
            })
    }

    /// Waits until this backend is up.
    #[track_caller]
    pub(crate) fn up(&self, backend: &str) {
        self.says(backend, "up: ", 1);
    }

    /// Waits until this backend is up or asks for login; true for the latter.
    #[track_caller]
    pub(crate) fn up_or_asks(&self, backend: &str) -> bool {
        self.mux
            .find(&format!("say how {backend} begins"), |lines| {
                let mut messages = lines.iter().filter_map(|line| message(line, backend));
                messages.find_map(|message| {
                    let asks = message.contains("needs login: open ");
                    (asks || message.starts_with("up: ")).then_some(asks)
                })
            })
    }

    /// Consents to the login that this backend asks for first, and waits until it
    /// is up.
    #[track_caller]
    pub(crate) fn log_in(&self, backend: &str) {
        let page = self.consent(backend, 1);
        assert_eq!(page.status, 200, "{}", page.words());
        self.up(backend);
    }

    /// Consents to the `number`-th login that this backend asks for; gives the page
    /// after the redirect.
    #[track_caller]
    pub(crate) fn consent(&self, backend: &str, number: usize) -> Fetched {
        let url = self.asks_for_login(backend, number);
        let page = Walker::alice().walk(&url).follow();
        self.house.hear("the page after the redirect", &page.body);
        page
    }

    /// A client of this mcpmux.
    pub(crate) fn client(&self) -> Client {
        Client::of(self.mux.address(), Era::Modern, r#"{"elicitation":{}}"#)
    }

    /// Calls a tool with these members of `params`.
    #[track_caller]
    pub(crate) fn call(&self, tool: &str, arguments: &str) -> Answer {
        self.call_by(&self.client(), tool, arguments)
    }

    /// The same by a client that is there.
    #[track_caller]
    pub(crate) fn call_by(&self, client: &Client, tool: &str, arguments: &str) -> Answer {
        let answer = client.call(tool, Some(arguments));
        self.house
            .hear(&format!("the answer to {tool}"), &answer.response);
        answer
    }

    /// Calls `echo` of a backend, which must say the words again.
    #[track_caller]
    pub(crate) fn echoes(&self, backend: &str) {
        let answer = self.call(&format!("{backend}__echo"), r#"{"message":"hello"}"#);
        let result = answer.result();
        assert!(
            result.contains("hello") || result.contains("done"),
            "{result}"
        );
    }
}

/// The message of a line of the log that is about this backend.
fn message(line: &str, backend: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    (fields["backend"] == backend).then(|| fields["message"].as_str().map(str::to_owned))?
}

fn level(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    line["level"].as_str().unwrap_or_default().to_owned()
}
