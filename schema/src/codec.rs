//! Values to canonical CBOR and back; the only module that names the CBOR crate.
//!
//! An object's bytes are the CBOR array `[kind, version, body]` in the deterministic encoding of
//! RFC 8949, section 4.2: shortest integers, shortest floats, definite lengths, map keys sorted
//! by their encoded bytes. `reader.rs` accepts nothing else, so that one value has one id; the
//! crate underneath only writes.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_cbor::Value;

use crate::error::SchemaError;
use crate::failure::Failure;
use crate::kind::Kind;
use crate::reader::Reader;

/// No object is larger than this; a blob may be. Checked before anything is decoded.
pub const MAX_OBJECT_BYTES: u64 = 256 << 20;

/// Most items (values, keys, arrays and maps) of a recipe, run or attestation: two million
/// outputs. The smallest item takes a byte in an object, and some fifty in memory.
pub const MAX_ITEMS: u64 = 8 << 20;

/// The bytes of an object.
pub(crate) fn encode<T: Serialize>(kind: Kind, version: u64, body: &T) -> Vec<u8> {
    // Through `Value`, whose maps sort their keys: the order of struct fields in the source
    // must not matter for ever.
    let body = serde_cbor::value::to_value(body).expect("objects hold only what CBOR can encode");
    let object = Value::Array(vec![
        Value::Text(kind.as_str().to_owned()),
        Value::Integer(version.into()),
        body,
    ]);
    serde_cbor::to_vec(&object).expect("a value encodes into memory")
}

/// A map that is left out when it is empty: so it is not empty.
pub(crate) fn not_empty<'de, D, K, V>(from: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    let map = BTreeMap::deserialize(from)?;
    if map.is_empty() {
        return Err(D::Error::custom("a map that would be left out is there"));
    }
    Ok(map)
}

/// The value that `bytes` are the canonical encoding of.
pub(crate) fn decode<T: DeserializeOwned>(
    kind: Kind,
    version: u64,
    bytes: &[u8],
) -> Result<T, SchemaError> {
    let len = bytes.len() as u64;
    if len > MAX_OBJECT_BYTES {
        return Err(SchemaError::TooLarge { kind, bytes: len, limit: MAX_OBJECT_BYTES });
    }
    // A tree bounds its entries itself.
    let items = if kind == Kind::Tree { u64::MAX } else { MAX_ITEMS };
    let mut reader = Reader::new(bytes, items);
    let refused = |failure| match failure {
        Failure::NotCanonical => SchemaError::NotCanonical(kind),
        Failure::Malformed(why) => SchemaError::Malformed { kind, why },
    };
    begin(&mut reader, kind, version)
        .map_err(refused)?
        .map_or(Ok(()), |version| Err(SchemaError::Newer { kind, version }))?;
    let value = T::deserialize(&mut reader).map_err(refused)?;
    reader.end().map_err(refused)?;
    Ok(value)
}

