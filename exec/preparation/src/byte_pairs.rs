//! Byte pair encoding as in GPT-2: merges of bytes, the earliest in the file first.
//!
//! A merges file has a line per merge, two tokens with a space between, each in an alphabet that
//! has a visible character for every byte; a first line `#version` is passed over. Ids: 0 to 255
//! are the bytes in the order of that alphabet (the bytes 33-126, 161-172, 174-255, which stand
//! for themselves, then the others, which are the characters from U+0100 on); then each merge's
//! token, in the order of the file, unless it is there already. Refuses merges of tokens that no
//! line before has made.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde::{Deserialize, Serialize};

use crate::error::{PreparationError, Result};
use crate::pretokens::pretokens;

/// Most merges of a file.
pub(crate) const MAX_MERGES: usize = 1 << 20;
/// Most bytes of a text.
pub(crate) const MAX_TEXT: usize = 1 << 30;

/// Two tokens side by side.
pub(crate) type Pair = (u32, u32);

const fn is_visible(byte: u8) -> bool {
    matches!(byte, 33..=126 | 161..=172 | 174..=255)
}

/// The byte of each of the first 256 ids.
const BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let (mut visible, mut hidden, mut byte) = (0, 188, 0);
    while byte < 256 {
        if is_visible(byte as u8) {
            bytes[visible] = byte as u8;
            visible += 1;
        } else {
            bytes[hidden] = byte as u8;
            hidden += 1;
        }
        byte += 1;
    }
    bytes
};

/// The id of each byte.
const IDS: [u32; 256] = {
    let mut ids = [0; 256];
    let mut id = 0;
    while id < 256 {
        ids[BYTES[id] as usize] = id as u32;
        id += 1;
    }
    ids
};

fn character(byte: u8) -> char {
    match is_visible(byte) {
        true => char::from(byte),
        // Below U+0144: always a character.
        false => char::from_u32(256 + IDS[usize::from(byte)] - 188).unwrap_or('?'),
    }
}

fn byte(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ 0..256 => u8::try_from(code).ok().filter(|byte| is_visible(*byte)),
        code => BYTES[188..].get(code as usize - 256).copied(),
    }
}

/// The ids of bytes, without merges.
pub(crate) fn byte_ids(text: &str) -> Vec<u32> {
    text.bytes().map(|byte| IDS[usize::from(byte)]).collect()
}

/// A vocabulary of byte pairs. Written as JSON it is the text of its merges file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BytePairs {
    /// The bytes of each token.
    tokens: Vec<Vec<u8>>,
    /// In the order of the file.
    merges: Vec<Pair>,
    /// Each merge's rank and the token that it makes. Only looked up, never walked.
    ranks: HashMap<Pair, (u32, u32)>,
}

impl BytePairs {
    /// Reads a merges file.
    ///
    /// # Errors
    /// A line that is not two tokens of the alphabet, a token that no line before has made, a
    /// merge that is there twice, more than 2^20 merges.
    pub fn from_merges(text: &str) -> Result<BytePairs> {
        let mut pairs = Builder::new();
        for (number, line) in text.lines().enumerate() {
            if number == 0 && line.starts_with("#version") {
                continue;
            }
            let bad = |why| PreparationError::Merges { line: number + 1, why };
            let (left, right) = line.split_once(' ').ok_or(bad("two tokens are needed"))?;
            let token = |written: &str| {
                let bytes: Option<Vec<u8>> = written.chars().map(byte).collect();
                let bytes = bytes.ok_or(bad("a character is not in GPT-2's alphabet of bytes"))?;
                pairs.ids.get(&bytes).copied().ok_or(bad("no line before has made this token"))
            };
            let pair = (token(left)?, token(right)?);
            if pairs.known.ranks.contains_key(&pair) {
                return Err(bad("this merge is there already"));
            }
            pairs.merge(pair)?;
        }
        Ok(pairs.known)
    }

    /// The merges file.
    pub fn to_merges(&self) -> String {
        let written =
            |id: &u32| self.tokens[*id as usize].iter().map(|b| character(*b)).collect::<String>();
        let mut text = "#version: 0.2\n".to_owned();
        for (left, right) in &self.merges {
            text.extend([&written(left), " ", &written(right), "\n"]);
        }
        text
    }

    /// The bytes of each token, by its id.
    pub fn tokens(&self) -> &[Vec<u8>] {
        &self.tokens
    }

