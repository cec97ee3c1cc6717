//! What a file says of itself at its end: its columns, and where their pages lie.

use std::io;

use crate::error::{Fault, ParquetError, Parsed, Result, damaged};
use crate::schema::{Element, Physical, Schema};
use crate::thrift::{BINARY, I32, I64, LIST, STRUCT, Thrift};

/// Most bytes of a footer.
const MAX_FOOTER: u64 = 64 << 20;
/// Most parts of columns; each is 32 bytes here.
const MAX_CHUNKS: usize = 1 << 21;
/// Bytes that every file begins with.
const MAGIC: u64 = 4;
const FOOTER: &str = "the footer";

/// Bytes that are read in ranges.
pub trait Source {
    /// Number of bytes.
    fn len(&self) -> u64;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The bytes `offset .. offset + len`, exactly; the caller stays inside.
    ///
    /// # Errors
    /// Whatever kept them from being read.
    fn read(&self, offset: u64, len: u64) -> io::Result<Vec<u8>>;
}

/// A file in memory.
impl Source for &[u8] {
    fn len(&self) -> u64 {
        (**self).len() as u64
    }

    fn read(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let range = usize::try_from(offset).ok().zip(usize::try_from(len).ok());
        let found = range.and_then(|(start, len)| self.get(start..)?.get(..len));
        found.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The pages of one column in a group of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// Where its first page lies.
    pub(crate) start: u64,
    /// Bytes of all its pages.
    pub(crate) len: u64,
    /// Values, also those that are missing.
    pub(crate) values: u64,
    pub(crate) codec: i32,
}

/// Rows that lie together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) rows: u64,
    /// As many as the schema has leaves.
    pub(crate) chunks: Vec<Chunk>,
}

/// A Parquet file whose footer has been read.
#[derive(Debug)]
pub struct File {
    pub(crate) schema: Schema,
    pub(crate) groups: Vec<Group>,
}

impl File {
    /// Reads the footer of `source`.
    ///
    /// # Errors
    /// [`ParquetError`]: a file that is none, is cut off or encrypted, contradicts itself or holds more
    /// than 65,536 columns.
    pub fn open(source: &dyn Source) -> Result<File> {
        let bytes = footer(source)?;
        File::parse(&bytes, source.len()).map_err(|fault| fault.at(|| FOOTER.to_owned()))
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.groups.iter().map(|group| group.rows).sum()
    }

    /// The names of its columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields.iter().map(|field| field.name.as_str())
    }

    /// Whether the column `name` holds 32-bit floats and nothing else.
    pub fn is_single(&self, name: &str) -> bool {
        let mut fields = self.schema.fields.iter().filter(|field| field.name == name);
        let leaves = fields.next().map(|field| &self.schema.leaves[field.leaves.clone()]);
        leaves.is_some_and(|leaves| leaves.iter().all(|leaf| leaf.physical == Physical::Float))
    }

    fn parse(bytes: &[u8], len: u64) -> Parsed<File> {
        let mut thrift = Thrift::new(bytes);
        let (mut schema, mut rows, mut groups) = (None, None, None);
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match field {
                (2, LIST) => {
                    let elements = structures(&mut thrift, Element::read)?;
                    schema = Some(Schema::new(&elements)?);
                }
                (3, I64) => rows = Some(thrift.count()?),
                (4, LIST) => {
                    let Some(schema) = &schema else {
                        return damaged("its rows stand before its columns");
                    };
                    let mut chunks = 0;
                    let read = |thrift: &mut Thrift<'_>| {
                        chunks += schema.leaves.len();
                        match chunks {
                            ..=MAX_CHUNKS => Group::read(thrift, schema, len),
                            _ => Err(Fault::TooLarge("parts of columns", MAX_CHUNKS as u64)),
                        }
                    };
                    groups = Some(structures(&mut thrift, read)?);
                }
                (8, STRUCT) => return Err(Fault::Unread("a file that is encrypted".to_owned())),
                (_, kind) => thrift.skip(kind)?,
            }
        }
        let (Some(schema), Some(groups)) = (schema, groups) else {
            return damaged("it says nothing of columns or of rows");
        };
        let mut sum = Some(0_u64);
        for group in &groups {
            sum = sum.and_then(|sum| sum.checked_add(group.rows));
        }
        match sum {
            Some(sum) if rows.is_none_or(|rows| rows == sum) => Ok(File { schema, groups }),
            _ => damaged("its groups have another number of rows than the file"),
        }
    }
}

