//! Walks a YAML tree along the JSON Schema of the document: collects
//! everything that is wrong with it, expands its strings, and gives it as JSON
//! of the right types. The schema is the one source of what a key may be.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Map, Value as Json};
use zeroize::Zeroize as _;

use super::{
    environment::Environment,
    error::Problem,
    expand::{self, ExpandError, expand},
    format,
    keyword::{applies, differs, has_type, named, property, strings},
    scalar::convert,
    settings::Unresolved,
    tree::{Key, Node, Position, Value as Yaml},
};
use crate::nearest::nearest;

/// What came of a walk.
#[derive(Default)]
pub(super) struct Outcome {
    /// Everything that is wrong.
    pub(super) problems: Vec<Problem>,
    /// Values of backends that the environment does not give.
    pub(super) unresolved: Vec<Unresolved>,
    /// Things worth saying once.
    pub(super) warnings: BTreeSet<String>,
    /// Where each mapping and each backend's name stands, by key path.
    pub(super) places: BTreeMap<String, Position>,
}

/// One walk through one file.
pub(super) struct Walk<'a> {
    origin: &'a str,
    environment: &'a Environment,
    outcome: Outcome,
}

impl<'a> Walk<'a> {
    /// A walk through the file that messages call `origin`.
    pub(super) fn new(origin: &'a str, environment: &'a Environment) -> Self {
        Self {
            origin,
            environment,
            outcome: Outcome::default(),
        }
    }

    /// Walks `root`. The JSON is of the schema's types if there is no problem;
    /// values that are not resolved are left out of it.
    pub(super) fn run(mut self, root: &Node, schema: &Json) -> (Json, Outcome) {
        let json = self
            .node(root, schema, "")
            .unwrap_or_else(|| Json::Object(Map::new()));
        (json, self.outcome)
    }

    /// The value of a node, unless it is null, wrong or not resolved.
    fn node(&mut self, node: &Node, schema: &Json, path: &str) -> Option<Json> {
        if has_type(schema, "object") || schema["format"] == "backend-name" {
            self.outcome.places.insert(path.to_owned(), node.at);
        }
        if let Some(variants) = schema["anyOf"].as_array() {
            // How schemars writes `Option<T>`: T or null; or a mapping or a word.
            let mut others = variants.iter().filter(|variant| variant["type"] != "null");
            let first = others.clone().next()?;
            let is_map = matches!(node.value, Yaml::Map(_));
            let schema = others.find(|variant| has_type(variant, "object") == is_map);
            return self.node(node, schema.unwrap_or(first), path);
        }
        let takes_tilde = schema["format"] == "directory"
            && matches!(&node.value, Yaml::Scalar { text, .. } if text == "~");
        if node.is_null() && !takes_tilde {
            return None;
        }
        match &node.value {
            Yaml::Map(entries) if has_type(schema, "object") => {
                Some(self.object(node.at, entries, schema, path))
            }
            Yaml::List(items) if has_type(schema, "array") => {
                Some(self.array(node.at, items, schema, path))
            }
            Yaml::Scalar { text, plain }
                if !has_type(schema, "object") && !has_type(schema, "array") =>
            {
                self.scalar(node.at, text, *plain, schema, path)
            }
            _ => {
                let what = format!("must be {}, is {}", named(schema), kind(node));
                self.problem(node.at, path, what, None);
                None
            }
        }
    }

    fn object(&mut self, at: Position, entries: &[(Key, Node)], schema: &Json, path: &str) -> Json {
        let mut object = Map::new();
        let mut meant = Vec::new();
        for (key, node) in entries {
            let path = join(path, &key.text);
            match property(schema, &key.text) {
                Some(property) => {
                    self.key(key, schema, &path);
                    let free = schema["properties"][&key.text].is_null();
                    if let Some(value) = self.node(node, property, &path) {
                        self.warn_if_not_yet(&value, property, &path);
                        object.insert(key.text.clone(), value);
                    } else if free && node.is_null() {
                        // A variable or header that is there without a value.
                        object.insert(key.text.clone(), Json::from(""));
                    }
                }
                None => meant.extend(self.unknown(key, schema, &path)),
            }
        }
        self.siblings(at, entries, &object, &meant, schema, path);
        Json::Object(object)
    }

