//! What two ends of a connection say to each other.
//!
//! ```text
//! key = 0 (the format) | 1, digest [32] (a pack) | 2, length u16, a name | 3, digest [32] (a mark)
//! ```
//!
//! `docs/protocol.md` says what each word means.

use std::io;

use lab_objects::{Key, PackId, Room};
use lab_schema::{Digest, Name};

use crate::message::{Message, nonsense};

/// The version of the protocol.
pub(crate) const VERSION: u16 = 1;
/// Longest text of an error.
const MAX_TEXT: usize = 1 << 11;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Which version it speaks, and whether a store is to be made if there is none.
    Hello { version: u16, make: bool },
    /// The whole file.
    Read(Key),
    /// A part of it.
    Range(Key, u64, u64),
    /// Parts of so many bytes follow, which are to be published; `mend` replaces what is there.
    Publish { key: Key, bytes: u64, mend: bool },
    /// So many bytes of what is being published, or of a journal that is to be replaced.
    Part(Vec<u8>),
    /// Makes durable what others have published.
    Settle,
    /// Parts of so many bytes follow, which replace the journal of a name if it has this digest.
    Swap { key: Key, expected: Option<Digest>, bytes: u64 },
    /// The files of a room.
    List(Room),
    /// Whoever asks is at work until the connection ends.
    Lease,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A part; more follows.
    Data(Vec<u8>),
    /// That was all; `no` if a name was not where it was expected.
    Done { no: bool },
    /// There is no such file.
    Absent,
    /// It failed.
    Failed(Trouble, String),
    /// It takes a while.
    Busy,
    /// The version, where the store is, whether it was made, and whether nothing was left out of it.
    Welcome { version: u16, location: String, made: bool, complete: bool },
}

/// Why the far side could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The operating system said so: which of the kinds below.
    System(u8),
    /// There is no store.
    NoStore,
    /// Something else is in its place.
    InTheWay,
    /// The store is of a newer lab.
    Newer,
    /// A rule forbids it.
    Refused,
    /// Bytes are not what they claim to be.
    Damaged,
    /// It was not understood.
    Nonsense,
}

/// The kinds of errors that have another remedy than to try again.
pub(crate) const KINDS: [io::ErrorKind; 8] = [
    io::ErrorKind::Other,
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::StorageFull,
    io::ErrorKind::ReadOnlyFilesystem,
    io::ErrorKind::QuotaExceeded,
    io::ErrorKind::TimedOut,
    io::ErrorKind::ResourceBusy,
];

/// Takes a body apart.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, bytes: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) =
            self.0.split_at_checked(bytes).ok_or_else(|| nonsense("a message is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn flag(&mut self) -> io::Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(nonsense("neither yes nor no")),
        }
    }

    fn short(&mut self) -> io::Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn long(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn digest(&mut self) -> io::Result<Digest> {
        Ok(Digest::from_bytes(self.array()?))
    }

    fn text(&mut self) -> io::Result<&'a str> {
        let bytes = self.short()?.into();
        std::str::from_utf8(self.take(bytes)?).map_err(|_| nonsense("a text that is not UTF-8"))
    }

    fn key(&mut self) -> io::Result<Key> {
        Ok(match self.byte()? {
            0 => Key::Format,
            1 => Key::Pack(PackId::from_digest(self.digest()?)),
            2 => {
                let text = self.text()?;
                Key::Name(Name::new(text).map_err(|_| nonsense("a name that can be none"))?)
            }
            3 => Key::Condemned(PackId::from_digest(self.digest()?)),
            _ => return Err(nonsense("a file of an unknown kind")),
        })
    }

    /// Nothing may be left.
    fn end<T>(self, value: T) -> io::Result<T> {
        if self.0.is_empty() { Ok(value) } else { Err(nonsense("a message is too long")) }
    }
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    body.extend((end as u16).to_le_bytes());
    body.extend(&text.as_bytes()[..end]);
}

fn put_key(body: &mut Vec<u8>, key: &Key) {
    match key {
        Key::Format => body.push(0),
        Key::Pack(id) => {
            body.push(1);
            body.extend(id.digest().as_bytes());
        }
        Key::Name(name) => {
            body.push(2);
            put_text(body, name.as_str());
        }
        Key::Condemned(id) => {
            body.push(3);
            body.extend(id.digest().as_bytes());
        }
    }
}