    /// The ids of a text.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        // Where the ids of a piece lie, once it has been merged. Only looked up.
        let mut seen: HashMap<&str, std::ops::Range<usize>> = HashMap::new();
        for piece in pretokens(text) {
            match seen.get(piece) {
                Some(place) => ids.extend_from_within(place.clone()),
                None => {
                    let start = ids.len();
                    ids.extend(self.merged(byte_ids(piece)));
                    seen.insert(piece, start..ids.len());
                }
            }
        }
        ids
    }

    /// Merges the pair of the lowest rank, of equal ones the leftmost, until there is none.
    fn merged(&self, mut ids: Vec<u32>) -> Vec<u32> {
        let end = ids.len();
        let mut before: Vec<usize> = (0..end).map(|at| at.wrapping_sub(1)).collect();
        let mut after: Vec<usize> = (1..=end).collect();
        let mut gone = vec![false; end];
        let candidate = |ids: &[u32], left: usize, right: usize| {
            let (rank, made) = *self.ranks.get(&(ids[left], ids[right]))?;
            Some(Reverse((rank, left, right, ids[left], ids[right], made)))
        };
        let mut heap: BinaryHeap<_> =
            (1..end).filter_map(|right| candidate(&ids, right - 1, right)).collect();
        while let Some(Reverse((_, left, right, first, second, made))) = heap.pop() {
            // Two that were neighbours once still are, if both are there.
            if gone[left] || gone[right] || (ids[left], ids[right]) != (first, second) {
                continue;
            }
            (ids[left], gone[right], after[left]) = (made, true, after[right]);
            if let Some(previous) = before.get_mut(after[right]) {
                *previous = left;
            }
            if before[left] < end {
                heap.extend(candidate(&ids, before[left], left));
            }
            if after[left] < end {
                heap.extend(candidate(&ids, left, after[left]));
            }
        }
        ids.into_iter().zip(gone).filter(|(_, gone)| !gone).map(|(id, _)| id).collect()
    }
}

/// A vocabulary that grows.
pub(crate) struct Builder {
    pub(crate) known: BytePairs,
    /// The id of each token's bytes. Only looked up.
    ids: HashMap<Vec<u8>, u32>,
}

impl Builder {
    /// The bytes alone.
    pub(crate) fn new() -> Builder {
        let tokens: Vec<Vec<u8>> = BYTES.iter().map(|byte| vec![*byte]).collect();
        let ids = tokens.iter().cloned().zip(0..).collect();
        let known = BytePairs { tokens, merges: Vec::new(), ranks: HashMap::new() };
        Builder { known, ids }
    }

    /// Adds a merge of two known tokens, and gives the token that it makes.
    pub(crate) fn merge(&mut self, pair: Pair) -> Result<u32> {
        let rank = self.known.merges.len();
        if rank >= MAX_MERGES {
            let (found, limit) = (rank as u64 + 1, MAX_MERGES as u64);
            return Err(PreparationError::TooLarge { what: "merges", found, limit });
        }
        let tokens = &mut self.known.tokens;
        let bytes = [&tokens[pair.0 as usize][..], &tokens[pair.1 as usize]].concat();
        let next = tokens.len() as u32;
        let made = *self.ids.entry(bytes.clone()).or_insert(next);
        if made == next {
            tokens.push(bytes);
        }
        self.known.merges.push(pair);
        self.known.ranks.insert(pair, (rank as u32, made));
        Ok(made)
    }
}

impl TryFrom<String> for BytePairs {
    type Error = PreparationError;

    fn try_from(text: String) -> Result<BytePairs> {
        BytePairs::from_merges(&text)
    }
}

