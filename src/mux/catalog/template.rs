//! Whether a URI can come from a URI template (RFC 6570).
//!
//! A template is compiled into a chain of steps that a set of positions walks
//! through, one byte of the URI at a time: no backtracking, so the time is
//! bounded by the length of the URI times that of the template.
//!
//! What an expression matches is a little more than what expanding it can
//! give, since clients are not all exact in what they escape: `{x}` any text
//! without `/`, `?` and `#`, `{+x}` any text at all, and an operator's prefix
//! (`{/x}`, `{?x}`, …) nothing or the prefix and what may follow it.

/// The longest template that is compiled, and the longest URI that is held
/// against one, in bytes.
const MAX: usize = 8 * 1024;

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template {
    steps: Vec<Step>,
    /// The text that every URI of it begins with.
    head: String,
}

/// What a position can do with the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Takes this byte and goes on.
    Byte(u8),
    /// Takes one byte of the class and goes on.
    One(Class),
    /// Takes bytes of the class and stays, or goes on without.
    Many(Class),
    /// Takes this byte and goes on, or skips this step and the next.
    Lead(u8),
}

/// The bytes that an expression can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Part of a path's segment.
    Segment,
    /// Segments and the `/` between them.
    Path,
    /// Part of a query.
    Query,
    /// Anything.
    Any,
}

impl Class {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Segment => !matches!(byte, b'/' | b'?' | b'#'),
            Self::Path => !matches!(byte, b'?' | b'#'),
            Self::Query => byte != b'#',
            Self::Any => true,
        }
    }
}

impl Template {
    /// Compiles `template`; `None` if it is none, or too long.
    pub(super) fn compile(template: &str) -> Option<Self> {
        if template.len() > MAX {
            return None;
        }
        let mut steps = Vec::new();
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once('{') {
            let (expression, after) = after.split_once('}')?;
            take_literal(literal, &mut steps)?;
            take_expression(expression, &mut steps)?;
            rest = after;
        }
        take_literal(rest, &mut steps)?;
        let head = template.split('{').next().unwrap_or_default().to_owned();
        Some(Self { steps, head })
    }

    /// The text that every URI of it begins with.
    pub(super) fn head(&self) -> &str {
        &self.head
    }

    /// Whether `uri` can come from it.
    pub(super) fn matches(&self, uri: &str) -> bool {
        if uri.len() > MAX || !uri.starts_with(&self.head) {
            return false;
        }
        // The head has been seen to.
        let begin = self.head.len();
        let mut here = vec![false; self.steps.len() + 1];
        let mut next = here.clone();
        self.reach(begin, &mut here);
        for &byte in &uri.as_bytes()[begin..] {
            next.fill(false);
            let mut alive = false;
            for (at, step) in self.steps.iter().enumerate().skip(begin) {
                if !here[at] {
                    continue;
                }
                let to = match *step {
                    Step::Byte(wanted) | Step::Lead(wanted) if wanted == byte => at + 1,
                    Step::One(class) if class.has(byte) => at + 1,
                    Step::Many(class) if class.has(byte) => at,
                    _ => continue,
                };
                self.reach(to, &mut next);
                alive = true;
            }
            if !alive {
                return false;
            }
            std::mem::swap(&mut here, &mut next);
        }
        here[self.steps.len()]
    }

    /// Marks `at` and where one gets from there without taking a byte.
    fn reach(&self, mut at: usize, marked: &mut [bool]) {
        // From each step one more can be reached at most, so this ends.
        while !std::mem::replace(&mut marked[at], true) {
            at = match self.steps.get(at) {
                Some(Step::Many(_)) => at + 1,
                Some(Step::Lead(_)) => at + 2,
                _ => return,
            };
        }
    }
}

fn take_literal(literal: &str, steps: &mut Vec<Step>) -> Option<()> {
    steps.extend(literal.bytes().map(Step::Byte));
    (!literal.contains('}')).then_some(())
}

