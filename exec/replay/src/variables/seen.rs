//! What differs between two records of what commands were seen to touch, beyond contents: orders of
//! listings, names that came or went, places where something was found in one run only, links,
//! permissions, times, facts of the machine, peers, chance.
//!
//! What the runs themselves made is left out, since it follows from the rest, and so are caches of
//! interpreters. Paths below the project are told from its top, so that the same work in another
//! folder differs in that folder and in nothing else.

use std::collections::{BTreeMap, BTreeSet};

use lab_process::inherited;
use lab_schema::observed::{How, Listed, Observed, Seen};
use lab_schema::{Command, Run};

use crate::variables::environment::Part;
use crate::variables::installed::is_installed;
use crate::variables::recipe::maps;
use crate::variables::seeds;
use crate::variables::variable::Layer;

/// Most rows of one sort.
const MANY: usize = 8;

/// Files of the system's own making that say how much of the machine there is; all others say how
/// it is doing.
const CAPACITY: [&str; 3] = ["/sys/devices/system/cpu/", "/sys/fs/cgroup/", "/proc/sys/"];

/// Most characters of a system file that are shown.
const SHOWN: usize = 80;

/// One run's side.
pub(crate) struct Side<'a> {
    pub(crate) observed: &'a Observed,
    /// Where the project lies, and the home folder, in front of `/`: without a `/` at the end.
    roots: Vec<(String, &'static str)>,
    /// What the run left, by path.
    made: BTreeSet<String>,
    /// What it wrote over without a look: an earlier run made that, although it is no output where
    /// others are declared.
    over: BTreeSet<String>,
}

impl<'a> Side<'a> {
    pub(crate) fn new(observed: &'a Observed, run: &Run, command: &Command) -> Side<'a> {
        let roots = roots(command);
        let start = command.place.as_ref().map(|place| place.project.trim_end_matches('/'));
        let start = match (&command.directory, start) {
            (Some(below), Some(top)) => format!("{top}/{below}"),
            (_, top) => top.unwrap_or_default().to_owned(),
        };
        let mut made = BTreeSet::new();
        for slot in run.outcome.outputs.keys() {
            // With the folders on the way, which may be there because of it.
            let path = format!("{start}/{slot}");
            let mut at = start.len();
            while let Some(next) = path[at + 1..].find('/') {
                at += 1 + next;
                made.insert(relative(&roots, &path.as_bytes()[..at]));
            }
            made.insert(relative(&roots, path.as_bytes()));
        }
        let over = observed.things.iter().filter(|(_, seen)| seen.how == How::Overwritten);
        let over = over.map(|(path, _)| relative(&roots, path)).collect();
        Side { observed, roots, made, over }
    }

    /// A path as it is told.
    pub(crate) fn name(&self, path: &[u8]) -> String {
        relative(&self.roots, path)
    }
}

/// The project and the home folder of a command, the deeper first, and how paths in them begin.
pub(crate) fn roots(command: &Command) -> Vec<(String, &'static str)> {
    let plain = |path: &str| path.trim_end_matches('/').to_owned();
    let project = command.place.as_ref().map(|place| (plain(&place.project), ""));
    let home = command.variables.get("HOME").map(|home| (plain(home), "~/"));
    let mut roots: Vec<(String, &'static str)> = project.into_iter().chain(home).collect();
    roots.retain(|(path, _)| path.len() > 1);
    roots.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    roots
}

/// A path from the project's top or the home folder, if it lies in one.
pub(crate) fn relative(roots: &[(String, &'static str)], path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    for (root, short) in roots {
        if let Some(inside) = path.strip_prefix(root.as_str()) {
            match inside.strip_prefix('/') {
                Some(inside) => return format!("{short}{inside}"),
                None if inside.is_empty() => return format!("{short}."),
                None => {}
            }
        }
    }
    path.into_owned()
}

/// What a command looked at or saw in a listing, by the names that inputs have: from where it was
/// started, or absolute.
pub(crate) fn there(observed: &Observed, command: &Command) -> BTreeSet<String> {
    let top = command.place.as_ref().map_or("", |place| place.project.trim_end_matches('/'));
    let start = match &command.directory {
        Some(below) => format!("{top}/{below}/"),
        None => format!("{top}/"),
    };
    let named = |path: &[u8]| {
        let path = String::from_utf8_lossy(path).into_owned();
        path.strip_prefix(&start).map(str::to_owned).unwrap_or(path)
    };
    let listed = observed.listed.iter().flat_map(|(folder, names)| {
        names.iter().map(|listed| [folder.as_slice(), b"/", &listed.name].concat())
    });
    let looked = observed.things.keys().map(|path| named(path));
    looked.chain(listed.map(|path| named(&path))).collect()
}

/// Everything that differs.
pub(crate) fn differences(a: &Side<'_>, b: &Side<'_>) -> Vec<Part> {
    let mut look = Look { a, b, found: Vec::new() };
    look.secrets();
    look.listings();
    look.found();
    look.links();
    look.things();
    look.system();
    let rows = seeds::rows(look.a.observed, look.b.observed);
    for (layer, noun) in
        [(Layer::Seed, "seeded generators"), (Layer::Told, "things that the program told")]
    {
        let of = rows.iter().filter(|(other, _)| *other == layer).map(|(_, row)| row.clone());
        look.bounded(layer, of.collect(), noun);
    }
    look.chance();
    look.found
}

struct Look<'a> {
    a: &'a Side<'a>,
    b: &'a Side<'a>,
    found: Vec<Part>,
}

impl Look<'_> {
    fn add(&mut self, layer: Layer, what: String, before: Option<String>, after: Option<String>) {
        // Names come from somebody else's record, and may not steer a terminal.
        let plain = |c: char| -> String {
            if c.is_control() { c.escape_default().collect() } else { c.into() }
        };
        let what = what.chars().map(plain).collect();
        self.found.push(Part { layer, what, before, after });
    }

    /// Whether a path tells nothing: it follows from something else.
    fn follows(&self, name: &str) -> bool {
        let is_made = |side: &Side<'_>| {
            side.made.contains(name)
                || name.match_indices('/').any(|(at, _)| {
                    // Inside of an output that is a folder; folders above outputs hold other things too.
                    side.made.contains(&name[..at]) && !has_below(&side.made, &name[..at])
                })
        };
        name.split('/').any(|part| part == "__pycache__")
            || name.ends_with(".pyc")
            || is_made(self.a)
            || is_made(self.b)
    }

