//! What may be used, in patterns over the servers and what they have.

use std::fmt;

use super::Pattern;

/// A kind of thing that a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A tool, by its name.
    Tool,
    /// A prompt, by its name.
    Prompt,
    /// A resource by its URI, or a resource template by its text.
    Resource,
    /// A method of an extension.
    Extension,
}

/// A set of things: `SERVER` is all of a server, `SERVER/TOOL` a tool,
/// `prompt:SERVER/NAME`, `resource:SERVER/URI` and `extension:SERVER/METHOD` are
/// the others; each part is a [`Pattern`]. Things are meant by the names that their
/// server gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// `None`: of every kind.
    kind: Option<Thing>,
    server: Pattern,
    /// `None`: all of that kind.
    name: Option<Pattern>,
}

/// What may be used: all that is allowed and not denied.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// What is allowed.
    pub allow: Vec<Rule>,
    /// What is not, although allowed.
    pub deny: Vec<Rule>,
}

impl Thing {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Prompt, Self::Resource, Self::Extension];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Extension => "extension",
        }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Rule {
    /// Reads a rule; the error reads on after it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (whole, name) = match text.split_once('/') {
            Some((whole, name)) => (whole, Some(name)),
            None => (text, None),
        };
        // The name of a server holds no colon.
        let (kind, server) = match whole.split_once(':') {
            None => (name.map(|_| Thing::Tool), whole),
            Some((kind, server)) => {
                let kind = Thing::parse(kind).ok_or(
                    "names a kind that there is not: tool, prompt, resource and extension are",
                )?;
                (Some(kind), server)
            }
        };
        if server.is_empty() || name.is_some_and(str::is_empty) {
            return Err(
                "is not SERVER, SERVER/TOOL, prompt:SERVER/NAME, resource:SERVER/URI or \
                 extension:SERVER/METHOD, with * and ? as wanted"
                    .to_owned(),
            );
        }
        Ok(Self {
            kind,
            server: Pattern::new(server),
            name: name.filter(|name| *name != "*").map(Pattern::new),
        })
    }

    fn is_of(&self, kind: Thing, server: &str) -> bool {
        self.kind.is_none_or(|own| own == kind) && self.server.matches(server)
    }

    fn covers(&self, kind: Thing, server: &str, name: &str) -> bool {
        let names = |pattern: &Pattern| pattern.matches(name);
        self.is_of(kind, server) && self.name.as_ref().is_none_or(names)
    }
}

impl Rules {
    /// Whether the thing of this kind that `server` calls `name` may be used.
    pub fn may(&self, kind: Thing, server: &str, name: &str) -> bool {
        let any = |rules: &[Rule]| rules.iter().any(|rule| rule.covers(kind, server, name));
        any(&self.allow) && !any(&self.deny)
    }

    /// Whether there may be anything of this kind at `server` that may be used.
    pub fn touch(&self, kind: Thing, server: &str) -> bool {
        let of = |rule: &&Rule| rule.is_of(kind, server);
        self.allow.iter().any(|rule| of(&rule))
            && !self.deny.iter().filter(of).any(|rule| rule.name.is_none())
    }

    /// Whether everything may be used.
    pub fn are_open(&self) -> bool {
        let everything = |rule: &Rule| {
            rule.kind.is_none() && rule.name.is_none() && rule.server == Pattern::new("*")
        };
        self.deny.is_empty() && self.allow.iter().any(everything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Rules {
        let read = |list: &[&str]| list.iter().map(|text| Rule::parse(text).unwrap()).collect();
        Rules {
            allow: read(allow),
            deny: read(deny),
        }
    }

    #[test]
    fn a_server_alone_is_all_of_it_and_a_slash_is_a_tool_unless_a_kind_is_named() {
        let rules = rules(
            &[
                "docs",
                "git*/get_?*",
                "prompt:files/*",
                "resource:files/file:///pub/*",
            ],
            &["docs/drop", "resource:docs/*secret*"],
        );
        for (kind, server, name, may) in [
            (Thing::Tool, "docs", "read", true),
            (Thing::Tool, "docs", "drop", false),
            (Thing::Prompt, "docs", "drop", true),
            (Thing::Resource, "docs", "a:/x/secret/y", false),
            (Thing::Extension, "docs", "skills/get", true),
            (Thing::Tool, "github", "get_x", true),
            (Thing::Tool, "github", "get_", false),
            (Thing::Prompt, "github", "get_x", false),
            (Thing::Extension, "github", "get_x", false),
            (Thing::Prompt, "files", "p", true),
            (Thing::Resource, "files", "file:///pub/a/b", true),
            (Thing::Resource, "files", "file:///etc", false),
            (Thing::Tool, "files", "t", false),
        ] {
            assert_eq!(rules.may(kind, server, name), may, "{kind} {server} {name}");
        }
        assert!(rules.touch(Thing::Prompt, "files") && !rules.touch(Thing::Tool, "files"));
        assert!(rules.touch(Thing::Resource, "docs"));
        assert!(!rules.are_open());
    }

    #[test]
    fn what_is_denied_as_a_whole_is_not_touched() {
        let rules = rules(&["*"], &["a", "prompt:b", "tool:c/*"]);
        let touched = |server| Thing::ALL.map(|kind| rules.touch(kind, server));
        assert_eq!(touched("a"), [false; 4]);
        assert_eq!(touched("b"), [true, false, true, true]);
        assert_eq!(touched("c"), [false, true, true, true]);
        assert_eq!(touched("d"), [true; 4]);
    }

    #[test]
    fn everything_is_one_star() {
        assert!(rules(&["a", "*"], &[]).are_open());
        assert!(!rules(&["*/*"], &[]).are_open());
        assert!(!rules(&["*"], &["a/b"]).are_open());
        assert!(!Rules::default().may(Thing::Tool, "a", "b"));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["", "/t", "a/", "tool:", "tools:a/b", "prompt:/x", ":a"] {
            assert!(Rule::parse(text).is_err(), "{text}");
        }
    }
}
