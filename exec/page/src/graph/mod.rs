//! What came from what, drawn in layers: causes first, every arrow towards its effect.
//!
//! After Sugiyama, Tagawa and Toda ("Methods for Visual Understanding of Hierarchical System Structures", 1981): cycles
//! are cut, nodes stand in layers by their longest way from a source, long arrows get a place in every layer that they
//! pass, the order in a layer follows the means of the neighbours, and places follow the order.

mod fold;
mod layers;
mod order;
mod place;
mod paint;

use self::fold::fold;
use self::paint::paint;
use self::place::{Flow, Layout, layout};
use crate::colour::Tone;
use crate::svg::Drawing;

/// Most nodes that are drawn, whatever is asked for.
const NODES: usize = 400;
/// Most nodes and arrows that are looked at.
const SEEN: (usize, usize) = (200_000, 1_000_000);

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What no recorded run made.
    Data,
    /// An execution.
    Run,
    /// What a run left.
    Output,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Data => "data",
            Kind::Run => "run",
            Kind::Output => "output",
        }
    }
}

/// A node, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its name, or what it does.
    pub title: String,
    /// The first digits of its hash.
    pub hash: String,
    /// A fact beside it, such as a size; empty if there is none.
    pub note: String,
    /// What a run reached: of what, the number, and how it is written.
    pub metric: Option<(String, f64, String)>,
    /// Whether somebody did it again, and what came of it.
    pub standing: Option<(Tone, String)>,
    /// What several nodes are called that are folded into one and have different names: what they do, or are.
    pub what: String,
    /// Runs that are folded into one have this in common, and outputs of which nothing else is known.
    pub alike: String,
}

/// Nodes and arrows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// From which node to which, counted from 0. What leads to no node, or from a node to itself, is left out.
    pub edges: Vec<(usize, usize)>,
}

/// How a graph is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// What it shows, for who cannot see it.
    pub title: String,
    /// With more nodes than this, those that are repeated are folded into one; at most 400.
    pub most: usize,
    /// How wide it should be, in CSS pixels, if it can.
    pub width: f64,
}

/// Draws a graph.
pub fn draw(graph: &Graph, picture: &Picture) -> Drawing {
    let nodes = &graph.nodes[..graph.nodes.len().min(SEEN.0)];
    let mut edges: Vec<(usize, usize)> = graph
        .edges
        .iter()
        .copied()
        .filter(|(from, to)| from != to && *from < nodes.len() && *to < nodes.len())
        .take(SEEN.1)
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let folded = fold(nodes, &edges, picture.most.clamp(1, NODES));
    let sizes: Vec<(f64, f64)> = folded.nodes.iter().map(paint::size).collect();
    let down = layout(&sizes, &folded.edges, Flow::Down);
    let excess = |layout: &Layout| (layout.width - picture.width).max(0.0);
    let chosen = match excess(&down) > 0.0 {
        true => {
            let right = layout(&sizes, &folded.edges, Flow::Right);
            if excess(&right) < excess(&down) { right } else { down }
        }
        false => down,
    };
    paint(&folded, &chosen, &picture.title)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn node(kind: Kind, title: &str, alike: &str) -> Node {
        Node {
            kind,
            title: title.to_owned(),
            hash: "3c1f9a52".to_owned(),
            note: String::new(),
            metric: None,
            standing: None,
            what: alike.to_owned(),
            alike: alike.to_owned(),
        }
    }

    fn picture(most: usize) -> Picture {
        Picture { title: "lineage".into(), most, width: 700.0 }
    }

    #[test]
    fn what_leads_nowhere_is_left_out() {
        let nodes = vec![node(Kind::Data, "d", ""), node(Kind::Run, "r", "")];
        let edges = vec![(0, 1), (1, 0), (1, 1), (0, 9), (9, 0), (0, 1)];
        let file = draw(&Graph { nodes, edges }, &picture(10)).file();
        assert_eq!(file.matches("class=\"edge\"").count(), 2, "{file}");
        assert!(draw(&Graph::default(), &picture(10)).file().contains("<svg"));
    }

    #[test]
    fn hostile_names_stay_names() {
        let evil = "</title><script>alert(1)</script>\u{202e}";
        let nodes =
            vec![Node { hash: evil.into(), note: evil.into(), ..node(Kind::Run, evil, evil) }];
        let file = draw(&Graph { nodes, edges: vec![] }, &picture(10)).file();
        assert!(!file.contains("<script") && !file.contains('\u{202e}'), "{file}");
    }

    #[test]
    fn a_hundred_thousand_runs_are_one_and_fast() {
        let mut nodes = vec![node(Kind::Data, "data", "")];
        let mut edges = Vec::new();
        for n in 0..50_000 {
            nodes.push(node(Kind::Run, &format!("base.seed{n}"), "train"));
            nodes.push(node(Kind::Output, "model", "model"));
            edges.extend([(0, 2 * n + 1), (2 * n + 1, 2 * n + 2)]);
        }
        let file = draw(&Graph { nodes, edges }, &picture(300)).file();
        assert!(file.contains("50000 runs") && file.len() < 20_000, "{}", file.len());
    }

    #[test]
    fn what_nothing_repeats_is_bounded_all_the_same() {
        let nodes: Vec<Node> =
            (0..5000).map(|n| node(Kind::Run, &format!("r{n}"), &n.to_string())).collect();
        let edges = (1..5000).map(|n| (n - 1, n)).collect();
        let file = draw(&Graph { nodes, edges }, &picture(300)).file();
        assert!(file.matches("class=\"box\"").count() <= 300 && file.contains("not drawn"));
    }
}