fn take_expression(expression: &str, steps: &mut Vec<Step>) -> Option<()> {
    let operator = expression.bytes().next()?;
    let variables = match operator {
        b'+' | b'#' | b'.' | b'/' | b';' | b'?' | b'&' => &expression[1..],
        // Kept for later by RFC 6570, section 2.2.
        b'=' | b',' | b'!' | b'@' | b'|' => return None,
        _ => expression,
    };
    let several = variables.contains([',', '*']);
    let name = |name: &str| {
        let name = name.trim_end_matches('*');
        let name = name.split(':').next().unwrap_or_default();
        !name.is_empty() && !name.contains(['{', '/', '?', '#'])
    };
    if !variables.split(',').all(name) {
        return None;
    }
    let path = if several { Class::Path } else { Class::Segment };
    match operator {
        b'+' => steps.extend([Step::One(Class::Any), Step::Many(Class::Any)]),
        b'#' => steps.extend([Step::Lead(b'#'), Step::Many(Class::Any)]),
        b'/' => steps.extend([Step::Lead(b'/'), Step::Many(path)]),
        b'.' | b';' => steps.extend([Step::Lead(operator), Step::Many(Class::Segment)]),
        b'?' | b'&' => steps.extend([Step::Lead(operator), Step::Many(Class::Query)]),
        _ => {
            // `{path*}` is what some servers write for the rest of a path.
            let class = if variables.contains('*') {
                Class::Path
            } else {
                Class::Segment
            };
            steps.extend([Step::One(class), Step::Many(class)]);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(template: &str, uri: &str) -> bool {
        Template::compile(template).is_some_and(|template| template.matches(uri))
    }

    #[test]
    fn expressions_match_what_they_can_become() {
        for (template, uri) in [
            ("file:///{path}", "file:///a%20b.txt"),
            ("file:///{+path}", "file:///a/b/c?d#e"),
            ("file:///{path*}", "file:///a/b"),
            ("db://{table}/{id}", "db://users/1"),
            ("db://{a,b}", "db://1,2"),
            ("x://h{/seg*}", "x://h"),
            ("x://h{/seg*}", "x://h/a/b"),
            ("x://h{/seg}", "x://h/a"),
            ("x://h{?q,r}", "x://h"),
            ("x://h{?q,r}", "x://h?q=1&r=/2"),
            ("x://h?a=1{&q}", "x://h?a=1&q=2"),
            ("x://h{#f}", "x://h#a/b"),
            ("x://h{.ext}", "x://h.txt"),
            ("x://h{;p}", "x://h;p=1"),
            ("x://{x:3}-{y}", "x://abc-d-e"),
            ("plain:thing", "plain:thing"),
            ("x://{é}/ü", "x://ä/ü"),
        ] {
            assert!(matches(template, uri), "{template} {uri}");
        }
        for (template, uri) in [
            ("file:///{path}", "file:///a/b"),
            ("file:///{path}", "file:///"),
            ("file:///{path}", "http:///a"),
            ("db://{table}/{id}", "db://users"),
            ("x://h{/seg}", "x://h/a/b"),
            ("x://h{/seg}", "x://hx"),
            ("x://h{?q}", "x://hq"),
            ("x://h{?q}/z", "x://h?q=1"),
            ("plain:thing", "plain:things"),
            ("x://{a}.json", "x://b.jso"),
        ] {
            assert!(!matches(template, uri), "{template} {uri}");
        }
    }

    #[test]
    fn what_is_no_template_matches_nothing() {
        for text in ["a{b", "a}b", "a{}", "{=x}", "{a,}", "{+}", "{{a}}"] {
            assert!(Template::compile(text).is_none(), "{text}");
        }
        assert!(Template::compile(&"x".repeat(MAX + 1)).is_none());
        assert!(!matches("{+x}", &"x".repeat(MAX + 1)));
    }

    #[test]
    fn many_expressions_take_no_longer_than_their_number() {
        let template = "{a}".repeat(500);
        let begun = std::time::Instant::now();
        assert!(!matches(&template, &format!("{}/", "a".repeat(5000))));
        assert!(matches(&template, &"a".repeat(5000)));
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }

    /// A template and a URI that it expands to.
    fn expanded() -> impl Strategy<Value = (String, String)> {
        let value = "[a-z0-9._~-]{1,5}|(%[0-9A-F]{2}){1,2}";
        let part = prop_oneof![
            "[a-z:/.-]{1,6}".prop_map(|text| (text.clone(), text)),
            value.prop_map(|v| ("{x}".to_owned(), v)),
            (value, value).prop_map(|(a, b)| ("{x,y}".to_owned(), format!("{a},{b}"))),
            "[ -~&&[^{}]]{1,8}".prop_map(|v| ("{+x}".to_owned(), v)),
            value.prop_map(|v| ("{#x}".to_owned(), format!("#{v}"))),
            prop::collection::vec(value, 0..4).prop_map(|v| {
                let path: Vec<_> = [String::new()].into_iter().chain(v).collect();
                ("{/x*}".to_owned(), path.join("/"))
            }),
            (value, value).prop_map(|(a, b)| ("{?a,b}".to_owned(), format!("?a={a}&b={b}"))),
            Just(("{?a,b}".to_owned(), String::new())),
            value.prop_map(|v| ("{.x}".to_owned(), format!(".{v}"))),
            value.prop_map(|v| ("{;x}".to_owned(), format!(";x={v}"))),
        ];
        prop::collection::vec(part, 1..6).prop_map(|parts| parts.into_iter().unzip())
    }

    proptest! {
        #[test]
        fn a_template_matches_what_it_expands_to((template, uri) in expanded()) {
            prop_assert!(matches(&template, &uri), "{} {}", template, uri);
        }

        #[test]
        fn another_scheme_never_matches((template, uri) in expanded()) {
            let (template, uri) = (format!("a:{template}"), format!("b:{uri}"));
            prop_assert!(!matches(&template, &uri));
        }

        #[test]
        fn nothing_panics(template in ".{0,40}", uri in ".{0,40}") {
            matches(&template, &uri);
        }
    }
}
