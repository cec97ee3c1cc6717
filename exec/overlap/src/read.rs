//! Files, taken apart into examples.
//!
//! What a file is, its content says; its name is asked only where content cannot tell, between a
//! table and plain text. Files may be gzipped, but for images. Memory is taken as bytes arrive.

use std::borrow::Cow;
use std::io::Read;

use lab_data::{
    Array, CsvForm, DataError, Glance, Images, Look, Start, Written, csv_cells, gunzipped, idx,
    images, jsonl_cells, npy,
};
use lab_parquet::is_parquet;

use crate::error::{OverlapError, Result};
use crate::examples::{Arrays, Examples, Rows, Texts};
use crate::plain::{Unit, plain};

/// The column that is taken for texts if nobody says which.
const TEXT: &str = "text";
/// How binary files begin that are known and hold no examples, what they are, and what is needed.
const REFUSED: [(&[u8], &str, &str); 5] = [
    (b"PK\x03\x04", "an archive", "one of the arrays in it is needed, as an npy file"),
    (b"PAR1", "a Parquet table that was gzipped", "it is needed as it was before"),
    (b"ARROW1", "an Arrow table", "Parquet, CSV or JSON lines are needed"),
    (b"\x89PNG", "one image", "a folder of images is needed"),
    (b"\xff\xd8\xff", "one image", "a folder of images is needed"),
];

/// How a file is to be read; what is not said is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The column of a table whose texts are the examples. Without it, the column `text` if there
    /// is one, else the rows are.
    pub text: Option<String>,
    /// Take the rows of a table also if it has a column `text`.
    pub rows: bool,
    /// Where plain text is cut.
    pub unit: Unit,
    /// Whether the first row of a CSV file names its columns.
    pub header: Option<bool>,
    /// What stands between the fields of a CSV file.
    pub delimiter: Option<u8>,
}

/// Reads the examples in a file; `name` is what its owner calls it.
///
/// Read are CSV, JSON lines, Parquet tables, IDX and npy arrays (the first dimension counts examples),
/// and plain text.
///
/// # Errors
/// [`OverlapError`] for a file that is damaged, cut off or too large, or of another kind; for
/// labels without examples; a column that is not there; no example at all.
pub fn examples(name: &str, bytes: &[u8], reading: &Reading) -> Result<Examples> {
    if is_parquet(bytes) {
        return there_are(packed(bytes, reading)?, name);
    }
    let mut head = Vec::new();
    let read = gunzipped(bytes).take(8).read_to_end(&mut head);
    read.map_err(|source| DataError::Read { file: format!("'{}'", name.escape_debug()), source })?;
    let refused = REFUSED.iter().find(|(magic, ..)| head.starts_with(magic));
    if let Some((_, what, needed)) = refused {
        return Err(no_examples(name, what, needed));
    }
    let examples = match head.as_slice() {
        [0, 0, 0x08..=0x0e, ..] => arrays(name, idx(bytes)?)?,
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => arrays(name, npy(bytes)?)?,
        _ if head.contains(&0) => {
            let needed =
                "CSV, JSON lines, Parquet, IDX, npy, plain text or a folder of images is needed";
            return Err(no_examples(name, "bytes of an unknown kind", needed));
        }
        _ => words(name, bytes, reading)?,
    };
    there_are(examples, name)
}

fn there_are(examples: Examples, name: &str) -> Result<Examples> {
    match examples.is_empty() {
        true => Err(OverlapError::Empty(format!("'{}'", name.escape_debug()))),
        false => Ok(examples),
    }
}

/// Reads a folder of images, PNG or JPEG, of one size: paths in it (with `/`) and contents. They
/// count in the order of their paths, byte by byte.
///
/// # Errors
/// [`OverlapError`] for a file that is no image, is damaged, of another size or not opaque; the
/// same path twice; no file at all; more than 2 GiB of pixels in three channels.
pub fn folder(name: &str, files: impl Iterator<Item = (String, Vec<u8>)>) -> Result<Examples> {
    // Each has to lie in a folder, but here that says nothing.
    let files = files.map(|(path, bytes)| (format!("{name}/{path}"), bytes));
    let mut images: Images = images(files, None, 3)?;
    let colours = images.pixels.as_chunks::<3>().0;
    if colours.iter().all(|[red, green, blue]| red == green && green == blue) {
        images.pixels = colours.iter().map(|[grey, ..]| *grey).collect();
        images.channels = 1;
    }
    Ok(Examples::Arrays(Arrays::of_images(name, images)?))
}

fn no_examples(name: &str, what: &str, needed: &'static str) -> OverlapError {
    OverlapError::NoExamples { name: name.to_owned(), what: what.to_owned(), needed }
}

fn arrays(name: &str, array: Array) -> Result<Examples> {
    Ok(Examples::Arrays(Arrays::new(name, array)?))
}

