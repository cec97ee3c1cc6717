//! Why a reader refuses bytes. What a message repeats may be as long as the object, so that
//! messages are cut while they are written, and not afterwards.

use std::fmt::{self, Write};

use serde::de::Error;

/// Most bytes of a message.
const MAX_MESSAGE: usize = 400;

/// Why bytes are refused.
#[derive(Debug)]
pub(crate) enum Failure {
    /// They are not of the expected shape.
    Malformed(String),
    /// They are another encoding of what they mean.
    NotCanonical,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Malformed(why) => f.write_str(why),
            Failure::NotCanonical => f.write_str("not the canonical encoding"),
        }
    }
}

impl std::error::Error for Failure {}

impl Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Failure {
        struct Bounded(String);
        impl Write for Bounded {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let room = MAX_MESSAGE - self.0.len().min(MAX_MESSAGE);
                let fits = |end: &usize| *end <= room && text.is_char_boundary(*end);
                let end = (0..=text.len().min(room)).rev().find(fits).unwrap_or(0);
                self.0.push_str(&text[..end]);
                if end == text.len() { Ok(()) } else { Err(fmt::Error) }
            }
        }
        let mut text = Bounded(String::new());
        if write!(text, "{message}").is_err() {
            text.0.push('…');
        }
        Failure::Malformed(text.0)
    }
}