const ROOMS: [Room; 4] = [Room::Root, Room::Packs, Room::Names, Room::Condemned];

impl Question {
    /// As a message.
    pub(crate) fn message(&self, number: u32) -> Message {
        let mut body = Vec::new();
        let word = match self {
            Question::Hello { version, make } => {
                body.extend(version.to_le_bytes());
                body.push((*make).into());
                1
            }
            Question::Read(key) => {
                put_key(&mut body, key);
                2
            }
            Question::Range(key, offset, bytes) => {
                put_key(&mut body, key);
                body.extend(offset.to_le_bytes());
                body.extend(bytes.to_le_bytes());
                3
            }
            Question::Publish { key, bytes, mend } => {
                put_key(&mut body, key);
                body.extend(bytes.to_le_bytes());
                body.push((*mend).into());
                4
            }
            Question::Part(bytes) => {
                body.extend(bytes);
                5
            }
            Question::Settle => 6,
            Question::Swap { key, expected, bytes } => {
                put_key(&mut body, key);
                body.push(expected.is_some().into());
                body.extend(expected.iter().flat_map(|digest| *digest.as_bytes()));
                body.extend(bytes.to_le_bytes());
                7
            }
            Question::List(room) => {
                body.push(ROOMS.iter().position(|r| r == room).unwrap_or_default() as u8);
                8
            }
            Question::Lease => 9,
        };
        Message { number, word, body }
    }

    /// From a message.
    pub(crate) fn parse(message: Message) -> io::Result<Question> {
        let mut body = Body(&message.body);
        let question = match message.word {
            1 => Question::Hello { version: body.short()?, make: body.flag()? },
            2 => Question::Read(body.key()?),
            3 => Question::Range(body.key()?, body.long()?, body.long()?),
            4 => Question::Publish { key: body.key()?, bytes: body.long()?, mend: body.flag()? },
            5 => return Ok(Question::Part(message.body)),
            6 => Question::Settle,
            7 => {
                let key = body.key()?;
                let expected = if body.flag()? { Some(body.digest()?) } else { None };
                Question::Swap { key, expected, bytes: body.long()? }
            }
            8 => {
                let room = ROOMS.get(usize::from(body.byte()?));
                Question::List(*room.ok_or_else(|| nonsense("an unknown room"))?)
            }
            9 => Question::Lease,
            _ => return Err(nonsense("an unknown question")),
        };
        body.end(question)
    }
}

impl Answer {
    /// As a message.
    pub(crate) fn message(&self, number: u32) -> Message {
        let mut body = Vec::new();
        let word = match self {
            Answer::Data(bytes) => {
                body.extend(bytes);
                1
            }
            Answer::Done { no } => {
                body.push((*no).into());
                2
            }
            Answer::Absent => 3,
            Answer::Failed(trouble, text) => {
                let (code, detail) = match trouble {
                    Trouble::System(kind) => (0, *kind),
                    Trouble::NoStore => (1, 0),
                    Trouble::InTheWay => (2, 0),
                    Trouble::Newer => (3, 0),
                    Trouble::Refused => (4, 0),
                    Trouble::Damaged => (5, 0),
                    Trouble::Nonsense => (6, 0),
                };
                body.extend([code, detail]);
                put_text(&mut body, text);
                4
            }
            Answer::Busy => 5,
            Answer::Welcome { version, location, made, complete } => {
                body.extend(version.to_le_bytes());
                put_text(&mut body, location);
                body.extend([u8::from(*made), u8::from(*complete)]);
                6
            }
        };
        Message { number, word, body }
    }

    /// From a message.
    pub(crate) fn parse(message: Message) -> io::Result<Answer> {
        let mut body = Body(&message.body);
        let answer = match message.word {
            1 => return Ok(Answer::Data(message.body)),
            2 => Answer::Done { no: body.flag()? },
            3 => Answer::Absent,
            4 => {
                let trouble = match (body.byte()?, body.byte()?) {
                    (0, kind) => Trouble::System(kind),
                    (1, _) => Trouble::NoStore,
                    (2, _) => Trouble::InTheWay,
                    (3, _) => Trouble::Newer,
                    (4, _) => Trouble::Refused,
                    (5, _) => Trouble::Damaged,
                    _ => Trouble::Nonsense,
                };
                Answer::Failed(trouble, body.text()?.to_owned())
            }
            5 => Answer::Busy,
            6 => Answer::Welcome {
                version: body.short()?,
                location: body.text()?.to_owned(),
                made: body.flag()?,
                complete: body.flag()?,
            },
            _ => return Err(nonsense("an unknown answer")),
        };
        body.end(answer)
    }
}