    /// Checks which keys are there and which are not. A key that another was
    /// `meant` to be is not missing as well.
    fn siblings(
        &mut self,
        at: Position,
        entries: &[(Key, Node)],
        object: &Map<String, Json>,
        meant: &[String],
        schema: &Json,
        path: &str,
    ) {
        let given = |key: &str| {
            entries
                .iter()
                .find(|(have, node)| have.text == key && !node.is_null())
        };
        let missing = |key: &str| given(key).is_none() && !meant.iter().any(|meant| meant == key);
        for key in strings(&schema["required"]) {
            if missing(key) {
                self.problem(at, &join(path, key), "is missing".to_owned(), None);
            }
        }
        for rule in schema["allOf"].as_array().into_iter().flatten() {
            let Some((tag, value)) = applies(rule, object, |tag| given(tag).is_some()) else {
                continue;
            };
            let then = &rule["then"];
            for key in strings(&then["required"]) {
                if missing(key) {
                    let what = format!("is missing, which `{tag}: {value}` needs");
                    self.problem(at, &join(path, key), what, None);
                }
            }
            for key in then["properties"]
                .as_object()
                .into_iter()
                .flat_map(Map::keys)
            {
                if let Some((have, _)) = given(key) {
                    let what = format!("has no meaning with `{tag}: {value}`");
                    self.problem(have.at, &join(path, key), what, None);
                }
            }
        }
    }

    fn array(&mut self, at: Position, items: &[Node], schema: &Json, path: &str) -> Json {
        if items.is_empty() && schema["minItems"].as_u64().is_some_and(|least| least > 0) {
            self.problem(at, path, "is empty".to_owned(), None);
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if item.is_null() {
                let what = format!("must be {}, is empty", named(&schema["items"]));
                self.problem(item.at, &path, what, None);
            }
            match self.node(item, &schema["items"], &path) {
                // Keeps the indices of what is looked up by them.
                None if has_type(&schema["items"], "object") => values.push(Json::Null),
                value => values.extend(value),
            }
        }
        Json::Array(values)
    }

    fn scalar(
        &mut self,
        at: Position,
        text: &str,
        plain: bool,
        schema: &Json,
        path: &str,
    ) -> Option<Json> {
        let expanded = match expand(text, self.environment) {
            Ok(expanded) => expanded,
            Err(error @ ExpandError::Syntax(_)) => {
                self.problem(at, path, error.to_string(), None);
                return None;
            }
            Err(error @ ExpandError::Missing(_)) => {
                let credentials = expand::missing_credentials(text, self.environment);
                self.unusable(at, path, error.to_string(), credentials);
                return None;
            }
        };
        if expand::looks_like_a_bare_variable(text) {
            self.outcome.warnings.insert(format!(
                "`{path}` is taken as it stands, \"$\" and all; a variable is written ${{…}}"
            ));
        }
        let from_outside = matches!(expanded, Cow::Owned(_));
        let converted = convert(&expanded, plain || from_outside, schema);
        if let Cow::Owned(mut expanded) = expanded {
            // It may have been a credential, and is held elsewhere now.
            expanded.zeroize();
        }
        match converted {
            Ok(value) => {
                if schema["oneOf"].is_array() {
                    self.warn_if_value_not_yet(&value, schema, path);
                }
                Some(value)
            }
            // The value may be a secret.
            Err(wrong) if from_outside => {
                let what = format!("once expanded, it {}", wrong.what);
                self.unusable(at, path, what, Vec::new());
                None
            }
            Err(wrong) => {
                let what = if wrong.shown {
                    format!("{:?} {}", cut(text), wrong.what)
                } else {
                    wrong.what
                };
                self.problem(at, path, what, wrong.suggestion);
                None
            }
        }
    }

