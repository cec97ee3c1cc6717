//! What a command in a box looked for that its record says nothing of: it went another way than when
//! it was recorded, and there is nothing for it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lab_schema::Command;
use lab_schema::observed::Observed;
use lab_trace::Trace;

use crate::byproducts::is_byproduct;

/// Where names come and go with each run, or are the system's.
const FLEETING: [&str; 5] = ["/tmp", "/var/tmp", "/proc", "/sys", "/dev"];

/// What was looked for beyond a record. Paths in a box, sorted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Beyond {
    /// Files that were opened, and of which the record has no bytes: they had only been looked at,
    /// or listed.
    pub opened: Vec<PathBuf>,
    /// Where something was looked for that the record neither has nor says is absent.
    pub missed: Vec<PathBuf>,
}

impl Beyond {
    /// What a command touched in a box beyond what was observed. The program of `command` is searched
    /// there for the start; when it was recorded, that was done before.
    pub(crate) fn new(
        trace: &Trace,
        observed: &Observed,
        project: &Path,
        command: &Command,
    ) -> Beyond {
        let program = command.argv.first().map_or("", String::as_str);
        let searched = command.variables.get("PATH").map_or("", String::as_str);
        // What cannot be given stands there, and nobody may open it.
        let closed = trace
            .read_files()
            .filter(|(_, thing)| thing.first.is_some_and(|stamp| stamp.mode & 0o777 == 0));
        let opened = closed.map(|(path, _)| path.to_owned()).collect();
        // Of what was not there when it was recorded, the box may lack more: the folder that it was not
        // found in was none of what was read.
        let leads_to_absent = |path: &Path| {
            let mut below = path.as_os_str().as_bytes().to_vec();
            below.push(b'/');
            let next = observed.absent.range(below.clone()..).next();
            next.is_some_and(|absent| absent.starts_with(&below))
        };
        let is_known = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            observed.absent.contains(path.as_os_str().as_bytes())
                || leads_to_absent(path)
                || path.iter().any(|part| part == "locale")
                || path.parent().is_some_and(|folder| {
                    observed.listed.contains_key(folder.as_os_str().as_bytes())
                })
                || above.any(|folder| {
                    let made = trace.things.get(folder).is_some_and(|thing| thing.first.is_none());
                    made || observed.absent.contains(folder.as_os_str().as_bytes())
                })
        };
        let counts = |path: &&PathBuf| {
            let fleeting = FLEETING.iter().any(|top| path.starts_with(top));
            (path.starts_with(project) || !fleeting)
                && !is_byproduct(path)
                && path.file_name() != Some(program.as_ref())
                // A folder of programs that was never reached.
                && !searched.split(':').any(|folder| path.as_path() == Path::new(folder))
                && !is_known(path)
        };
        Beyond { opened, missed: trace.absent.iter().filter(counts).cloned().collect() }
    }
}