/// Reads a Parquet table; bytes that are no text are told by their digits.
fn packed(bytes: &[u8], reading: &Reading) -> Result<Examples> {
    let file = lab_parquet::File::open(&bytes)?;
    let mut rows = lab_parquet::Rows::new(&file, &bytes, &|_| false);
    let mut table = Growing::new(reading);
    let columns = rows.names().to_vec();
    while rows.advance()?.is_some() {
        let cells: Vec<Option<Cow<'_, str>>> =
            (0..columns.len()).map(|column| text(rows.cell(column))).collect();
        let cells: Vec<Option<&str>> = cells.iter().map(Option::as_deref).collect();
        table.add(&columns, &cells)?;
    }
    table.finish(&columns)
}

fn text(cell: Written<'_>) -> Option<Cow<'_, str>> {
    Some(match cell {
        Written::Missing => return None,
        Written::Number(text) | Written::Json(text) => text.into(),
        Written::Word(word) => match str::from_utf8(word) {
            Ok(word) => word.into(),
            Err(_) => word.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
        },
    })
}

/// Reads what is text: a table, or none.
fn words(name: &str, bytes: &[u8], reading: &Reading) -> Result<Examples> {
    let start = Start::read(bytes)?;
    let lower = name.to_ascii_lowercase();
    let ending = lower.strip_suffix(".gz").unwrap_or(&lower).rsplit_once('.').map(|(_, end)| end);
    if start.jsonl().is_some() || matches!(ending, Some("jsonl" | "ndjson" | "json")) {
        let mut table = Growing::new(reading);
        let columns = jsonl_cells(bytes, |names, cells| table.add(names, cells))?;
        return table.finish(&columns);
    }
    let table = match ending {
        Some("csv" | "tsv" | "tab") => true,
        Some("txt" | "text" | "md") => reading.delimiter.is_some(),
        _ => reading.delimiter.is_some() || start.delimiters().iter().any(|d| numbered(&start, *d)),
    };
    if !table {
        return Ok(Examples::Texts(plain(bytes, reading.unit)?));
    }
    let tab = matches!(ending, Some("tsv" | "tab"));
    let found = start.delimiters();
    let preferred = if tab { Some(b'\t') } else { found.first().copied() };
    let delimiter = reading.delimiter.or(preferred).unwrap_or(b',');
    let header = reading.header.unwrap_or_else(|| start.csv(delimiter).is_some_and(|g| named(&g)));
    let mut table = Growing::new(reading);
    let form = CsvForm { header, delimiter };
    let columns = csv_cells(bytes, form, |names, cells| table.add(names, cells))?;
    table.finish(&columns)
}

/// Whether the first rows have a column of numbers if they are cut so: prose has none.
fn numbered(start: &Start, delimiter: u8) -> bool {
    let glance = start.csv(delimiter);
    glance.is_some_and(|glance| {
        let all = |seen: &lab_data::Seen| seen.numbers > 0 && seen.words == 0;
        glance.rows > 0 && glance.below().iter().any(all)
    })
}

/// Whether the first row looks like names: none of them is a number.
fn named(glance: &Glance) -> bool {
    let number = |(_, look): &(String, Look)| *look == Look::Number;
    !glance.first.iter().any(number) && glance.first.iter().any(|(_, look)| *look == Look::Word)
}

/// A table of which the rows are kept, or the texts of a column.
struct Growing<'a> {
    reading: &'a Reading,
    kept: Option<Kept>,
}

enum Kept {
    Rows(Rows),
    Texts(usize, Texts),
}

impl Growing<'_> {
    fn new(reading: &Reading) -> Growing<'_> {
        Growing { reading, kept: None }
    }

    fn begin(&self, columns: &[String]) -> Result<Kept> {
        let place = |name: &str| columns.iter().position(|column| column == name);
        let column = match &self.reading.text {
            Some(name) => Some(place(name).ok_or_else(|| OverlapError::NoColumn {
                name: name.clone(),
                columns: columns.to_vec(),
            })?),
            None if self.reading.rows => None,
            None => place(TEXT),
        };
        Ok(match column {
            Some(column) => Kept::Texts(column, Texts::new()),
            None => Kept::Rows(Rows::new(columns.to_vec())),
        })
    }

    fn add(&mut self, columns: &[String], cells: &[Option<&str>]) -> Result<()> {
        if self.kept.is_none() {
            self.kept = Some(self.begin(columns)?);
        }
        match &mut self.kept {
            Some(Kept::Rows(rows)) => rows.push(cells),
            Some(Kept::Texts(column, texts)) => texts.push(cells[*column].unwrap_or_default()),
            None => Ok(()),
        }
    }

    fn finish(self, columns: &[String]) -> Result<Examples> {
        let kept = match self.kept {
            Some(kept) => kept,
            None => self.begin(columns)?,
        };
        Ok(match kept {
            Kept::Rows(rows) => Examples::Rows(rows),
            Kept::Texts(_, texts) => Examples::Texts(texts),
        })
    }
}
