//! What was found, into a store.
//!
//! Every file is read once, by the store's workers, who hear at the same time whether it has the digest that
//! it is called by. One that has not is damaged, or was changed by somebody: what needs it is not made, and
//! all else is. A file that the stat cache knows is not read, if an earlier import has seen its digest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use lab_objects::{Filed, Progress, StatCache, Store, Witness, Writer, add_cached, add_files};
use lab_schema::alias::write_table;
use lab_schema::recipe::Parts;
use lab_schema::tree::Node;
use lab_schema::{
    Alias, Aliases, Command, Completeness, ContentId, Executor, Git, Host, Limits, Outcome, Recipe,
    Run, RunId, Slot, Subject,
};

use crate::error::Result;
use crate::found::{Artifact, Fault, Found, Part, Record, Shape, Source};
use crate::heard::{Claims, check, known_digests};
use crate::tree::put_tree;

/// Into what.
pub struct Import<'a> {
    /// The store.
    pub store: &'a Store,
    /// What files were when they were last read.
    pub cache: &'a mut StatCache,
    /// The version of lab, for the records.
    pub lab: &'a str,
    /// Told of what is read.
    pub progress: &'a dyn Progress,
}

/// What an artifact became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Its id.
    pub content: ContentId,
    /// Number of files.
    pub files: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// By how many digests it, and what is in it, is found.
    pub digests: u64,
}

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// For each artifact what it became; none if it could not be made.
    pub artifacts: Vec<Option<Brought>>,
    /// For each record its run; none if it could not be made.
    pub runs: Vec<Option<RunId>>,
    /// What was lacking or damaged.
    pub faults: Vec<Fault>,
    /// Files that were read.
    pub read: u64,
}

/// A file in the store, or what is wrong with it.
type Stored = std::result::Result<Filed, Fault>;