    /// A value that the environment does not give, or gives wrongly: that
    /// backend cannot be used. What is not a backend's cannot be left out, and
    /// a backend without a name cannot be spoken of.
    fn unusable(&mut self, at: Position, path: &str, problem: String, credentials: Vec<String>) {
        if path.starts_with("backends[") && !path.ends_with("].name") {
            self.outcome.unresolved.push(Unresolved {
                key: path.to_owned(),
                problem,
                credentials,
            });
        } else {
            self.problem(at, path, problem, None);
        }
    }

    /// Checks a key that is free within a form.
    fn key(&mut self, key: &Key, schema: &Json, path: &str) {
        let Some(format) = schema["propertyNames"]["format"].as_str() else {
            return;
        };
        if let Err(what) = format::check(format, &key.text) {
            self.problem(key.at, path, format!("{:?} {what}", cut(&key.text)), None);
        }
    }

    /// Reports a key that is not known, and gives the one that was meant.
    fn unknown(&mut self, key: &Key, schema: &Json, path: &str) -> Option<String> {
        let properties = schema["properties"].as_object();
        let known = properties
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str);
        // A key that belongs one level deeper is meant for there.
        let deeper = properties
            .into_iter()
            .flatten()
            .find_map(|(name, property)| {
                property["properties"]
                    .get(&key.text)
                    .map(|_| format!("{name}.{}", key.text))
            });
        let suggestion = deeper.or_else(|| nearest(&key.text, known));
        let main = path == key.text && !super::schema()["properties"][path].is_null();
        let what = if main {
            "is for the main file: a drop-in has `backends` alone"
        } else {
            "is not a known key"
        };
        self.problem(key.at, path, what.to_owned(), suggestion.clone());
        suggestion
    }

    fn warn_if_not_yet(&mut self, value: &Json, schema: &Json, path: &str) {
        if schema["x-not-yet"] == true && differs(value, &schema["default"]) {
            self.outcome
                .warnings
                .insert(format!("`{}` is not yet in effect", general(path)));
        }
    }

    fn warn_if_value_not_yet(&mut self, value: &Json, schema: &Json, path: &str) {
        let variants = schema["oneOf"].as_array().into_iter().flatten();
        let not_yet = |variant: &&Json| variant["const"] == *value && variant["x-not-yet"] == true;
        if let (Some(_), Some(value)) = (variants.into_iter().find(not_yet), value.as_str()) {
            let path = general(path);
            self.outcome
                .warnings
                .insert(format!("`{path}: {value}` is not yet in effect"));
        }
    }

    fn problem(&mut self, at: Position, path: &str, what: String, suggestion: Option<String>) {
        self.outcome
            .problems
            .push(Problem::at(self.origin, at, path, what).suggesting(suggestion));
    }
}

/// What a node is, in words.
fn kind(node: &Node) -> &'static str {
    match node.value {
        Yaml::Map(_) => "a mapping",
        Yaml::List(_) => "a list",
        Yaml::Scalar { .. } => "a single value",
    }
}

/// `path.key`; a key that is no plain word is quoted.
fn join(path: &str, key: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let key = if !key.is_empty() && key.chars().all(word) {
        key.to_owned()
    } else {
        format!("{:?}", cut(key))
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

/// The start of a text, which is enough to know it by.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// A path without its indices: `backends[].limits`.
fn general(path: &str) -> String {
    let mut index = false;
    path.chars()
        .filter(|c| {
            index = match c {
                '[' => true,
                ']' => false,
                _ => index,
            };
            !index || *c == '['
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::tree;

    #[test]
    fn a_key_that_is_to_come_is_named_once_where_it_differs_from_its_default() {
        let schema = json!({
            "type": "object",
            "properties": {
                "backends": { "type": "array", "items": { "type": "object", "properties": {
                    "later": { "type": "boolean", "default": false, "x-not-yet": true },
                } } },
            },
        });
        let environment = Environment::default();
        let warnings = |text: &str| {
            let (root, _) = tree::parse(text);
            let root = root.expect("a document");
            let (_, outcome) = Walk::new("m.yaml", &environment).run(&root, &schema);
            outcome.warnings.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(
            warnings("backends: [{ later: true }, { later: true }]"),
            ["`backends[].later` is not yet in effect"]
        );
        assert_eq!(warnings("backends: [{ later: false }]"), [""; 0]);
    }
}
