//! Values to canonical CBOR and back; the only module that names the CBOR crate.
//!
//! An object's bytes are the CBOR array `[kind, version, body]` in the deterministic encoding of
//! RFC 8949, section 4.2: shortest integers, shortest floats, definite lengths, map keys sorted
//! by their encoded bytes. The crate underneath accepts more on reading (long integers, swapped
//! or unknown keys), so `decode` encodes what it has read once more and compares: bytes that
//! are not canonical are refused, and one value has one id.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_cbor::Value;

use crate::error::SchemaError;
use crate::kind::Kind;

/// No object is larger than this; a blob may be. Checked before anything is decoded.
pub const MAX_OBJECT_BYTES: u64 = 256 << 20;

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

/// The value that `bytes` are the canonical encoding of.
pub(crate) fn decode<T: Serialize + DeserializeOwned>(
    kind: Kind,
    version: u64,
    bytes: &[u8],
) -> Result<T, SchemaError> {
    let len = bytes.len() as u64;
    if len > MAX_OBJECT_BYTES {
        return Err(SchemaError::TooLarge { kind, bytes: len, limit: MAX_OBJECT_BYTES });
    }
    let malformed = |why: String| SchemaError::Malformed { kind, why };
    let object: Value = serde_cbor::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
    let Value::Array(parts) = object else {
        return Err(malformed("it is not an array".into()));
    };
    let [Value::Text(found_kind), Value::Integer(found_version), body]: [Value; 3] =
        parts.try_into().map_err(|_| malformed("it is not [kind, version, body]".into()))?
    else {
        return Err(malformed("it is not [kind, version, body]".into()));
    };
    if found_kind != kind.as_str() {
        return Err(malformed(format!("it is marked '{}'", found_kind.escape_debug())));
    }
    match u64::try_from(found_version) {
        Ok(found) if found == version => {}
        Ok(found) if found > version => return Err(SchemaError::Newer { kind, version: found }),
        _ => return Err(malformed(format!("version {found_version} does not exist"))),
    }
    let value: T = serde_cbor::value::from_value(body).map_err(|e| malformed(e.to_string()))?;
    if encode(kind, version, &value) != bytes {
        return Err(SchemaError::NotCanonical(kind));
    }
    Ok(value)
}
