//! Where the walks over the lineage go from each node.

use std::collections::HashSet;

use lab_schema::ContentId;

use crate::error::{Answer, Fault};
use crate::graph::{Edges, Node};
use crate::links::{self, Way};
use crate::number;
use crate::origin::Origin;
use crate::question::Asking;

/// A walk over one state of the index that starts at a node.
pub(crate) struct Walk<'a> {
    pub(crate) ask: &'a Asking<'a>,
    pub(crate) start: Node,
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
                let both = |origin: Origin| {
                    let maker = origin.maker.map(Node::Run);
                    maker.into_iter().chain([Node::Content(origin.content)])
                };
                Ok(self.ask.origins(run)?.into_iter().flat_map(both).collect())
            }
        }
    }

    fn effects(&self, node: Node) -> Answer<Vec<Node>> {
        let run = match node {
            Node::Content(content) => {
                return Ok(self.ask.consumers(content)?.iter().map(|c| Node::Run(c.run)).collect());
            }
            Node::Run(run) => run,
        };
        let Some(number) = number::taken(self.ask.0, run.into())? else { return Ok(Vec::new()) };
        let mut left: Vec<ContentId> =
            links::of(self.ask.0, number)?.into_iter().map(|link| link.content).collect();
        left.extend(self.ask.read_inside(&left)?);
        left.sort_unstable();
        left.dedup();
        // What it read before it left it, it did not make.
        let had = self.ask.reads(run)?;
        left.retain(|content| had.iter().all(|input| input.content != *content));
        Ok(left.into_iter().map(Node::Content).collect())
    }
}

impl Asking<'_> {
    /// The contents within the folders that a run left which some recipe reads.
    fn read_inside(&self, left: &[ContentId]) -> Answer<Vec<ContentId>> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut open: Vec<ContentId> =
            left.iter().copied().filter(|c| matches!(c, ContentId::Tree(_))).collect();
        while let Some(tree) = open.pop() {
            let Some(number) = number::taken(self.0, tree.into())? else { continue };
            for link in links::of(self.0, number)? {
                if !seen.insert(link.content) {
                    continue;
                }
                if links::leads_back(self.0, Way::Reads, link.content)? {
                    found.push(link.content);
                }
                if matches!(link.content, ContentId::Tree(_)) {
                    open.push(link.content);
                }
            }
        }
        Ok(found)
    }
}