/// The bytes of the footer.
fn footer(source: &dyn Source) -> Result<Vec<u8>> {
    let wrong = |why| Fault::Damaged(why).at(|| "the file".to_owned());
    let Some(end) = source.len().checked_sub(8).filter(|end| *end >= MAGIC) else {
        return Err(wrong("it is too short"));
    };
    let tail = source.read(end, 8)?;
    let encrypted = tail.ends_with(b"PARE");
    if encrypted || source.read(0, 4)? == b"PARE" {
        return Err(Fault::Unread("an encrypted footer".to_owned()).at(|| "the file".to_owned()));
    }
    let Some((len, b"PAR1")) = tail.split_first_chunk::<4>() else {
        return Err(wrong("it does not end with PAR1: it may be cut off"));
    };
    let len = u64::from(u32::from_le_bytes(*len));
    if len > MAX_FOOTER {
        return Err(ParquetError::TooLarge { what: "bytes of the footer", limit: MAX_FOOTER });
    }
    match end.checked_sub(len).filter(|start| *start >= MAGIC) {
        Some(start) => Ok(source.read(start, len)?),
        None => Err(wrong("its footer is said to be longer than the file")),
    }
}

/// A list of structures.
fn structures<T>(
    thrift: &mut Thrift<'_>,
    mut read: impl FnMut(&mut Thrift<'_>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    let (len, kind) = thrift.list()?;
    if len > 0 && kind != STRUCT {
        return damaged("a list holds something else");
    }
    // Not all at once: a structure is larger here than there.
    let mut all = Vec::new();
    for _ in 0..len {
        all.push(read(thrift)?);
    }
    Ok(all)
}

impl Group {
    fn read(thrift: &mut Thrift<'_>, schema: &Schema, len: u64) -> Parsed<Group> {
        let (mut rows, mut chunks) = (None, Vec::new());
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match field {
                (1, LIST) => {
                    let mut leaves = schema.leaves.iter();
                    chunks = structures(thrift, |thrift| match leaves.next() {
                        Some(leaf) => Chunk::read(thrift, &leaf.path, len),
                        None => damaged("a group of rows has more columns than the file"),
                    })?;
                }
                (3, I64) => rows = Some(thrift.count()?),
                (_, kind) => thrift.skip(kind)?,
            }
        }
        match rows {
            Some(rows) if chunks.len() == schema.leaves.len() => Ok(Group { rows, chunks }),
            _ => damaged("a group of rows lacks a column or the number of its rows"),
        }
    }
}

impl Chunk {
    fn read<N: AsRef<str>>(thrift: &mut Thrift<'_>, path: &[N], len: u64) -> Parsed<Chunk> {
        let mut found = None;
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match field {
                (1, BINARY) if !thrift.binary()?.is_empty() => {
                    return Err(Fault::Unread("a column that lies in another file".to_owned()));
                }
                (1, BINARY) => {}
                (3, STRUCT) => found = Some(Chunk::metadata(thrift, path, len)?),
                (8, STRUCT) => {
                    return Err(Fault::Unread("a column that is encrypted".to_owned()));
                }
                (_, kind) => thrift.skip(kind)?,
            }
        }
        found.map_or_else(|| damaged("a column does not say where its pages lie"), Ok)
    }

    fn metadata<N: AsRef<str>>(thrift: &mut Thrift<'_>, path: &[N], len: u64) -> Parsed<Chunk> {
        let (mut codec, mut values, mut size) = (None, None, None);
        let (mut data, mut dictionary) = (None, None);
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match field {
                (3, LIST) => {
                    let (count, kind) = thrift.list()?;
                    let mut same = count == path.len() && kind == BINARY;
                    for at in 0..if kind == BINARY { count } else { 0 } {
                        let name = thrift.binary()?;
                        same &= path.get(at).is_some_and(|own| own.as_ref().as_bytes() == name);
                    }
                    if !same {
                        return damaged("its columns have other names in their parts");
                    }
                }
                (4, I32) => codec = Some(thrift.int32()?),
                (5, I64) => values = Some(thrift.count()?),
                (7, I64) => size = Some(thrift.count()?),
                (9, I64) => data = Some(thrift.count()?),
                // Some writers say 0 where there is none.
                (11, I64) => dictionary = Some(thrift.count()?).filter(|start| *start > 0),
                (_, kind) => thrift.skip(kind)?,
            }
        }
        let (Some(codec), Some(values), Some(size), Some(data)) = (codec, values, size, data)
        else {
            return damaged("a column does not say where its pages lie");
        };
        let start = dictionary.map_or(data, |dictionary| dictionary.min(data));
        match start.checked_add(size) {
            Some(end) if end <= len => Ok(Chunk { start, len: size, values, codec }),
            _ => damaged("a column's pages lie beyond the end of the file"),
        }
    }
}
