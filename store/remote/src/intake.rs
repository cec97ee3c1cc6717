//! Questions on their way to who answers them; bytes that come in parts are put together here.
//!
//! Nothing is allocated for what has not arrived.

use std::io::{self, Read};
use std::sync::mpsc::SyncSender;

use lab_objects::{Key, PackBytes};
use lab_schema::Digest;

use crate::message::Incoming;
use crate::wire::Question;

/// Takes questions in until there are no more, or nobody works on them any more.
pub(crate) fn take_in(from: &mut dyn Read, hand: &SyncSender<Job>) -> io::Result<()> {
    let (mut incoming, mut upload) = (Incoming::new(from), None);
    while let Some(message) = incoming.read()? {
        let number = message.number;
        let job = match Question::parse(message) {
            Ok(Question::Part(bytes)) => part(&mut upload, number, &bytes),
            Ok(_) if upload.is_some() => Err("a question in the middle of an upload"),
            Ok(Question::Publish { key, bytes, mend }) => {
                // The format is compared with the one that is there.
                let kind = matches!(key, Key::Pack(_)) || (key == Key::Format && !mend);
                let allowed = kind && bytes <= key.max_bytes();
                begin(&mut upload, number, bytes, allowed, What::Publish { key, mend })
            }
            Ok(Question::Swap { key, expected, bytes }) => {
                let allowed = matches!(key, Key::Name(_)) && bytes <= key.max_bytes();
                begin(&mut upload, number, bytes, allowed, What::Swap { key, expected })
            }
            Ok(question) => Ok(Some(Work::Ask(question))),
            Err(error) => {
                let what = Work::Refuse(error.to_string());
                // The worker may have ended by itself.
                let _ = hand.send(Job { number, what });
                return Err(error);
            }
        };
        match job {
            Ok(None) => {}
            Ok(Some(what)) => {
                if hand.send(Job { number, what }).is_err() {
                    return Ok(());
                }
            }
            Err(what) => return Err(io::Error::new(io::ErrorKind::InvalidData, what)),
        }
    }
    Ok(())
}

/// Something to do.
pub(crate) struct Job {
    pub(crate) number: u32,
    pub(crate) what: Work,
}

pub(crate) enum Work {
    Ask(Question),
    /// Bytes have arrived as a whole.
    Store(What, PackBytes),
    /// What was said cannot be understood.
    Refuse(String),
}

/// Begins to take bytes in; of none there is no part.
fn begin(
    upload: &mut Option<Upload>,
    number: u32,
    bytes: u64,
    allowed: bool,
    what: What,
) -> Result<Option<Work>, &'static str> {
    let what = if allowed { what } else { What::Nothing };
    *upload = Some(Upload { number, left: bytes, bytes: PackBytes::of(bytes), what });
    if bytes == 0 { part(upload, number, &[]) } else { Ok(None) }
}

/// Takes a part in; gives the whole with the last.
fn part(
    upload: &mut Option<Upload>,
    number: u32,
    bytes: &[u8],
) -> Result<Option<Work>, &'static str> {
    let Some(open) = upload.as_mut().filter(|upload| upload.number == number) else {
        return Err("a part of nothing");
    };
    open.left =
        open.left.checked_sub(bytes.len() as u64).ok_or("more parts than were announced")?;
    if !matches!(open.what, What::Nothing) {
        open.bytes.extend(bytes);
    }
    if open.left > 0 {
        return Ok(None);
    }
    Ok(upload.take().map(|Upload { what, bytes, .. }| Work::Store(what, bytes)))
}

/// Bytes that arrive in parts.
struct Upload {
    number: u32,
    left: u64,
    bytes: PackBytes,
    what: What,
}

/// What bytes are for.
pub(crate) enum What {
    Publish {
        key: Key,
        mend: bool,
    },
    Swap {
        key: Key,
        expected: Option<Digest>,
    },
    /// It was refused: what arrives is passed over.
    Nothing,
}
