//! Where the program is and who uses it: the only module that asks for the clock and the working
//! directory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::{Failure, Outcome, io_failure};
use crate::ui::Ui;
use crate::wiring::Registry;

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// How to talk.
    pub ui: Ui,
    /// The folder that the command works in.
    pub directory: PathBuf,
    /// Whether what a pull left out is fetched when it is needed.
    pub online: bool,
}

impl Context {
    /// In the working directory, or in `directory` below it.
    pub(crate) fn new(ui: Ui, directory: Option<&Path>, offline: bool) -> Outcome<Self> {
        let here = std::env::current_dir().map_err(|e| io_failure("find", Path::new("."), &e))?;
        let directory = match directory {
            Some(path) => {
                let path = here.join(path);
                let folder = path.canonicalize().map_err(|e| io_failure("work in", &path, &e))?;
                if !folder.is_dir() {
                    return Err(Failure::usage(format!(
                        "{} is not a folder to work in",
                        path.display()
                    )));
                }
                folder
            }
            None => here,
        };
        let forbids = |value: &std::ffi::OsStr| !value.is_empty() && value != "0";
        let online = !offline && !std::env::var_os("LAB_OFFLINE").is_some_and(|v| forbids(&v));
        Ok(Context { ui, directory, online })
    }

    /// The registry that the directory lies in.
    pub(crate) fn registry(&self) -> Outcome<Registry> {
        Ok(self.find()?.fetching(self.ui, self.online))
    }

    fn find(&self) -> Outcome<Registry> {
        for folder in self.directory.ancestors() {
            let inside = folder.join(".lab");
            match inside.join("format").metadata() {
                Ok(format) if format.is_file() => return Registry::open(inside),
                // A registry that may not be looked into is there all the same.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(io_failure("look into", &inside, &error));
                }
                _ => {}
            }
            // A bare store, such as a folder remote, can be looked at from inside.
            if folder.join("format").is_file() && folder.join("packs").is_dir() {
                return Registry::open(folder.to_owned());
            }
        }
        let here = &self.directory;
        let message =
            format!("{} is not in a registry: no .lab here or in any folder above", here.display());
        Err(Failure::not_found(message).hint("`lab init` makes one here; `lab clone` fetches one; in a project whose lab.toml names a remote, `lab pull` does both")
            )
    }

    /// The same, to write to: collectors know of it until the registry is dropped.
    pub(crate) fn registry_to_write(&self) -> Outcome<Registry> {
        let mut registry = self.registry()?;
        registry.lease = registry.store.lease()?;
        Ok(registry)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) fn now_ms(&self) -> u64 {
        now_ms()
    }

    /// Where a store is, as the user typed it: a URL as it stands, a path so that it holds from every
    /// other folder too, and without `..` where what it leads over exists.
    pub(crate) fn location(&self, typed: &str) -> String {
        self.location_from(&self.directory, typed)
    }

    /// The same, as it is meant in another folder.
    pub(crate) fn location_from(&self, folder: &Path, typed: &str) -> String {
        let path = folder.join(typed);
        let head = typed.split('/').next().unwrap_or_default();
        // A URL; or `host:path`, unless it is there under that name.
        if typed.contains("://") || head.contains(':') && !path.exists() {
            return typed.to_owned();
        }
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        let plain = match (path.canonicalize(), parent, path.file_name()) {
            (Ok(existing), ..) => existing,
            (Err(_), Some(parent), Some(name)) => parent.join(name),
            _ => path,
        };
        plain.to_string_lossy().into_owned()
    }

    /// A path as the user typed it, seen from the directory that the command works in.
    pub(crate) fn path(&self, typed: &Path) -> PathBuf {
        self.directory.join(typed)
    }

    /// A path for people: below the home folder it begins with `~`.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let home =
            std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.parent().is_some());
        let below = home.and_then(|home| Some(Path::new("~").join(path.strip_prefix(home).ok()?)));
        below.as_deref().unwrap_or(path).to_string_lossy().into_owned()
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z, for what asks later.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
