//! The only module that names implementations: which backend a registry lies on, where its
//! lineage index and scratch folders are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab_lineage::{Lineage, Skipped};
use lab_objects::{Bring, Folder, Lease, Memory, Offline, Promises, RawCache, StatCache, Store};
use lab_remote::{Fetcher, Heard, open};

use crate::bars::Bars;
use crate::config::Config;
use crate::failure::{Failure, Outcome, io_failure};
use crate::ui::{self, Ui};

/// Most bytes of files that are kept as they are, to be cloned or linked.
const RAW_BYTES: u64 = 20 << 30;

/// Where the lineage index of a store in a folder is.
pub(crate) fn index_of(folder: &Path) -> PathBuf {
    folder.join("index.db")
}

/// The folder that people work in around a store's folder; that itself, if nobody works in it.
pub(crate) fn root_of(folder: &Path) -> &Path {
    let is_inside = folder.file_name().is_some_and(|name| name == ".lab");
    folder.parent().filter(|_| is_inside).unwrap_or(folder)
}

/// A registry: a folder with a `.lab` in it.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The folder that the store lies in: `.lab` in the folder that people work in, or a bare store.
    pub folder: PathBuf,
    /// The bytes.
    pub store: Store,
    /// What was left out of it.
    pub promises: Arc<Promises>,
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
        Ok(Registry::new(folder, store, Config::default()))
    }

    /// An empty one that is gone with the program, as if it lay in `root`.
    pub(crate) fn in_memory(root: &Path) -> Outcome<Registry> {
        let (folder, store) = (root.join(".lab"), Store::create(Arc::new(Memory::new()))?);
        Ok(Registry::new(folder, store, Config::default()))
    }

    /// Opens the registry whose store lies in `folder`.
    pub(crate) fn open(folder: PathBuf) -> Outcome<Registry> {
        let store = Store::open(Arc::new(Folder::open(&folder)?))?;
        let config = Config::read(&folder)?;
        Ok(Registry::new(folder, store, config))
    }

    fn new(folder: PathBuf, store: Store, config: Config) -> Registry {
        let promises = Arc::new(Promises::of(&folder));
        Registry { folder, store, promises, config, lease: Lease::default() }
    }

    /// The same; what was left out of it is fetched when it is needed, if the user is `online`.
    pub(crate) fn fetching(mut self, ui: Ui, online: bool) -> Registry {
        let promises = Arc::clone(&self.promises);
        let bring: Arc<dyn Bring> = match online {
            false => Arc::new(Offline(Arc::clone(&promises))),
            true => {
                let told =
                    move |location: &str| open(location, Box::new(move |text: &str| ui.note(text)));
                let hears = move |heard| {
                    match heard {
                    Heard::Fetched { transfer, from } => ui.note(format!(
                        "fetched {}, {} from {from}",
                        ui::count(transfer.objects, "file"),
                        ui::bytes(transfer.bytes)
                    )),
                    Heard::Read { bytes, from } => ui.note(format!(
                        "read {} in {from}, verified chunk by chunk and not kept; `lab get` fetches and proves the whole",
                        ui::bytes(bytes)
                    )),
                    _ => {}
                }
                };
                let (store, opens) = (&self.store, Box::new(told));
                let fetcher = Fetcher::new(
                    store,
                    Arc::clone(&promises),
                    opens,
                    Box::new(hears),
                    Box::new(Bars::new(ui)),
                );
                Arc::new(fetcher)
            }
        };
        self.store = self.store.with_promises(promises, bring);
        self
    }

    /// The folder that people work in; that of the store, if nobody works in it.
    pub(crate) fn root(&self) -> &Path {
        root_of(&self.folder)
    }

    /// The lineage, brought up to date with the store.
    pub(crate) fn lineage(&self) -> Outcome<Lineage> {
        Ok(self.lineage_and_unread()?.0)
    }

    /// The same, and what in the store could not be read, and so is not in it.
    pub(crate) fn lineage_and_unread(&self) -> Outcome<(Lineage, Vec<Skipped>)> {
        let mut lineage = Lineage::open(&index_of(&self.folder))?;
        let refreshed = lineage.refresh(&self.store)?;
        Ok((lineage, refreshed.skipped))
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
