//! Turns what processes are about to do into the record. Called while the process waits, so that
//! what it is about to change can still be looked at, and copied if it was an input.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::argument;
use crate::calls::{self, Action};
use crate::memory;
use crate::peer::Peers;
use crate::program::{Image, image};
use crate::record::{Listed, MAX_PATHS, Program, Stamp, Thing, Trace, Watching};
use crate::resolve::{Found, Resolver};
use crate::spool::Spool;
use crate::sys::Notice;

/// How many interpreters of interpreters the kernel follows.
const MAX_INTERPRETERS: usize = 5;
/// Most programs that are listed.
const MAX_LISTED: usize = 100_000;

/// The record while it grows.
pub(crate) struct Observer {
    trace: Trace,
    /// What becomes the record's maps of the same names: sorted maps of paths took most of the time.
    things: HashMap<OsString, Thing>,
    absent: HashSet<OsString>,
    resolver: Resolver,
    spool: Spool,
    peers: Peers,
}

impl Observer {
    pub(crate) fn new(watching: &Watching<'_>) -> Observer {
        let Watching { spool, inside } = *watching;
        Observer {
            trace: Trace::default(),
            things: HashMap::new(),
            absent: HashSet::new(),
            resolver: Resolver::new(inside),
            spool: Spool::new(spool.to_owned()),
            peers: Peers::default(),
        }
    }

    /// Writes down what the call of `notice` is about to do. `is_real` says afterwards whether
    /// what was read of the process was really its own; else nothing is written down.
    pub(crate) fn see(&mut self, notice: &Notice, is_real: impl Fn() -> bool) -> io::Result<()> {
        let thread = notice.thread;
        self.resolver.enter(thread)?;
        let Some(action) = calls::action(notice) else {
            self.trace.gap(format!("system call {} was not understood", notice.number));
            return Ok(());
        };
        let at = |place| argument::path(thread, place, &is_real);
        match action {
            Action::Open(place, flags) => at(place)?.iter().for_each(|path| self.open(path, flags)),
            Action::OpenHow(place, how) => {
                let flags = memory::number(thread, how)?;
                if let (Some(path), Some(flags)) = (at(place)?, flags) {
                    self.open(&path, flags as i32);
                }
            }
            Action::Examine(place, follow) => {
                at(place)?.iter().for_each(|path| drop(self.meet(path, follow)));
            }
            Action::ReadLink(place) => at(place)?.iter().for_each(|path| self.read_link(path)),
            Action::Execute(place, argv) => {
                let argv = memory::words(thread, argv)?;
                if let Some(path) = at(place)? {
                    self.execute(thread, &path, argv);
                }
            }
            Action::Rename(from, to, exchange) => {
                let from = at(from)?;
                if let (Some(from), Some(to)) = (from, at(to)?) {
                    self.rename(&from, &to, exchange);
                }
            }
            Action::Link(from, to) => {
                let from = at(from)?;
                if let (Some(from), Some(to)) = (from, at(to)?) {
                    self.open(&from, libc::O_RDONLY);
                    self.alter(&from);
                    self.make(&to);
                }
            }
            Action::Remove(place) => at(place)?.iter().for_each(|path| self.remove(path)),
            Action::Make(place) => {
                if let Some(path) = at(place)? {
                    self.resolver.forget();
                    self.make(&path);
                }
            }
            Action::Resize(place) => at(place)?.iter().for_each(|p| self.open(p, libc::O_RDWR)),
            Action::Alter(place) => at(place)?.iter().for_each(|path| self.alter(path)),
            Action::List(fd) => {
                if let Some(folder) = argument::descriptor(thread, fd).filter(|_| is_real()) {
                    self.list(&folder);
                }
            }
            Action::Socket(libc::AF_NETLINK | libc::AF_INET | libc::AF_INET6) => {}
            Action::Socket(domain) => self.peers.reach(format!("a socket of family {domain}")),
            Action::Bind(at, len) => {
                let address = argument::address(thread, at, len)?.filter(|_| is_real());
                self.peers.take(thread, address);
            }
            Action::Connect(at, len) => {
                if let Some(peer) = argument::address(thread, at, len)?.filter(|_| is_real()) {
                    self.reach(peer);
                }
            }
            Action::Entropy => {
                // Who has ended meanwhile took none.
                if let Ok(program) = fs::read_link(format!("/proc/{thread}/exe")) {
                    *self.trace.entropy.entry(program).or_default() += 1;
                }
            }
            Action::Ask(fact) => *self.trace.facts.entry(fact).or_default() += 1,
            Action::Clone(arguments) => {
                let flags = memory::number(thread, arguments)?.unwrap_or(0);
                self.trace.gaps.extend(calls::clone_escapes(flags).map(str::to_owned));
            }
            Action::Escape(what) => self.trace.gap(what),
            Action::Foreign => self.trace.gap("a 32-bit program ran, whose calls are not seen"),
        }
        Ok(())
    }

