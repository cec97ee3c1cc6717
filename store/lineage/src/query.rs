//! The questions that the index answers, each about what the last refresh saw.
//!
//! A file is produced by the runs that left it, and also by those that left a folder with
//! it somewhere inside. Where one cause has to be named among several, for a history or for what
//! a transfer takes along, [`Lineage::producer_for`] chooses it, always the same way.

use std::collections::{BTreeMap, BTreeSet};

use lab_objects::Store;
use lab_schema::{
    AttestationId, ContentId, Number, Recipe, RecipeId, RunId, SignatureId, Signed, Slot,
};
use rusqlite::Transaction;

use crate::count::Tally;
use crate::edges::Walk;
use crate::error::{Answer, Fault, Result};
use crate::filter::Filter;
use crate::graph::{self, Node};
use crate::index::Lineage;
use crate::origin::Origin;
use crate::question::{Asking, Consumption, Production, Role, RunRow};

/// An index that is [held](Lineage::hold).
#[derive(Debug)]
#[must_use]
pub struct Held<'a>(
    #[expect(dead_code, reason = "it ends when it is dropped")] Option<Transaction<'a>>,
);

impl Lineage {
    /// Every run, by start and then by id.
    pub fn runs(&self) -> Result<Vec<RunRow>> {
        self.at_once(|ask| ask.runs())
    }

    /// The last so many runs, the latest first.
    pub fn latest(&self, count: usize) -> Result<Vec<RunRow>> {
        self.at_once(|ask| ask.latest(count))
    }

    /// How many runs there are.
    pub fn count_runs(&self) -> Result<u64> {
        self.at_once(|ask| ask.count_runs())
    }

    /// The runs that left `content`: first those whose output it is, then those that have it
    /// inside one; each by start, run and output.
    pub fn producers(&self, content: ContentId) -> Result<Vec<Production>> {
        self.at_once(|ask| ask.producers(content))
    }

    /// The one run that counts as the origin of `content`. A run that succeeded goes before one
    /// that failed, one whose output it is before one that has it inside an output, the earlier
    /// before the later, the smaller id before the greater. Runs that read the content themselves
    /// do not count: they passed it on.
    pub fn producer_for(&self, content: ContentId) -> Result<Option<RunId>> {
        self.at_once(|ask| ask.producer_for(content))
    }

    /// What a run read, its code included, and which runs made each, by role. Who made it is what the run itself
    /// has of that ([`Run::makers`](lab_schema::Run)), of those that did leave it, or of a folder something in it.
    /// Where it has nothing, it came from the run that left most of what was read beside it, more so
    /// under the same names; of equals from one that did not have it before, that succeeded, that began last
    /// of those that began before this run. Runs that began later count only if none began before, and only
    /// those of other people, whose clocks may be ahead; runs that had it already only under the name by which
    /// this one read it. What is left then nobody made; nor code.
    pub fn origins(&self, run: RunId) -> Result<Vec<Origin>> {
        self.at_once(|ask| ask.origins(run))
    }

    /// The same of contents that lay beside each other under these names, without a run that read them: of equals
    /// [the one that counts](Lineage::producer_for), and no run that passed them on.
    pub fn makers(&self, contents: &[(String, ContentId)]) -> Result<Vec<Option<RunId>>> {
        self.at_once(|ask| ask.makers(contents))
    }

    /// The same of what a run read that began then and is about to be written down, by the names under which it
    /// read it: all that is recorded counts as there before it. A folder that nobody left as such is gone through,
    /// in `store`.
    pub fn makers_now(
        &self,
        store: &Store,
        recipe: &Recipe,
        started_ms: u64,
    ) -> Result<BTreeMap<String, BTreeSet<RunId>>> {
        self.at_once(|ask| ask.makers_now(store, recipe, started_ms))
    }

