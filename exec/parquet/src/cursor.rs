//! One column, read forward: its levels and its values.

use crate::bits::Runs;
use crate::decode::{Decoder, Page};
use crate::error::{Fault, Parsed, damaged};
use crate::footer::{Chunk, Source};
use crate::page::{Header, Kind, plain};
use crate::schema::Leaf;
use crate::thrift::CUT_OFF;
use crate::values::{Dictionary, Value};

/// Bytes read at once where pages are small.
const WINDOW: u64 = 64 << 10;
/// Most bytes of what stands before a page.
const MAX_HEADER: u64 = 16 << 20;
/// Most bytes of all pages and dictionaries that are open at once.
const MAX_OPEN: u64 = 1 << 30;
const RLE: i32 = 3;

/// How many bytes the pages of all columns take that are open.
#[derive(Debug, Default)]
pub(crate) struct Budget(u64);

impl Budget {
    /// Takes room, before memory is taken.
    fn take(&mut self, bytes: u64) -> Parsed<()> {
        self.0 = self.0.saturating_add(bytes);
        match self.0 {
            ..=MAX_OPEN => Ok(()),
            _ => Err(Fault::TooLarge("bytes of pages that are open at once", MAX_OPEN)),
        }
    }

    fn give(&mut self, bytes: u64) {
        self.0 = self.0.saturating_sub(bytes);
    }
}

/// How often fields stand around a value, and how many of them are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) repeated: u16,
    pub(crate) defined: u16,
}