    /// Ends the record.
    pub(crate) fn finish(mut self, failure: Option<String>) -> Trace {
        self.trace.gaps.extend(failure);
        self.trace.links = self.resolver.links_of_others();
        self.trace.things = self.things.into_iter().map(|(k, v)| (k.into(), v)).collect();
        self.trace.absent = self.absent.into_iter().map(PathBuf::from).collect();
        self.trace.peers = self.peers.others();
        self.trace
    }

    /// Looks at a path, and notes what is there.
    fn meet(&mut self, path: &Path, follow: bool) -> Option<(PathBuf, Metadata)> {
        match self.resolver.find(path, follow) {
            Found::There(real, meta) => {
                if meta.is_symlink() {
                    self.read_link(&real);
                } else {
                    self.thing(&real, &meta);
                }
                Some((real, meta))
            }
            Found::Nothing(at) => {
                // What one of the processes has removed is no news.
                if !self.things.contains_key(at.as_os_str()) && self.has_room() {
                    self.absent.insert(at.into());
                }
                None
            }
            Found::Unknown => None,
        }
    }

    fn thing(&mut self, real: &Path, meta: &Metadata) -> &mut Thing {
        // The map is asked twice, so that a path that is known is not copied.
        if !self.things.contains_key(real.as_os_str()) {
            self.has_room();
            let thing = Thing::new(Some(Stamp::new(meta)));
            self.things.insert(real.into(), thing);
        }
        self.things.get_mut(real.as_os_str()).expect("it was put there")
    }

    /// Its permissions, times or names are about to change, and not its content.
    fn alter(&mut self, path: &Path) {
        if let Some((real, meta)) = self.meet(path, true) {
            self.thing(&real, &meta).altered = true;
        }
    }

    fn has_room(&mut self) -> bool {
        let room = self.things.len() + self.absent.len() < MAX_PATHS;
        if !room {
            self.trace.gap(format!("more than {MAX_PATHS} paths were touched"));
        }
        room
    }

    fn open(&mut self, path: &Path, flags: i32) {
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_TRUNC != 0;
        let exclusive = flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL;
        let follow = flags & libc::O_NOFOLLOW == 0 && !exclusive;
        let makes = flags & libc::O_CREAT != 0;
        let known_absent = makes && matches!(self.resolver.find(path, follow), Found::Nothing(_));
        if known_absent {
            self.make(path);
            return;
        }
        let Some((real, meta)) = self.meet(path, follow) else { return };
        if exclusive || flags & libc::O_PATH != 0 || meta.is_symlink() {
            return;
        }
        let thing = self.thing(&real, &meta);
        thing.gone = false;
        if !writes {
            thing.read |= !thing.written;
            return;
        }
        if !meta.is_file() {
            // What comes through a pipe that is opened both ways comes in as well.
            thing.read |= !thing.written && flags & libc::O_ACCMODE == libc::O_RDWR;
            return;
        }
        // Unless it is emptied at once, what it held may be read or remain in part.
        thing.read |= !thing.written && flags & libc::O_TRUNC == 0;
        self.about_to_change(&real);
        self.things.get_mut(real.as_os_str()).expect("it was met").written = true;
    }

    /// Something appears at a path.
    fn make(&mut self, path: &Path) {
        let real = match self.resolver.find(path, true) {
            Found::Nothing(at) => at,
            // It fails: it is there.
            Found::There(..) => return drop(self.meet(path, true)),
            Found::Unknown => return,
        };
        self.made(real);
    }

    /// The same where nothing is. Whoever does it again needs the folder.
    fn made(&mut self, real: PathBuf) {
        if !self.has_room() {
            return;
        }
        real.parent().iter().for_each(|folder| drop(self.meet(folder, false)));
        self.resolver.made(&real);
        let thing = self.things.entry(real.into()).or_insert_with(|| Thing::new(None));
        thing.written = true;
        thing.gone = false;
    }

    fn remove(&mut self, path: &Path) {
        let Some((real, meta)) = self.meet(path, false) else { return };
        if meta.is_dir() || meta.is_symlink() {
            self.resolver.forget();
        }
        self.about_to_change(&real);
        if let Some(thing) = self.things.get_mut(real.as_os_str()) {
            thing.gone = true;
            thing.written = true;
        }
    }