impl Import<'_> {
    /// Stores what was found. It is durable when this returns; names are for the caller to move.
    pub fn bring(mut self, found: &Found) -> Result<Made> {
        let needed = needed(found);
        let mut writer = self.store.writer();
        let mut made = Made::default();
        let stored = self.files(&mut writer, found, &needed, &mut made)?;
        for artifact in &found.artifacts {
            let brought = self.artifact(&mut writer, found, artifact, &stored, &mut made)?;
            made.artifacts.push(brought);
        }
        for record in &found.records {
            let run = self.record(&mut writer, found, record, &stored, &mut made)?;
            made.runs.push(run);
        }
        writer.finish()?;
        // What several things need is lacking once.
        let mut seen = BTreeSet::new();
        made.faults.retain(|fault| seen.insert((fault.what.clone(), fault.why.clone())));
        Ok(made)
    }

    /// Stores the files that are needed; by number.
    fn files(
        &mut self,
        writer: &mut Writer,
        found: &Found,
        needed: &[usize],
        made: &mut Made,
    ) -> Result<HashMap<usize, Stored>> {
        let sources: Vec<&Source> = needed.iter().map(|number| &found.sources[*number]).collect();
        let paths: Vec<&Path> = sources.iter().map(|source| source.path.as_path()).collect();
        let witness = Arc::new(Claims::new(&sources));
        self.progress.begin("import", Some(sources.iter().filter_map(|s| s.bytes).sum()));
        let filed = add_files(
            writer,
            &paths,
            Some(&mut *self.cache),
            Arc::clone(&witness) as Arc<dyn Witness>,
            self.progress,
        );
        self.progress.end();
        let filed = filed?;
        let mut heard = witness.take();
        made.read = heard.iter().flatten().count() as u64;
        let mut known = None;
        let mut stored = HashMap::with_capacity(needed.len());
        for (at, (source, mut filed)) in sources.iter().zip(filed).enumerate() {
            filed.executable = source.executable.unwrap_or(filed.executable);
            let fits = match (heard[at].take(), source.claim) {
                (Some(fits), _) => fits,
                (None, None) => Ok(()),
                (None, Some(claim)) => {
                    let known = match &mut known {
                        Some(known) => known,
                        none => none.insert(known_digests(self.store)?),
                    };
                    match known.get(&claim) {
                        Some(id) if *id == filed.id => Ok(()),
                        _ => {
                            made.read += 1;
                            check(source, claim)?
                        }
                    }
                }
            };
            let fault = |other: Alias| fault(source, other);
            stored.insert(needed[at], fits.map(|()| filed).map_err(fault));
        }
        Ok(stored)
    }

    fn artifact(
        &mut self,
        writer: &mut Writer,
        found: &Found,
        artifact: &Artifact,
        stored: &HashMap<usize, Stored>,
        made: &mut Made,
    ) -> Result<Option<Brought>> {
        made.faults.extend(artifact.faults.iter().cloned());
        if artifact.must_be_whole && !artifact.faults.is_empty() {
            return Ok(None);
        }
        let mut table: BTreeMap<Alias, Subject> = BTreeMap::new();
        let (content, files, bytes) = match &artifact.shape {
            Shape::File(number) => match usable(stored, *number, made) {
                Some(filed) => {
                    note(&mut table, found, *number, filed);
                    (ContentId::Blob(filed.id), 1, filed.bytes)
                }
                None => return Ok(None),
            },
            Shape::AsItIs(folder) => {
                let cache = Some(&mut *self.cache);
                let added = add_cached(writer, folder, cache, self.progress)?;
                made.read += added.files - added.unchanged;
                (added.content, added.files, added.bytes)
            }
            Shape::Folder(files) => {
                let mut nodes = Vec::with_capacity(files.len());
                let mut is_whole = true;
                for (path, number) in files {
                    let Some(filed) = usable(stored, *number, made) else {
                        is_whole = false;
                        continue;
                    };
                    note(&mut table, found, *number, filed);
                    let Filed { id, bytes, executable } = filed;
                    nodes.push((path.clone(), Node::File { id, size: bytes, executable }));
                }
                if (!is_whole && artifact.must_be_whole) || (nodes.is_empty() && !files.is_empty())
                {
                    return Ok(None);
                }
                if nodes.is_empty() && !artifact.faults.is_empty() {
                    return Ok(None);
                }
                let count = nodes.len() as u64;
                match put_tree(writer, nodes)? {
                    Ok((id, bytes)) => (ContentId::Tree(id), count, bytes),
                    Err(why) => {
                        let what = artifact.origin.clone();
                        made.faults.push(Fault { what, why, is_damage: true });
                        return Ok(None);
                    }
                }
            }
        };
        let of = match content {
            ContentId::Blob(id) => Subject::Blob(id),
            ContentId::Tree(id) => Subject::Tree(id),
        };
        table.extend(artifact.known_as.iter().map(|alias| (*alias, of)));
        put_aliases(writer, found, of, &artifact.origin, &table)?;
        Ok(Some(Brought { content, files, bytes, digests: table.len() as u64 }))
    }

    fn record(
        &self,
        writer: &mut Writer,
        found: &Found,
        record: &Record,
        stored: &HashMap<usize, Stored>,
        made: &mut Made,
    ) -> Result<Option<RunId>> {
        made.faults.extend(record.faults.iter().cloned());
        if !record.faults.is_empty() {
            return Ok(None);
        }
        let mut lacks = record.lacks.clone();
        let mut content = |part: &Part, made: &mut Made| -> Result<Option<ContentId>> {
            Ok(match part {
                Part::Artifact(number) => {
                    made.artifacts.get(*number).copied().flatten().map(|brought| brought.content)
                }
                Part::File(number) => {
                    stored.get(number).and_then(|s| s.as_ref().ok()).map(|filed| filed.id.into())
                }
                Part::Bytes(bytes) => Some(writer.put_bytes(bytes)?.into()),
            })
        };
        let (mut inputs, mut outputs) = (BTreeMap::new(), BTreeMap::new());
        for (slot, part) in &record.outputs {
            let Some(id) = content(part, made)? else {
                let (what, why) = (record.origin.clone(), format!("its output {slot} is not here"));
                made.faults.push(Fault { what, why, is_damage: false });
                return Ok(None);
            };
            outputs.insert(slot.clone(), id);
        }
        let parts = record.inputs.iter().chain(&record.outputs);
        let files: Vec<(String, usize)> = parts
            .filter_map(|(slot, part)| match part {
                Part::File(number) => Some((slot.to_string(), *number)),
                _ => None,
            })
            .collect();
        for (slot, part) in &record.inputs {
            match content(part, made)? {
                Some(id) => drop(inputs.insert(slot.clone(), id)),
                None => lacks.push_str(&format!("; its input {slot} is not here")),
            }
        }
        for (origin, number) in files {
            if let Some(Ok(filed)) = stored.get(&number) {
                let mut table = BTreeMap::new();
                note(&mut table, found, number, *filed);
                put_aliases(writer, found, Subject::Blob(filed.id), &origin, &table)?;
            }
        }
        let declared =
            outputs.keys().cloned().map(|slot: Slot| (slot, Default::default())).collect();
        let recipe = Recipe::new(Parts {
            executor: Executor::Command(Command {
                argv: record.argv.clone(),
                directory: record.directory.clone(),
                variables: BTreeMap::new(),
                place: None,
            }),
            inputs,
            outside: BTreeMap::new(),
            code: None,
            environment: None,
            params: record.params.clone(),
            seed: None,
            outputs: declared,
            limits: Limits::default(),
        });
        let recipe = match recipe {
            Ok(recipe) => writer.put(&recipe)?,
            Err(error) => {
                let (what, why) = (record.origin.clone(), error.to_string());
                made.faults.push(Fault { what, why, is_damage: true });
                return Ok(None);
            }
        };
        let git = |(commit, branch)| Git { commit: Some(commit), branch, dirty: Vec::new() };
        let run = Run {
            recipe,
            outcome: Outcome {
                status: record.status.clone(),
                outputs,
                metrics: record.metrics.clone(),
                params: record.notes.clone(),
                logs: BTreeMap::new(),
                completeness: Completeness::Incomplete(lacks),
                observed: None,
                unrecorded_variables: Vec::new(),
                started_ms: record.started_ms,
                duration_ms: record.duration_ms,
                peak_memory_bytes: None,
            },
            host: unknown_host(self.lab),
            git: record.git.clone().map(git),
            parent: None,
            makers: BTreeMap::new(),
            who: record.who.clone().unwrap_or_else(|| "unknown".to_owned()),
        };
        let id = writer.put(&run)?;
        if let Some(alias) = record.known_as {
            let of = Subject::Run(id);
            put_aliases(writer, found, of, &record.origin, &[(alias, of)].into())?;
        }
        Ok(Some(id))
    }
}

