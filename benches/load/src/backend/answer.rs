//! What the benchmark's backend answers to one message, whatever carried it.
//!
//! A call's text goes back as the bytes it came in, without being decoded. A
//! list of tools is serialised anew each time it is asked for, as servers do;
//! [`Listing::Kept`] is the exception, for comparison.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Era, tool};

/// Which list of tools is answered, and how it comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// All tools, serialised on each request.
    Full,
    /// The first few tools (see [`FEW`]), serialised on each request.
    Few,
    /// All tools, serialised once.
    Kept,
}

/// How many tools [`Listing::Few`] has.
pub const FEW: usize = 4;

/// What the text of a call begins with that wants progress reported; how often,
/// follows.
pub const PROGRESS: &str = "progress";

/// What goes back for one message.
#[derive(Debug)]
pub enum Answer {
    /// Nothing: it was a notification or a response.
    Nothing,
    /// The response to `initialize`, with which a session begins.
    Welcome(Vec<u8>),
    /// A response.
    Response(Vec<u8>),
    /// Reports of progress, and at last the response.
    Course(Vec<Vec<u8>>),
    /// An error response, which modern HTTP carries with this status.
    Refusal(u16, Vec<u8>),
}

/// A server's answers.
#[derive(Debug)]
pub struct Answers {
    tools: Vec<tool::Tool>,
    kept: String,
    /// How many of the tools are listed.
    listed: AtomicUsize,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Cow<'a, str>,
    #[serde(borrow, rename = "progressToken")]
    token: Option<&'a RawValue>,
}

const SERVER: &str = r#"{"name":"mcpmux-bench-backend","version":"0"}"#;

impl Answers {
    /// The answers of a server with `tools` tools.
    pub fn new(tools: usize) -> Self {
        let tools = tool::tools(tools);
        let kept = serde_json::to_string(&tools).unwrap_or_default();
        let listed = AtomicUsize::new(tools.len());
        Self {
            tools,
            kept,
            listed,
        }
    }

    /// Lists the last tool no longer, or again. Gives the notification that
    /// says so.
    pub fn change(&self) -> &'static [u8] {
        let all = self.tools.len();
        let listed = self.listed.load(Relaxed);
        let other = if listed == all {
            all.saturating_sub(1)
        } else {
            all
        };
        self.listed.store(other, Relaxed);
        br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#
    }

    /// The answer to `message`, one JSON-RPC message.
    pub fn answer(&self, message: &[u8], listing: Listing) -> Answer {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(message) else {
            return Answer::Refusal(400, error("null", -32700, "Parse error"));
        };
        let Some(id) = message.id.map(RawValue::get) else {
            return Answer::Nothing;
        };
        let params = message.params.as_ref();
        let era = match params.and_then(|params| params.meta.as_ref()) {
            Some(meta) if meta.version == Era::Modern.version() => Era::Modern,
            _ => Era::Legacy,
        };
        match &*message.method {
            "initialize" => Answer::Welcome(response(
                id,
                &[
                    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":"#,
                    SERVER,
                    "}",
                ],
            )),
            "server/discover" => Answer::Response(response(
                id,
                &[
                    r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":3600000,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":"#,
                    SERVER,
                    "}}",
                ],
            )),
            "ping" => Answer::Response(response(id, &["{}"])),
            "tools/list" => Answer::Response(self.list(id, era, listing)),
            "tools/call" => call(id, era, params),
            _ => Answer::Refusal(404, error(id, -32601, "Method not found")),
        }
    }

    fn list(&self, id: &str, era: Era, listing: Listing) -> Vec<u8> {
        let fresh;
        let tools = match listing {
            Listing::Kept => &self.kept,
            Listing::Full => {
                let listed = &self.tools[..self.listed.load(Relaxed)];
                fresh = serde_json::to_string(listed).unwrap_or_default();
                &fresh
            }
            Listing::Few => {
                fresh = serde_json::to_string(&self.tools[..FEW.min(self.tools.len())])
                    .unwrap_or_default();
                &fresh
            }
        };
        let opening = match era {
            Era::Legacy => r#"{"tools":"#,
            Era::Modern => {
                r#"{"resultType":"complete","ttlMs":60000,"cacheScope":"private","tools":"#
            }
        };
        response(id, &[opening, tools, "}"])
    }
}

