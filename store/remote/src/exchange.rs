//! What push, pull and clone have in common: the order, and who may move a name.
//!
//! Objects first, names last: a name never points at what is not there, whenever the
//! exchange breaks off. A name moves by compare-and-swap, from what it was seen to point at, and
//! only forward: from something that the giving side once had under that name too.

use std::collections::HashSet;

use lab_lineage::{
    Choice, Lineage, Only, Part, Skipped, Sorted, closure_beyond, known_parts, sort,
};
use lab_objects::{Expected, KnownAs, Move, NameKind, ObjectsError, Progress, Store};
use lab_schema::alias::write_table;
use lab_schema::{AliasPrefix, Aliases, Base, BlobId, ContentId, Name, ObjectId};

use crate::error::{On, RemoteError, Result, Side};
use crate::gate::Gate;
use crate::resolve::{Found, resolve};
use crate::transfer::{Route, Transfer};

/// Who exchanges, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Moves a name even if that loses somebody's move. Objects are never lost by it.
    pub force: bool,
    /// Sends everything, also what the receiving side records as there, and reads back what it has:
    /// whatever is damaged there is stored again.
    pub repair: bool,
    /// What the taking side demands of the runs that come, if anything.
    pub gate: Option<&'a dyn Gate>,
    /// Who is written into the journals of the names that move.
    pub who: &'a str,
    /// The time written there, in milliseconds since 1970-01-01T00:00:00Z.
    pub when_ms: u64,
}

/// What an exchange did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// What was asked for, in that order.
    pub targets: Vec<ObjectId>,
    /// The objects that went over.
    pub transfer: Transfer,
    /// The names that were asked for, each once.
    pub names: Vec<NameStep>,
    /// What the giving store could not read of itself, and so could not be considered.
    pub skipped: Vec<Skipped>,
    /// Of what was only planned: what would go over, by what it is.
    pub groups: Vec<Group>,
    /// What belongs to it, is not on the receiving side, and was not asked for.
    pub left: Left,
    /// What the giving store has only been promised, and has to fetch first.
    pub first: Left,
}

/// Objects that are not moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What would go over of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// What it is.
    pub part: Part,
    /// How many objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes on the way.
    pub stored: u64,
}

/// Where a name of the receiving store was and is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameStep {
    /// The name.
    pub name: Name,
    /// Where it pointed; none if it was absent.
    pub before: Option<ObjectId>,
    /// Where it points now.
    pub after: ObjectId,
}

impl NameStep {
    /// Whether the name had to be moved.
    pub fn moves(&self) -> bool {
        self.before != Some(self.after)
    }
}