/// A column, and where in it one is.
pub(crate) struct Cursor<'a> {
    source: &'a dyn Source,
    leaf: &'a Leaf,
    codec: i32,
    /// Where the next page begins, and where the last one ends.
    at: u64,
    end: u64,
    /// Values of the pages to come, and of this one.
    left: u64,
    here: u64,
    page: Vec<u8>,
    repeated: Option<Runs>,
    defined: Option<Runs>,
    decoder: Decoder,
    dictionary: Option<Dictionary>,
    /// Where a value is put together; it holds the one before.
    scratch: Vec<u8>,
    peeked: Option<Levels>,
    window: (u64, Vec<u8>),
    /// Bytes taken from the budget: for the page, and for the dictionary.
    held: (u64, u64),
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(source: &'a dyn Source, leaf: &'a Leaf) -> Cursor<'a> {
        Cursor {
            source,
            leaf,
            codec: 0,
            at: 0,
            end: 0,
            left: 0,
            here: 0,
            page: Vec::new(),
            repeated: None,
            defined: None,
            decoder: Decoder::Done,
            dictionary: None,
            scratch: Vec::new(),
            peeked: None,
            window: (0, Vec::new()),
            held: (0, 0),
        }
    }

    /// Goes to the pages of the next group of rows.
    pub(crate) fn open(&mut self, chunk: Chunk, budget: &mut Budget) {
        budget.give(self.held.0 + self.held.1);
        let (source, leaf) = (self.source, self.leaf);
        let scratch = std::mem::take(&mut self.scratch);
        *self = Cursor { scratch, ..Cursor::new(source, leaf) };
        (self.codec, self.at, self.end) = (chunk.codec, chunk.start, chunk.start + chunk.len);
        self.left = chunk.values;
    }

    /// The levels of the next value; none after the last of the group.
    pub(crate) fn peek(&mut self, budget: &mut Budget) -> Parsed<Option<Levels>> {
        if let Some(levels) = self.peeked {
            return Ok(Some(levels));
        }
        if self.here == 0 {
            if self.left == 0 {
                return Ok(None);
            }
            self.load(budget)?;
        }
        let next = |runs: &mut Option<Runs>, most: u16| match runs {
            None => Ok(most),
            Some(runs) => match runs.next(&self.page)? {
                level if level <= u32::from(most) => Ok(level as u16),
                _ => damaged("a level is higher than the column has"),
            },
        };
        let repeated = next(&mut self.repeated, self.leaf.repeated)?;
        let defined = next(&mut self.defined, self.leaf.defined)?;
        self.here -= 1;
        self.peeked = Some(Levels { repeated, defined });
        Ok(self.peeked)
    }

    /// Passes to the next value.
    pub(crate) fn pass(&mut self) {
        self.peeked = None;
    }

    /// The value whose levels were peeked at; it must be there, and is read once.
    pub(crate) fn value(&mut self) -> Parsed<Value<'_>> {
        let dictionary = self.dictionary.as_ref();
        let page = Page { bytes: &self.page, dictionary, physical: self.leaf.physical };
        self.decoder.next(page, &mut self.scratch)
    }

    /// Reads the next page that has values.
    fn load(&mut self, budget: &mut Budget) -> Parsed<()> {
        loop {
            let header = self.header()?;
            let start = self.at + header.len as u64;
            let Some(after) = start.checked_add(header.stored).filter(|end| *end <= self.end)
            else {
                return damaged("a page is longer than its column");
            };
            self.at = after;
            if header.kind == Kind::Other {
                continue;
            }
            if header.values > self.left && header.kind == Kind::Data {
                return damaged("its pages have more values than it says");
            }
            budget.give(self.held.0);
            self.held.0 = 0;
            self.page = Vec::new();
            budget.take(header.plain.saturating_add(header.stored))?;
            self.held.0 = header.plain + header.stored;
            let stored = self.bytes(start, header.stored)?;
            let bytes = plain(&header, stored, self.codec)?;
            budget.give(header.stored);
            self.held.0 = header.plain;
            if header.kind == Kind::Dictionary {
                self.define(&header, bytes, budget)?;
                continue;
            }
            self.left -= header.values;
            if header.values > 0 {
                self.page = bytes;
                self.here = header.values;
                return self.begin(&header);
            }
        }
    }

    /// Takes a page as the dictionary.
    fn define(&mut self, header: &Header, bytes: Vec<u8>, budget: &mut Budget) -> Parsed<()> {
        if self.dictionary.is_some() {
            return damaged("it has two dictionaries");
        }
        if !matches!(header.encoding, 0 | 2) {
            return Err(Fault::Unread(format!("a dictionary of encoding {}", header.encoding)));
        }
        // Each value has a place of 8 bytes, and takes a byte at least.
        if header.values > bytes.len() as u64 {
            return damaged("a dictionary has fewer values than it says");
        }
        budget.take(16 * header.values)?;
        let dictionary = Dictionary::new(self.leaf.physical, bytes, header.values)?;
        budget.give(16 * header.values + self.held.0);
        self.held = (0, dictionary.held());
        budget.take(self.held.1)?;
        self.dictionary = Some(dictionary);
        Ok(())
    }

    /// Finds levels and values in the page.
    fn begin(&mut self, header: &Header) -> Parsed<()> {
        let (repeated, defined) = (self.leaf.repeated, self.leaf.defined);
        let mut at = 0;
        match (header.split, header.levels) {
            (Some((definition, repetition, _)), _) => {
                // Both are shorter than the page.
                let mut runs = |level: u16, len: u64| {
                    let start = at;
                    at += len as usize;
                    (level > 0).then(|| Runs::new(width(level), start, at))
                };
                self.repeated = runs(repeated, repetition);
                self.defined = runs(defined, definition);
            }
            (None, levels) => {
                let (definition, repetition) = levels.unwrap_or((RLE, RLE));
                self.repeated = self.runs(repeated, repetition, &mut at)?;
                self.defined = self.runs(defined, definition, &mut at)?;
            }
        }
        let dictionary = self.dictionary.as_ref();
        let page = Page { bytes: &self.page, dictionary, physical: self.leaf.physical };
        self.decoder = Decoder::new(page, header.encoding, at, header.values)?;
        Ok(())
    }

    /// Levels with their length before them.
    fn runs(&self, level: u16, encoding: i32, at: &mut usize) -> Parsed<Option<Runs>> {
        if level == 0 {
            return Ok(None);
        }
        if encoding != RLE {
            return Err(Fault::Unread(format!("encoding number {encoding} of levels")));
        }
        let len = self.page.get(*at..).and_then(|rest| rest.first_chunk::<4>());
        let start = *at + 4;
        let end = len.and_then(|len| start.checked_add(u32::from_le_bytes(*len) as usize));
        match end.filter(|end| *end <= self.page.len()) {
            Some(end) => {
                *at = end;
                Ok(Some(Runs::new(width(level), start, end)))
            }
            None => damaged("the levels of a page are longer than it"),
        }
    }

    fn header(&mut self) -> Parsed<Header> {
        let left = self.end - self.at;
        let mut wanted = WINDOW.min(left);
        loop {
            let (start, bytes) = &self.window;
            let here = self.at.checked_sub(*start).filter(|skip| *skip < bytes.len() as u64);
            let here = here.map_or(&[][..], |skip| &bytes[skip as usize..]);
            match Header::parse(here) {
                Err(Fault::Damaged(CUT_OFF)) if (here.len() as u64) < left.min(MAX_HEADER) => {}
                done => return done,
            }
            if here.len() as u64 >= wanted {
                wanted = (wanted * 8).min(left).min(MAX_HEADER);
            }
            self.window = (self.at, self.source.read(self.at, wanted)?);
        }
    }

    /// Bytes of a page: those that were read with its header, or new ones.
    fn bytes(&self, start: u64, len: u64) -> Parsed<Vec<u8>> {
        let (from, bytes) = &self.window;
        let inside = start.checked_sub(*from).and_then(|skip| {
            let skip = usize::try_from(skip).ok()?;
            bytes.get(skip..)?.get(..usize::try_from(len).ok()?)
        });
        match inside {
            Some(inside) => Ok(inside.to_vec()),
            None => Ok(self.source.read(start, len)?),
        }
    }
}

/// Bits of a level that is at most this.
fn width(most: u16) -> u32 {
    u16::BITS - most.leading_zeros()
}
