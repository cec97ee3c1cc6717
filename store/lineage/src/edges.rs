//! Where the walks over the lineage go from each node.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use lab_schema::{ContentId, RunId};

use crate::error::{Answer, Fault};
use crate::graph::{Edges, Node};
use crate::links;
use crate::number;
use crate::origin::Origin;
use crate::question::{Asking, Consumption};

/// A walk over one state of the index that starts at a node.
pub(crate) struct Walk<'a> {
    ask: &'a Asking<'a>,
    start: Node,
    /// What runs read, which both ways ask for.
    origins: RefCell<HashMap<RunId, Rc<Vec<Origin>>>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(ask: &'a Asking<'a>, start: Node) -> Walk<'a> {
        Walk { ask, start, origins: RefCell::default() }
    }

    fn origins(&self, run: RunId) -> Answer<Rc<Vec<Origin>>> {
        if let Some(known) = self.origins.borrow().get(&run) {
            return Ok(Rc::clone(known));
        }
        let found = Rc::new(self.ask.origins(run)?);
        self.origins.borrow_mut().insert(run, Rc::clone(&found));
        Ok(found)
    }

    /// Those of the runs that read one of these contents that had it from `maker`.
    pub(crate) fn had_from(
        &self,
        contents: &[ContentId],
        maker: RunId,
    ) -> Answer<Vec<Consumption>> {
        let mut found = Vec::new();
        for one in self.ask.readers(contents)? {
            let origins = self.origins(one.run)?;
            let is_from =
                |origin: &Origin| origin.role == one.role && origin.makers.contains(&maker);
            if origins.iter().any(is_from) {
                found.push(one);
            }
        }
        Ok(found)
    }
}

impl Edges for Walk<'_> {
    type Error = Fault;

    /// Who made a content, the run that read it tells: so its makers are causes of the run, each before
    /// the content, and of the content only where the walk starts with it.
    fn causes(&self, node: Node) -> Answer<Vec<Node>> {
        match node {
            Node::Content(content) if node == self.start => {
                Ok(self.ask.producer_for(content)?.into_iter().map(Node::Run).collect())
            }
            Node::Content(_) => Ok(Vec::new()),
            Node::Run(run) => {
                let both = |origin: &Origin| {
                    let makers = origin.makers.iter().copied().map(Node::Run);
                    makers.chain([Node::Content(origin.content)]).collect::<Vec<_>>()
                };
                Ok(self.origins(run)?.iter().flat_map(both).collect())
            }
        }
    }

    /// The other way round: those that had something from a run are effects of the run, each after the content,
    /// and of the content only where the walk starts with it.
    fn effects(&self, node: Node) -> Answer<Vec<Node>> {
        let run = match node {
            Node::Content(content) if node == self.start => {
                let readers = self.ask.readers(&[content])?;
                return Ok(readers.iter().map(|one| Node::Run(one.run)).collect());
            }
            Node::Content(_) => return Ok(Vec::new()),
            Node::Run(run) => run,
        };
        let left = self.ask.left_by(run)?;
        let readers = self.had_from(&left, run)?;
        let mut contents: BTreeSet<ContentId> = left.into_iter().collect();
        for one in &readers {
            let read = self.origins(one.run)?;
            let from = read.iter().filter(|origin| origin.makers.contains(&run));
            contents.extend(from.map(|origin| origin.content));
        }
        // What it read before it left it, it did not make.
        let had = self.ask.reads(run)?;
        contents.retain(|content| had.iter().all(|input| input.content != *content));
        let readers = readers.into_iter().map(|one| Node::Run(one.run));
        // What is told last is walked last, and stands first.
        Ok(readers.chain(contents.into_iter().map(Node::Content)).collect())
    }
}

impl Asking<'_> {
    /// What a run left.
    fn left_by(&self, run: RunId) -> Answer<Vec<ContentId>> {
        let Some(number) = number::taken(self.db, run.into())? else { return Ok(Vec::new()) };
        Ok(links::of(self.db, number)?.into_iter().map(|link| link.content).collect())
    }

    /// The runs that read one of these contents, a folder that holds it, or something that lies in it, by start,
    /// run and role.
    pub(crate) fn readers(&self, contents: &[ContentId]) -> Answer<Vec<Consumption>> {
        self.consumers_of(self.around(contents)?)
    }
}
