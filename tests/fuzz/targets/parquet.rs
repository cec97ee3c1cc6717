//! Files that claim to be Parquet tables. What is read of one is the same when it is read again, as far as it can
//! be read; a file that holds little makes little of itself, but for runs of what is equal.
#![no_main]

use lab_data::Written;
use lab_parquet::{File, Rows};

/// Most cells that are read of a file: a run of a few bytes may stand for billions.
const MOST: usize = 1 << 14;

/// A sum over all cells, how many there were, and what ended them.
fn read(file: &File, data: &[u8], wide: bool) -> (u32, usize, String) {
    let mut sum = crc32fast::Hasher::new();
    let mut rows = Rows::new(file, &data, &|_| wide);
    let width = rows.names().len();
    let mut cells = 0;
    while cells < MOST {
        match rows.advance() {
            Ok(Some(row)) => {
                assert_eq!(row, (cells / width.max(1)) as u64 + 1);
                for column in 0..width {
                    match rows.cell(column) {
                        Written::Missing => sum.update(b"-"),
                        Written::Number(text) | Written::Json(text) => sum.update(text.as_bytes()),
                        Written::Word(word) => sum.update(word),
                    }
                }
                cells += width.max(1);
            }
            Ok(None) => {
                assert_eq!(file.rows(), (cells / width.max(1)) as u64);
                return (sum.finalize(), cells, String::new());
            }
            Err(why) => return (sum.finalize(), cells, why.to_string()),
        }
    }
    (sum.finalize(), cells, String::new())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(file) = File::open(&data) else { return };
    let once = read(&file, data, false);
    assert_eq!(read(&file, data, false), once);
    let wide = read(&file, data, true);
    assert_eq!((wide.1, &wide.2), (once.1, &once.2), "the width of floats says nothing about the file");
});
