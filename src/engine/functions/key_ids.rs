//! `key_ids(bytes)`: every key id in a text that may be broken.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use super::texts;

/// How the parts of a key id are long, between dashes.
const PARTS: [usize; 5] = [8, 4, 4, 4, 12];
const ID_LENGTH: usize = 36;
const MULTI_REGION: &[u8] = b"mrk-";

/// The ids, in lower case, each once; other GUIDs look the same, so that a caller takes those that it knows. Null is null.
pub(super) fn key_ids() -> ScalarUDF {
    create_udf("key_ids", vec![DataType::Binary], texts(), Volatility::Immutable, Arc::new(all_ids))
}

fn all_ids(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for bytes in arrays[0].as_binary::<i32>() {
        if let Some(bytes) = bytes {
            for id in ids(bytes) {
                lists.values().append_value(id);
            }
        }
        lists.append(bytes.is_some());
    }
    Ok(ColumnarValue::Array(Arc::new(lists.finish())))
}

fn ids(bytes: &[u8]) -> BTreeSet<String> {
    let (mut found, mut at) = (BTreeSet::new(), 0);
    while at < bytes.len() {
        let length = id_length(&bytes[at..]);
        if length > 0 {
            found.insert(String::from_utf8_lossy(&bytes[at..at + length]).to_ascii_lowercase());
        }
        at += length.max(1);
    }
    found
}

/// How long the id is that a text begins with; 0 where it begins with none.
fn id_length(bytes: &[u8]) -> usize {
    let is_hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    let multi_region = MULTI_REGION.len() + 32;
    if bytes.starts_with(MULTI_REGION) && bytes.get(MULTI_REGION.len()..multi_region).is_some_and(is_hex) {
        return multi_region;
    }
    let Some(id) = bytes.get(..ID_LENGTH) else { return 0 };
    let parts = id.split(|byte| *byte == b'-');
    let is_id = parts.clone().map(<[u8]>::len).eq(PARTS) && parts.into_iter().all(is_hex);
    if is_id { ID_LENGTH } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_found_whatever_stands_around_it() {
        let (one, other) = ("1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab");
        let of = |text: &[u8]| ids(text).into_iter().collect::<Vec<_>>();
        assert_eq!(of(format!("{{\"a\":\"key\\/{one}\",\"b\":\"{other}\"}}").as_bytes()), [one, other]);
        assert_eq!(of(format!("\u{ff}{}x", one.to_uppercase()).as_bytes()), [one]);
        assert_eq!(of(&[b"\xFF key/", one.as_bytes(), b"\xFE"].concat()), [one]);
        assert_eq!(of(&[one.as_bytes(), one.as_bytes()].concat()), [one]);
        for none in ["", "1234abcd-12ab-34cd-56ef-1234567890a", "1234abcd-12ab-34cd-56ef_1234567890ab", "mrk-1234"] {
            assert!(of(none.as_bytes()).is_empty(), "{none}");
        }
    }
}