    fn rename(&mut self, from: &Path, to: &Path, exchange: bool) {
        self.resolver.forget();
        let Some((from, meta)) = self.meet(from, false) else { return };
        let target = match self.resolver.find(to, false) {
            Found::There(real, meta) => {
                self.thing(&real, &meta);
                self.about_to_change(&real);
                real
            }
            Found::Nothing(at) => at,
            Found::Unknown => return,
        };
        if meta.is_file() {
            // What moves is content that goes on to exist elsewhere.
            let thing = self.thing(&from, &meta);
            thing.read |= !thing.written;
            self.about_to_change(&from);
        }
        let moved: Vec<PathBuf> = if meta.is_dir() {
            self.read_all(&from);
            let all = self.things.keys().map(Path::new);
            all.filter(|path| path.starts_with(&from)).map(Path::to_owned).collect()
        } else {
            vec![from.clone()]
        };
        for path in moved {
            let inside = path.strip_prefix(&from).expect("it was chosen so").to_owned();
            if let Some(thing) = self.things.get_mut(path.as_os_str()) {
                thing.gone = !exchange;
                thing.written = true;
            }
            let empty = inside.as_os_str().is_empty();
            self.made(if empty { target.clone() } else { target.join(inside) });
        }
    }

    /// A folder is about to move: all that is in it goes on to exist elsewhere.
    fn read_all(&mut self, folder: &Path) {
        self.list(folder);
        // One that a process made holds nothing that was not met.
        let Some(all) = self.trace.listed.get(folder) else { return };
        let paths: Vec<PathBuf> = all.iter().map(|listed| folder.join(&listed.name)).collect();
        for path in paths {
            match self.meet(&path, false) {
                Some((real, meta)) if meta.is_file() => {
                    let thing = self.thing(&real, &meta);
                    thing.read |= !thing.written;
                    self.about_to_change(&real);
                }
                Some((real, meta)) if meta.is_dir() => self.read_all(&real),
                _ => {}
            }
        }
    }

    /// Keeps a copy of a file that was read and is about to be changed, moved or removed.
    fn about_to_change(&mut self, real: &Path) {
        let Some(thing) = self.things.get_mut(real.as_os_str()) else { return };
        let file = thing.first.is_some_and(|stamp| stamp.is_file());
        if !file || !thing.read || thing.written || thing.kept.is_some() {
            return;
        }
        match self.spool.keep(real, &self.resolver.seen_by_us(real), thing) {
            Ok(copy) => thing.kept = Some(copy),
            Err(why) => self.trace.gap(why),
        }
    }

    fn read_link(&mut self, path: &Path) {
        if let Found::There(real, meta) = self.resolver.find(path, false) {
            if meta.is_symlink() {
                if let Ok(target) = self.resolver.seen_by_us(&real).read_link() {
                    self.resolver.links.entry(real).or_insert(target);
                }
            } else {
                self.thing(&real, &meta);
            }
        } else {
            self.meet(path, false);
        }
    }

    fn execute(&mut self, process: i32, path: &Path, argv: Vec<Vec<u8>>) {
        let mut path = path.to_owned();
        for depth in 0..MAX_INTERPRETERS {
            let Some((real, meta)) = self.meet(&path, true) else { return };
            if !meta.is_file() {
                return;
            }
            let thing = self.thing(&real, &meta);
            thing.read |= !thing.written;
            thing.executed = true;
            let image = image(&self.resolver.seen_by_us(&real));
            if depth == 0 && self.trace.programs.len() < MAX_LISTED {
                self.trace.programs.push(Program { process, path: real, argv: argv.clone() });
            }
            match image {
                Image::Through(next) if next.is_absolute() => path = next,
                Image::Through(_) => {
                    return self.trace.gap("a script names its interpreter by a relative path");
                }
                Image::Narrow => {
                    return self.trace.gap("a 32-bit program ran, whose calls are not seen");
                }
                Image::Alone | Image::Unknown => return,
            }
        }
    }

    fn list(&mut self, folder: &Path) {
        if self.trace.listed.contains_key(folder) {
            return;
        }
        let Some((real, _)) = self.meet(folder, true) else { return };
        if self.things.get(real.as_os_str()).is_some_and(|thing| thing.first.is_none()) {
            return;
        }
        let things = &self.things;
        let own = |name: &OsStr| {
            let path = real.join(name);
            things.get(path.as_os_str()).is_some_and(|thing| thing.first.is_none())
        };
        match Listed::all(&self.resolver.seen_by_us(&real)) {
            Ok(mut all) => {
                all.retain(|listed| !own(&listed.name));
                self.trace.listed.insert(real, all);
            }
            Err(e) => {
                self.trace.gap(format!("'{}' was listed, and by us not: {e}", real.display()))
            }
        }
    }

    /// A process connects. To a socket in the file system that is not there (many programs look
    /// for a name service so) it is a look-up in vain, and nothing comes in.
    fn reach(&mut self, peer: String) {
        let path = peer.strip_prefix("unix:").filter(|path| path.starts_with('/'));
        match path.map(Path::new) {
            Some(path) if matches!(self.resolver.find(path, true), Found::Nothing(_)) => {
                self.meet(path, true);
            }
            _ => self.peers.reach(peer),
        }
    }
}
