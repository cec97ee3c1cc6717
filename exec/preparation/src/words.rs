//! Text as words: the frequent ones of the training text, and one token for all others.
//!
//! A word is a run of letters and numbers, in lower case; an apostrophe between two of them belongs
//! to it, as in "don't". White space, punctuation and marks stand between words and are passed
//! over. Ids go by how often a word comes in the training text, the most frequent first, of equally
//! frequent ones by code points. Refuses a vocabulary without room for a word.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{PreparationError, Result};
use crate::letters::{is_letter, is_number};
use crate::lower::lower;

/// The frequent words of a text. In JSON it is the list of these, in the order of their ids; the
/// id after the last stands for all other words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Words {
    words: Vec<String>,
}

impl Words {
    /// The `vocabulary - 1` most frequent words of the training text, or all if there are fewer.
    ///
    /// # Errors
    /// A vocabulary below 2, a text without words.
    pub fn fit(text: &str, vocabulary: usize) -> Result<Words> {
        if vocabulary < 2 {
            let (option, value) = ("vocabulary", vocabulary.to_string());
            return Err(PreparationError::Option { option, value, needed: "at least 2" });
        }
        let mut counts = BTreeMap::new();
        for word in words(text) {
            *counts.entry(word).or_insert(0u64) += 1;
        }
        if counts.is_empty() {
            return Err(PreparationError::NoValue { column: "of words".into() });
        }
        // Stable: of equally frequent ones the order of the map stays.
        let mut all: Vec<(String, u64)> = counts.into_iter().collect();
        all.sort_by_key(|(_, count)| Reverse(*count));
        all.truncate(vocabulary - 1);
        Ok(Words { words: all.into_iter().map(|(word, _)| word).collect() })
    }

    /// How many ids there are.
    pub(crate) fn vocabulary(&self) -> usize {
        self.words.len() + 1
    }

    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let ids = self.words.iter().map(String::as_str).zip(0u32..);
        let ids: BTreeMap<&str, u32> = ids.collect();
        let others = self.words.len() as u32;
        words(text).map(|word| ids.get(word.as_str()).copied().unwrap_or(others)).collect()
    }

    /// The word with this id; U+FFFD for that of all others.
    pub(crate) fn word(&self, id: u32) -> Option<&str> {
        let others = (id as usize == self.words.len()).then_some("\u{fffd}");
        self.words.get(id as usize).map(String::as_str).or(others)
    }
}

impl TryFrom<Vec<String>> for Words {
    type Error = PreparationError;

    fn try_from(all: Vec<String>) -> Result<Words> {
        let bad = |why| Err(PreparationError::Fitted { what: "words".into(), why });
        let distinct: BTreeSet<&str> = all.iter().map(String::as_str).collect();
        let is_word = |word: &String| words(word).eq([word.clone()]);
        match () {
            () if all.is_empty() => bad("there is none"),
            () if distinct.len() != all.len() => bad("one is there twice"),
            () if !all.iter().all(is_word) => bad("one is no word in lower case"),
            () => Ok(Words { words: all }),
        }
    }
}

impl From<Words> for Vec<String> {
    fn from(fitted: Words) -> Vec<String> {
        fitted.words
    }
}

fn inside(character: char) -> bool {
    is_letter(character) || is_number(character)
}

/// The words of a text, in order.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = &rest[rest.find(inside)?..];
        let mut end = 0;
        loop {
            end += rest[end..].find(|c| !inside(c)).unwrap_or(rest.len() - end);
            let mut after = rest[end..].chars();
            match (after.next(), after.next()) {
                (Some(mark @ ('\'' | '\u{2019}')), Some(next)) if inside(next) => {
                    end += mark.len_utf8();
                }
                _ => break,
            }
        }
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word.chars().map(lower).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cut(text: &str, expected: &[&str]) {
        assert_eq!(words(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_by_hand() {
        cut("", &[]);
        cut(" -- !\n", &[]);
        cut("Hello, World", &["hello", "world"]);
        cut("Don't 'tis o'er; the dogs' '", &["don't", "tis", "o'er", "the", "dogs"]);
        cut("don’t rock'n'roll a''b", &["don’t", "rock'n'roll", "a", "b"]);
        cut("x2 3.14 ÉTÉ 中文", &["x2", "3", "14", "été", "中文"]);
        cut("a_b-c", &["a", "b", "c"]);
        // Lower case, whatever surrounds: no rule that looks at a word's end.
        cut("ΟΔΟΣ İ", &["οδοσ", "i"]);
    }

    #[test]
    fn frequent_words_come_first_and_the_others_share_an_id() {
        let text = "b a c, a B. d a";
        let fitted = Words::fit(text, 4).unwrap();
        assert_eq!(fitted.words, ["a", "b", "c"]);
        assert_eq!(fitted.vocabulary(), 4);
        assert_eq!(fitted.encode(text), [1, 0, 2, 0, 1, 3, 0]);
        assert_eq!(
            [0, 2, 3, 4].map(|id| fitted.word(id)),
            [Some("a"), Some("c"), Some("\u{fffd}"), None]
        );
        // All fit: the id of the others is there all the same.
        let all = Words::fit(text, 100).unwrap();
        assert_eq!((all.vocabulary(), all.encode("A z")), (5, vec![0, 4]));
    }

    #[test]
    fn what_are_no_words_is_refused() {
        assert!(Words::fit("a", 1).is_err() && Words::fit("", 9).is_err());
        assert!(Words::fit(" ?! ", 9).is_err());
        let read = |text: &str| serde_json::from_str::<Words>(text);
        let fitted = Words::fit("it's a b", 9).unwrap();
        let text = serde_json::to_string(&fitted).unwrap();
        assert_eq!(text, r#"["a","b","it's"]"#);
        assert_eq!(read(&text).unwrap(), fitted);
        for bad in ["[]", r#"["a","a"]"#, r#"["A"]"#, r#"["a b"]"#, r#"[""]"#, r#"["a'"]"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
