//! Texts for training and for judging, and the windows of ids that a model reads.
//!
//! The last share of a text is held out, by position, since text before and after a cut is not
//! independent line by line. A window is x, the ids from a place on, and y, the ids from the
//! next place on: what is to be predicted. Refuses cuts that leave a part empty.

use serde::{Deserialize, Serialize};

use crate::error::{PreparationError, Result};

/// Cuts a text: the first floor((1 - `share`) * n) of its n characters are for training, the
/// others are held out.
///
/// # Errors
/// A share that is not above 0 and below 1, or leaves a part empty.
pub fn split_text(text: &str, share: f64) -> Result<(&str, &str)> {
    if !(share > 0.0 && share < 1.0) {
        let (option, value) = ("share", share.to_string());
        return Err(PreparationError::Option { option, value, needed: "above 0 and below 1" });
    }
    let characters = text.chars().count();
    let kept = ((1.0 - share) * characters as f64) as usize;
    let at = text.char_indices().nth(kept).map_or(text.len(), |(at, _)| at);
    let part = match at {
        0 => "training",
        at if at == text.len() => "test",
        at => return Ok(text.split_at(at)),
    };
    Err(PreparationError::EmptyPart { part, rows: characters })
}

/// Windows of one length, side by side or overlapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Ids in x, and in y; not 0.
    pub length: usize,
    /// From one window's start to the next one's; not 0.
    pub stride: usize,
}

impl Windows {
    /// How many windows `tokens` ids have: those that lie in them as a whole, with the id after.
    ///
    /// # Errors
    /// A length or a stride of 0; too few ids for one window.
    pub fn count(&self, tokens: usize) -> Result<usize> {
        let bad = |option, value: usize, needed| {
            Err(PreparationError::Option { option, value: value.to_string(), needed })
        };
        match (self.length, self.stride) {
            (0, _) => bad("length", 0, "at least 1"),
            (_, 0) => bad("stride", 0, "at least 1"),
            (length, _) if length >= tokens => {
                bad("length", length, "a window that is shorter than the text")
            }
            (length, stride) => Ok((tokens - length - 1) / stride + 1),
        }
    }

    /// Window `index`, as x and y.
    ///
    /// # Errors
    /// Those of [`Windows::count`]; a window that is not there.
    pub fn window<'a>(&self, tokens: &'a [u32], index: usize) -> Result<(&'a [u32], &'a [u32])> {
        let count = self.count(tokens.len())?;
        if index >= count {
            let why = "the windows of the text end before it";
            return Err(PreparationError::Rows { row: index, why });
        }
        let start = index * self.stride;
        Ok((&tokens[start..][..self.length], &tokens[start + 1..][..self.length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_share_is_held_out() {
        assert_eq!(split_text("0123456789", 0.2).unwrap(), ("01234567", "89"));
        assert_eq!(split_text("éééé€", 0.2).unwrap(), ("éééé", "€"));
        assert_eq!(split_text("abc", 0.5).unwrap(), ("a", "bc"));
        for (text, share) in [("", 0.5), ("a", 0.5), ("abc", 0.9), ("abc", 0.0), ("abc", f64::NAN)]
        {
            assert!(split_text(text, share).is_err(), "{text} {share}");
        }
    }

    #[test]
    fn windows_by_hand() {
        let tokens = [0, 1, 2, 3, 4, 5, 6];
        let all = |length, stride| {
            let windows = Windows { length, stride };
            let count = windows.count(7).unwrap();
            assert!(windows.window(&tokens, count).is_err());
            (0..count).map(|i| windows.window(&tokens, i).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(all(3, 3), [(&tokens[0..3], &tokens[1..4]), (&tokens[3..6], &tokens[4..7])]);
        assert_eq!(all(3, 2).len(), 2);
        assert_eq!(all(3, 1).len(), 4);
        assert_eq!(all(6, usize::MAX), [(&tokens[..6], &tokens[1..])]);
        for (length, stride) in [(7, 1), (0, 1), (1, 0), (usize::MAX, 1)] {
            assert!(Windows { length, stride }.count(7).is_err());
        }
        assert!(Windows { length: 1, stride: 1 }.count(0).is_err());
    }
}
