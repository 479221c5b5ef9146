//! JSON taken apart by hand, so that every value keeps its spelling.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of a JSON object in order, keys and values as they are spelled.
#[track_caller]
pub fn members(object: &str) -> Vec<(String, String)> {
    struct Members(Vec<(String, String)>);
    impl<'de> Deserialize<'de> for Members {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Walk;
            impl<'de> Visitor<'de> for Walk {
                type Value = Members;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some(key) = map.next_key::<&RawValue>()? {
                        let value: &RawValue = map.next_value()?;
                        members.push((
                            key.get().trim_matches('"').to_owned(),
                            value.get().to_owned(),
                        ));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Walk)
        }
    }
    match serde_json::from_str::<Members>(object) {
        Ok(members) => members.0,
        Err(error) => panic!("no JSON object ({error}): {object:.300}"),
    }
}

/// The value of one member of a JSON object as it is spelled.
#[track_caller]
pub fn member(object: &str, name: &str) -> Option<String> {
    members(object)
        .into_iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

/// The value under a path of members, which must be there.
#[track_caller]
pub fn at(object: &str, path: &[&str]) -> String {
    path.iter().fold(object.to_owned(), |value, name| {
        member(&value, name).unwrap_or_else(|| panic!("no {name:?} of {path:?} in {value:.500}"))
    })
}

/// The elements of a JSON array as they are spelled.
#[track_caller]
pub fn elements(array: &str) -> Vec<String> {
    let elements: Vec<&RawValue> = serde_json::from_str(array)
        .unwrap_or_else(|error| panic!("no JSON array ({error}): {array:.300}"));
    elements
        .into_iter()
        .map(|element| element.get().to_owned())
        .collect()
}

/// A JSON string's value.
#[track_caller]
pub fn text(json: &str) -> String {
    serde_json::from_str(json)
        .unwrap_or_else(|error| panic!("no JSON string ({error}): {json:.300}"))
}
