//! Promise 2 when a disk rots: every file of a small store is damaged in every way that disks and
//! people have. A full check names it, and no read returns wrong bytes.
//!
//! What a check cannot know is written down in [`may_go_unseen`], with the reason.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;
mod reliability;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use kit::Place;
use reliability::sample::{
    below, copy, demand, fill, full_check, has_bases, holds, remove, sound, wrong,
};
use reliability::{Dice, each, figure, in_memory, times};

#[derive(Clone, Debug)]
enum Damage {
    Flip {
        at: usize,
        bit: u8,
    },
    Zero {
        at: usize,
        len: usize,
    },
    Truncate {
        len: usize,
    },
    Lengthen,
    Delete,
    /// Under another name of the same kind.
    Duplicate,
}

impl Damage {
    fn kind(&self) -> &'static str {
        match self {
            Damage::Flip { .. } => "bit flipped",
            Damage::Zero { .. } => "range zeroed",
            Damage::Truncate { .. } => "truncated",
            Damage::Lengthen => "lengthened",
            Damage::Delete => "deleted",
            Damage::Duplicate => "duplicated",
        }
    }

    /// Does it; says whether anything changed.
    fn inflict(&self, path: &Path) -> bool {
        let before = fs::read(path).unwrap();
        let mut bytes = before.clone();
        match *self {
            Damage::Flip { at, bit } => bytes[at] ^= 1 << bit,
            Damage::Zero { at, len } => bytes[at..at + len].fill(0),
            Damage::Truncate { len } => bytes.truncate(len),
            Damage::Lengthen => bytes.extend([0; 9]),
            Damage::Delete => {
                fs::remove_file(path).unwrap();
                return true;
            }
            Damage::Duplicate => {
                fs::write(twin(path), bytes).unwrap();
                return true;
            }
        }
        if bytes == before {
            return false;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path, bytes).unwrap();
        true
    }
}

/// Another name of the same kind: the last character before the ending is changed.
fn twin(path: &Path) -> PathBuf {
    let mut stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let last = stem.pop().unwrap();
    stem.push(if last == '0' { '1' } else { '0' });
    let ending = path.extension().map(|e| format!(".{}", e.to_str().unwrap()));
    path.with_file_name(stem + &ending.unwrap_or_default())
}

const DERIVED: &str = "it is derived, and can be thrown away";
const NOT_MISSED: &str = "nothing points into that pack";

/// What no check can know, or need not: derived files, those that hold nothing, and the loss of
/// what nothing else speaks of.
fn may_go_unseen(file: &Path, damage: &Damage, bytes: &[u8]) -> Option<&'static str> {
    let text = file.to_str().unwrap();
    if text.starts_with("index.db") || text.starts_with("cache") {
        Some(DERIVED)
    } else if text.starts_with("locks/") || text == ".gitignore" || text == "config.toml" {
        Some("it holds nothing that was stored")
    } else if text == "format" && matches!(damage, Damage::Duplicate) {
        Some("files of other names are ignored")
    } else if text.starts_with("names/") {
        match damage {
            Damage::Delete => Some("nothing else speaks of a name"),
            Damage::Truncate { len } if *len > 0 && bytes[len - 1] == b'\n' => {
                Some("cut off between two lines, it is the journal of an earlier time")
            }
            _ => None,
        }
    } else {
        None
    }
}

/// Every damage that is tried on a file.
fn damages(len: usize, dice: &mut Dice) -> Vec<Damage> {
    let mut damages = vec![Damage::Lengthen, Damage::Delete, Damage::Duplicate];
    if len == 0 {
        return damages;
    }
    let flips = (times(6, 300) as usize).min(len);
    for i in 0..flips {
        // Spread over the file, the first and the last byte among them.
        let (from, to) = (i * len / flips, (i + 1) * len / flips);
        let at = match i {
            0 => 0,
            _ if i + 1 == flips => len - 1,
            _ => from + dice.below((to - from) as u64) as usize,
        };
        damages.push(Damage::Flip { at, bit: dice.below(8) as u8 });
    }
    let zeroed = len.min(64);
    for at in [0, (len - zeroed) / 2, len - zeroed] {
        damages.push(Damage::Zero { at, len: zeroed });
    }
    for _ in 0..times(1, 20) {
        let (a, b) = (dice.below(len as u64) as usize, dice.below(len as u64) as usize);
        damages.push(Damage::Zero { at: a.min(b), len: a.abs_diff(b) + 1 });
        damages.push(Damage::Truncate { len: a });
    }
    damages.extend([0, len / 2, len - 1].map(|len| Damage::Truncate { len }));
    damages
}

