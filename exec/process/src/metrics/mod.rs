//! Numbers that a computation reports, found without code in the files that it leaves.
//!
//! | name | what counts |
//! |---|---|
//! | `metrics.json`, `all_results.json`, `eval_results.json` | the numbers of the object, nested keys joined by `.` |
//! | `metrics.csv`, `progress.csv` | the last value of each numeric column, or one metric a row |
//! | `metrics.jsonl`, `metrics.ndjson` | the last value of each key |
//! | `events.out.tfevents.*` | of each scalar the value of the greatest step |
//!
//! They are looked for among the outputs and in folders that are outputs. Where two files give
//! the same key, the one higher in this table wins, then the one that lies higher, then the one
//! first by name. If files lie in several folders, the keys of each carry its path below the
//! folder that they share: `metrics.json` and `e/metrics.json` give `a` and `e.a`, but
//! `runs/x/metrics.json` alone, or beside `runs/x/metrics.csv`, gives `a`. Event files are looked
//! at apart for this: their folders are named for times and parts (`runs/<time>/Loss_train/`).
//!
//! A file that cannot be read costs its metrics, or those after the damage, and gives a note, not
//! the run.

mod numbers;
mod find;
mod json;
mod lines;
mod log;
mod table;
mod protobuf;
mod crc32c;
mod events;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use lab_schema::Number;

use self::events::Scalars;
pub(crate) use self::find::format_of;
use self::find::{Format, Source, sources};
use self::numbers::{MAX_METRICS, Numbers, only_so_many};
use crate::note::Note;

/// Most bytes that are read of a log, a table or an event file.
const MAX_BYTES: u64 = 64 << 20;

/// The metrics in the outputs, which are given relative to the folder of the command, each with
/// whether it is a folder.
pub(crate) fn of_outputs(
    directory: &Path,
    outputs: &[(PathBuf, bool)],
) -> (BTreeMap<String, Number>, Vec<Note>) {
    let (sources, left_out) = sources(directory, outputs);
    let note = |(path, why)| Note::Metrics { path, why };
    let mut merged =
        Merged { notes: left_out.into_iter().map(note).collect(), ..Merged::default() };
    let (events, files): (Vec<Source>, Vec<Source>) =
        sources.into_iter().partition(|source| source.format == Format::Events);
    let shared = shared_folder(&files);
    for source in &files {
        let mut numbers = Numbers::default();
        if let Err(why) = read(&directory.join(&source.path), source.format, &mut numbers) {
            numbers.complain(|| why);
        }
        merged.take(&source.path, &shared, numbers);
    }
    let shared = shared_folder(&events);
    let one_folder = |a: &Source, b: &Source| a.path.parent() == b.path.parent();
    for files in events.chunk_by(one_folder) {
        let mut scalars = Scalars::default();
        let mut wrong = Vec::new();
        for Source { path, .. } in files {
            let opened = File::open(directory.join(path)).map_err(|e| e.to_string());
            if let Err(why) = opened.and_then(|file| events::read(file, MAX_BYTES, &mut scalars)) {
                wrong.push(Note::Metrics { path: path.clone(), why });
            }
        }
        merged.notes.append(&mut wrong);
        merged.take(&files[0].path, &shared, scalars.finish());
    }
    (merged.metrics, merged.notes)
}

fn read(path: &Path, format: Format, numbers: &mut Numbers) -> Result<(), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    match format {
        Format::Object => json::read(file, numbers),
        Format::Table => table::read(file, MAX_BYTES, numbers),
        Format::Log => log::read(file, MAX_BYTES, numbers),
        Format::Events => Ok(()),
    }
}

/// The folder that holds all of the files, at any depth.
fn shared_folder(files: &[Source]) -> PathBuf {
    let mut parents = files.iter().filter_map(|source| source.path.parent());
    let Some(first) = parents.next() else { return PathBuf::new() };
    let common = |shared: PathBuf, parent: &Path| {
        let both = shared.iter().zip(parent.iter());
        both.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    };
    parents.fold(first.to_owned(), common)
}

/// What was read so far.
#[derive(Default)]
struct Merged {
    metrics: BTreeMap<String, Number>,
    notes: Vec<Note>,
}

