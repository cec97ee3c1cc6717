//! What a command was seen to touch, beyond what its recipe names: the permissions and times of
//! files, what was looked for in vain, what was listed, which programs ran.
//!
//! Kept as a blob of text, one fact per line and sorted, so that two records can be compared with
//! any tool, and so that what two runs have in common is stored once. The first line is
//! `lab observed 1`, or `lab observed 2` if there are seeds; then each line is a letter and fields, all separated by tabs:
//!
//! ```text
//!   f  MODE  SIZE  SECONDS.NANOS  HOW  PATH    a file or folder: mode in octal, last change, and
//!                                              `e` examined, `w` overwritten, `r` read, `x` executed
//!   l  PATH  TARGET                            a symbolic link that was followed or read
//!   a  PATH                                    nothing was there
//!   d  PATH  [KIND NAME]..                     a folder that was listed, in that order; KIND is
//!                                              `f` file, `d` folder, `l` link, `o` other
//!   s  PATH  BYTES                             a file of the system's own making, and what it said
//!   k  ID    PATH                              a file that looks like a secret: only its id is kept
//!   p  PATH  WORD..                            a program that a process became, in order
//!   c  ADDRESS                                 an address that a process reached for
//!   q  COUNT FACT                              how often a fact of the machine was asked for
//!   e  COUNT PROGRAM                           how often which program took random bytes from the
//!                                              system; or the device, if one was read for that
//!   n  WHAT  VALUE  PLACE                      a seed that a generator of the program was given, and in
//!                                              which line, as the program itself told; or another
//!                                              thing that it told, if WHAT begins with a kind: see
//!                                              [`Seeded::kind`]
//! ```
//!
//! In paths and words `\` is written `\\`, and every byte outside of printable ASCII as `\xNN`
//! unless it belongs to a character of UTF-8 that is no control character.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::hash::BlobId;

/// Most bytes of a record; checked before it is read.
pub const MAX_OBSERVED_BYTES: u64 = 1 << 30;

/// The first line; of a record with seeds, which came later, the second one.
const HEADER: &str = "lab observed 1";
const HEADER_WITH_SEEDS: &str = "lab observed 2";

/// What a command was seen to touch. Paths are absolute, with all links followed, and bytes: they
/// need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Observed {
    /// Files and folders that were there before the command changed anything.
    pub things: BTreeMap<Vec<u8>, Seen>,
    /// Symbolic links on the way, and what they hold.
    pub links: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where something was looked for and nothing was.
    pub absent: BTreeSet<Vec<u8>>,
    /// Folders that were listed, in the order in which the system listed them.
    pub listed: BTreeMap<Vec<u8>, Vec<Listed>>,
    /// Files of `/proc` and `/sys`, and what they said.
    pub system: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Files that look like secrets, of which only the ids are kept.
    pub secrets: BTreeMap<Vec<u8>, BlobId>,
    /// Programs that processes became, with their command lines, in order.
    pub programs: Vec<Ran>,
    /// Addresses that were reached for and that no process of the command had taken.
    pub peers: BTreeSet<Vec<u8>>,
    /// How often facts of the machine were asked for, such as the processors.
    pub asked: BTreeMap<String, u64>,
    /// How often random bytes were taken from the system, by program; and the devices that were
    /// read for that.
    pub entropy: BTreeMap<Vec<u8>, u64>,
    /// Seeds that generators of random numbers were given, and what else the program told.
    pub seeds: BTreeSet<Seeded>,
}

/// A generator that was given a seed. All three are what the program told: any text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seeded {
    /// Which one.
    pub what: Vec<u8>,
    /// The seed.
    pub value: Vec<u8>,
    /// In which line of which file.
    pub place: Vec<u8>,
}

/// The words for what is told and is no seed; in front of the name, with `: ` between.
const KINDS_TOLD: [&str; 8] =
    ["flag", "threads", "optimiser", "loader", "order", "mode", "estimator", "unseeded"];

impl Seeded {
    /// Of which kind it is, and the name of what: a word such as `optimiser`, or none if it is a seed.
    pub fn kind(&self) -> (Option<&'static str>, &[u8]) {
        for kind in KINDS_TOLD {
            let rest = self.what.strip_prefix(kind.as_bytes());
            if let Some(name) = rest.and_then(|rest| rest.strip_prefix(b": ")) {
                return (Some(kind), name);
            }
        }
        (None, &self.what)
    }
}