impl From<BytePairs> for String {
    fn from(pairs: BytePairs) -> String {
        pairs.to_merges()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(merges: &str, text: &str) -> Vec<String> {
        let pairs = BytePairs::from_merges(merges).unwrap();
        let token = |id: &u32| String::from_utf8_lossy(&pairs.tokens[*id as usize]).into_owned();
        pairs.encode(text).iter().map(token).collect()
    }

    #[test]
    fn the_alphabet_is_that_of_gpt_2() {
        // As in its vocab.json: "!" is 0, "~" 93, "\u0120" (the space) 220, "\u010a" (newline) 198.
        assert_eq!(
            [b'!', b'~', b' ', b'\n', 255, 0, 173].map(|b| IDS[b as usize]),
            [0, 93, 220, 198, 187, 188, 255]
        );
        assert_eq!([b' ', b'\n', b'a', 0, 173].map(character), ['Ġ', 'Ċ', 'a', 'Ā', 'Ń']);
        assert!((0..=255).all(|b| byte(character(b)) == Some(b)));
        assert_eq!([' ', '\n', '\u{144}', '\u{ad}', '中'].map(byte), [None; 5]);
    }

    #[test]
    fn merges_go_by_rank_and_from_the_left() {
        assert_eq!(encoded("l o\nlo w\ne r\n", "lower low"), ["low", "er", " ", "low"]);
        // The earlier line wins, though it stands to the right.
        assert_eq!(encoded("b c\na b\n", "abc"), ["a", "bc"]);
        assert_eq!(encoded("a b\nb c\n", "abc"), ["ab", "c"]);
        assert_eq!(encoded("a a\n", "aaaaa"), ["aa", "aa", "a"]);
        assert_eq!(encoded("a a\naa aa\n", "aaaaaaa"), ["aaaa", "aa", "a"]);
        assert_eq!(encoded("#version: 0.2\nĠ t\nĠt h\n", " th the"), [" th", " th", "e"]);
        assert_eq!(encoded("Ã ©\n", "é"), ["é"]);
        // Nothing is merged across pieces.
        assert_eq!(encoded("a Ġ\n1 a\n", "a 1a"), ["a", " ", "1", "a"]);
    }

    /// The rule as GPT-2 states it: the best pair anywhere, all of its places, again and again.
    fn naive(pairs: &BytePairs, text: &str) -> Vec<u32> {
        let mut ids = byte_ids(text);
        while let Some((_, pair, made)) = ids
            .windows(2)
            .filter_map(|w| pairs.ranks.get(&(w[0], w[1])).map(|(r, m)| (*r, (w[0], w[1]), *m)))
            .min()
        {
            let (mut merged, mut at) = (Vec::new(), 0);
            while at < ids.len() {
                match at + 1 < ids.len() && (ids[at], ids[at + 1]) == pair {
                    true => (merged.push(made), at += 2).1,
                    false => (merged.push(ids[at]), at += 1).1,
                }
            }
            ids = merged;
        }
        ids
    }

    #[test]
    fn the_heap_finds_what_the_plain_rule_finds() {
        let pairs =
            BytePairs::from_merges("a b\nb a\na a\nab ab\naa b\nba ab\nabab aab\nb b\nbb ab\n")
                .unwrap();
        for number in 0..1u32 << 14 {
            let text: String =
                (0..14).map(|bit| if number >> bit & 1 == 1 { 'a' } else { 'b' }).collect();
            assert_eq!(pairs.merged(byte_ids(&text)), naive(&pairs, &text), "{text}");
        }
    }

    #[test]
    fn a_token_that_two_merges_make_is_one_token() {
        let pairs = BytePairs::from_merges("a b\nb c\nab c\na bc\nabc d\n").unwrap();
        assert_eq!(pairs.tokens.len(), 256 + 4);
        assert_eq!(BytePairs::from_merges(&pairs.to_merges()).unwrap(), pairs);
        let text = serde_json::to_string(&pairs).unwrap();
        assert_eq!(serde_json::from_str::<BytePairs>(&text).unwrap(), pairs);
    }

    #[test]
    fn broken_merges_are_refused_in_words() {
        for (text, expected) in [
            ("a b\nab\n", "line 2 of the merges: two tokens are needed"),
            ("a b\n\nb c\n", "line 2 of the merges: two tokens are needed"),
            ("a bc\n", "line 1 of the merges: no line before has made this token"),
            ("a \n", "line 1 of the merges: no line before has made this token"),
            ("a b c\n", "line 1 of the merges: a character is not in GPT-2's alphabet of bytes"),
            ("a 中\n", "line 1 of the merges: a character is not in GPT-2's alphabet of bytes"),
            ("a b\na b\n", "line 2 of the merges: this merge is there already"),
            ("a b\n#version: 0.2\n", "line 2 of the merges: no line before has made this token"),
        ] {
            assert_eq!(BytePairs::from_merges(text).unwrap_err().to_string(), expected, "{text:?}");
        }
        assert!(serde_json::from_str::<BytePairs>(r#""a bc""#).is_err());
        assert_eq!(BytePairs::from_merges("").unwrap().tokens.len(), 256);
    }
}