impl Merged {
    /// Adds the numbers of a file whose keys are not there yet.
    fn take(&mut self, path: &Path, shared: &Path, numbers: Numbers) {
        let folders = path.parent().and_then(|parent| parent.strip_prefix(shared).ok());
        let folders = folders.into_iter().flat_map(Path::iter);
        let prefix: String = folders.map(|f| format!("{}.", f.to_string_lossy())).collect();
        let (read, mut said) = numbers.finish();
        let mut full = false;
        for (key, number) in read {
            let key = format!("{prefix}{key}");
            if self.metrics.contains_key(&key) {
                continue;
            }
            if self.metrics.len() < MAX_METRICS {
                self.metrics.insert(key, number);
            } else {
                full = true;
            }
        }
        if full && !said.contains(&only_so_many()) {
            said.push(only_so_many());
        }
        let note = |why| Note::Metrics { path: path.to_owned(), why };
        self.notes.extend(said.into_iter().map(note));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const EVENTS: &[u8] = include_bytes!("../../tests/events/tensors");

    fn found(files: &[(&str, &[u8])], outputs: &[(&str, bool)]) -> (Vec<(String, f64)>, Vec<Note>) {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let outputs: Vec<_> = outputs.iter().map(|(path, is)| (path.into(), *is)).collect();
        let (metrics, notes) = of_outputs(dir.path(), &outputs);
        (metrics.into_iter().map(|(k, n)| (k, n.get())).collect(), notes)
    }

    fn owned(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
        pairs.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect()
    }

    #[test]
    fn what_is_said_last_wins_over_what_was_logged() {
        let files: [(&str, &[u8]); 4] = [
            ("out/metrics.jsonl", b"{\"a\": 1, \"b\": 1, \"c\": 1, \"epoch_loss\": 1}\n"),
            ("out/metrics.csv", b"a,b\n2,2\n"),
            ("out/metrics.json", b"{\"a\": 3}"),
            ("out/runs/now/events.out.tfevents.1", EVENTS),
        ];
        let expected = [("a", 3.0), ("b", 2.0), ("c", 1.0), ("double", 0.1), ("epoch_loss", 1.0)];
        let (metrics, notes) = found(&files, &[("out", true)]);
        assert_eq!((metrics, notes), (owned(&expected), Vec::new()));
    }

    #[test]
    fn keys_of_several_folders_carry_the_path_below_the_one_they_share() {
        let files: [(&str, &[u8]); 5] = [
            ("o/x/metrics.json", b"{\"a\": 1}"),
            ("o/x/part/metrics.json", b"{\"a\": 2}"),
            ("o/x/part/metrics.csv", b"b\n3\n"),
            ("o/logs/train/events.out.tfevents.1", EVENTS),
            ("o/logs/validation/events.out.tfevents.2", EVENTS),
        ];
        let expected = [
            ("a", 1.0),
            ("part.a", 2.0),
            ("part.b", 3.0),
            ("train.double", 0.1),
            ("train.epoch_loss", 0.25),
            ("validation.double", 0.1),
            ("validation.epoch_loss", 0.25),
        ];
        assert_eq!(found(&files, &[("o", true)]), (owned(&expected), Vec::new()));
        let two: [(&str, &[u8]); 2] = [("ab/metrics.json", b"{\"a\": 1}"), files[0]];
        let outputs = [("ab/metrics.json", false), ("o/x/metrics.json", false)];
        assert_eq!(found(&two, &outputs).0, owned(&[("ab.a", 1.0), ("o.x.a", 1.0)]));
    }

    #[test]
    fn what_is_wrong_is_noted_with_the_file_and_the_rest_counts() {
        let files: [(&str, &[u8]); 4] = [
            ("metrics.json", b"{"),
            ("metrics.jsonl", b"{\"a\": 1}\n{\"a\""),
            ("events.out.tfevents.1", &EVENTS[..300]),
            ("events.out.tfevents.2", b"nothing like it"),
        ];
        let outputs = files.map(|(path, _)| (path, false));
        let (metrics, notes) = found(&files, &outputs);
        assert_eq!(metrics, owned(&[("a", 1.0), ("epoch_loss", 0.25)]));
        let said: Vec<String> = notes.iter().map(Note::to_string).collect();
        assert!(said[0].starts_with("metrics in 'metrics.json': EOF"), "{said:?}");
        assert_eq!(said[1], "metrics in 'metrics.jsonl': its last line is cut off");
        assert_eq!(said[2], "metrics in 'events.out.tfevents.1': its last record is cut off");
        assert!(
            said[3].starts_with("metrics in 'events.out.tfevents.2': the checksum of record 1")
        );
        assert_eq!(said.len(), 4);
    }

    #[test]
    fn all_files_together_keep_so_many() {
        let json: String = (0..200).map(|i| format!("\"k{i}\": 1, ")).collect();
        let json = format!("{{{json}\"z\": 1}}");
        let files = [("a/metrics.json", json.as_bytes()), ("b/metrics.json", json.as_bytes())];
        let (metrics, notes) = found(&files, &files.map(|(path, _)| (path, false)));
        assert_eq!(metrics.len(), MAX_METRICS);
        let why = only_so_many();
        assert_eq!(notes, [Note::Metrics { path: "b/metrics.json".into(), why: why.clone() }]);
        // That is said once, whoever finds it out.
        let log: String = (0..400).map(|i| format!("{{\"k{i}\": 1}}\n")).collect();
        let files = [files[0], ("b/metrics.jsonl", log.as_bytes())];
        let (metrics, notes) = found(&files, &files.map(|(path, _)| (path, false)));
        assert_eq!(metrics.len(), MAX_METRICS);
        assert_eq!(notes, [Note::Metrics { path: "b/metrics.jsonl".into(), why }]);
    }
}