/// Two stores, one of which gives.
pub(crate) struct Deal<'a> {
    pub(crate) giver: (&'a Store, Side),
    pub(crate) taker: (&'a Store, Side),
    pub(crate) options: Options<'a>,
    /// What of it is asked for, and what the taking side calls the place that has the rest.
    pub(crate) choice: (&'a Choice, &'a str),
}

/// What is to be done, before any of it is.
pub(crate) struct Agreed {
    targets: Vec<ObjectId>,
    objects: Vec<ObjectId>,
    /// What was not asked for and is not there, with sizes in bytes.
    left: Vec<(BlobId, u64)>,
    /// What the giver has to fetch.
    first: Vec<BlobId>,
    sorted: Sorted,
    steps: Vec<(NameStep, Move)>,
    aliases: Vec<KnownAs>,
}

impl Deal<'_> {
    /// Finds what is asked for in the giving store.
    pub(crate) fn find(&self, what: &[Base]) -> Result<Vec<Found>> {
        what.iter().map(|base| resolve(self.giver.1, self.giver.0, base)).collect()
    }

    /// Works out what has to move; refuses what may not. `lineage` is that of the giving store, and
    /// fresh if anything that was found [has a history](Found::has_history). `sorts`: whether it is of
    /// interest what is what.
    pub(crate) fn agree(
        &self,
        found: Vec<Found>,
        lineage: &Lineage,
        sorts: bool,
    ) -> Result<Agreed> {
        let (giver, side) = self.giver;
        let targets: Vec<ObjectId> = found.iter().map(|f| f.target).collect();
        let aliases = found.iter().filter_map(|f| f.alias.clone()).collect();
        let mut steps: Vec<(NameStep, Move)> = Vec::new();
        for (name, last) in found.into_iter().filter_map(|f| f.name) {
            if steps.iter().all(|(step, _)| step.name != name) {
                steps.push((self.step(name, &last)?, last));
            }
        }
        let whole = self.whole(&steps, lineage)?;
        let closure = closure_beyond(giver, lineage, &targets, &whole).on(side)?;
        if let Some(gate) = self.options.gate {
            // What others attested comes along as it is; asked for by itself, it is looked at.
            let runs = closure.objects.iter().filter(|id| matches!(id, ObjectId::Run(_)));
            for id in runs.chain(&targets) {
                if let Some(why) = gate.refuses(giver, lineage, *id).on(side)? {
                    return Err(RemoteError::NotTaken { side: self.taker.1, id: *id, why });
                }
            }
        }
        let sorted = if sorts || !self.choice.0.is_everything() {
            sort(giver, lineage, &targets, &self.weights()?, self.choice.0).on(side)?
        } else {
            Sorted::default()
        };
        let (left, mut objects): (Vec<_>, Vec<_>) =
            closure.objects.into_iter().partition(|id| sorted.is_left(*id));
        let left = self.sizes(&self.taker.0.lacking(&left).on(self.taker.1)?)?;
        let first = self.taker.0.lacking(&closure.promised).on(self.taker.1)?;
        let first: Vec<BlobId> = first.into_iter().filter_map(blob).collect();
        // They need nothing, and may go before what needs them.
        objects.splice(0..0, first.iter().map(|blob| ObjectId::from(*blob)));
        Ok(Agreed { targets, objects, left, first, sorted, steps, aliases })
    }

    /// What a remote has with all that it needs by hash, since a name there points at it and nothing was
    /// left out: that is not gone through again, however large it is. Not so for what comes here: here a
    /// fetch that finds something lost may bring it back.
    fn whole(&self, steps: &[(NameStep, Move)], lineage: &Lineage) -> Result<Vec<ObjectId>> {
        let (taker, side) = self.taker;
        let there = steps.iter().filter(|(step, _)| !step.moves());
        let there: Vec<ObjectId> = there.map(|(step, _)| step.after).collect();
        let is_kept = matches!(side, Side::Remote) && !self.options.repair && taker.is_complete();
        if there.is_empty() || !is_kept {
            return Ok(Vec::new());
        }
        // Whatever is called something since may be anywhere inside.
        let (giver, giving) = self.giver;
        let aliases = giver.aliases().on(giving)?;
        // What is lost there shows by what it lacks, but for what lies in directories.
        let whole = known_parts(giver, lineage, &there).on(giving)?;
        let mut asked = whole.clone();
        asked.extend(aliases.into_iter().map(|(id, _)| ObjectId::from(id)));
        let lacking = taker.lacking(&asked).on(side)?;
        Ok(if lacking.is_empty() { whole } else { Vec::new() })
    }

    /// The contents that the giving store's names say are weights.
    fn weights(&self) -> Result<HashSet<ContentId>> {
        if !self.choice.0.only.contains(&Only::Weights) {
            return Ok(HashSet::new());
        }
        let names = self.giver.0.names().list().on(self.giver.1)?;
        let weights = names.into_iter().filter(|(_, last)| last.kind == NameKind::Weights);
        Ok(weights.filter_map(|(_, last)| last.target?.content()).collect())
    }

    fn sizes(&self, ids: &[ObjectId]) -> Result<Vec<(BlobId, u64)>> {
        let (giver, side) = self.giver;
        giver.warm_shape(ids).on(side)?;
        let size = |blob: BlobId| {
            let missing = RemoteError::Missing { side, id: blob.into(), by: None };
            Ok((blob, giver.size(blob).on(side)?.ok_or(missing)?))
        };
        ids.iter().copied().filter_map(blob).map(size).collect()
    }

    /// What carrying it out would do.
    pub(crate) fn plan(&self, agreed: Agreed) -> Result<Exchange> {
        // What has to be fetched first cannot be looked into.
        let objects = &agreed.objects[agreed.first.len()..];
        let (transfer, planned) = self.route().plan(objects)?;
        let mut groups: Vec<Group> = Vec::new();
        for part in Part::ALL {
            let these = planned.iter().filter(|planned| agreed.sorted.part(planned.id) == part);
            let none = Group { part, objects: 0, bytes: 0, stored: 0 };
            groups.push(these.fold(none, |sum, planned| Group {
                part,
                objects: sum.objects + 1,
                bytes: sum.bytes.saturating_add(planned.bytes),
                stored: sum.stored.saturating_add(planned.stored),
            }));
        }
        groups.retain(|group| group.objects > 0);
        Ok(Exchange { groups, ..self.told(agreed, transfer)? })
    }

    /// Carries it out.
    pub(crate) fn carry_out(&self, agreed: Agreed, progress: &dyn Progress) -> Result<Exchange> {
        self.giver.0.bring(&agreed.first).on(self.giver.1)?;
        // Before anything that lacks it is here: it is promised, and not lost.
        self.taker.0.promise(self.choice.1, &agreed.left).on(self.taker.1)?;
        let transfer = self.route().copy(&agreed.objects, progress)?;
        self.taker.0.came(&agreed.objects).on(self.taker.1)?;
        self.note_aliases(&agreed.aliases)?;
        for (step, last) in &agreed.steps {
            self.move_name(step, last)?;
        }
        self.told(agreed, transfer)
    }

    fn told(&self, agreed: Agreed, transfer: Transfer) -> Result<Exchange> {
        let left = Left {
            objects: agreed.left.len() as u64,
            bytes: agreed.left.iter().map(|(_, bytes)| bytes).sum(),
        };
        let mut first = Left::default();
        for blob in &agreed.first {
            let bytes = self.giver.0.size(*blob).on(self.giver.1)?.unwrap_or(0);
            first = Left { objects: first.objects + 1, bytes: first.bytes + bytes };
        }
        let names = agreed.steps.into_iter().map(|(step, _)| step).collect();
        let (targets, skipped, groups) = (agreed.targets, Vec::new(), Vec::new());
        Ok(Exchange { targets, transfer, names, skipped, groups, left, first })
    }

    fn route(&self) -> Route<'_> {
        Route { from: self.giver, to: self.taker, repair: self.options.repair }
    }

    /// What was asked for by the digest of another tool is found by it on the taking side too, also if
    /// it is one file of what was imported and the rest did not come along.
    fn note_aliases(&self, aliases: &[KnownAs]) -> Result<()> {
        let (taker, side) = self.taker;
        for KnownAs { alias, subject, from, origin } in aliases {
            let prefix = AliasPrefix::from(*alias);
            if taker.find_alias(&prefix).on(side)?.iter().any(|known| known.subject == *subject) {
                continue;
            }
            let mut writer = taker.writer();
            let table = writer.put_bytes(&write_table(&[(*alias, *subject)].into())).on(side)?;
            let (from, origin) = (from.clone(), origin.clone());
            writer.put(&Aliases { of: *subject, from, origin, table }).on(side)?;
            writer.finish().on(side)?;
        }
        Ok(())
    }

    /// Where the name is on the taking side and where it goes.
    fn step(&self, name: Name, last: &Move) -> Result<NameStep> {
        let Some(after) = last.target else {
            return Err(RemoteError::NotFound { side: self.giver.1, what: name.to_string() });
        };
        let there = self.taker.0.names().get(&name).on(self.taker.1)?;
        let before = there.as_ref().and_then(|m| m.target);
        if let (Some(there), Some(target)) = (there, before)
            && target != after
            && !self.options.force
        {
            let journal = self.giver.0.names().journal(&name).on(self.giver.1)?;
            if journal.iter().all(|m| m.target != Some(target)) {
                return Err(self.refusal(name, before, after, there.who, there.when_ms));
            }
        }
        Ok(NameStep { name, before, after })
    }

    fn move_name(&self, step: &NameStep, last: &Move) -> Result<()> {
        if !step.moves() {
            return Ok(());
        }
        let expected = match step.before {
            _ if self.options.force => Expected::Anything,
            Some(id) => Expected::Target(id),
            None => Expected::Absent,
        };
        // Who comes too late at a remote is told by whom; here a name only follows, and who fetches it did not
        // do what it tells of.
        let who = match self.taker.1 {
            Side::Remote => self.options.who.to_owned(),
            Side::Local => last.who.clone(),
        };
        let moved = Move {
            target: Some(step.after),
            kind: last.kind,
            when_ms: self.options.when_ms,
            who,
            why: last.why.clone(),
        };
        match self.taker.0.names().set(&step.name, expected, moved) {
            // Somebody else took it to the same place meanwhile: then it is where it belongs.
            Err(ObjectsError::NameMoved { now, .. }) if now == Some(step.after) => Ok(()),
            Err(ObjectsError::NameMoved { name, now, by, when_ms }) => {
                Err(self.refusal(name, now, step.after, by, when_ms))
            }
            set => set.on(self.taker.1),
        }
    }

    fn refusal(
        &self,
        name: Name,
        now: Option<ObjectId>,
        after: ObjectId,
        who: String,
        when_ms: u64,
    ) -> RemoteError {
        match self.taker.1 {
            Side::Remote => RemoteError::NameMoved { name, remote_target: now, who, when_ms },
            Side::Local => {
                RemoteError::NameDiffers { name, local_target: now, remote_target: after }
            }
        }
    }
}

fn blob(id: ObjectId) -> Option<BlobId> {
    if let ObjectId::Blob(blob) = id { Some(blob) } else { None }
}
