//! What push, pull and clone have in common: the order, and who may move a name.
//!
//! Objects first, names last: a name never points at what is not there, whenever the
//! exchange breaks off. A name moves by compare-and-swap, from what it was seen to point at, and
//! only forward: from something that the giving side once had under that name too.

use lab_lineage::{Lineage, Skipped, closure};
use lab_objects::{Expected, KnownAs, Move, ObjectsError, Progress, Store};
use lab_schema::alias::write_table;
use lab_schema::{AliasPrefix, Aliases, Base, Name, ObjectId};

use crate::error::{On, RemoteError, Result, Side};
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
}

/// What is to be done, before any of it is.
pub(crate) struct Agreed {
    targets: Vec<ObjectId>,
    objects: Vec<ObjectId>,
    steps: Vec<(NameStep, Move)>,
    aliases: Vec<KnownAs>,
}

impl Deal<'_> {
    /// Finds what is asked for in the giving store.
    pub(crate) fn find(&self, what: &[Base]) -> Result<Vec<Found>> {
        what.iter().map(|base| resolve(self.giver.1, self.giver.0, base)).collect()
    }

    /// Works out what has to move; refuses what may not. `lineage` is that of the giving store, and
    /// fresh if anything that was found [has a history](Found::has_history).
    pub(crate) fn agree(&self, found: Vec<Found>, lineage: &Lineage) -> Result<Agreed> {
        let (giver, side) = self.giver;
        let targets: Vec<ObjectId> = found.iter().map(|f| f.target).collect();
        let aliases = found.iter().filter_map(|f| f.alias.clone()).collect();
        let mut steps: Vec<(NameStep, Move)> = Vec::new();
        for (name, last) in found.into_iter().filter_map(|f| f.name) {
            if steps.iter().all(|(step, _)| step.name != name) {
                steps.push((self.step(name, &last)?, last));
            }
        }
        let objects = closure(giver, lineage, &targets).on(side)?.objects;
        Ok(Agreed { targets, objects, steps, aliases })
    }

    /// What carrying it out would do.
    pub(crate) fn plan(&self, agreed: Agreed) -> Result<Exchange> {
        let transfer = self.route().plan(&agreed.objects)?;
        let names = agreed.steps.into_iter().map(|(step, _)| step).collect();
        Ok(Exchange { targets: agreed.targets, transfer, names, skipped: Vec::new() })
    }

    /// Carries it out.
    pub(crate) fn carry_out(&self, agreed: Agreed, progress: &dyn Progress) -> Result<Exchange> {
        let transfer = self.route().copy(&agreed.objects, progress)?;
        self.note_aliases(&agreed.aliases)?;
        for (step, last) in &agreed.steps {
            self.move_name(step, last)?;
        }
        let names = agreed.steps.into_iter().map(|(step, _)| step).collect();
        Ok(Exchange { targets: agreed.targets, transfer, names, skipped: Vec::new() })
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
        let moved = Move {
            target: Some(step.after),
            kind: last.kind,
            when_ms: self.options.when_ms,
            who: self.options.who.to_owned(),
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
