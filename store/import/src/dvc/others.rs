//! What lies in the cache and nothing speaks of any more: earlier versions, mostly.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use lab_schema::{Alias, FileName, Scheme};

use super::{Out, Project, start};
use crate::error::Result;
use crate::files::walk;
use crate::found::{Artifact, Part, Shape, Source, SourceNumber};
use crate::names::digest;

impl Project<'_> {
    /// Directories get a name each, so that they are found by the digests of their lists; files that are in
    /// none lie in one directory, under their digests.
    pub(super) fn others(&mut self) -> Result<()> {
        let lists: HashSet<Alias> = self.known.keys().map(|(_, digest)| *digest).collect();
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        let runs = self.cache.join("runs");
        for (path, meta) in walk(&self.cache, |folder| folder != runs)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let parent = path.parent().and_then(Path::file_name).unwrap_or_default();
            let whole = format!("{}{name}", parent.to_string_lossy());
            let digits = whole.strip_suffix(".dir");
            let claim = digest(Scheme::Md5, digits.unwrap_or(&whole)).filter(|_| meta.is_file());
            let is_old = !path.starts_with(self.cache.join("files/md5"));
            match (claim, digits) {
                (Some(claim), Some(_)) if !lists.contains(&claim) => {
                    folders.push((path, claim, is_old))
                }
                (Some(claim), None) => files.push((path, claim, is_old, meta.len())),
                _ => {}
            }
        }
        for (path, claim, is_old) in folders {
            self.earlier(&path, claim, is_old)?;
        }
        let used = self.used();
        let mut loose: BTreeMap<Vec<FileName>, SourceNumber> = BTreeMap::new();
        for (path, claim, unix, bytes) in files {
            if used.contains(&path) {
                continue;
            }
            let name = FileName::new(claim.to_string().replace("md5:", ""))?;
            let (claim, bytes, executable) = (Some(claim), Some(bytes), Some(false));
            let source = Source { path, claim, bytes, unix, in_use: false, executable };
            loose.insert(vec![name], self.found.source(source));
        }
        if !loose.is_empty() {
            self.found.artifacts.push(Artifact {
                names: vec![self.names.take("dvc-others", "2")],
                origin: "the rest of the cache".to_owned(),
                is_model: false,
                shape: Shape::Folder(loose.into_iter().collect()),
                known_as: Vec::new(),
                must_be_whole: false,
                faults: Vec::new(),
            });
        }
        Ok(())
    }

    /// A directory that nothing speaks of, if all of it is still there.
    fn earlier(&mut self, list: &Path, digest: Alias, is_old: bool) -> Result<()> {
        let mut artifact = Artifact {
            names: Vec::new(),
            origin: format!("directory {digest}"),
            is_model: false,
            shape: Shape::Folder(Vec::new()),
            known_as: vec![digest],
            must_be_whole: true,
            faults: Vec::new(),
        };
        let out = Out {
            // Nothing lies there: what the cache lacks is nowhere.
            path: format!(".dvc/{digest}"),
            digest,
            is_folder: true,
            bytes: None,
            is_old,
            executable: false,
            files: None,
        };
        self.folder(list, &out, &mut artifact)?;
        if let Some(fault) = artifact.faults.first() {
            let what = format!("{}, which is not whole any more ({})", artifact.origin, fault.why);
            self.found.left_out.push(what);
        } else {
            artifact.names.push(self.names.take(&format!("dvc-others.{}", start(digest)), "2"));
            self.found.artifacts.push(artifact);
        }
        Ok(())
    }

    /// The files that make up something.
    fn used(&self) -> HashSet<PathBuf> {
        let mut numbers: HashSet<SourceNumber> = HashSet::new();
        for artifact in &self.found.artifacts {
            match &artifact.shape {
                Shape::File(number) => drop(numbers.insert(*number)),
                Shape::Folder(files) => numbers.extend(files.iter().map(|(_, number)| *number)),
                Shape::AsItIs(_) => {}
            }
        }
        for record in &self.found.records {
            let parts = record.inputs.values().chain(record.outputs.values());
            numbers.extend(parts.filter_map(|part| match part {
                Part::File(number) => Some(*number),
                _ => None,
            }));
        }
        numbers.into_iter().map(|number| self.found.sources[number].path.clone()).collect()
    }
}
