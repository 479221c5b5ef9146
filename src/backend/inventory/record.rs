//! What a backend offered last, in a form that outlives this process, every
//! definition spelled as it came. Where it is kept is not decided here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Definition, Inventory, Tool};
use crate::{backend::Offers, protocol::Era};

#[derive(Serialize, Deserialize)]
struct Record {
    /// For people who look.
    backend: String,
    modern: bool,
    offers: Offers,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    tools: Vec<Box<RawValue>>,
    prompts: Vec<Box<RawValue>>,
    resources: Vec<Box<RawValue>>,
    templates: Vec<Box<RawValue>>,
}

impl Inventory {
    /// All of it, and the era in which `backend` was spoken to; `None` where the
    /// backend has told nothing.
    pub(crate) fn record(&self, backend: &str, era: Era) -> Option<Vec<u8>> {
        let texts = |list: &[Arc<Definition>]| {
            let texts = list.iter().map(|definition| raw(&definition.text));
            texts.collect::<Option<Vec<_>>>()
        };
        let tools = self.tools.iter().map(|tool| raw(&tool.definition));
        let record = Record {
            backend: backend.to_owned(),
            modern: era == Era::Modern,
            offers: self.offers.as_deref()?.clone(),
            instructions: self.instructions.clone(),
            tools: tools.collect::<Option<_>>()?,
            prompts: texts(&self.prompts)?,
            resources: texts(&self.resources)?,
            templates: texts(&self.templates)?,
        };
        serde_json::to_vec(&record).ok()
    }

    /// What was recorded; `None` if it cannot be read.
    pub(crate) fn recall(record: &[u8]) -> Option<(Self, Era)> {
        let record: Record = serde_json::from_slice(record).ok()?;
        let all = |list: &[Box<RawValue>], key| {
            let read = |text: &RawValue| Definition::read(text.get(), key).ok().map(Arc::new);
            list.iter()
                .map(|text| read(text))
                .collect::<Option<Vec<_>>>()
        };
        let tools = record.tools.iter();
        let inventory = Self {
            offers: Some(Arc::new(record.offers)),
            instructions: record.instructions,
            tools: tools
                .map(|text| Tool::recall(text.get()).map(Arc::new))
                .collect::<Option<_>>()?,
            prompts: all(&record.prompts, "name")?,
            resources: all(&record.resources, "uri")?,
            templates: all(&record.templates, "uriTemplate")?,
        };
        let era = if record.modern {
            Era::Modern
        } else {
            Era::Legacy
        };
        Some((inventory, era))
    }
}

fn raw(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(text.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recalled_is_what_was_recorded_to_the_byte() {
        let tool = r#"{ "name":"t\u0065st", "inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}}},"x":1.0}"#;
        let resource = r#"{"uri":"a:b" ,"name":"n","size":1e3}"#;
        let inventory = Inventory {
            offers: Some(Arc::new(Offers::read(
                r#"{"tools":{"listChanged":true},"resources":{"subscribe":true},"extensions":{"a/b":{"c":1.0}}}"#,
            ))),
            instructions: Some("Be kind.".to_owned()),
            tools: vec![Arc::new(Tool::recall(tool).unwrap())],
            resources: vec![Arc::new(Definition::read(resource, "uri").unwrap())],
            ..Inventory::default()
        };
        assert_eq!(inventory.tools[0].param_headers.len(), 1);
        for era in [Era::Legacy, Era::Modern] {
            let record = inventory.record("b", era).unwrap();
            let (recalled, known) = Inventory::recall(&record).unwrap();
            assert_eq!((recalled, known), (inventory.clone(), era));
        }
        assert!(Inventory::default().record("b", Era::Legacy).is_none());
        assert!(Inventory::recall(b"{}").is_none());
    }
}
