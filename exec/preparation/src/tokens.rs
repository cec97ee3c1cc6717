//! Text as ids, and ids as text: bytes, characters, byte pairs, or words.
//!
//! Fitted to the training text alone. Decoding what was encoded gives the same bytes, except for
//! a character that the training text lacks, if one id is reserved for all of those, and for words,
//! which come back in lower case with a space between them and nothing else. Refuses
//! ids beyond the vocabulary, and text that is not UTF-8 unless ids are bytes.

use serde::{Deserialize, Serialize};

use crate::byte_pairs::{BytePairs, MAX_TEXT};
use crate::error::{PreparationError, Result};
use crate::words::Words;

/// What the ids stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// Bytes: the id is the byte.
    Bytes,
    /// Characters of the training text.
    Characters(Characters),
    /// Byte pairs, as in GPT-2.
    BytePairs(BytePairs),
    /// Frequent words, and one id for all others.
    Words(Words),
}

/// The characters of a text, by code point; the id is the place in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Characters {
    sorted: Vec<char>,
    unknown: bool,
}

/// [`Characters`] in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    characters: String,
    unknown: bool,
}

impl Characters {
    /// Those of the training text. With `unknown` any other character has the id after the last
    /// one, and is decoded as U+FFFD; without, it is refused.
    pub fn fit(text: &str, unknown: bool) -> Characters {
        let distinct: std::collections::BTreeSet<char> = text.chars().collect();
        Characters { sorted: distinct.into_iter().collect(), unknown }
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let id = |(position, character)| match self.sorted.binary_search(&character) {
            Ok(place) => Ok(place as u32),
            Err(_) if self.unknown => Ok(self.sorted.len() as u32),
            Err(_) => Err(PreparationError::UnknownCharacter { position, character }),
        };
        text.chars().enumerate().map(id).collect()
    }

    fn character(&self, id: u32) -> Option<char> {
        let reserved = self.unknown && id as usize == self.sorted.len();
        self.sorted.get(id as usize).copied().or(reserved.then_some(char::REPLACEMENT_CHARACTER))
    }
}

impl TryFrom<Written> for Characters {
    type Error = PreparationError;

    fn try_from(written: Written) -> Result<Characters> {
        let fitted = Characters::fit(&written.characters, written.unknown);
        match fitted.sorted.iter().copied().eq(written.characters.chars()) {
            true => Ok(fitted),
            false => {
                let (what, why) = ("characters".into(), "they are not ascending by code point");
                Err(PreparationError::Fitted { what, why })
            }
        }
    }
}

impl From<Characters> for Written {
    fn from(fitted: Characters) -> Written {
        Written { characters: fitted.sorted.into_iter().collect(), unknown: fitted.unknown }
    }
}

/// The text in these bytes.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str> {
    let not =
        |error: std::str::Utf8Error| PreparationError::NotUtf8 { position: error.valid_up_to() };
    str::from_utf8(bytes).map_err(not)
}

impl Tokenizer {
    /// How many ids there are.
    pub fn vocabulary(&self) -> usize {
        match self {
            Tokenizer::Bytes => 256,
            Tokenizer::Characters(c) => c.sorted.len() + usize::from(c.unknown),
            Tokenizer::BytePairs(pairs) => pairs.tokens().len(),
            Tokenizer::Words(words) => words.vocabulary(),
        }
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// More than 2^30 bytes; bytes that are not UTF-8, unless ids are bytes; a character that is
    /// not in the training text, unless an id is reserved.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u32>> {
        if text.len() > MAX_TEXT {
            let (found, limit) = (text.len() as u64, MAX_TEXT as u64);
            return Err(PreparationError::TooLarge { what: "bytes of text", found, limit });
        }
        match self {
            Tokenizer::Bytes => Ok(text.iter().map(|byte| u32::from(*byte)).collect()),
            Tokenizer::Characters(characters) => characters.encode(utf8(text)?),
            Tokenizer::BytePairs(pairs) => Ok(pairs.encode(utf8(text)?)),
            Tokenizer::Words(words) => Ok(words.encode(utf8(text)?)),
        }
    }

