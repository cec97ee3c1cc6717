//! JSON objects with their keys in order and their values as written.
//!
//! An ordinary map would sort or shuffle the keys and keep the last of two equal ones; numbers
//! would be rounded by a parser whose result depends on how it was built. So keys come as a list,
//! equal keys are refused, and values stay text until someone knows what they should be.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The most keys of one object.
pub(crate) const MAX_KEYS: usize = 1 << 16;

/// An object: keys, all different, and the text of their values.
pub(crate) struct Object<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut entries: Vec<(String, &RawValue)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            if entries.len() == MAX_KEYS {
                return Err(A::Error::custom(format!("more than {MAX_KEYS} keys")));
            }
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("the key '{}' twice", key.escape_debug())));
            }
            entries.push((key, value));
        }
        Ok(Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_values_their_digits() {
        let object: Object = serde_json::from_str(r#"{"b": 1.10, "a": [1, {"b": 2}]}"#).unwrap();
        let entries: Vec<(&str, &str)> =
            object.0.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
        assert_eq!(entries, [("b", "1.10"), ("a", r#"[1, {"b": 2}]"#)]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["[1]", "1", "", "{", r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, "{} {}"] {
            assert!(serde_json::from_str::<Object>(text).is_err(), "{text}");
        }
    }
}
