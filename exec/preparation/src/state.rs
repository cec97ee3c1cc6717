//! What was fitted, as JSON and back.
//!
//! Numbers are written with the fewest digits that name them, and read to the nearest f64, so the
//! state that is read is the state that was written, bit for bit. Refuses text that holds
//! anything else than the state: unknown keys, missing ones, numbers that are not finite.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{PreparationError, Result};

/// The JSON of a fitted state or a plan, in one line.
///
/// # Errors
/// None for the types of this crate.
pub fn to_json<T: Serialize>(state: &T) -> Result<String> {
    serde_json::to_string(state).map_err(|e| PreparationError::Json(e.to_string()))
}

/// The state that [`to_json`] has written.
///
/// # Errors
/// Text that is not such a state, with the line and column.
pub fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| PreparationError::Json(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        let mut bits = 0x3ff0_0000_0000_0001u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let number = f64::from_bits(bits);
            if number.is_finite() {
                let read: f64 = from_json(&to_json(&number).unwrap()).unwrap();
                assert_eq!(read.to_bits(), bits);
            }
        }
        assert_eq!(from_json::<f64>("-0.0").unwrap().to_bits(), (-0.0f64).to_bits());
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let error = from_json::<f64>("[1]").unwrap_err().to_string();
        assert!(error.starts_with("the fitted state cannot be read: invalid type"), "{error}");
        assert!(from_json::<f64>("1e999").is_err() && from_json::<f64>("null").is_err());
    }
}