/// The sources of all that can be made, each once.
fn needed(found: &Found) -> Vec<usize> {
    let mut needed = BTreeSet::new();
    for artifact in &found.artifacts {
        if artifact.must_be_whole && !artifact.faults.is_empty() {
            continue;
        }
        match &artifact.shape {
            Shape::File(number) => drop(needed.insert(*number)),
            Shape::Folder(files) => needed.extend(files.iter().map(|(_, number)| *number)),
            Shape::AsItIs(_) => {}
        }
    }
    for record in found.records.iter().filter(|record| record.faults.is_empty()) {
        let parts = record.inputs.values().chain(record.outputs.values());
        needed.extend(parts.filter_map(|part| match part {
            Part::File(number) => Some(*number),
            _ => None,
        }));
    }
    needed.into_iter().collect()
}

/// A file that is as it should be; none, and a fault, if it is not.
fn usable(stored: &HashMap<usize, Stored>, number: usize, made: &mut Made) -> Option<Filed> {
    match stored.get(&number)? {
        Ok(filed) => Some(*filed),
        Err(fault) => {
            made.faults.push(fault.clone());
            None
        }
    }
}

fn note(table: &mut BTreeMap<Alias, Subject>, found: &Found, number: usize, filed: Filed) {
    if let Some(alias) = found.sources[number].claim {
        table.insert(alias, Subject::Blob(filed.id));
    }
}

fn put_aliases(
    writer: &mut Writer,
    found: &Found,
    of: Subject,
    origin: &str,
    table: &BTreeMap<Alias, Subject>,
) -> Result<()> {
    if table.is_empty() {
        return Ok(());
    }
    let table = writer.put_bytes(&write_table(table))?;
    let (from, origin) = (found.tool.to_string(), origin.to_owned());
    writer.put(&Aliases { of, from, origin, table })?;
    Ok(())
}

fn fault(source: &Source, other: Alias) -> Fault {
    let what = source.path.display().to_string();
    let claim = source.claim.map(|claim| claim.to_string()).unwrap_or_default();
    match source.in_use {
        true => Fault {
            what,
            why: format!("{claim} is not in the cache, and this file has {other}"),
            is_damage: false,
        },
        false => {
            Fault { what, why: format!("damaged: it has {other}, not {claim}"), is_damage: true }
        }
    }
}

/// Nobody wrote down on what it ran.
fn unknown_host(lab: &str) -> Host {
    let nothing = String::new;
    Host {
        os: nothing(),
        kernel: nothing(),
        arch: nothing(),
        cpu: nothing(),
        cpu_features: Vec::new(),
        cpus: 0,
        memory_bytes: 0,
        lab: lab.to_owned(),
    }
}
