//! Named runs that stand on what has moved on since.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use lab_lineage::{Lineage, Origin, Role};
use lab_schema::{ContentId, Name, ObjectId, Recipe, Run, RunId};

use super::describe;
use super::replaced::Replaced;
use crate::failure::Outcome;
use crate::wiring::Registry;

/// A named run that read something whose name has moved on, or stands on a run that did.
pub(super) struct Stale {
    pub(super) name: Name,
    /// The run that read it, by its name or id, if it was not this one.
    pub(super) by: Option<String>,
    /// The name that has moved on: of data, or of a run that made what was read.
    pub(super) input: Name,
    /// The version that was read.
    pub(super) read: usize,
    pub(super) latest: usize,
}

/// A name that has moved on, the version that was read, and the latest.
type Moved = (Name, usize, usize);

/// Where names have pointed.
struct Versions {
    /// The names that ever pointed at something, and which version that was last.
    of: BTreeMap<ObjectId, BTreeMap<Name, usize>>,
    /// How many versions a name has, and where it points.
    latest: BTreeMap<Name, (usize, ObjectId)>,
    replaced: Replaced,
}

/// Named runs that stand on what has moved on, and named runs that cannot be read, and why.
pub(super) fn stale(registry: &Registry, lineage: &Lineage) -> Outcome<(Vec<Stale>, Vec<String>)> {
    let _held = lineage.hold()?;
    let (mut versions, mut damage) = Versions::of(registry)?;
    let mut known: HashMap<RunId, Vec<(RunId, Moved)>> = HashMap::new();
    let mut found = Vec::new();
    let runs: Vec<(Name, RunId)> = versions.runs().collect();
    for (name, id) in runs {
        let recipe = registry
            .store
            .load::<Run>(id)
            .and_then(|run| registry.store.load::<Recipe>(run.recipe));
        if let Err(why) = describe::readable(recipe)? {
            damage.push(format!("{name}: {why}"));
            continue;
        }
        for (by, (input, read, latest)) in
            versions.moved_below(registry, lineage, id, &mut known)?
        {
            let by = (by != id).then(|| versions.called(by));
            found.push(Stale { name: name.clone(), by, input, read, latest });
        }
    }
    Ok((found, damage))
}

impl Versions {
    /// And names of which a folder cannot be read, and why.
    fn of(registry: &Registry) -> Outcome<(Versions, Vec<String>)> {
        let mut damage = Vec::new();
        let mut versions = Versions {
            of: BTreeMap::new(),
            latest: BTreeMap::new(),
            replaced: Replaced::default(),
        };
        for (name, journal) in registry.store.names().journals()? {
            let Some(target) = journal.last().and_then(|last| last.target) else { continue };
            for (index, moved) in journal.iter().enumerate() {
                if let Some(target) = moved.target {
                    versions.of.entry(target).or_default().insert(name.clone(), index + 1);
                }
            }
            let unread = versions.replaced.add(&registry.store, &name, &journal)?;
            damage.extend(unread.map(|why| format!("{name}: {why}")));
            versions.latest.insert(name, (journal.len(), target));
        }
        Ok((versions, damage))
    }

    /// The names of runs.
    fn runs(&self) -> impl Iterator<Item = (Name, RunId)> {
        self.latest.iter().filter_map(|(name, (_, target))| match target {
            ObjectId::Run(run) => Some((name.clone(), *run)),
            _ => None,
        })
    }

    /// What a run is called.
    fn called(&self, run: RunId) -> String {
        let names = self.of.get(&run.into()).into_iter().flat_map(BTreeMap::keys);
        let mut now = names.filter(|name| self.latest[*name].1 == run.into());
        now.next().map_or_else(|| format!("run {}", run.short()), ToString::to_string)
    }

    /// Where the names are now that pointed at what was read and no run made, or at a folder out of which it was
    /// read by itself, if none of them still leads to it.
    fn moved_source(&mut self, registry: &Registry, content: ContentId) -> Outcome<Option<Moved>> {
        if self.of.contains_key(&content.into()) {
            return Ok(self.moved(content.into()));
        }
        let found = self.replaced.find(&registry.store, content)?;
        Ok(found.map(|(name, read)| {
            let latest = self.latest[&name].0;
            (name, read, latest)
        }))
    }

    /// Where the names that pointed at something are now, if none of them still (or again) does.
    fn moved(&self, id: ObjectId) -> Option<Moved> {
        let names = self.of.get(&id)?;
        if names.keys().any(|name| self.latest[name].1 == id) {
            return None;
        }
        let (name, read) = names.iter().next_back()?;
        Some((name.clone(), *read, self.latest[name].0))
    }

    /// What has moved on of all that a run stands on, and which run read it; each name once.
    fn moved_below(
        &mut self,
        registry: &Registry,
        lineage: &Lineage,
        id: RunId,
        known: &mut HashMap<RunId, Vec<(RunId, Moved)>>,
    ) -> Outcome<Vec<(RunId, Moved)>> {
        // Depth first, with a stack of its own: each run after those that it stands on.
        let (mut open, mut read) = (vec![(id, false)], HashMap::<RunId, Vec<Origin>>::new());
        while let Some((run, is_ready)) = open.pop() {
            if known.contains_key(&run) {
                continue;
            }
            if is_ready {
                let read = read.remove(&run).unwrap_or_default();
                let all = self.moved_of((registry, lineage), run, &read, known)?;
                known.insert(run, all);
            } else if let Entry::Vacant(vacant) = read.entry(run) {
                let mut origins = lineage.origins(run)?;
                origins.retain(|origin| origin.role != Role::Code);
                open.push((run, true));
                open.extend(origins.iter().flat_map(|o| &o.makers).map(|maker| (*maker, false)));
                vacant.insert(origins);
            }
        }
        Ok(known.get(&id).cloned().unwrap_or_default())
    }

    /// The same of a run whose makers are known.
    fn moved_of(
        &mut self,
        (registry, lineage): (&Registry, &Lineage),
        run: RunId,
        read: &[Origin],
        known: &HashMap<RunId, Vec<(RunId, Moved)>>,
    ) -> Outcome<Vec<(RunId, Moved)>> {
        let mut all: BTreeMap<Name, (RunId, Moved)> = BTreeMap::new();
        for origin in read {
            let moved = match origin.makers.is_empty() {
                true => self.moved_source(registry, origin.content)?,
                false => self.moved(origin.content.into()),
            };
            if let Some(moved) = moved {
                all.entry(moved.0.clone()).or_insert((run, moved));
            }
            for maker in &origin.makers {
                let Some(moved) = self.moved((*maker).into()) else { continue };
                // Another run that left the same is as good.
                let has_same = match self.latest[&moved.0].1 {
                    ObjectId::Run(now) => {
                        let left = lineage.run_outputs(now)?;
                        left.iter().any(|(_, left)| *left == origin.content)
                    }
                    _ => false,
                };
                if !has_same {
                    all.entry(moved.0.clone()).or_insert((run, moved));
                }
            }
        }
        for (by, moved) in
            read.iter().flat_map(|o| &o.makers).filter_map(|m| known.get(m)).flatten()
        {
            all.entry(moved.0.clone()).or_insert((*by, moved.clone()));
        }
        Ok(all.into_values().collect())
    }
}