fn call(id: &str, era: Era, params: Option<&Params<'_>>) -> Answer {
    let Some(params) = params.filter(|params| tool::is_known(&params.name)) else {
        return Answer::Refusal(200, error(id, -32602, "Unknown tool"));
    };
    let text = params
        .arguments
        .as_ref()
        .and_then(|arguments| arguments.text)
        .map_or(r#""""#, RawValue::get);
    let opening = match era {
        Era::Legacy => r#"{"content":[{"type":"text","text":"#,
        Era::Modern => r#"{"resultType":"complete","content":[{"type":"text","text":"#,
    };
    let response = response(id, &[opening, text, "}]}"]);
    let token = params.meta.as_ref().and_then(|meta| meta.token);
    match token.zip(reports_wanted(text)) {
        Some((token, count)) => {
            let reports = (1..=count).map(|number| report(token.get(), number, count));
            Answer::Course(reports.chain([response]).collect())
        }
        None => Answer::Response(response),
    }
}

/// How many reports of progress a call with this text, JSON text, brings.
fn reports_wanted(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('"')?.strip_prefix(PROGRESS)?;
    rest.strip_suffix('"')?.trim_start().parse().ok()
}

fn report(token: &str, number: usize, total: usize) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{number},"total":{total},"message":"step {number}"}}}}"#
    )
    .into_bytes()
}

fn response(id: &str, result: &[&str]) -> Vec<u8> {
    let size: usize = result.iter().map(|part| part.len()).sum();
    let mut body = Vec::with_capacity(size + id.len() + 40);
    for part in [r#"{"jsonrpc":"2.0","id":"#, id, r#","result":"#]
        .iter()
        .chain(result)
        .chain(&["}"])
    {
        body.extend_from_slice(part.as_bytes());
    }
    body
}

fn error(id: &str, code: i32, message: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#)
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn respond(message: &str, listing: Listing) -> serde_json::Value {
        match Answers::new(200).answer(message.as_bytes(), listing) {
            Answer::Response(body) | Answer::Welcome(body) | Answer::Refusal(_, body) => {
                serde_json::from_slice(&body).expect("a response is JSON")
            }
            Answer::Course(messages) => {
                let all = messages.iter().map(|message| {
                    serde_json::from_slice::<serde_json::Value>(message).expect("JSON")
                });
                all.collect()
            }
            Answer::Nothing => serde_json::Value::Null,
        }
    }

    #[test]
    fn a_text_goes_back_as_the_bytes_it_came_in() {
        let Answer::Response(body) = Answers::new(1).answer(
            br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"\u00e4\/\ud800"}}}"#,
            Listing::Full,
        ) else {
            panic!("a call is answered")
        };
        assert_eq!(
            String::from_utf8(body).expect("UTF-8"),
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"\u00e4\/\ud800"}]}}"#
        );
    }

    #[test]
    fn a_list_has_as_many_tools_as_asked_for() {
        let ask = r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#;
        for (listing, count) in [
            (Listing::Full, 200),
            (Listing::Kept, 200),
            (Listing::Few, FEW),
        ] {
            let tools = respond(ask, listing)["result"]["tools"]
                .as_array()
                .map(Vec::len);
            assert_eq!(tools, Some(count), "{listing:?}");
        }
    }

    #[test]
    fn a_modern_request_gets_a_result_type() {
        let ask = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a"},
            "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        assert_eq!(
            respond(ask, Listing::Full)["result"]["resultType"],
            "complete"
        );
    }

    #[test]
    fn progress_is_reported_before_the_response_to_who_wants_it() {
        let ask = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"progress 3"}META}}"#;
        let told = ask.replace("META", r#","_meta":{"progressToken":"t"}"#);
        let told = respond(&told, Listing::Full);
        assert_eq!(told.as_array().map(Vec::len), Some(4));
        assert_eq!(told[2]["params"]["progress"], 3);
        assert_eq!(told[2]["params"]["progressToken"], "t");
        assert_eq!(told[3]["id"], 1);
        let alone = respond(&ask.replace("META", ""), Listing::Full);
        assert_eq!(alone["id"], 1);
    }

    #[test]
    fn a_notification_gets_no_answer() {
        let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert!(respond(note, Listing::Full).is_null());
    }
}
