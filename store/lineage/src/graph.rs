//! Walks over the lineage, which has two kinds of node: content and the runs between it.
//!
//! ```text
//!   content ──read by──▶ run ──leaves──▶ content ──read by──▶ run …
//! ```
//!
//! Pure: what the edges are is [`Edges`]' business, so the walks are tested against graphs that no
//! store could hold. Records come from strangers and are not always a DAG: a run may leave
//! the very bytes that it read, and two runs may each make what the other reads. Such a cycle is
//! walked once. Without cycles the order is topological: every cause stands before its effects.
//! Every edge is looked at once, and nothing recurses, so a long history cannot exhaust the stack.

use std::collections::HashSet;

use lab_schema::{ContentId, RunId};

/// A node of the lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// A file or a directory.
    Content(ContentId),
    /// An execution.
    Run(RunId),
}

impl From<ContentId> for Node {
    fn from(id: ContentId) -> Node {
        Node::Content(id)
    }
}

impl From<RunId> for Node {
    fn from(id: RunId) -> Node {
        Node::Run(id)
    }
}

/// What leads to what. Both lists are in an order of the implementation's choice, which the walks
/// keep among nodes that nothing else orders.
pub(crate) trait Edges {
    /// How looking up an edge can fail.
    type Error;

    /// What `node` came from directly.
    fn causes(&self, node: Node) -> Result<Vec<Node>, Self::Error>;

    /// What came from `node` directly.
    fn effects(&self, node: Node) -> Result<Vec<Node>, Self::Error>;
}

/// Everything that `of` came from, without `of` itself: the farthest cause first, the nearest last.
pub(crate) fn ancestors<E: Edges + ?Sized>(edges: &E, of: Node) -> Result<Vec<Node>, E::Error> {
    let mut order = finishing_order(of, |node| edges.causes(node))?;
    order.pop();
    Ok(order)
}

/// Everything that came from `of`, without `of` itself: the nearest effect first, the farthest last.
pub(crate) fn descendants<E: Edges + ?Sized>(edges: &E, of: Node) -> Result<Vec<Node>, E::Error> {
    let mut order = finishing_order(of, |node| edges.effects(node))?;
    order.pop();
    order.reverse();
    Ok(order)
}

