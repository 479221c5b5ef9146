//! What a server lists, each definition kept as the text it came in.

use crate::{
    backend::link::Link,
    protocol::{
        Era, RawObject, Revision,
        header::{ParamHeader, param_headers},
    },
};

/// One tool as its backend defines it.
#[derive(Debug, PartialEq)]
pub(crate) struct Tool {
    /// Its name at the backend.
    pub(crate) name: String,
    /// The whole definition, as it came.
    pub(crate) definition: String,
    /// Parameters to be mirrored into headers.
    pub(crate) param_headers: Vec<ParamHeader>,
}

/// One prompt, resource or resource template as its backend defines it.
#[derive(Debug, PartialEq)]
pub(crate) struct Definition {
    /// Its name, URI or URI template at the backend.
    pub(crate) id: String,
    /// The whole definition, as it came.
    pub(crate) text: String,
}

impl Tool {
    /// Reads a tool's definition; says why it is none, or why it is to be left
    /// out over this link at this revision.
    pub(super) fn read(definition: &str, link: &Link, revision: Revision) -> Result<Self, String> {
        let object = RawObject::parse(definition).map_err(|error| error.to_string())?;
        let name = identity(&object, "name")?;
        // Over HTTP a modern client must leave out a tool whose mirrored
        // parameters are ill-defined; other transports and eras may ignore them.
        let mirrored = match object.get("inputSchema") {
            Ok(Some(schema)) => param_headers(schema),
            _ => Ok(Vec::new()),
        };
        let param_headers = match mirrored {
            Ok(headers) => headers,
            Err(reason) if matches!(link, Link::Http(_)) && revision.era() == Era::Modern => {
                return Err(format!("{name}: {reason}"));
            }
            Err(_) => Vec::new(),
        };
        Ok(Self {
            name,
            definition: definition.to_owned(),
            param_headers,
        })
    }
}

impl Tool {
    /// Reads the definition of a tool that was not left out when it was listed.
    pub(super) fn recall(definition: &str) -> Option<Self> {
        let object = RawObject::parse(definition).ok()?;
        let schema = object.get("inputSchema").ok().flatten();
        Some(Self {
            name: identity(&object, "name").ok()?,
            definition: definition.to_owned(),
            param_headers: schema
                .and_then(|schema| param_headers(schema).ok())
                .unwrap_or_default(),
        })
    }
}

impl Definition {
    /// Reads a definition that is identified by its member `key`.
    pub(super) fn read(definition: &str, key: &str) -> Result<Self, String> {
        let object = RawObject::parse(definition).map_err(|error| error.to_string())?;
        Ok(Self {
            id: identity(&object, key)?,
            text: definition.to_owned(),
        })
    }
}

fn identity(object: &RawObject<'_>, key: &str) -> Result<String, String> {
    object
        .get_str(key)
        .map_err(|error| error.to_string())?
        .filter(|id| !id.is_empty())
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| format!("it has no {key}"))
}
