//! Messages, with a length in front and a number.
//!
//! ```text
//! message = bytes that follow u32 | number of the message u32 | number of the question u32 | word u8 | body
//! ```
//!
//! Numbers are little-endian. Each end counts the messages that it sends, from 0: one that is lost, comes
//! twice or in another's place ends the connection, before anything is made of it. A length is checked
//! before anything is allocated for it; a body is at most [`MAX_BODY`].

use std::io::{self, Read, Write};

/// Most bytes of a file in one message.
pub(crate) const PART: usize = 1 << 20;
/// Most bytes of a body.
pub(crate) const MAX_BODY: usize = PART + (1 << 12);
/// Number of the message, number of the question, and word.
const HEAD: usize = 9;

/// A message: the number of the question that it is of, a word, a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) number: u32,
    pub(crate) word: u8,
    pub(crate) body: Vec<u8>,
}

/// A message that cannot be.
pub(crate) fn nonsense(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What comes.
pub(crate) struct Incoming<R> {
    from: R,
    next: u32,
}

impl<R: Read> Incoming<R> {
    /// From the first message on.
    pub(crate) fn new(from: R) -> Incoming<R> {
        Incoming { from, next: 0 }
    }

    /// The next message; none if the other end is gone between two.
    pub(crate) fn read(&mut self) -> io::Result<Option<Message>> {
        let mut head = [0; 4 + HEAD];
        let mut filled = 0;
        while filled < head.len() {
            match self.from.read(&mut head[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let [a, b, c, d, e, f, g, h, i, j, k, l, word] = head;
        let bytes = u32::from_le_bytes([a, b, c, d]) as usize;
        let body = bytes.checked_sub(HEAD).ok_or_else(|| nonsense("a message without a head"))?;
        if body > MAX_BODY {
            return Err(nonsense("a message longer than any may be"));
        }
        if u32::from_le_bytes([e, f, g, h]) != self.next {
            return Err(nonsense("a message is lost, or comes twice, or in another's place"));
        }
        self.next = self.next.wrapping_add(1);
        let mut message = vec![0; body];
        self.from.read_exact(&mut message)?;
        Ok(Some(Message { number: u32::from_le_bytes([i, j, k, l]), word, body: message }))
    }
}

/// What goes.
pub(crate) struct Outgoing {
    to: Box<dyn Write + Send>,
    next: u32,
}

impl Outgoing {
    /// From the first message on.
    pub(crate) fn new(to: Box<dyn Write + Send>) -> Outgoing {
        Outgoing { to, next: 0 }
    }

    /// Writes a message, in one piece.
    pub(crate) fn write(&mut self, message: &Message) -> io::Result<()> {
        let bytes = HEAD + message.body.len();
        let mut whole = Vec::with_capacity(4 + bytes);
        whole.extend((bytes as u32).to_le_bytes());
        whole.extend(self.next.to_le_bytes());
        whole.extend(message.number.to_le_bytes());
        whole.push(message.word);
        whole.extend_from_slice(&message.body);
        self.next = self.next.wrapping_add(1);
        self.to.write_all(&whole)
    }

    /// Lets go of what was written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn messages() -> Vec<Message> {
        [(5, 1, vec![]), (5, 2, b"body".to_vec()), (6, 1, vec![0; PART]), (7, 9, vec![])]
            .map(|(number, word, body)| Message { number, word, body })
            .into()
    }

    fn written() -> Vec<Vec<u8>> {
        let kept = Kept::default();
        let mut outgoing = Outgoing::new(Box::new(kept.clone()));
        let one = |message: &Message| {
            outgoing.write(message).unwrap();
            std::mem::take(&mut *kept.0.lock().unwrap())
        };
        messages().iter().map(one).collect()
    }

    fn heard(bytes: &[u8]) -> (Vec<Message>, io::Result<()>) {
        let (mut incoming, mut all) = (Incoming::new(bytes), Vec::new());
        loop {
            match incoming.read() {
                Ok(Some(message)) => all.push(message),
                Ok(None) => return (all, Ok(())),
                Err(error) => return (all, Err(error)),
            }
        }
    }

    #[test]
    fn what_is_written_is_heard() {
        let (all, ended) = heard(&written().concat());
        ended.unwrap();
        assert_eq!(all, messages());
    }

    #[test]
    fn what_is_lost_comes_twice_or_in_anothers_place_is_not_heard() {
        let whole = written();
        for at in 0..whole.len() - 1 {
            let (mut lost, mut twice, mut moved) = (whole.clone(), whole.clone(), whole.clone());
            lost.remove(at);
            twice.insert(at, whole[at].clone());
            moved.swap(at, at + 1);
            for (bent, before) in [(lost, at), (twice, at + 1), (moved, at)] {
                let (all, ended) = heard(&bent.concat());
                assert!(ended.unwrap_err().to_string().contains("is lost"));
                assert_eq!(all, messages()[..before]);
            }
        }
    }

    #[test]
    fn a_length_that_nothing_follows_is_not_allocated() {
        for head in [&[0u8; 4][..], &[8, 0, 0, 0], &[255; 4], &[255, 255, 255, 127]] {
            heard(&[head, &[0; 60]].concat()).1.unwrap_err();
        }
        heard(&[13, 0, 0]).1.unwrap_err();
    }
}
