//! Puts the events of the YAML parser together to a tree: follows aliases and
//! merge keys within bounds, and notes what YAML itself forbids.

use std::collections::HashMap;

use granit_parser::{Event, ScalarStyle, Tag};

use super::tree::{Flaw, Key, MAX_DEPTH, Node, Position, Value};

/// What a text may come to once its aliases are followed: a bound against
/// texts that are small and expand without end.
const MAX_WEIGHT: usize = 16 * 1024 * 1024;

/// Puts the parser's events together.
#[derive(Default)]
pub(super) struct Composer {
    root: Option<Node>,
    open: Vec<Open>,
    /// The finished nodes that an alias can stand for.
    anchors: HashMap<usize, Node>,
    /// The weight of all copies so far.
    copied: usize,
    flaws: Vec<Flaw>,
}

/// A collection that has begun and not ended.
struct Open {
    at: Position,
    anchor: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    /// The entries, and the key that waits for its value.
    Map(Vec<(Key, Node)>, Option<Key>),
}

impl Composer {
    /// Takes the next event. After an error, nothing more can be read.
    pub(super) fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Flaw> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err(Flaw {
                at,
                what: "a second YAML document: only one may be here".to_owned(),
            }),
            Event::Scalar(text, style, anchor, tag) => {
                let string = self.is_string_by_tag(tag.as_deref(), at);
                let plain = style == ScalarStyle::Plain && !string;
                let value = Value::Scalar {
                    text: text.into_owned(),
                    plain,
                };
                self.finished(Node { at, value }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.is_string_by_tag(tag.as_deref(), at);
                self.begun(Open {
                    at,
                    anchor,
                    kind: Kind::List(Vec::new()),
                })
            }
            Event::MappingStart(_, anchor, tag) => {
                self.is_string_by_tag(tag.as_deref(), at);
                self.begun(Open {
                    at,
                    anchor,
                    kind: Kind::Map(Vec::new(), None),
                })
            }
            Event::SequenceEnd | Event::MappingEnd => self.ended(),
            Event::Alias(anchor) => {
                let copy = self.copy(anchor, at)?;
                self.finished(copy, 0)
            }
            _ => Ok(()),
        }
    }

    /// The tree and its flaws at the end of the events.
    pub(super) fn finish(self) -> (Option<Node>, Vec<Flaw>) {
        (self.root, self.flaws)
    }

    /// The flaws, where `last` keeps the rest from being read.
    pub(super) fn broken(mut self, last: Flaw) -> (Option<Node>, Vec<Flaw>) {
        self.flaws.push(last);
        (None, self.flaws)
    }

    /// Whether a tag makes a string of what would else be a number or so.
    /// Tags of the core schema are harmless, for a key decides what it takes.
    fn is_string_by_tag(&mut self, tag: Option<&Tag>, at: Position) -> bool {
        let Some(tag) = tag else { return false };
        if !tag.is_yaml_core_schema() && tag.original() != "!" {
            let what = "a tag of its own (\"!…\") means nothing here".to_owned();
            self.flaws.push(Flaw { at, what });
        }
        tag.is_yaml_core_schema_tag("str") || tag.original() == "!"
    }

    fn begun(&mut self, open: Open) -> Result<(), Flaw> {
        if self.open.len() == MAX_DEPTH {
            return Err(too_deep(open.at));
        }
        self.open.push(open);
        Ok(())
    }

    fn ended(&mut self) -> Result<(), Flaw> {
        let Some(Open { at, anchor, kind }) = self.open.pop() else {
            return Ok(());
        };
        let value = match kind {
            Kind::List(items) => Value::List(items),
            Kind::Map(entries, _) => Value::Map(self.checked(entries)),
        };
        self.finished(Node { at, value }, anchor)
    }

    /// Puts a finished node where it belongs.
    fn finished(&mut self, node: Node, anchor: usize) -> Result<(), Flaw> {
        if anchor != 0 {
            let (weight, _) = node.measure();
            self.carry(weight, node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map(entries, waiting)) => {
                if let Some(key) = waiting.take() {
                    entries.push((key, node));
                } else {
                    *waiting = Some(key(node)?);
                }
            }
        }
        Ok(())
    }

    /// What an alias stands for. Errors inside it point at the alias's target.
    fn copy(&mut self, anchor: usize, at: Position) -> Result<Node, Flaw> {
        let node = self.anchors.get(&anchor).cloned().ok_or_else(|| Flaw {
            at,
            what: "an alias stands inside of what it stands for".to_owned(),
        })?;
        let (weight, depth) = node.measure();
        self.carry(weight, at)?;
        if self.open.len() + depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        Ok(node)
    }

    fn carry(&mut self, weight: usize, at: Position) -> Result<(), Flaw> {
        self.copied = self.copied.saturating_add(weight);
        if self.copied > MAX_WEIGHT {
            return Err(Flaw {
                at,
                what: "the aliases expand to too much".to_owned(),
            });
        }
        Ok(())
    }

    /// Drops each second entry of one key, with a flaw, and follows the merge
    /// key `<<` (<https://yaml.org/type/merge.html>).
    fn checked(&mut self, entries: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
        let mut seen: HashMap<String, Position> = HashMap::new();
        let mut kept = Vec::with_capacity(entries.len());
        let mut merged = Vec::new();
        for (key, node) in entries {
            if let Some(first) = seen.get(&key.text) {
                let what = format!(
                    "the key {:?} stands here a second time, first on line {}",
                    key.text.chars().take(64).collect::<String>(),
                    first.line
                );
                self.flaws.push(Flaw { at: key.at, what });
                continue;
            }
            seen.insert(key.text.clone(), key.at);
            match (key.text.as_str(), node.value) {
                ("<<", Value::Map(more)) => merged.extend(more),
                ("<<", Value::List(maps))
                    if maps.iter().all(|map| matches!(map.value, Value::Map(_))) =>
                {
                    for map in maps {
                        if let Value::Map(more) = map.value {
                            merged.extend(more);
                        }
                    }
                }
                (_, value) => kept.push((key, Node { at: node.at, value })),
            }
        }
        for (key, node) in merged {
            if !seen.contains_key(&key.text) {
                seen.insert(key.text.clone(), key.at);
                kept.push((key, node));
            }
        }
        kept
    }
}

/// A node as the key that it is.
fn key(node: Node) -> Result<Key, Flaw> {
    let at = node.at;
    if let Value::Scalar { text, .. } = node.value {
        return Ok(Key { at, text });
    }
    let what = "a key must be a plain string, not a list or a mapping".to_owned();
    Err(Flaw { at, what })
}

fn too_deep(at: Position) -> Flaw {
    Flaw {
        at,
        what: format!("nested deeper than {MAX_DEPTH} levels"),
    }
}