    /// Files that look like secrets are in no recipe: only here is it seen that they differ.
    fn secrets(&mut self) {
        let of = |side: &Side<'_>| -> BTreeMap<String, String> {
            let all = side.observed.secrets.iter();
            all.map(|(path, id)| (format!("secret {}", side.name(path)), id.to_string())).collect()
        };
        let (x, y) = (of(self.a), of(self.b));
        // One that only one side read came, or follows from something else; that is told elsewhere.
        let differs = |(name, then): (&String, &String)| {
            let now = y.get(name).filter(|now| *now != then)?;
            Some((name.clone(), Some(then.clone()), Some(now.clone())))
        };
        let rows: Rows = x.iter().filter_map(differs).collect();
        self.bounded(Layer::Data, rows, "secrets");
    }

    fn listings(&mut self) {
        let of = |side: &Side<'_>| -> BTreeMap<String, Vec<Listed>> {
            let listed = side.observed.listed.iter();
            listed.map(|(path, names)| (side.name(path), names.clone())).collect()
        };
        let (x, y) = (of(self.a), of(self.b));
        let (mut names, mut orders) = (Rows::new(), Rows::new());
        for (folder, then) in &x {
            let Some(now) = y.get(folder) else { continue };
            let counts = |l: &&Listed| {
                let name = String::from_utf8_lossy(&l.name);
                let path = match folder.strip_suffix('.') {
                    Some(above) if above.is_empty() || above.ends_with('/') => {
                        format!("{above}{name}")
                    }
                    _ => format!("{folder}/{name}"),
                };
                !self.follows(&path) && !self.a.over.contains(&path) && !self.b.over.contains(&path)
            };
            let then: Vec<&Listed> = then.iter().filter(counts).collect();
            let now: Vec<&Listed> = now.iter().filter(counts).collect();
            if then == now {
                continue;
            }
            let set = |all: &[&Listed]| -> BTreeSet<String> {
                all.iter().map(|l| String::from_utf8_lossy(&l.name).into_owned()).collect()
            };
            let (before, after) = (set(&then), set(&now));
            if before == after {
                let first = |all: &[&Listed], other: &[&Listed]| {
                    let at = all.iter().zip(other).position(|(p, q)| p.name != q.name);
                    let rest = all.iter().skip(at.unwrap_or(0)).take(3);
                    let names: Vec<_> = rest.map(|l| String::from_utf8_lossy(&l.name)).collect();
                    Some(format!("{} …", names.join(", ")))
                };
                let what = format!("order of {folder}");
                orders.push((what, first(&then, &now), first(&now, &then)));
                continue;
            }
            let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Option<String> {
                let only: Vec<&str> = a.difference(b).map(String::as_str).collect();
                let more = if only.len() > 3 { ", …" } else { "" };
                let shown = only.iter().take(3).copied().collect::<Vec<_>>().join(", ");
                (!only.is_empty()).then(|| format!("has {shown}{more}"))
            };
            names.push((
                format!("names in {folder}"),
                only(&before, &after),
                only(&after, &before),
            ));
        }
        self.bounded(Layer::Order, orders, "orders of listings");
        self.bounded(Layer::Found, names, "listings");
    }

    fn found(&mut self) {
        let mut rows = Rows::new();
        for (from, to, came) in [(self.a, self.b, true), (self.b, self.a, false)] {
            let there: BTreeSet<String> = to
                .observed
                .things
                .keys()
                .chain(to.observed.links.keys())
                .map(|p| to.name(p))
                .collect();
            for path in &from.observed.absent {
                let name = from.name(path);
                if there.contains(&name) && !self.follows(&name) {
                    let there = || Some("there".to_owned());
                    let (before, after) = if came { (None, there()) } else { (there(), None) };
                    rows.push((name, before, after));
                }
            }
        }
        self.bounded(Layer::Found, rows, "places");
    }

    fn links(&mut self) {
        let of = |side: &Side<'_>| -> BTreeMap<String, String> {
            let links = side.observed.links.iter();
            links.map(|(path, target)| (side.name(path), side.name(target))).collect()
        };
        let (x, y) = (of(self.a), of(self.b));
        let rows = x.iter().filter_map(|(name, then)| {
            let now = y.get(name).filter(|now| *now != then)?;
            let differs = !self.follows(name);
            differs.then(|| (format!("link {name}"), Some(then.clone()), Some(now.clone())))
        });
        let rows: Rows = rows.collect();
        self.bounded(Layer::Found, rows, "links");
    }

    fn things(&mut self) {
        const KIND: u32 = 0o170_000;
        const FOLDER: u32 = 0o040_000;
        let of = |side: &Side<'_>| -> BTreeMap<String, Seen> {
            side.observed.things.iter().map(|(path, seen)| (side.name(path), *seen)).collect()
        };
        let (x, y) = (of(self.a), of(self.b));
        let (mut modes, mut times) = (Rows::new(), Rows::new());
        for (name, then) in &x {
            let Some(now) = y.get(name) else { continue };
            if self.follows(name) {
                continue;
            }
            if then.mode != now.mode {
                let show = |seen: &Seen| Some(format!("{:o}", seen.mode & 0o7777));
                let what = match then.mode & KIND == now.mode & KIND {
                    true => format!("permissions of {name}"),
                    false => format!("kind of {name}"),
                };
                modes.push((what, show(then), show(now)));
            }
            // What is overwritten was made by an earlier run.
            let is_old = |seen: &Seen| seen.how != How::Overwritten && seen.mode & KIND != FOLDER;
            let counts = is_old(then) && is_old(now) && !is_installed(name);
            if then.modified != now.modified && counts {
                let show = |seen: &Seen| Some(instant(seen.modified));
                times.push((format!("time of {name}"), show(then), show(now)));
            }
        }
        self.bounded(Layer::Mode, modes, "permissions");
        self.bounded(Layer::Time, times, "times of files");
    }

    fn system(&mut self) {
        let mut rows = Rows::new();
        for (path, then) in &self.a.observed.system {
            let name = String::from_utf8_lossy(path).into_owned();
            let Some(now) = self.b.observed.system.get(path).filter(|now| *now != then) else {
                continue;
            };
            if CAPACITY.iter().any(|start| name.starts_with(start)) {
                let show = |bytes: &[u8]| {
                    let text = String::from_utf8_lossy(bytes);
                    Some(text.trim().chars().take(SHOWN).collect::<String>())
                };
                rows.push((name, show(then), show(now)));
            }
        }
        self.bounded(Layer::Hardware, rows, "facts of the machine");
        let (then, now) = (inherited(self.a.observed), inherited(self.b.observed));
        maps(&then, &now, &mut |what, before, after| {
            self.add(Layer::Place, what.to_owned(), before, after);
        });
        let peers = |side: &Side<'_>| side.observed.peers.clone();
        let (x, y) = (peers(self.a), peers(self.b));
        let row = |peer: &Vec<u8>, came: bool| {
            let reached = || Some("reached".to_owned());
            let (before, after) = if came { (None, reached()) } else { (reached(), None) };
            (format!("peer {}", String::from_utf8_lossy(peer)), before, after)
        };
        let gone = x.difference(&y).map(|peer| row(peer, false));
        let come = y.difference(&x).map(|peer| row(peer, true));
        let rows: Rows = gone.chain(come).collect();
        self.bounded(Layer::Found, rows, "peers");
    }

    fn chance(&mut self) {
        // By its name without a version: another interpreter draws as the one before did.
        let of = |side: &Side<'_>| -> BTreeMap<String, String> {
            let all = side.observed.entropy.keys().map(|program| side.name(program));
            all.map(|path| (unversioned(&path), path)).collect()
        };
        let (x, y) = (of(self.a), of(self.b));
        let row = |program: &String, came: bool| {
            let taken = || Some("taken".to_owned());
            let (before, after) = if came { (None, taken()) } else { (taken(), None) };
            (format!("random bytes by {program}"), before, after)
        };
        let only = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>, came| -> Rows {
            let only = a.iter().filter(|(name, _)| !b.contains_key(*name));
            only.map(|(_, program)| row(program, came)).collect()
        };
        let (gone, come) = (only(&x, &y, false), only(&y, &x, true));
        let rows: Rows = gone.into_iter().chain(come).collect();
        self.bounded(Layer::Chance, rows, "programs that took random bytes");
    }

    /// The first of the rows, and how many more there are.
    fn bounded(&mut self, layer: Layer, rows: Rows, noun: &str) {
        let more = rows.len().saturating_sub(MANY);
        for (what, before, after) in rows.into_iter().take(MANY) {
            self.add(layer, what, before, after);
        }
        if more > 0 {
            let (before, after) = ("as in the one".to_owned(), "as in the other".to_owned());
            self.add(layer, format!("{more} more {noun}"), Some(before), Some(after));
        }
    }
}