/// An entry of a list, which goes as data: the key and the size of a file.
pub(crate) fn put_entry(body: &mut Vec<u8>, key: &Key, bytes: u64) {
    put_key(body, key);
    body.extend(bytes.to_le_bytes());
}

/// The entries of a part of a list.
pub(crate) fn entries(data: &[u8]) -> io::Result<Vec<(Key, u64)>> {
    let mut body = Body(data);
    let mut entries = Vec::new();
    while !body.0.is_empty() {
        entries.push((body.key()?, body.long()?));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        Digest::from_bytes([n; 32])
    }

    fn questions() -> Vec<Question> {
        let pack = Key::Pack(PackId::from_digest(digest(7)));
        let name = Key::Name(Name::new("base.train").unwrap());
        vec![
            Question::Hello { version: 1, make: true },
            Question::Read(Key::Format),
            Question::Read(Key::Condemned(PackId::from_digest(digest(9)))),
            Question::Range(pack.clone(), 1 << 40, u64::MAX),
            Question::Publish { key: pack, bytes: 12, mend: false },
            Question::Part(b"abc".to_vec()),
            Question::Settle,
            Question::Swap { key: name.clone(), expected: Some(digest(1)), bytes: 3 },
            Question::Swap { key: name, expected: None, bytes: 0 },
            Question::List(Room::Condemned),
            Question::Lease,
        ]
    }

    fn answers() -> Vec<Answer> {
        vec![
            Answer::Data(vec![0; 5]),
            Answer::Done { no: true },
            Answer::Absent,
            Answer::Failed(Trouble::System(3), "cannot write".into()),
            Answer::Failed(Trouble::Nonsense, "é".repeat(3000)),
            Answer::Busy,
            Answer::Welcome { version: 1, location: "/a".into(), made: false, complete: true },
        ]
    }

    #[test]
    fn what_is_said_is_heard() {
        for (number, question) in (5..).zip(questions()) {
            let message = question.message(number);
            assert_eq!(message.number, number);
            assert_eq!(Question::parse(message).unwrap(), question);
        }
        for answer in answers() {
            let heard = Answer::parse(answer.message(1)).unwrap();
            match (&answer, &heard) {
                // A text that is too long is cut, between two letters.
                (Answer::Failed(a, long), Answer::Failed(b, short)) => {
                    assert!(a == b && long.starts_with(short) && short.len() > 10);
                }
                _ => assert_eq!(answer, heard),
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        // All but parts of files, which are whatever they are.
        let cut = |message: &Message, bytes: usize| Message {
            body: message.body[..bytes].to_vec(),
            ..message.clone()
        };
        for question in questions() {
            let Message { number, word, mut body } = question.message(1);
            if word == 5 {
                continue;
            }
            let whole = Message { number, word, body: body.clone() };
            for bytes in 0..body.len() {
                assert!(Question::parse(cut(&whole, bytes)).is_err(), "{question:?} to {bytes}");
            }
            body.push(0);
            assert!(Question::parse(Message { number, word, body }).is_err(), "{question:?}");
        }
        for answer in answers() {
            let Message { number, word, mut body } = answer.message(1);
            if word == 1 {
                continue;
            }
            let whole = Message { number, word, body: body.clone() };
            for bytes in 0..body.len() {
                assert!(Answer::parse(cut(&whole, bytes)).is_err(), "{answer:?} to {bytes}");
            }
            body.push(0);
            assert!(Answer::parse(Message { number, word, body }).is_err(), "{answer:?}");
        }
        let name = [2u8, 3, 0, b'a', b'/', b'.'];
        assert!(Question::parse(Message { number: 0, word: 2, body: name.to_vec() }).is_err());
    }
}