/// The nodes that can be reached from `start`, each after all that can be reached from it, cycles
/// aside; `start` is therefore the last.
fn finishing_order<Err>(
    start: Node,
    next: impl Fn(Node) -> Result<Vec<Node>, Err>,
) -> Result<Vec<Node>, Err> {
    let mut seen = HashSet::from([start]);
    let mut order = Vec::new();
    let mut open = vec![(start, next(start)?.into_iter())];
    while let Some((node, rest)) = open.last_mut() {
        match rest.find(|n| seen.insert(*n)) {
            Some(child) => open.push((child, next(child)?.into_iter())),
            None => {
                order.push(*node);
                open.pop();
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::convert::Infallible;

    use lab_schema::{BlobId, Digest};
    use proptest::prelude::*;

    use super::*;

    /// Node `n` of a test graph: even ones are content, odd ones are runs.
    fn node(n: u8) -> Node {
        let digest = Digest::from_bytes([n; 32]);
        if n.is_multiple_of(2) {
            ContentId::Blob(BlobId::from_digest(digest)).into()
        } else {
            RunId::from_digest(digest).into()
        }
    }

    struct Model(Vec<(Node, Node)>);

    impl Model {
        fn new(edges: &[(u8, u8)]) -> Model {
            Model(edges.iter().map(|(a, b)| (node(*a), node(*b))).collect())
        }

        /// Whether a walk along the edges leads from `a` to `b`, by relaxation.
        fn leads(&self, a: Node, b: Node) -> bool {
            let mut reached = BTreeSet::from([a]);
            loop {
                let more: Vec<Node> = self
                    .0
                    .iter()
                    .filter(|(x, y)| reached.contains(x) && !reached.contains(y))
                    .map(|(_, y)| *y)
                    .collect();
                if more.is_empty() {
                    return a != b && reached.contains(&b);
                }
                reached.extend(more);
            }
        }
    }

    impl Edges for Model {
        type Error = Infallible;
        fn causes(&self, node: Node) -> Result<Vec<Node>, Infallible> {
            Ok(self.0.iter().filter(|(_, b)| *b == node).map(|(a, _)| *a).collect())
        }
        fn effects(&self, node: Node) -> Result<Vec<Node>, Infallible> {
            Ok(self.0.iter().filter(|(a, _)| *a == node).map(|(_, b)| *b).collect())
        }
    }

    /// Whether each edge between two of `order` points forward.
    fn is_topological(model: &Model, order: &[Node]) -> bool {
        let place: HashMap<Node, usize> = order.iter().enumerate().map(|(i, n)| (*n, i)).collect();
        model.0.iter().all(|(a, b)| match (place.get(a), place.get(b)) {
            (Some(x), Some(y)) => x < y,
            _ => true,
        })
    }

    const NODES: u8 = 12;

    proptest! {
        #[test]
        fn any_graph_gives_what_the_brute_force_gives(
            edges in prop::collection::vec((0..NODES, 0..NODES), 0..30),
            start in 0..NODES,
        ) {
            let model = Model::new(&edges);
            let all = || (0..NODES).map(node);
            let up = ancestors(&model, node(start)).unwrap();
            let expected: BTreeSet<Node> = all().filter(|n| model.leads(*n, node(start))).collect();
            prop_assert_eq!(up.len(), expected.len());
            prop_assert_eq!(up.into_iter().collect::<BTreeSet<_>>(), expected);

            let down = descendants(&model, node(start)).unwrap();
            let expected: BTreeSet<Node> = all().filter(|n| model.leads(node(start), *n)).collect();
            prop_assert_eq!(down.len(), expected.len());
            prop_assert_eq!(down.into_iter().collect::<BTreeSet<_>>(), expected);
        }

        #[test]
        fn a_graph_without_cycles_is_ordered(
            edges in prop::collection::vec((0..NODES, 0..NODES), 0..30),
            start in 0..NODES,
        ) {
            let edges: Vec<_> = edges.into_iter().filter(|(a, b)| a < b).collect();
            let model = Model::new(&edges);
            prop_assert!(is_topological(&model, &ancestors(&model, node(start)).unwrap()));
            prop_assert!(is_topological(&model, &descendants(&model, node(start)).unwrap()));
        }
    }

    #[test]
    fn the_nearest_cause_stands_last_and_the_nearest_effect_first() {
        let model = Model::new(&[(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert_eq!(ancestors(&model, node(4)).unwrap(), [node(0), node(1), node(2), node(3)]);
        assert_eq!(descendants(&model, node(0)).unwrap(), [node(1), node(2), node(3), node(4)]);
    }

    /// A history of a hundred thousand steps: recursion would overflow, a quadratic walk not end.
    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        struct Chain(u32);
        impl Chain {
            fn number(n: Node) -> u32 {
                let (Node::Run(id), bytes) = (n, [0; 4]) else { return 0 };
                let mut bytes = bytes;
                bytes.copy_from_slice(&id.digest().as_bytes()[..4]);
                u32::from_be_bytes(bytes)
            }
            fn node(n: u32) -> Node {
                let mut bytes = [0; 32];
                bytes[..4].copy_from_slice(&n.to_be_bytes());
                RunId::from_digest(Digest::from_bytes(bytes)).into()
            }
        }
        impl Edges for Chain {
            type Error = Infallible;
            fn causes(&self, node: Node) -> Result<Vec<Node>, Infallible> {
                Ok(Chain::number(node).checked_sub(1).map(Chain::node).into_iter().collect())
            }
            fn effects(&self, node: Node) -> Result<Vec<Node>, Infallible> {
                let next = Chain::number(node) + 1;
                Ok((next < self.0).then(|| Chain::node(next)).into_iter().collect())
            }
        }
        let chain = Chain(100_000);
        assert_eq!(ancestors(&chain, Chain::node(99_999)).unwrap().len(), 99_999);
        assert_eq!(descendants(&chain, Chain::node(0)).unwrap().len(), 99_999);
    }
}
