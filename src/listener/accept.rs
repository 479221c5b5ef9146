//! What kinds of answer a client takes (RFC 9110, section 12.5.1).

use http::{HeaderMap, header};

use crate::protocol::sse;

/// What clients usually send.
const USUAL: &[u8] = b"application/json, text/event-stream";

/// How a client takes the answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As one JSON body only.
    Json,
    /// As one JSON body if nothing comes before the response, else as a stream.
    Either,
    /// The same, but it names the event stream first.
    StreamFirst,
    /// As an event stream only.
    Stream,
}

impl Form {
    /// What `Accept` asks for; `None` if it allows no answer at all.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        match headers.get(header::ACCEPT) {
            None => return Some(Self::Either),
            Some(usual) if usual.as_bytes() == USUAL => return Some(Self::Either),
            Some(_) => {}
        }
        let named = ranges(headers).filter_map(|range| {
            match (
                holds(range, "application/json"),
                holds(range, sse::MEDIA_TYPE),
            ) {
                (true, true) => Some(Self::Either),
                (true, false) => Some(Self::Json),
                (false, true) => Some(Self::Stream),
                (false, false) => None,
            }
        });
        named.reduce(|first, next| match first {
            Self::Json if next != first => Self::Either,
            Self::Stream if next != first => Self::StreamFirst,
            first => first,
        })
    }

    /// Whether the answer may be an event stream.
    pub(super) fn streams(self) -> bool {
        self != Self::Json
    }
}

/// Whether `Accept` names the media type, or a range that holds it.
pub(super) fn names(headers: &HeaderMap, media_type: &str) -> bool {
    ranges(headers).any(|range| holds(range, media_type))
}

/// The media ranges of `Accept`, in order.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
}

fn holds(range: &str, media_type: &str) -> bool {
    range.eq_ignore_ascii_case(media_type)
        || range == "*/*"
        || range.strip_suffix("/*").is_some_and(|kind| {
            let own = media_type.split('/').next();
            own.is_some_and(|own| own.eq_ignore_ascii_case(kind))
        })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_named_first_is_preferred() {
        for (accept, form) in [
            ("application/json, text/event-stream", Some(Form::Either)),
            ("Application/JSON;q=1,text/event-stream", Some(Form::Either)),
            ("*/*", Some(Form::Either)),
            (
                "text/event-stream, application/json",
                Some(Form::StreamFirst),
            ),
            ("text/event-stream", Some(Form::Stream)),
            ("text/html, text/*, */*", Some(Form::StreamFirst)),
            ("application/json", Some(Form::Json)),
            ("application/*, text/html", Some(Form::Json)),
            ("application/json, */*", Some(Form::Either)),
            ("text/html", None),
            ("", None),
        ] {
            let value = HeaderValue::from_static(accept);
            let headers = HeaderMap::from_iter([(header::ACCEPT, value)]);
            assert_eq!(Form::of(&headers), form, "{accept}");
        }
        assert_eq!(Form::of(&HeaderMap::new()), Some(Form::Either));
    }
}
