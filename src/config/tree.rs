//! A YAML text as a tree in which every key and value knows where it stands.
//! Whether the keys are the right ones is [`super::validate`]'s to say.

use granit_parser::{Marker, Parser, options};

use super::compose::Composer;

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and where it starts.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// A YAML value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A scalar. Only a plain one can be a number, a boolean or null; what it
    /// is depends on what its key takes.
    Scalar {
        /// Its text, after YAML's own escapes.
        text: String,
        /// Whether it stands without quotes.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the document.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) text: String,
}

/// Something wrong with the YAML itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) at: Position,
    pub(super) what: String,
}

/// How deep the text may nest.
pub(super) const MAX_DEPTH: usize = 64;

/// Reads the one document of `text`: `None` if there is none. The flaws that
/// do not keep the rest from being read stand beside the tree.
pub(super) fn parse(text: &str) -> (Option<Node>, Vec<Flaw>) {
    let limits = options! {
        emit_comments: false,
        block_nesting_limit: MAX_DEPTH,
        flow_nesting_limit: MAX_DEPTH,
    };
    let mut composer = Composer::default();
    for event in Parser::new_from_str_with_options(text, limits) {
        let step = match event {
            Ok((event, span)) => composer.take(event, Position::from(&span.start)),
            Err(error) => Err(Flaw {
                at: error.marker().into(),
                what: error.info(),
            }),
        };
        if let Err(flaw) = step {
            return composer.broken(flaw);
        }
    }
    composer.finish()
}

impl From<&Marker> for Position {
    fn from(marker: &Marker) -> Self {
        Self {
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

impl Node {
    /// Whether it is `null`, `~` or nothing at all.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What a copy of it costs in bytes, and how deep it nests.
    pub(super) fn measure(&self) -> (usize, usize) {
        let own = size_of::<Self>();
        match &self.value {
            Value::Scalar { text, .. } => (own + text.len(), 0),
            Value::List(items) => sum(own, items.iter().map(Self::measure)),
            Value::Map(entries) => sum(
                own,
                entries.iter().map(|(key, value)| {
                    let (weight, depth) = value.measure();
                    (size_of::<Key>() + key.text.len() + weight, depth)
                }),
            ),
        }
    }
}

/// The measure of a collection of parts.
fn sum(own: usize, parts: impl Iterator<Item = (usize, usize)>) -> (usize, usize) {
    let (weight, depth) = parts.fold((own, 0), |(sum, deepest), (weight, depth)| {
        (sum + weight, deepest.max(depth))
    });
    (weight, depth + 1)
}

#[cfg(test)]
mod tests {
    use super::{Node, Position, Value, parse};

    fn flaws(text: &str) -> Vec<String> {
        parse(text)
            .1
            .into_iter()
            .map(|flaw| format!("{}:{}: {}", flaw.at.line, flaw.at.column, flaw.what))
            .collect()
    }

    fn entry<'a>(node: &'a Node, name: &str) -> &'a Node {
        let Value::Map(entries) = &node.value else {
            panic!("no mapping")
        };
        &entries
            .iter()
            .find(|(key, _)| key.text == name)
            .expect("the key")
            .1
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let (root, flaws) = parse("a:\n  - b: 1\n    c: 'x'\n");
        let root = root.expect("a document");
        assert!(flaws.is_empty());
        let Value::List(items) = &entry(&root, "a").value else {
            panic!("no list")
        };
        assert_eq!(entry(&items[0], "b").at, Position { line: 2, column: 8 });
        assert_eq!(entry(&items[0], "c").at, Position { line: 3, column: 8 });
    }

    #[test]
    fn a_key_that_stands_twice_is_a_flaw() {
        assert_eq!(
            flaws("a: 1\nb: 2\na: 3\n"),
            ["3:1: the key \"a\" stands here a second time, first on line 1"]
        );
    }

    #[test]
    fn a_merge_key_adds_what_is_not_there() {
        let (root, flaws) = parse("x: &x { a: 1, b: 2 }\ny: { <<: *x, a: 3 }\n");
        let root = root.expect("a document");
        assert!(flaws.is_empty());
        let Value::Map(entries) = &entry(&root, "y").value else {
            panic!("no mapping")
        };
        let texts: Vec<_> = entries
            .iter()
            .map(|(key, node)| match &node.value {
                Value::Scalar { text, .. } => format!("{}={text}", key.text),
                _ => panic!("no scalar"),
            })
            .collect();
        assert_eq!(texts, ["a=3", "b=2"]);
    }

    #[test]
    fn a_text_that_expands_without_end_is_refused() {
        let mut bomb = vec!["a: &a [x, x, x, x, x, x, x, x, x]".to_owned()];
        for (next, last) in ('b'..'z').zip('a'..) {
            let nine = vec![format!("*{last}"); 9].join(", ");
            bomb.push(format!("{next}: &{next} [{nine}]"));
        }
        let flaws = flaws(&bomb.join("\n"));
        assert!(
            flaws[0].ends_with("the aliases expand to too much"),
            "{flaws:?}"
        );
    }

    #[test]
    fn an_alias_of_itself_is_refused() {
        assert_eq!(flaws("a: &a [*a]\n").len(), 1);
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(flaws(&"[".repeat(100_000)).len(), 1);
        let blocks: Vec<_> = (0..1_000).map(|depth| " ".repeat(depth) + "a:").collect();
        assert_eq!(flaws(&blocks.join("\n")).len(), 1);
    }

    #[test]
    fn a_second_document_a_tab_and_a_tag_are_flaws() {
        assert_eq!(flaws("a: 1\n---\nb: 2\n").len(), 1);
        assert_eq!(flaws("a:\n\tb: 1\n").len(), 1);
        assert_eq!(flaws("a: !secret x\n").len(), 1);
        assert!(flaws("a: !!str 1\n").is_empty());
        assert!(parse("# nothing\n").0.is_none_or(|node| node.is_null()));
    }
}
