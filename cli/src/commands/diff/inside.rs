//! What differs inside what two runs read, as far as it can be seen at once.
//!
//! Nothing is fetched for it, and large files are left to whoever asks for them by name: to compare two
//! runs takes seconds, whatever they read.

use lab_objects::Store;
use lab_replay::{Inside, Layer, Variable, inside};
use lab_schema::{BlobId, ContentId, Digest, Tree, TreeId};

use super::tell;
use crate::commands::describe::size;
use crate::failure::Outcome;
use crate::ui::{self, DIM, paint};

/// Variables that are looked into.
const LOOKED_INTO: usize = 60;
/// Largest content that is looked into on the way, in bytes, and most of all of them.
const MAX_BYTES: u64 = 256 << 20;
const MAX_SUM: u64 = 1 << 30;

/// Looks into variables, until that was enough.
pub(super) struct Look {
    /// What is here; what was left out is not fetched.
    store: Store,
    left: usize,
    bytes: u64,
}

/// What was seen of a variable.
pub(super) enum Within {
    /// What differs.
    Seen(Inside),
    /// Why nothing can be said, in words.
    Not(String),
}

impl Look {
    pub(super) fn new(store: &Store) -> Look {
        Look { store: store.alone(), left: LOOKED_INTO, bytes: MAX_SUM }
    }

    /// What differs inside a variable; none if it is none that has an inside.
    pub(super) fn inside(&mut self, variable: &Variable) -> Option<Within> {
        let layers = [Layer::Data, Layer::Split, Layer::Code, Layer::Carried, Layer::Output];
        if !layers.contains(&variable.layer) || self.left == 0 {
            return None;
        }
        let id = |text: &Option<String>| text.as_deref()?.parse::<Digest>().ok();
        let (a, b) = (id(&variable.before)?, id(&variable.after)?);
        self.left -= 1;
        // That something cannot be read here is said in its place, and spoils no other row.
        Some(self.look(a, b, &variable.what).unwrap_or_else(|failure| {
            Within::Not(failure.message().unwrap_or("it cannot be read").to_owned())
        }))
    }

    fn look(&mut self, a: Digest, b: Digest, what: &str) -> Outcome<Within> {
        let (Some(x), Some(y)) = (self.content(a)?, self.content(b)?) else {
            return Ok(Within::Not("it is not here".to_owned()));
        };
        let (Some(x_bytes), Some(y_bytes)) = (size(&self.store, x)?, size(&self.store, y)?) else {
            return Ok(Within::Not("it is not here".to_owned()));
        };
        let bytes = x_bytes.saturating_add(y_bytes);
        if bytes > MAX_BYTES.min(self.bytes) {
            let (size, a, b) = (ui::bytes(bytes), x.short(), y.short());
            return Ok(Within::Not(format!("{size}; `lab diff {a} {b}` does")));
        }
        self.bytes -= bytes;
        Ok(Within::Seen(inside(&self.store, x, y, what)?))
    }

    /// The content with this id, if it is here.
    fn content(&self, digest: Digest) -> Outcome<Option<ContentId>> {
        let (blob, tree) = (BlobId::from_digest(digest), TreeId::from_digest(digest));
        if self.store.has(blob)? {
            return Ok(Some(blob.into()));
        }
        Ok(self.store.get::<Tree>(tree)?.map(|_| tree.into()))
    }
}

impl Within {
    /// What differs, for programs.
    pub(super) fn inside(&self) -> Option<&Inside> {
        match self {
            Within::Seen(inside) => Some(inside),
            Within::Not(_) => None,
        }
    }

    /// Why nothing can be said.
    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Within::Seen(_) => None,
            Within::Not(why) => Some(why),
        }
    }

    /// What to say beneath a variable of a layer; with `patch` the lines of texts too.
    pub(super) fn lines(&self, layer: Layer, patch: bool) -> Vec<String> {
        let seen = match self {
            Within::Seen(seen) => seen,
            Within::Not(why) => {
                let why = super::plain(why, 0, super::MAX_NAME);
                return vec![paint(DIM, format!("not looked into: {why}"))];
            }
        };
        // How a result is written down follows from what it is: the metrics say more.
        let follows = matches!(layer, Layer::Carried | Layer::Output);
        let written = matches!(seen, Inside::Text(_) | Inside::Bytes(_) | Inside::Equal);
        if follows && written && !patch {
            return Vec::new();
        }
        let mut lines = vec![tell::line(seen)];
        if let (true, Inside::Text(text)) = (patch, seen) {
            lines.extend(tell::hunks(text, usize::MAX).into_iter().map(|(_, line)| line));
        }
        lines
    }
}