    /// The bytes of ids. Tokens of byte pairs may end inside a character, so these need not be
    /// UTF-8.
    ///
    /// # Errors
    /// An id beyond the vocabulary; more than 2^30 bytes.
    pub fn decode(&self, ids: &[u32]) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        for (position, id) in ids.iter().enumerate() {
            if position > 0 && matches!(self, Tokenizer::Words(_)) {
                text.push(b' ');
            }
            if !self.push(*id, &mut text) {
                let tokens = self.vocabulary();
                return Err(PreparationError::UnknownToken { position, id: *id, tokens });
            }
            if text.len() > MAX_TEXT {
                let (found, limit) = (text.len() as u64, MAX_TEXT as u64);
                return Err(PreparationError::TooLarge { what: "bytes of text", found, limit });
            }
        }
        Ok(text)
    }

    /// Adds a token's bytes; false if there is no such token.
    fn push(&self, id: u32, text: &mut Vec<u8>) -> bool {
        match self {
            Tokenizer::Bytes => u8::try_from(id).map(|byte| text.push(byte)).is_ok(),
            Tokenizer::Characters(characters) => characters
                .character(id)
                .map(|c| text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()))
                .is_some(),
            Tokenizer::BytePairs(pairs) => {
                pairs.tokens().get(id as usize).map(|token| text.extend_from_slice(token)).is_some()
            }
            Tokenizer::Words(words) => {
                words.word(id).map(|word| text.extend_from_slice(word.as_bytes())).is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn characters(unknown: bool) -> Tokenizer {
        Tokenizer::Characters(Characters::fit("bé a", unknown))
    }

    #[test]
    fn ids_by_hand() {
        assert_eq!(Tokenizer::Bytes.encode(&[0, 255]).unwrap(), [0, 255]);
        assert_eq!(characters(false).encode("abé ".as_bytes()).unwrap(), [1, 2, 3, 0]);
        assert_eq!(characters(true).encode("axé".as_bytes()).unwrap(), [1, 4, 3]);
        assert_eq!(characters(true).decode(&[1, 4]).unwrap(), "a\u{fffd}".as_bytes());
        assert_eq!([characters(false), characters(true)].map(|t| t.vocabulary()), [4, 5]);
    }

    #[test]
    fn what_has_no_id_is_refused_with_its_place() {
        let error = characters(false).encode("é x".as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "character 2, 'x', is not in the training text (see prepare.unknown)");
        let error = characters(true).encode(b"ab\xff").unwrap_err().to_string();
        assert_eq!(error, "byte 2 of the text is not UTF-8");
        let error = characters(false).decode(&[0, 4]).unwrap_err().to_string();
        assert_eq!(error, "token 1 is 4, but the vocabulary has 4 tokens");
        assert!(Tokenizer::Bytes.decode(&[256]).is_err());
        let pairs = Tokenizer::BytePairs(BytePairs::from_merges("a b").unwrap());
        assert!(pairs.decode(&[256]).is_ok() && pairs.decode(&[257]).is_err());
        assert!(pairs.encode(b"\xc3").is_err());
    }

    #[test]
    fn words_come_back_without_what_stands_between_them() {
        let words = Tokenizer::Words(Words::fit("So it goes, so it", 3).unwrap());
        assert_eq!(words.vocabulary(), 3);
        let ids = words.encode("It's SO -- and so it goes!".as_bytes()).unwrap();
        assert_eq!(ids, [2, 1, 2, 1, 0, 2]);
        assert_eq!(words.decode(&ids).unwrap(), "\u{fffd} so \u{fffd} so it \u{fffd}".as_bytes());
        assert!(words.decode(&[3]).is_err() && words.encode(b"\xff").is_err());
    }

    #[test]
    fn fitted_tokenizers_survive_json() {
        let pairs = Tokenizer::BytePairs(BytePairs::train("abab ab\"\\", 258).unwrap());
        let words = Tokenizer::Words(Words::fit("so it goes", 3).unwrap());
        for tokenizer in [Tokenizer::Bytes, characters(true), pairs, words] {
            let text = serde_json::to_string(&tokenizer).unwrap();
            assert_eq!(serde_json::from_str::<Tokenizer>(&text).unwrap(), tokenizer);
        }
        for text in ["ba", "aab"] {
            let text = format!(r#"{{"characters":{{"characters":"{text}","unknown":false}}}}"#);
            assert!(serde_json::from_str::<Tokenizer>(&text).is_err());
        }
    }
}
