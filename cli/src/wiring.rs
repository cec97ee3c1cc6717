//! The only module that names implementations: which backend a registry lies on, where its
//! lineage index and scratch folders are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab_lineage::Lineage;
use lab_objects::{Folder, Lease, RawCache, StatCache, Store};

use crate::config::Config;
use crate::failure::{Failure, Outcome, io_failure};

/// Most bytes of files that are kept as they are, to be cloned or linked.
const RAW_BYTES: u64 = 20 << 30;

/// A registry: a folder with a `.lab` in it.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The folder that the store lies in: `.lab` in the folder that people work in, or a bare store.
    pub folder: PathBuf,
    /// The bytes.
    pub store: Store,
    /// Remotes and user.
    pub config: Config,
    /// Held by commands that write, until their names have moved.
    pub lease: Lease,
}

impl Registry {
    /// Makes a registry in `root`.
    pub(crate) fn create(root: &Path) -> Outcome<Registry> {
        let folder = root.join(".lab");
        std::fs::create_dir_all(root).map_err(|e| io_failure("create", root, &e))?;
        let store = Store::create(Arc::new(Folder::create(&folder)?))?;
        // Git leaves the registry alone without anybody having to tell it.
        let ignore = folder.join(".gitignore");
        std::fs::write(&ignore, "*\n").map_err(|e| io_failure("write", &ignore, &e))?;
        Ok(Registry { folder, store, config: Config::default(), lease: Lease::default() })
    }

    /// Opens the registry whose store lies in `folder`.
    pub(crate) fn open(folder: PathBuf) -> Outcome<Registry> {
        let store = Store::open(Arc::new(Folder::open(&folder)?))?;
        let config = Config::read(&folder)?;
        Ok(Registry { folder, store, config, lease: Lease::default() })
    }

    /// The lineage, brought up to date with the store.
    pub(crate) fn lineage(&self) -> Outcome<Lineage> {
        let mut lineage = Lineage::open(&self.folder.join("index.db"))?;
        lineage.refresh(&self.store)?;
        Ok(lineage)
    }

    /// What the files of this machine were when they were last read.
    pub(crate) fn stat_cache(&self) -> StatCache {
        StatCache::open(&self.stat_cache_path())
    }

    /// Where that is kept.
    pub(crate) fn stat_cache_path(&self) -> PathBuf {
        self.folder.join("cache").join("stat")
    }

    /// Files as they are, to be cloned or linked.
    pub(crate) fn raw_cache(&self, link: bool) -> RawCache {
        RawCache::new(&self.folder.join("cache").join("raw"), RAW_BYTES, link)
    }

    /// Where runs are executed.
    pub(crate) fn scratch(&self) -> Outcome<PathBuf> {
        let scratch = self.folder.join("scratch");
        std::fs::create_dir_all(&scratch).map_err(|e| io_failure("create", &scratch, &e))?;
        Ok(scratch)
    }

    /// Where the hook for Python programs is kept.
    pub(crate) fn probe(&self) -> PathBuf {
        self.folder.join("cache").join("probe")
    }

    /// This program, to be started again beside a command; none if the system does not say what it is.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        std::env::current_exe().ok()
    }

    /// The name that runs and moves are signed with.
    pub(crate) fn who(&self) -> String {
        self.config.who()
    }

    /// Keeps here what the packs of a remote hold, so that it need not come again.
    pub(crate) fn keep_ends(&self, remote: &Store) {
        remote.keep_ends(&self.folder.join("cache/ends"));
    }

    /// The location of a remote: one of the configured names, or a path or URL itself.
    pub(crate) fn remote(&self, name: &str) -> Outcome<String> {
        if let Some(location) = self.config.remotes.get(name) {
            return Ok(location.clone());
        }
        if name.contains(['/', ':']) || name.starts_with('.') || Path::new(name).is_absolute() {
            return Ok(name.to_owned());
        }
        let failure = Failure::not_found(format!("no remote '{name}'"));
        let known: Vec<&str> = self.config.remotes.keys().map(String::as_str).collect();
        Err(match crate::resolve::closest(name, known.iter().copied()) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => {
                failure.hint(format!("`lab remote add {name} PATH` adds it"))
            }
            None => failure.hint(format!("known remotes: {}", known.join(", "))),
        })
    }
}