/// What differs, before and after.
type Rows = Vec<(String, Option<String>, Option<String>)>;

/// The name of a program, without digits at its end.
fn unversioned(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_owned()
}

/// Whether something in the set lies below a path.
fn has_below(set: &BTreeSet<String>, path: &str) -> bool {
    let start = format!("{path}/");
    set.range(start.clone()..).next().is_some_and(|next| next.starts_with(&start))
}

/// A time of a file, in UTC; what no calendar reaches is left in seconds and nanoseconds.
fn instant((seconds, nanoseconds): (i64, u32)) -> String {
    let at = i32::try_from(nanoseconds).ok().and_then(|n| jiff::Timestamp::new(seconds, n).ok());
    at.map_or_else(|| format!("{seconds}.{nanoseconds:09}"), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_schema::observed::ListedKind;
    use lab_schema::{
        BlobId, Completeness, ContentId, Host, Outcome, Place, RecipeId, Slot, Status,
    };

    fn command(project: &str) -> Command {
        Command {
            argv: vec!["x".into()],
            directory: None,
            variables: BTreeMap::from([("HOME".into(), "/home/a".into())]),
            place: Some(Place { project: project.into(), user: 1, group: 1, umask: 0, cpus: 1 }),
        }
    }

    fn run(outputs: &[&str]) -> Run {
        let id = BlobId::of(b"x");
        let left = |name: &&str| (Slot::new(*name).unwrap(), ContentId::Blob(id));
        let outcome = Outcome {
            status: Status::Exited(0),
            outputs: outputs.iter().map(left).collect(),
            metrics: BTreeMap::new(),
            logs: BTreeMap::new(),
            completeness: Completeness::Complete,
            params: BTreeMap::new(),
            observed: None,
            unrecorded_variables: vec![],
            started_ms: 0,
            duration_ms: 0,
            peak_memory_bytes: None,
        };
        let host = Host {
            os: String::new(),
            kernel: String::new(),
            arch: String::new(),
            cpu: String::new(),
            cpu_features: vec![],
            cpus: 1,
            memory_bytes: 0,
            lab: String::new(),
        };
        let recipe = RecipeId::from_digest(id.digest());
        Run {
            recipe,
            outcome,
            host,
            git: None,
            parent: None,
            makers: BTreeMap::new(),
            who: String::new(),
        }
    }

    fn seen(how: How, mode: u32, time: i64) -> Seen {
        Seen { mode, size: 1, modified: (time, 0), how }
    }

    fn list(observed: &mut Observed, folder: &str, names: &[&str]) {
        let listed = |n: &&str| Listed { name: n.as_bytes().to_vec(), kind: ListedKind::File };
        observed.listed.insert(folder.as_bytes().to_vec(), names.iter().map(listed).collect());
    }

    fn rows(a: (&Observed, &str, &[&str]), b: (&Observed, &str, &[&str])) -> Vec<String> {
        let (x, y) = (run(a.2), run(b.2));
        let (p, q) = (command(a.1), command(b.1));
        let parts = differences(&Side::new(a.0, &x, &p), &Side::new(b.0, &y, &q));
        let show = |v: Option<String>| v.unwrap_or_else(|| "-".into());
        let row = |p: Part| {
            format!("{}: {} {} {}", p.layer.word(), p.what, show(p.before), show(p.after))
        };
        parts.into_iter().map(row).collect()
    }

    #[test]
    fn what_differs_is_named_from_the_project() {
        let (mut a, mut b) = (Observed::default(), Observed::default());
        list(&mut a, "/home/a/p/data", &["x", "y", "z"]);
        list(&mut b, "/elsewhere/data", &["x", "z", "y"]);
        list(&mut a, "/home/a/p", &["data", "out", "a.txt"]);
        list(&mut b, "/elsewhere", &["data", "b.txt"]);
        a.absent.insert(b"/home/a/p/c.toml".to_vec());
        b.things.insert(b"/elsewhere/c.toml".to_vec(), seen(How::Examined, 0o100_644, 1));
        for (observed, top, mode, time) in
            [(&mut a, "/home/a/p", 0o100_755, 5), (&mut b, "/elsewhere", 0o100_644, 6)]
        {
            let path = format!("{top}/hook").into_bytes();
            observed.things.insert(path, seen(How::Read, mode, time));
        }
        a.links.insert(b"/home/a/p/now".to_vec(), b"v1".to_vec());
        b.links.insert(b"/elsewhere/now".to_vec(), b"v2".to_vec());
        b.entropy.insert(b"/usr/bin/shuf".to_vec(), 3);
        b.peers.insert(b"10.0.0.1:80".to_vec());
        let found = rows((&a, "/home/a/p", &["out"]), (&b, "/elsewhere", &["out"]));
        assert_eq!(
            found,
            [
                "order: order of data y, z … z, y …",
                "found: names in . has a.txt has b.txt",
                "found: c.toml - there",
                "found: link now v1 v2",
                "permissions: permissions of hook 755 644",
                "time: time of hook 1970-01-01T00:00:05Z 1970-01-01T00:00:06Z",
                "found: peer 10.0.0.1:80 - reached",
                "chance: random bytes by /usr/bin/shuf - taken",
            ]
        );
    }

    #[test]
    fn what_follows_from_the_runs_is_no_difference() {
        let (mut a, mut b) = (Observed::default(), Observed::default());
        // Nothing was there the first time; the second finds what the first has left.
        for path in ["/p/out/model/w", "/p/out", "/p/__pycache__/m.pyc", "/p/new.txt"] {
            a.absent.insert(path.as_bytes().to_vec());
            b.things.insert(path.as_bytes().to_vec(), seen(How::Overwritten, 0o100_644, 9));
        }
        list(&mut a, "/p", &["m.py"]);
        list(&mut b, "/p", &["__pycache__", "m.py", "new.txt", "out"]);
        // Times of folders, of what is overwritten, and how the machine is doing.
        for (observed, time) in [(&mut a, 1), (&mut b, 2)] {
            observed.things.insert(b"/tmp".to_vec(), seen(How::Read, 0o041_777, time));
            observed.things.insert(b"/p/log".to_vec(), seen(How::Overwritten, 0o100_644, time));
            observed.system.insert(b"/proc/meminfo".to_vec(), vec![time as u8]);
            observed.asked.insert("memory".into(), time as u64);
        }
        let made: &[&str] = &["out/model", "new.txt"];
        assert_eq!(rows((&a, "/p", made), (&b, "/p", made)), [""; 0]);
        assert_eq!(rows((&b, "/p", made), (&a, "/p", made)), [""; 0]);
        // What another made is one; it is told by what was looked for, and not in listings too.
        let found = rows((&a, "/p", &["out/model"]), (&b, "/p", &["out/model"]));
        assert_eq!(found, ["found: new.txt - there"]);
    }

    #[test]
    fn what_is_written_over_is_no_news_in_a_listing() {
        let (mut a, mut b) = (Observed::default(), Observed::default());
        list(&mut a, "/p", &["data"]);
        list(&mut b, "/p", &["data", "train.log"]);
        b.things.insert(b"/p/train.log".to_vec(), seen(How::Overwritten, 0o100_644, 9));
        assert_eq!(rows((&a, "/p", &["res"]), (&b, "/p", &["res"])), [""; 0]);
        // One that was read entered.
        b.things.insert(b"/p/train.log".to_vec(), seen(How::Read, 0o100_644, 9));
        assert_eq!(rows((&a, "/p", &["res"]), (&b, "/p", &["res"])).len(), 1);
    }

    #[test]
    fn another_version_of_a_program_draws_as_the_one_before() {
        let (mut a, mut b) = (Observed::default(), Observed::default());
        a.entropy.insert(b"/old/bin/python3.11".to_vec(), 1);
        b.entropy.insert(b"/new/bin/python3.13".to_vec(), 4);
        assert_eq!(rows((&a, "/p", &[]), (&b, "/p", &[])), [""; 0]);
        b.entropy.insert(b"/dev/urandom".to_vec(), 1);
        let found = rows((&a, "/p", &[]), (&b, "/p", &[]));
        assert_eq!(found, ["chance: random bytes by /dev/urandom - taken"]);
    }

    #[test]
    fn secrets_differ_by_their_ids_and_installations_not_by_their_times() {
        let (mut a, mut b) = (Observed::default(), Observed::default());
        for (observed, top, key) in [(&mut a, "/p", "1"), (&mut b, "/q", "2")] {
            let id = BlobId::of(key.as_bytes());
            observed.secrets.insert(format!("{top}/.env").into_bytes(), id);
            let time = i64::from(key == "1");
            for path in ["/usr/lib/os.py", "/v/lib/python3.12/site-packages/x/y.txt"] {
                observed.things.insert(path.into(), seen(How::Read, 0o100_644, time));
            }
        }
        let (x, y) = (BlobId::of(b"1"), BlobId::of(b"2"));
        let expected = [format!("data: secret .env {x} {y}")];
        assert_eq!(rows((&a, "/p", &[]), (&b, "/q", &[])), expected);
    }

    #[test]
    fn strangers_records_stay_short_and_steer_nothing() {
        let (mut a, mut b) = (Observed::default(), Observed::default());
        for n in 0..5000 {
            let path = format!("/data/\u{1b}[2J{n}").into_bytes();
            a.absent.insert(path.clone());
            b.things.insert(path, seen(How::Read, 0o100_644, 1));
        }
        for n in 0..3000 {
            list(&mut a, &format!("/d/{n}"), &["x", "y"]);
            list(&mut b, &format!("/d/{n}"), &["y", "x"]);
        }
        a.system.insert(b"/proc/self/limits".to_vec(), b"open\x1b files\t3\n".to_vec());
        let found = rows((&a, "/p", &[]), (&b, "/p", &[]));
        assert!(found.len() < 30, "{}", found.len());
        assert!(found.iter().all(|row| !row.contains('\u{1b}')), "{found:?}");
        assert!(found.iter().any(|row| row.contains("4992 more places")), "{found:?}");
    }
}