/// Reads up to the body; gives a version that is newer than this program's.
fn begin(reader: &mut Reader<'_>, kind: Kind, version: u64) -> Result<Option<u64>, Failure> {
    let parts = reader.array()?.ok_or_else(|| Failure::custom("it is not an array"))?;
    if parts != 3 {
        return Err(Failure::custom("it is not [kind, version, body]"));
    }
    let found = <&str>::deserialize(&mut *reader)?;
    if found != kind.as_str() {
        return Err(Failure::custom(format_args!("it is marked '{}'", found.escape_debug())));
    }
    match u64::deserialize(&mut *reader)? {
        found if found == version => Ok(None),
        found if found > version => Ok(Some(found)),
        found => Err(Failure::custom(format_args!("version {found} does not exist"))),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;
    use crate::value::Number;
    use crate::{Aliases, Attestation, Evaluation, Object, Recipe, Run, Signature, Tree};

    /// What a reader has to accept by F-04, the long way: any value of the crate underneath, then
    /// the type, then its encoding, which has to be what was read.
    fn by_detour<O: Object>(bytes: &[u8]) -> Option<O> {
        let Value::Array(parts) = serde_cbor::from_slice(bytes).ok()? else { return None };
        let body = parts.into_iter().nth(2)?;
        let value: O = serde_cbor::value::from_value(body).ok()?;
        (value.encode() == bytes).then_some(value)
    }

    fn agree<O: Object + PartialEq + Debug>(bytes: &[u8]) {
        assert_eq!(O::decode(bytes).ok(), by_detour::<O>(bytes), "{}", crate::hash::hex(bytes));
    }

    fn agree_on(kind: Kind, bytes: &[u8]) {
        match kind {
            Kind::Blob => {}
            Kind::Tree => agree::<Tree>(bytes),
            Kind::Recipe => agree::<Recipe>(bytes),
            Kind::Run => agree::<Run>(bytes),
            Kind::Attestation => agree::<Attestation>(bytes),
            Kind::Signature => agree::<Signature>(bytes),
            Kind::Aliases => agree::<Aliases>(bytes),
            Kind::Evaluation => agree::<Evaluation>(bytes),
        }
    }

    fn golden() -> Vec<(Kind, Vec<u8>)> {
        let lines: Vec<&str> = include_str!("../tests/golden.txt").lines().collect();
        let row = |rows: &[&str]| {
            let kind = Kind::ALL.into_iter().find(|kind| rows[0].ends_with(kind.as_str()));
            let digits = rows[1].trim();
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            (kind.unwrap(), (0..digits.len()).step_by(2).map(byte).collect())
        };
        lines.chunks(3).map(row).collect()
    }

    /// Any CBOR, canonical or not.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|n| Value::Integer(n.into())),
            any::<u64>().prop_map(|n| Value::Integer(n.into())),
            (-300i64..300).prop_map(|n| Value::Integer(n.into())),
            any::<f64>().prop_map(Value::Float),
            any::<f32>().prop_map(|n| Value::Float(n.into())),
            (-70000i32..70000).prop_map(|n| Value::Float(f64::from(n) / 64.0)),
            prop::collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
            "[a-c]{0,3}".prop_map(Value::Text),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map(
                    "[a-c]{0,3}".prop_map(Value::Text),
                    inner.clone(),
                    0..6
                )
                .prop_map(Value::Map),
                prop::collection::btree_map(inner.clone(), inner, 0..2).prop_map(Value::Map),
            ]
        })
    }

    // proves F-04
    #[test]
    fn every_change_of_the_golden_vectors_is_judged_as_by_the_detour() {
        for (kind, bytes) in golden() {
            agree_on(kind, &bytes);
            for at in 0..bytes.len() {
                agree_on(kind, &bytes[..at]);
                for other in (0..=255).step_by(3) {
                    let mut changed = bytes.clone();
                    changed[at] = other;
                    agree_on(kind, &changed);
                }
                // A byte more, a byte less.
                for other in [0, 0x18, 0x60, 0x80, 0xa0, 0xc1, 0xf6, 0xff] {
                    agree_on(kind, &[&bytes[..at], &[other], &bytes[at..]].concat());
                }
                agree_on(kind, &[&bytes[..at], &bytes[at + 1..]].concat());
            }
        }
    }

    /// What is left out when there is nothing is not there with nothing.
    #[test]
    fn nothing_that_could_be_left_out_is_judged_as_by_the_detour() {
        let nothing = [Value::Map(BTreeMap::new()), Value::Array(Vec::new()), Value::Null];
        let mut judged = 0;
        for (kind, bytes) in golden().into_iter().filter(|(kind, _)| *kind != Kind::Tree) {
            let Ok(Value::Array(parts)) = serde_cbor::from_slice(&bytes) else { panic!() };
            let Value::Map(whole) = &parts[2] else { continue };
            let more = ["params", "makers", "outside", "git", "parent", "observed", "place"];
            let keys: Vec<Value> = more.into_iter().map(|key| Value::Text(key.into())).collect();
            let inner = whole.iter().filter_map(|(key, value)| match value {
                Value::Map(inner) => Some((Some(key), inner)),
                _ => None,
            });
            for (at, map) in inner.chain([(None, whole)]) {
                for key in map.keys().chain(&keys) {
                    for value in &nothing {
                        let mut map = map.clone();
                        map.insert(key.clone(), value.clone());
                        let mut parts = parts.clone();
                        parts[2] = match at {
                            None => Value::Map(map),
                            Some(at) => {
                                let mut whole = whole.clone();
                                whole.insert(at.clone(), Value::Map(map));
                                Value::Map(whole)
                            }
                        };
                        agree_on(kind, &serde_cbor::to_vec(&Value::Array(parts)).unwrap());
                        judged += 1;
                    }
                }
            }
        }
        assert!(judged > 500, "{judged}");
    }

    #[test]
    fn nesting_ends_where_it_did() {
        for depth in 100..150 {
            // [kind, version, {…, "params": {"a": [[…]]}, …}]
            let lists = [vec![0x81; depth], vec![0x80]].concat();
            let (_, bytes) = golden().swap_remove(2);
            let at = bytes.windows(7).position(|w| w == b"params\xa0").unwrap() + 6;
            let bytes = [&bytes[..at], b"\xa1\x61a", &lists, &bytes[at + 1..]].concat();
            agree::<Recipe>(&bytes);
            assert_eq!(Recipe::decode(&bytes).is_ok(), depth <= 123);
        }
    }

    #[test]
    fn every_float_of_16_bits_and_its_neighbours_are_judged_as_by_the_detour() {
        let number = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes, 9);
            let read: Option<Number> = serde::Deserialize::deserialize(&mut reader).ok();
            let detour = serde_cbor::from_slice::<Number>(bytes).ok();
            let detour = detour.filter(|n| serde_cbor::to_vec(&n.get()).unwrap() == bytes);
            assert_eq!(read, detour, "{bytes:x?}");
        };
        for half in 0..=u16::MAX {
            let bytes = [&[0xf9][..], &half.to_be_bytes()].concat();
            number(&bytes);
            let Ok(float) = serde_cbor::from_slice::<f32>(&bytes) else { continue };
            for near in [-1, 0, 1, 1 << 12, 1 << 13] {
                let single = float.to_bits().wrapping_add_signed(near);
                number(&[&[0xfa][..], &single.to_be_bytes()].concat());
                let double = f64::from(f32::from_bits(single)).to_bits();
                number(&[&[0xfb][..], &double.to_be_bytes()].concat());
                number(&[&[0xfb][..], &double.wrapping_add(1).to_be_bytes()].concat());
            }
        }
    }

    proptest! {
        #[test]
        fn several_changes_are_judged_as_by_the_detour(
            sample in 0usize..6,
            edits in prop::collection::vec((any::<u16>(), any::<u8>(), 0usize..4), 1..5),
        ) {
            let (kind, mut bytes) = golden().swap_remove(sample);
            for (at, byte, removed) in edits {
                let at = usize::from(at) % bytes.len();
                bytes.splice(at..(at + removed).min(bytes.len()), [byte]);
            }
            agree_on(kind, &bytes);
        }

        #[test]
        fn parameters_are_judged_as_by_the_detour(params in any_value(), swap in any::<bool>()) {
            let (_, bytes) = golden().swap_remove(2);
            let at = bytes.windows(7).position(|w| w == b"params\xa0").unwrap() + 6;
            let mut params = serde_cbor::to_vec(&params).unwrap();
            if swap {
                let middle = params.len() / 2;
                params.rotate_left(middle);
            }
            agree::<Recipe>(&[&bytes[..at], &params, &bytes[at + 1..]].concat());
            agree::<Recipe>(&[&bytes[..at], b"\xa1\x61a", &params, &bytes[at + 1..]].concat());
        }

        #[test]
        fn any_body_is_judged_as_by_the_detour(body in any_value()) {
            for kind in Kind::ALL {
                let object = Value::Array(vec![
                    Value::Text(kind.as_str().to_owned()),
                    Value::Integer(1),
                    body.clone(),
                ]);
                agree_on(kind, &serde_cbor::to_vec(&object).unwrap());
            }
        }
    }
}
