//! Time that has passed for the tokens in a store, so that no test waits for it:
//! a store of the runtime directory is read, its tokens made older, and written.

use std::{fs, path::Path};

use serde_json::Value;

/// The first line of such a store.
const HEADER: &[u8] = b"mcpmux-tokens 1\n";

/// Makes all tokens in the store at `path`, which no process may be using, older
/// by this many seconds.
#[track_caller]
pub(crate) fn age(path: &Path, seconds: u64) {
    let content = fs::read(path).unwrap();
    let mut rest = content.strip_prefix(HEADER).expect("a store");
    let mut aged = HEADER.to_vec();
    let records = number(&mut rest);
    aged.extend(records.to_be_bytes());
    for _ in 0..records {
        for place in ["backend", "issuer", "record"] {
            let length = usize::try_from(number(&mut rest)).unwrap();
            let (text, after) = rest.split_at(length);
            rest = after;
            let text = match place {
                "record" => older(text, seconds),
                _ => text.to_vec(),
            };
            aged.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            aged.extend(text);
        }
    }
    fs::write(path, aged).unwrap();
}

fn older(record: &[u8], seconds: u64) -> Vec<u8> {
    let mut record: Value = serde_json::from_slice(record).unwrap();
    let received = &mut record["tokens"]["received"];
    *received = (received.as_u64().expect("tokens") - seconds).into();
    record.to_string().into_bytes()
}

fn number(bytes: &mut &[u8]) -> u32 {
    let (number, rest) = bytes.split_first_chunk().expect("a number");
    *bytes = rest;
    u32::from_be_bytes(*number)
}
