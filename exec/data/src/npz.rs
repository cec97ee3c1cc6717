//! npz: named arrays of numpy, a zip archive of npy files, stored or deflated.
//!
//! Every member must be an array: a file that is passed over would be data lost.

use std::collections::BTreeMap;
use std::io::Read;

use crate::archive::{members, unpack};
use crate::array::{Array, MAX_ARRAY_BYTES};
use crate::bytes::Pieces;
use crate::error::{DataError, Result};
use crate::npy::read;
use crate::source::{GZIP, gunzipped};

/// Reads the arrays in an npz file, by the names that numpy gives them (without `.npy`).
///
/// # Errors
/// [`DataError`] for an archive that is damaged, cut off, encrypted or of 4 GiB, a member that is
/// no array (see [`crate::npy`]), more than 2 GiB of arrays.
pub fn npz(bytes: &[u8]) -> Result<BTreeMap<String, Array>> {
    if !bytes.starts_with(&GZIP) {
        return arrays(bytes);
    }
    let mut plain = Vec::new();
    let read = gunzipped(bytes).take(MAX_ARRAY_BYTES + 1).read_to_end(&mut plain);
    read.map_err(|source| DataError::Read { file: "the npz file".into(), source })?;
    match plain.len() as u64 > MAX_ARRAY_BYTES {
        true => Err(DataError::TooLarge { what: "bytes of the npz file", limit: MAX_ARRAY_BYTES }),
        false => arrays(&plain),
    }
}

fn arrays(bytes: &[u8]) -> Result<BTreeMap<String, Array>> {
    let mut arrays = BTreeMap::new();
    for member in members(bytes)? {
        let file = format!("member '{}' of the npz file", member.name.escape_debug());
        let Some(name) = member.name.strip_suffix(".npy") else {
            let what = "another name".into();
            return Err(DataError::Unsupported { file, what, needed: "a name that ends in .npy" });
        };
        let plain = unpack(bytes, &member)?;
        arrays.insert(name.to_owned(), read(Pieces::new(plain.as_slice(), file))?);
    }
    Ok(arrays)
}