/// A file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Kind and permissions, as `st_mode` has them.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Last change of content: seconds and nanoseconds since 1970.
    pub modified: (i64, u32),
    /// What was done with it.
    pub how: How,
}

/// What was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Its size, time or permissions were looked at.
    Examined,
    /// It was overwritten, moved or removed without a look at its content.
    Overwritten,
    /// Its content was opened.
    Read,
    /// It was executed, or is the interpreter of what was.
    Executed,
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: ListedKind,
}

/// What a folder's listing says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Anything else.
    Other,
}

/// A program that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The file.
    pub path: Vec<u8>,
    /// Its command line.
    pub argv: Vec<Vec<u8>>,
}

impl Observed {
    /// The bytes of the record.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = if self.seeds.is_empty() { HEADER } else { HEADER_WITH_SEEDS };
        let mut out = format!("{header}\n");
        let mut line = |letter: char, fields: &[String]| {
            out.push(letter);
            for field in fields {
                out.push('\t');
                out.push_str(field);
            }
            out.push('\n');
        };
        for (path, seen) in &self.things {
            let Seen { mode, size, modified: (seconds, nanos), how } = seen;
            let time = format!("{seconds}.{nanos:09}");
            let how = letter(HOWS, *how).to_string();
            line('f', &[format!("{mode:o}"), size.to_string(), time, how, escaped(path)]);
        }
        for (path, target) in &self.links {
            line('l', &[escaped(path), escaped(target)]);
        }
        for path in &self.absent {
            line('a', &[escaped(path)]);
        }
        for (path, names) in &self.listed {
            let name = |l: &Listed| format!("{} {}", letter(KINDS, l.kind), escaped(&l.name));
            let fields = std::iter::once(escaped(path)).chain(names.iter().map(name));
            line('d', &fields.collect::<Vec<_>>());
        }
        for (path, bytes) in &self.system {
            line('s', &[escaped(path), escaped(bytes)]);
        }
        for (path, id) in &self.secrets {
            line('k', &[id.to_string(), escaped(path)]);
        }
        for Ran { path, argv } in &self.programs {
            let fields = std::iter::once(path).chain(argv).map(|word| escaped(word));
            line('p', &fields.collect::<Vec<_>>());
        }
        for peer in &self.peers {
            line('c', &[escaped(peer)]);
        }
        for (fact, count) in &self.asked {
            line('q', &[count.to_string(), escaped(fact.as_bytes())]);
        }
        for (program, count) in &self.entropy {
            line('e', &[count.to_string(), escaped(program)]);
        }
        for Seeded { what, value, place } in &self.seeds {
            line('n', &[escaped(what), escaped(value), escaped(place)]);
        }
        out.into_bytes()
    }

    /// Reads a record; says what is wrong, and in which line.
    pub fn from_bytes(bytes: &[u8]) -> Result<Observed, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut lines = text.lines();
        match lines.next() {
            Some(HEADER | HEADER_WITH_SEEDS) => {}
            Some(other) if other.starts_with("lab observed ") => {
                return Err("it was made by a newer lab".to_owned());
            }
            _ => return Err(format!("its first line is not '{HEADER}'")),
        }
        let mut observed = Observed::default();
        for (number, line) in lines.enumerate() {
            let fields: Vec<&str> = line.split('\t').collect();
            let taken = observed.take(&fields);
            taken.ok_or_else(|| format!("line {} cannot be read", number + 2))?;
        }
        Ok(observed)
    }

    fn take(&mut self, fields: &[&str]) -> Option<()> {
        match fields {
            ["f", mode, size, time, how, path] => {
                let (seconds, nanos) = time.split_once('.')?;
                let nanos = nanos.parse().ok().filter(|n| *n < 1_000_000_000)?;
                let seen = Seen {
                    mode: u32::from_str_radix(mode, 8).ok()?,
                    size: size.parse().ok()?,
                    modified: (seconds.parse().ok()?, nanos),
                    how: meaning(HOWS, how)?,
                };
                self.things.insert(place(path)?, seen);
            }
            ["l", path, target] => {
                self.links.insert(place(path)?, plain(target)?);
            }
            ["a", path] => {
                self.absent.insert(place(path)?);
            }
            ["d", path, names @ ..] => {
                let listed = |field: &&str| {
                    let (kind, name) = field.split_once(' ')?;
                    let name = plain(name).filter(|n| is_name(n))?;
                    Some(Listed { name, kind: meaning(KINDS, kind)? })
                };
                self.listed.insert(place(path)?, names.iter().map(listed).collect::<Option<_>>()?);
            }
            ["s", path, bytes] => {
                self.system.insert(place(path)?, plain(bytes)?);
            }
            ["k", id, path] => {
                self.secrets.insert(place(path)?, id.parse().ok()?);
            }
            ["p", path, argv @ ..] => {
                let argv = argv.iter().map(|word| plain(word)).collect::<Option<_>>()?;
                self.programs.push(Ran { path: place(path)?, argv });
            }
            ["c", peer] => {
                self.peers.insert(plain(peer)?);
            }
            ["q", count, fact] => {
                let fact = String::from_utf8(plain(fact)?).ok()?;
                self.asked.insert(fact, count.parse().ok()?);
            }
            ["e", count, program] => {
                self.entropy.insert(place(program)?, count.parse().ok()?);
            }
            ["n", what, value, at] => {
                let (what, value, place) = (plain(what)?, plain(value)?, plain(at)?);
                self.seeds.insert(Seeded { what, value, place });
            }
            _ => return None,
        }
        Some(())
    }
}