/// A store with blobs in one chunk and in several, trees, weights, a run, and moved names; and
/// what may be read from it.
struct Store {
    place: Place,
    right: Vec<(&'static str, Vec<PathBuf>)>,
}

fn store() -> Store {
    in_memory();
    let place = Place::registry();
    for (seed, name) in ["one", "two", "three"].iter().enumerate() {
        fill(&place.at(name), seed as u64, *name == "three");
    }
    // Older than any clock's step, so that a cache may rely on their times.
    std::thread::sleep(Duration::from_millis(1100));
    for name in ["one", "two", "three"] {
        place.lab(["add", name, "--name", name]).succeeds();
    }
    place.lab(["add", "two", "--name", "one"]).succeeds();
    place.write("made", "made by a run\n");
    let script = "printf 'made by a run\\n' > made";
    place.lab(["run", "--name", "run", "-o", "made", "--", "sh", "-c", script]).succeeds();
    let at = |names: &[&str]| names.iter().map(|name| place.at(name)).collect::<Vec<_>>();
    // A journal that was cut off shows what it showed then.
    let mut right = vec![
        ("one", at(&["two", "one"])),
        ("two", at(&["two"])),
        ("three", at(&["three"])),
        ("run:made", at(&["made"])),
    ];
    if has_bases() {
        let base = ["--base", "two/weights.safetensors", "--name", "tuned"];
        place.lab(["add", "three/weights.safetensors"].iter().chain(&base)).succeeds();
        right.push(("tuned", at(&["three/weights.safetensors"])));
    }
    place.lab(["status"]).succeeds();
    sound(&place, ".", "before any damage");
    Store { place, right }
}

/// Reads everything in two ways; it is right, or it fails.
fn read_all(store: &Store, place: &Place, when: &str) -> u64 {
    let mut refused = 0;
    let codes = [0, 1, 3, 4, 5];
    for (name, right) in &store.right {
        let copy = place.at("copy");
        let got = place.lab(["get", name, "copy"]);
        demand(codes.contains(&got.code), when, &got);
        refused += u64::from(got.code != 0);
        if copy.exists() {
            let found: Vec<_> = right.iter().filter_map(|right| wrong(right, &copy)).collect();
            assert!(found.len() < right.len(), "{when}: {found:?}");
            let whole = right.iter().any(|right| below(right).len() == below(&copy).len());
            assert!(got.code != 0 || whole, "{when}: {name} lacks files and nothing was said");
            remove(&copy);
        } else {
            demand(got.code != 0, when, &got);
        }
    }
    for (reference, file) in
        [("three/large.bin", "three/large.bin"), ("two/own.csv", "two/own.csv")]
    {
        let (said, wanted) = (cat(place, reference), store.place.read(file));
        assert!(wanted.starts_with(&said.1), "{when}: `cat {reference}` gave wrong bytes");
        assert!(codes.contains(&said.0), "{when}: `cat {reference}` ended with {}", said.0);
        assert!(said.0 != 0 || wanted == said.1, "{when}: `cat {reference}` gave too little");
    }
    refused
}

fn cat(place: &Place, reference: &str) -> (i32, Vec<u8>) {
    let output = place.command().args(["cat", reference]).output().unwrap();
    (output.status.code().unwrap_or(-1), output.stdout)
}

#[test]
fn no_damage_goes_unseen_and_no_read_is_wrong() {
    let store = store();
    let lab = store.place.at(".lab");
    let mut dice = Dice(9);
    let files: Vec<PathBuf> =
        below(&lab).into_iter().filter(|file| lab.join(file).is_file()).collect();
    let mut cases = Vec::new();
    for file in &files {
        let len = fs::metadata(lab.join(file)).unwrap().len() as usize;
        cases.extend(damages(len, &mut dice).into_iter().map(|damage| (file.clone(), damage)));
    }
    let tally: Mutex<BTreeMap<(&str, &str), u64>> = Mutex::default();
    let refused = Mutex::new(0);
    each(&cases, |(file, damage)| {
        let place = Place::empty();
        copy(&lab, &place.at(".lab"));
        let bytes = fs::read(lab.join(file)).unwrap();
        if !damage.inflict(&place.at(".lab").join(file)) {
            return;
        }
        let when = format!("{} {damage:?}", file.display());
        let refusals = read_all(&store, &place, &when);
        *refused.lock().unwrap() += refusals;
        let check = place.lab(full_check());
        let mut unseen = may_go_unseen(file, damage, &bytes);
        let is_pack = file.extension().is_some_and(|ending| ending == "pack");
        if is_pack && matches!(damage, Damage::Delete) && check.code == 0 {
            assert_eq!(refusals, 0, "{when}: it is missed, and the check is content");
            unseen = Some(NOT_MISSED);
        }
        if unseen.is_none() {
            demand(check.code == 1 || file == Path::new("format") && check.code > 0, &when, &check);
            // It is called by its name: of a pack or index the hash, of a twin the twin's.
            let named = if matches!(damage, Damage::Duplicate) { twin(file) } else { file.clone() };
            let stem = named.file_stem().unwrap().to_str().unwrap().to_owned();
            let stem = if stem == "format" { ".lab".to_owned() } else { stem };
            let told = check.out.contains(&stem) || check.err.contains(&stem);
            // A pack that is gone is known by what it held, which is missed.
            let missed = matches!(damage, Damage::Delete);
            demand(told || missed, &when, &check);
        } else {
            demand(check.code == 0 || check.code == 1, &when, &check);
        }
        if unseen == Some(DERIVED) {
            // What it remembers wrongly does no harm.
            let one = store.place.at("one");
            let added = place.lab(["add", one.to_str().unwrap(), "--name", "again"]);
            demand(added.code == 0, &when, &added);
            holds(&place, ".", "again", &one, &when);
            let status = place.lab(["status"]);
            demand([0, 1, 5].contains(&status.code), &when, &status);
        }
        let seen = if check.code != 0 { "seen" } else { unseen.unwrap() };
        *tally.lock().unwrap().entry((damage.kind(), seen)).or_default() += 1;
    });
    let tally = tally.into_inner().unwrap();
    for ((kind, seen), number) in &tally {
        figure(&format!("{} files, {kind}: {number} {seen}", files.len()));
    }
    figure(&format!("reads refused for damage: {}", refused.into_inner().unwrap()));
    // A run without code puts an empty tree beside its record, and names it nowhere.
    let spare = tally.get(&("deleted", NOT_MISSED)).copied().unwrap_or_default();
    assert!(spare <= 1, "{spare} packs can go without anybody missing them");
    let seen: u64 = tally.iter().filter(|((_, seen), _)| *seen == "seen").map(|(_, n)| n).sum();
    assert!(seen > 100, "only {seen} damages were seen");
}
