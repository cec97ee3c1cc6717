//! What differs inside two contents, for a person.
//!
//! [`crate::compare()`] finds the first difference of two outputs, as evidence; here the whole of two
//! contents is summed up: rows of tables, tensors of weights, lines of text, files of folders, pixels of
//! images. The bytes say what a file is, by the same parsers; its name only settles whether a text is a
//! table. What cannot be parsed is told by its bytes, with the reason. Nothing that a file holds makes
//! this fail, and its memory is bounded, whatever the sizes.

mod order;
mod lines;
mod text;
mod octets;
pub(crate) mod stream;
pub(crate) mod table;
mod arrays;
mod weights;
mod pictures;
mod folder;

use lab_objects::Store;
use lab_schema::{BlobId, ContentId};
use serde::Serialize;

use crate::compare::source::{Blob, Source};
use crate::compare::text::is_text;
use crate::error::{ReplayError, Result};
pub use folder::{FileChange, Files, FolderChange, ImagesChange};
pub use octets::BytesChange;
pub use pictures::ImageChange;
use stream::is_gzip;
use table::is_parquet;
pub use table::{
    ColumnCells, ColumnsChange, Counted, Example, ExampleCell, Paired, Retyped, RowsChange,
    TableChange, Values,
};
pub use text::{Hunk, TextChange};
pub use weights::{Beside, Moved, TensorChange, WeightsChange};

/// What differs inside two contents.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Inside {
    /// Nothing: they are the same.
    Equal,
    /// They are of two sorts, such as a file and a directory.
    Sorts {
        /// What the first is.
        before: String,
        /// What the second is.
        after: String,
    },
    /// Two tables.
    Table(Box<TableChange>),
    /// Two files of tensors.
    Weights(Box<WeightsChange>),
    /// Two images.
    Image(ImageChange),
    /// Two folders.
    Folder(Box<FolderChange>),
    /// Two texts.
    Text(TextChange),
    /// Two files of which no more is known.
    Bytes(BytesChange),
}

/// What differs inside the contents `a` and `b`; `name` is what they are called, if anything, by a path
/// or a name. Both must be in the store, or be had by it.
pub fn inside(store: &Store, a: ContentId, b: ContentId, name: &str) -> Result<Inside> {
    if a == b {
        return Ok(Inside::Equal);
    }
    match (a, b) {
        (ContentId::Blob(a), ContentId::Blob(b)) => {
            bring(store, a, b)?;
            files(&Blob::open(store, a)?, &Blob::open(store, b)?, name)
        }
        (ContentId::Tree(a), ContentId::Tree(b)) => {
            let look = |a: BlobId, b: BlobId, name: &str| inside(store, a.into(), b.into(), name);
            Ok(Inside::Folder(Box::new(folder::change(store, a, b, &look)?)))
        }
        (ContentId::Blob(_), ContentId::Tree(_)) => Ok(sorts("a file", "a directory")),
        (ContentId::Tree(_), ContentId::Blob(_)) => Ok(sorts("a directory", "a file")),
    }
}

/// Most bytes of two files that were left out here and are fetched as a whole, since they are read more
/// than once; of larger ones their parts are read where they are.
const MAX_BROUGHT: u64 = 1 << 30;

fn bring(store: &Store, a: BlobId, b: BlobId) -> Result<()> {
    let promised = |id| Ok::<u64, ReplayError>(store.promised(id)?.unwrap_or(0));
    match promised(a)?.saturating_add(promised(b)?) {
        1..=MAX_BROUGHT => Ok(store.bring(&[a, b])?),
        _ => Ok(()),
    }
}

fn sorts(before: &str, after: &str) -> Inside {
    Inside::Sorts { before: before.to_owned(), after: after.to_owned() }
}

/// What differs inside two files whose bytes do.
fn files(a: &dyn Source, b: &dyn Source, name: &str) -> Result<Inside> {
    if let (Some(x), Some(y)) = (pictures::parse(a)?, pictures::parse(b)?)
        && let Some(change) = pictures::change(&x, &y)
    {
        return Ok(Inside::Image(change));
    }
    if let (Some(x), Some(y)) = (arrays::parse(a)?, arrays::parse(b)?) {
        return Ok(Inside::Weights(Box::new(weights::change((a, &x), (b, &y))?)));
    }
    let name = plain_name(name);
    let tables = may_be_table(a)? && may_be_table(b)?;
    match if tables { table::change(a, b, &name)? } else { None } {
        Some(Ok(change)) => Ok(Inside::Table(Box::new(change))),
        Some(Err(why)) => self::texts(a, b, &name, Some(format!("not compared by rows: {why}"))),
        None => self::texts(a, b, &name, None),
    }
}

/// The same of files that are nothing but text, plain or gzipped; of others by their bytes.
fn texts(a: &dyn Source, b: &dyn Source, name: &str, table: Option<String>) -> Result<Inside> {
    let bytes = |why: Option<String>| {
        let why = [table.clone(), why].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let why = Some(why).filter(|why| !why.is_empty());
        Ok(Inside::Bytes(octets::change(a, b, why)?))
    };
    match (is_parquet(a)?, is_parquet(b)?) {
        (false, false) => {}
        (true, true) => return bytes(None),
        _ if table.is_some() => return bytes(None),
        _ => return bytes(Some("only one of them is a table".to_owned())),
    }
    let gzipped = (is_gzip(a)?, is_gzip(b)?);
    if !(gzipped.0 || is_text(a)?) || !(gzipped.1 || is_text(b)?) {
        return bytes(None);
    }
    let read = |source: &dyn Source, gzipped: bool| match source.len() > text::MAX_BYTES && !gzipped
    {
        true => Ok(Err(format!("it has more than {} MiB", text::MAX_BYTES >> 20))),
        false => stream::plain(source, text::MAX_BYTES),
    };
    let (x, y) = match (read(a, gzipped.0)?, read(b, gzipped.1)?) {
        (Ok(x), Ok(y)) => (x, y),
        (Err(why), _) | (_, Err(why)) => {
            return bytes(Some(format!("not compared by lines: {why}")));
        }
    };
    let (p, q) = (x.as_slice(), y.as_slice());
    if gzipped != (false, false) && !(is_text(&p)? && is_text(&q)?) {
        // What is compressed says little by its bytes.
        let why = Some("the bytes that were compressed".to_owned());
        return Ok(Inside::Bytes(octets::change(&p, &q, why)?));
    }
    if p == q {
        return bytes(Some("the same bytes, compressed in another way".to_owned()));
    }
    let python = name.ends_with(".py");
    match text::change(p, q, python) {
        Ok(change) => Ok(Inside::Text(TextChange { why: table, ..change })),
        Err(why) => bytes(Some(format!("not compared by lines: {why}"))),
    }
}

fn may_be_table(source: &dyn Source) -> Result<bool> {
    Ok(is_parquet(source)? || is_gzip(source)? || is_text(source)?)
}

/// A name in lower case, without the ending that says that it is gzipped.
pub(crate) fn plain_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix(".gz").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests;