const HOWS: &[(char, How)] =
    &[('e', How::Examined), ('w', How::Overwritten), ('r', How::Read), ('x', How::Executed)];
const KINDS: &[(char, ListedKind)] = &[
    ('f', ListedKind::File),
    ('d', ListedKind::Folder),
    ('l', ListedKind::Link),
    ('o', ListedKind::Other),
];

fn letter<T: Copy + PartialEq>(table: &[(char, T)], meaning: T) -> char {
    table.iter().find(|(_, m)| *m == meaning).map_or('?', |(letter, _)| *letter)
}

fn meaning<T: Copy>(table: &[(char, T)], text: &str) -> Option<T> {
    let mut letters = text.chars();
    let (Some(first), None) = (letters.next(), letters.next()) else { return None };
    table.iter().find(|(letter, _)| *letter == first).map(|(_, meaning)| *meaning)
}

/// A name that stays in its folder.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/')
}

/// An absolute path without `.`, `..` and empty components: nothing else may be laid out.
fn place(text: &str) -> Option<Vec<u8>> {
    let path = plain(text)?;
    let inside = path.strip_prefix(b"/")?;
    let stays = inside.is_empty() || inside.split(|b| *b == b'/').all(is_name);
    (stays && !path.contains(&0)).then_some(path)
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c if c.is_control() => {
                    c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| hex(&mut out, b))
                }
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|b| hex(&mut out, *b));
    }
    out
}

fn hex(out: &mut String, byte: u8) {
    write!(out, "\\x{byte:02x}").expect("writing to a string does not fail");
}

