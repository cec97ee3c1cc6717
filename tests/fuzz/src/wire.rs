//! Messages of a connection, as others write them.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use lab_objects::Key;
use lab_remote::{Dial, Ends, Held};

/// The n-th message of an end: of which question, a word, a body.
pub fn message(n: u32, number: u32, word: u8, body: &[u8]) -> Vec<u8> {
    let head = [9 + body.len() as u32, n, number].map(u32::to_le_bytes).concat();
    [&head[..], &[word], body].concat()
}

/// A key as messages have it.
pub fn key(key: &Key) -> Vec<u8> {
    match key {
        Key::Format => vec![0],
        Key::Pack(id) => [&[1][..], id.digest().as_bytes()].concat(),
        Key::Name(name) => {
            let text = name.as_str().as_bytes();
            [&[2][..], &(text.len() as u16).to_le_bytes(), text].concat()
        }
        Key::Condemned(id) => [&[3][..], id.digest().as_bytes()].concat(),
    }
}

/// Takes the messages apart that an end of ours has written: each has its place.
pub fn heard(mut bytes: &[u8]) -> Vec<(u32, u8, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<13>() {
        let number =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        assert_eq!(number(4) as usize, all.len(), "a message is not in its place");
        let (body, rest) = rest.split_at(number(0) as usize - 9);
        all.push((number(8), head[12], body.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a message");
    all
}

/// Keeps what is written.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One connection to somebody who says the next of these each time that something is asked, and then hangs up.
#[derive(Debug)]
pub struct Says(Mutex<Option<Vec<Vec<u8>>>>);

impl Says {
    /// These.
    pub fn new(pieces: Vec<Vec<u8>>) -> Says {
        Says(Mutex::new(Some(pieces)))
    }
}

struct Speaks {
    pieces: Vec<Vec<u8>>,
    /// What is left of the last.
    rest: Vec<u8>,
    asked: Receiver<()>,
}

impl Read for Speaks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            if self.pieces.is_empty() || self.asked.recv().is_err() {
                return Ok(0);
            }
            self.rest = self.pieces.remove(0);
        }
        let read = buffer.len().min(self.rest.len());
        buffer[..read].copy_from_slice(&self.rest[..read]);
        self.rest.drain(..read);
        Ok(read)
    }
}

struct Hears(Sender<()>);

impl Write for Hears {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    /// A question has been asked.
    fn flush(&mut self) -> io::Result<()> {
        // Nobody may listen any more.
        let _ = self.0.send(());
        Ok(())
    }
}

struct Nothing;

impl Held for Nothing {
    fn cut(&mut self) {}
}

impl Dial for Says {
    fn dial(&self) -> io::Result<Ends> {
        let pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let pieces = pieces.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (told, asked) = channel();
        Ok(Ends {
            from: Box::new(Speaks { pieces, rest: Vec::new(), asked }),
            to: Box::new(Hears(told)),
            held: Box::new(Nothing),
        })
    }

    fn location(&self) -> String {
        "says".into()
    }
}