    /// Until what this gives is dropped, all questions are asked of one state of the index, and none of them
    /// has to take the file's lock; who wants to write to it waits. For thousands of questions, or such that have
    /// to agree.
    pub fn hold(&self) -> Result<Held<'_>> {
        if !self.connection.is_autocommit() {
            return Ok(Held(None));
        }
        let begun = self.connection.unchecked_transaction().map_err(Fault::Sql);
        begun.map(|begun| Held(Some(begun))).map_err(|fault| self.failed(fault))
    }

    /// A run and those that [it came from](Lineage::origins), causes before effects, itself last.
    pub fn chain(&self, run: RunId) -> Result<Vec<RunId>> {
        self.at_once(|ask| ask.chain(run))
    }

    /// What a run and those that [it came from](Lineage::chain) read and nobody made, code aside.
    pub fn sources(&self, run: RunId) -> Result<BTreeSet<ContentId>> {
        self.at_once(|ask| ask.sources(run))
    }

    /// The runs that read `content` as such, by start, run and role.
    pub fn consumers(&self, content: ContentId) -> Result<Vec<Consumption>> {
        self.at_once(|ask| ask.consumers(content))
    }

    /// The runs that read one of these contents, a folder that holds it, or something that lies in it, by start,
    /// run and role; those alone that had it from `maker`, if one is given.
    pub fn readers(
        &self,
        contents: &[ContentId],
        maker: Option<RunId>,
    ) -> Result<Vec<Consumption>> {
        self.at_once(|ask| match maker {
            Some(maker) => Walk::new(ask, maker.into()).had_from(contents, maker),
            None => ask.readers(contents),
        })
    }

    /// How many runs read `content` as such.
    pub fn count_consumers(&self, content: ContentId) -> Result<u64> {
        self.at_once(|ask| ask.count_consumers([content]))
    }

    /// How many [readers](Lineage::readers) these contents have.
    pub fn count_readers(&self, contents: &[ContentId]) -> Result<u64> {
        self.at_once(|ask| ask.count_consumers(ask.around(contents)?))
    }

    /// The runs of a recipe, by start and then by id.
    pub fn runs_of(&self, recipe: RecipeId) -> Result<Vec<RunId>> {
        self.at_once(|ask| ask.runs_of(recipe))
    }

    /// What was attested of a run, by start and then by id.
    pub fn attestations_of(&self, run: RunId) -> Result<Vec<AttestationId>> {
        self.at_once(|ask| ask.attestations_of(run))
    }

    /// The signatures of a run or an attestation, by when they say that they were made and then by
    /// id. Whether they hold is not known here.
    pub fn signatures_of(&self, of: Signed) -> Result<Vec<SignatureId>> {
        self.at_once(|ask| ask.signatures_of(of))
    }

    /// What a run read, its code included, by role; empty if the index does not know its recipe.
    pub fn run_inputs(&self, run: RunId) -> Result<Vec<(Role, ContentId)>> {
        self.at_once(|ask| ask.run_inputs(run))
    }

    /// What a run left, by name.
    pub fn run_outputs(&self, run: RunId) -> Result<Vec<(Slot, ContentId)>> {
        self.at_once(|ask| ask.run_outputs(run))
    }

    /// Every run that has the metric `name`, with its value, by start and then by id.
    pub fn metric(&self, name: &str) -> Result<Vec<(RunId, Number)>> {
        self.at_once(|ask| ask.metric(name))
    }

    /// The last `limit` runs that fit, the latest first, and how many do.
    pub fn find(&self, filter: &Filter, limit: usize) -> Result<(Vec<RunRow>, u64)> {
        self.at_once(|ask| ask.find(filter, limit))
    }

    /// How many runs there are, have failed, and were verified.
    pub fn tally(&self) -> Result<Tally> {
        self.at_once(|ask| ask.tally())
    }

    /// Everything that a node came from, causes before effects, the nearest cause last. Of several
    /// runs that left the same content only the one that [the run which read it](Lineage::origins) had
    /// it from.
    pub fn ancestors(&self, of: Node) -> Result<Vec<Node>> {
        self.at_once(|ask| graph::ancestors(&Walk::new(ask, of), of))
    }

    /// Everything that came from a node, causes before effects, the nearest effect first: of a run what it left,
    /// and the runs that [had something from it](Lineage::origins), with what these read of it.
    pub fn descendants(&self, of: Node) -> Result<Vec<Node>> {
        self.at_once(|ask| graph::descendants(&Walk::new(ask, of), of))
    }

    /// Asks one state of the index, whatever other processes do meanwhile; and takes the file's
    /// lock once and not for each row.
    fn at_once<T>(&self, ask: impl FnOnce(&Asking<'_>) -> Answer<T>) -> Result<T> {
        if !self.connection.is_autocommit() {
            // It is held.
            return ask(&Asking::new(&self.connection)).map_err(|fault| self.failed(fault));
        }
        let begun = self.connection.unchecked_transaction().map_err(Fault::Sql);
        let answer = begun.and_then(|transaction| {
            let answer = ask(&Asking::new(&transaction))?;
            transaction.finish()?;
            Ok(answer)
        });
        answer.map_err(|fault| self.failed(fault))
    }
}