/// What was escaped.
fn plain(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                out.push(b'\\');
                rest = after;
            }
            [b'x', high, low, after @ ..] => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Observed {
        let seen = Seen { mode: 0o100_644, size: 12, modified: (-1, 5), how: How::Read };
        Observed {
            things: [
                (b"/a/train.py".to_vec(), seen),
                (b"/b\xff\n\\x".to_vec(), Seen { how: How::Executed, ..seen }),
                ("/ä".as_bytes().to_vec(), Seen { how: How::Examined, ..seen }),
            ]
            .into(),
            links: [(b"/lib".to_vec(), b"usr/lib".to_vec())].into(),
            absent: [b"/none".to_vec()].into(),
            listed: [(
                b"/a".to_vec(),
                vec![
                    Listed { name: b"train.py".to_vec(), kind: ListedKind::File },
                    Listed { name: b"a b\t".to_vec(), kind: ListedKind::Folder },
                ],
            )]
            .into(),
            system: [(b"/proc/cpuinfo".to_vec(), b"processor\t: 0\n".to_vec())].into(),
            secrets: [(b"/a/.env".to_vec(), BlobId::of(b"x"))].into(),
            programs: vec![
                Ran { path: b"/bin/sh".to_vec(), argv: vec![b"sh".to_vec(), b"".to_vec()] },
                Ran { path: b"/bin/sh".to_vec(), argv: vec![] },
            ],
            peers: [b"127.0.0.1:80".to_vec()].into(),
            asked: [("processors".to_owned(), 2)].into(),
            entropy: [(b"/usr/bin/shuf".to_vec(), 3)].into(),
            seeds: [].into(),
        }
    }

    #[test]
    fn seeds_are_read_as_they_were_written() {
        let seeded = |value: &[u8]| Seeded {
            what: b"numpy.random".to_vec(),
            value: value.to_vec(),
            place: b"train.py:3".to_vec(),
        };
        let seeds = [seeded(b"1"), seeded(b"a\tb\xff"), seeded(b"")].into();
        let observed = Observed { seeds, ..sample() };
        let bytes = observed.to_bytes();
        assert_eq!(Observed::from_bytes(&bytes).unwrap(), observed);
        assert!(bytes.starts_with(b"lab observed 2\n"));
        assert!(bytes.ends_with(b"n\tnumpy.random\ta\\x09b\\xff\ttrain.py:3\n"));
    }

    #[test]
    fn what_is_told_has_a_kind_unless_it_is_a_seed() {
        let kind = |what: &str| {
            let told = Seeded { what: what.as_bytes().to_vec(), value: vec![], place: vec![] };
            let (kind, name) = told.kind();
            (kind, String::from_utf8(name.to_vec()).unwrap())
        };
        assert_eq!(kind("optimiser: Adam"), (Some("optimiser"), "Adam".into()));
        for seed in ["random", "optimiser Adam", "gymnasium order: 1", "other: x"] {
            assert_eq!(kind(seed), (None, seed.into()));
        }
    }

    // proves F-23
    #[test]
    fn a_record_is_read_as_it_was_written() {
        for observed in [sample(), Observed::default()] {
            let bytes = observed.to_bytes();
            assert_eq!(Observed::from_bytes(&bytes).unwrap(), observed);
        }
        // These bytes are kept for ever.
        let id = BlobId::of(&sample().to_bytes()).to_string();
        assert_eq!(id, GOLDEN, "{}", String::from_utf8_lossy(&sample().to_bytes()));
    }

    const GOLDEN: &str = "2b2cb49aeba966bc5e60786305c22bf82215255c66e5051d215347c36029edd5";

    #[test]
    fn what_is_damaged_or_leads_elsewhere_is_refused() {
        let read = |line: &str| Observed::from_bytes(format!("{HEADER}\n{line}\n").as_bytes());
        assert!(read("a\t/x").is_ok());
        for bad in [
            "",
            "z\t/x",
            "a",
            "a\tx",
            "a\t/../x",
            "a\t/x/",
            "a\t/x//y",
            "a\t/x\\x00",
            "a\t/x\\q",
            "a\t/x\\x0",
            "a\t/x\t/y",
            "d\t/x\tf a/b",
            "d\t/x\tf ..",
            "d\t/x\tq a",
            "d\t/x\ta",
            "f\t8\t1\t1.0\tr\t/x",
            "f\t644\t-1\t1.0\tr\t/x",
            "f\t644\t1\t1.1000000000\tr\t/x",
            "f\t644\t1\t1\tr\t/x",
            "f\t644\t1\t1.0\trr\t/x",
            "k\tabc\t/x",
            "e\tmany\t/x",
            "n\ta\tb",
            "n\ta\tb\t\\q",
        ] {
            assert_eq!(read(bad).unwrap_err(), "line 2 cannot be read", "{bad}");
        }
        for bad in [&b""[..], b"\xff", b"lab observe 1\n", b"lab observed 1x\n"] {
            assert!(Observed::from_bytes(bad).is_err());
        }
        let newer = Observed::from_bytes(b"lab observed 3\n").unwrap_err();
        assert_eq!(newer, "it was made by a newer lab");
    }
}
