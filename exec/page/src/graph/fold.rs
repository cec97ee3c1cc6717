//! What is repeated becomes one node: twelve seeds of one recipe are drawn once, with their number.

use std::collections::BTreeMap;

use super::layers::{layers, turned};
use super::{Kind, Node};
use crate::colour::Tone;
use crate::text::{count, plain};

/// Most arrows that are drawn.
const EDGES: usize = 2000;

/// A graph whose nodes stand for one or more.
pub(super) struct Folded {
    pub(super) nodes: Vec<Group>,
    pub(super) edges: Vec<(usize, usize)>,
    /// What is not drawn as it is, in words; empty if all is.
    pub(super) note: String,
}

/// A node that stands for one or more.
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) times: usize,
    pub(super) title: String,
    pub(super) hash: String,
    pub(super) note: String,
    pub(super) standing: Option<(Tone, String)>,
}

/// Folds nodes, if there are more than `most`: runs of one layer that are alike, and what all of these read or left.
pub(super) fn fold(nodes: &[Node], edges: &[(usize, usize)], most: usize) -> Folded {
    let alone = nodes.len() <= most;
    let class = if alone { (0..nodes.len()).collect() } else { classes(nodes, edges, most) };
    let groups = class.iter().max().map_or(0, |last| last + 1);
    let mut members = vec![Vec::new(); groups];
    class.iter().enumerate().for_each(|(node, class)| members[*class].push(node));
    // Only where even the coarsest classes are too many is anything left out, the farthest back first.
    let left_out = groups.saturating_sub(most);
    let mut joined: Vec<(usize, usize)> = edges
        .iter()
        .map(|(from, to)| (class[*from], class[*to]))
        .filter(|(from, to)| from != to && *from >= left_out && *to >= left_out)
        .map(|(from, to)| (from - left_out, to - left_out))
        .collect();
    joined.sort_unstable();
    joined.dedup();
    let hidden: usize = members[..left_out].iter().map(Vec::len).sum();
    let members = &members[left_out..];
    let mut notes = Vec::new();
    if !alone && members.iter().any(|group| group.len() > 1) {
        notes.push(format!(
            "{} are drawn as {}: what is repeated stands once",
            count(nodes.len() - hidden, "node"),
            members.len()
        ));
    }
    if hidden > 0 {
        notes.push(format!("{} farther back are not drawn", count(hidden, "node")));
    }
    if joined.len() > EDGES {
        notes.push(format!("{} are not drawn", count(joined.len() - EDGES, "arrow")));
        joined.truncate(EDGES);
    }
    let nodes = members.iter().map(|group| one(nodes, group)).collect();
    Folded { nodes, edges: joined, note: notes.join("; ") }
}

/// The class of each node, counted from 0 in the order of the layers; nodes of one class are folded.
fn classes(nodes: &[Node], edges: &[(usize, usize)], most: usize) -> Vec<usize> {
    let turned = turned(nodes.len(), edges);
    let forward: Vec<(usize, usize)> = edges
        .iter()
        .zip(&turned)
        .map(|((from, to), turned)| if *turned { (*to, *from) } else { (*from, *to) })
        .collect();
    let layer = layers(nodes.len(), &forward);
    let fits = |class: &[usize]| class.iter().max().map_or(0, |last| last + 1) <= most;
    let all = || nodes.iter().zip(&layer);
    let alike = numbered(all().map(|(node, layer)| (*layer, node.kind, node.alike.as_str())));
    let told_apart = by_origin(nodes, &forward, &layer, &alike);
    if fits(&told_apart) {
        return told_apart;
    }
    if fits(&alike) {
        return alike;
    }
    let coarse = numbered(all().map(|(node, layer)| (*layer, node.kind, node.what.as_str())));
    if fits(&coarse) {
        return coarse;
    }
    numbered(all().map(|(node, layer)| (*layer, node.kind)))
}

/// The classes of nodes that are alike and came from the same: runs from what they read, outputs from the runs that left
/// them, whoever reads them later. Data, which came from nowhere, is what is read by the same.
fn by_origin(
    nodes: &[Node],
    forward: &[(usize, usize)],
    layer: &[usize],
    alike: &[usize],
) -> Vec<usize> {
    let (mut before, mut after) = (vec![Vec::new(); nodes.len()], vec![Vec::new(); nodes.len()]);
    for (from, to) in forward {
        before[*to].push(*from);
        after[*from].push(alike[*to]);
    }
    let mut rows = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
    layer.iter().enumerate().for_each(|(node, layer)| rows[*layer].push(node));
    let mut class = vec![0; nodes.len()];
    let mut first = 0;
    for row in rows {
        let key = |node: &usize| {
            let mut origin: Vec<usize> = match nodes[*node].kind {
                Kind::Data => after[*node].clone(),
                _ => before[*node].iter().map(|cause| class[*cause]).collect(),
            };
            origin.sort_unstable();
            origin.dedup();
            (alike[*node], origin)
        };
        let own = numbered(row.iter().map(key));
        let many = own.iter().max().map_or(0, |last| last + 1);
        row.iter().zip(own).for_each(|(node, own)| class[*node] = first + own);
        first += many;
    }
    class
}

/// The rank of each key among all distinct ones.
fn numbered<K: Ord + Clone>(keys: impl Iterator<Item = K>) -> Vec<usize> {
    let keys: Vec<K> = keys.collect();
    let mut ranks: BTreeMap<K, usize> = keys.iter().map(|key| (key.clone(), 0)).collect();
    ranks.values_mut().zip(0..).for_each(|(rank, n)| *rank = n);
    keys.iter().filter_map(|key| ranks.get(key).copied()).collect()
}

/// The node that stands for some.
fn one(nodes: &[Node], members: &[usize]) -> Group {
    let all = || members.iter().map(|member| &nodes[*member]);
    let titles: Vec<&str> = all().map(|node| node.title.as_str()).collect();
    let whats: Vec<&str> =
        all().map(|node| node.what.as_str()).filter(|what| !what.is_empty()).collect();
    let notes: Vec<&str> = all().map(|node| node.note.as_str()).collect();
    let metric = metric(all());
    let note = match same(&notes) {
        Some(note) if metric.is_empty() => note.to_owned(),
        _ => metric,
    };
    let standings: Vec<&(Tone, String)> = all().filter_map(|node| node.standing.as_ref()).collect();
    Group {
        kind: all().next().map_or(Kind::Data, |node| node.kind),
        times: members.len(),
        title: match same(&titles).map(str::to_owned).or_else(|| beginning(&titles)) {
            Some(title) => title,
            None => same(&whats).map_or_else(|| format!("{} and others", titles[0]), str::to_owned),
        },
        hash: all().next().map(|node| node.hash.clone()).unwrap_or_default(),
        note,
        standing: standing(&standings),
    }
}

/// What all of them are, if they are one.
fn same<'a>(all: &[&'a str]) -> Option<&'a str> {
    let (first, rest) = all.split_first()?;
    rest.iter().all(|other| other == first).then_some(*first)
}

/// The name of which all are numbered ones: `base.seed…` of `base.seed1` and `base.seed2`.
fn beginning(titles: &[&str]) -> Option<String> {
    let stem = |title: &&str| title.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    let first = titles.first().map(stem).filter(|stem| !stem.is_empty())?;
    titles.iter().all(|title| stem(title) == first).then(|| format!("{first}…"))
}

/// The first number that all have, from the least to the greatest.
fn metric<'a>(nodes: impl Iterator<Item = &'a Node>) -> String {
    let all: Vec<&(String, f64, String)> = nodes.filter_map(|node| node.metric.as_ref()).collect();
    let Some((name, ..)) = all.first() else { return String::new() };
    let alike = || all.iter().filter(|(other, ..)| other == name);
    let least = alike().min_by(|a, b| a.1.total_cmp(&b.1));
    let most = alike().max_by(|a, b| a.1.total_cmp(&b.1));
    match least.zip(most) {
        Some((least, most)) if least.2 != most.2 => format!("{name} {} … {}", least.2, most.2),
        Some((least, _)) => format!("{name} {}", least.2),
        None => String::new(),
    }
}

/// What came of doing them again: the worst of it gives the tone.
fn standing(all: &[&(Tone, String)]) -> Option<(Tone, String)> {
    let tone = all.iter().map(|(tone, _)| *tone).max()?;
    let mut counted: BTreeMap<(Tone, &str), usize> = BTreeMap::new();
    all.iter().for_each(|(tone, words)| *counted.entry((*tone, words)).or_default() += 1);
    let many = all.len();
    let mut words = Vec::new();
    for ((tone, text), times) in &counted {
        match (counted.len(), tone) {
            (1, _) => words.push(plain(text)),
            // Of the others nobody knows.
            (_, Tone::Open) => {}
            _ => words.push(format!("{times} of {many} {}", plain(text))),
        }
    }
    if words.is_empty() {
        words.extend(counted.keys().map(|(_, text)| plain(text)));
    }
    Some((tone, words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::node;
    use super::*;

    /// Data, two arms of so many seeds, each a training and a model.
    fn arms(seeds: usize) -> (Vec<Node>, Vec<(usize, usize)>) {
        let (mut nodes, mut edges) = (vec![node(Kind::Data, "digits", "digits")], Vec::new());
        for arm in ["base", "mine"] {
            for seed in 0..seeds {
                let run = nodes.len();
                nodes.push(node(Kind::Run, "train", &format!("train {arm}")));
                nodes.push(node(Kind::Output, "model", "model"));
                let end = node(Kind::Run, &format!("{arm}.seed{seed}"), arm);
                nodes.push(Node {
                    metric: Some(("accuracy".into(), seed as f64, format!("0.{seed}"))),
                    ..end
                });
                edges.extend([(0, run), (run, run + 1), (run + 1, run + 2)]);
            }
        }
        (nodes, edges)
    }

    #[test]
    fn seeds_are_folded_and_methods_are_not() {
        let (nodes, edges) = arms(6);
        let folded = fold(&nodes, &edges, 10);
        assert_eq!((folded.nodes.len(), folded.edges.len()), (7, 6));
        let titles: Vec<&str> = folded.nodes.iter().map(|group| group.title.as_str()).collect();
        assert!(titles.contains(&"base.seed…") && titles.contains(&"mine.seed…"), "{titles:?}");
        let end = folded.nodes.iter().find(|group| group.title == "base.seed…").unwrap();
        assert_eq!((end.times, end.note.as_str()), (6, "accuracy 0.0 … 0.5"));
        assert!(folded.note.contains("37 nodes are drawn as 7"), "{}", folded.note);
        // There is room for all.
        let whole = fold(&nodes, &edges, 37);
        assert_eq!((whole.nodes.len(), whole.note.as_str()), (37, ""));
    }

    /// All trainings leave the same settings, and one of them counts as the origin.
    #[test]
    fn the_run_that_also_made_what_others_share_is_one_of_them() {
        let (mut nodes, mut edges) = arms(6);
        nodes.push(node(Kind::Output, "model.json", "model.json"));
        let shared = nodes.len() - 1;
        edges.push((1, shared));
        edges.extend((0..12).map(|run| (shared, 3 * run + 3)));
        let folded = fold(&nodes, &edges, 10);
        let times: Vec<usize> = folded.nodes.iter().map(|group| group.times).collect();
        assert_eq!(times.iter().filter(|times| **times == 6).count(), 6, "{times:?}");
        assert_eq!(folded.nodes.len(), 8);
        // That one of six models is read by somebody else makes no other model of it.
        let (mut nodes, mut edges) = arms(6);
        nodes.push(node(Kind::Run, "look", "look"));
        edges.push((2, nodes.len() - 1));
        assert_eq!(fold(&nodes, &edges, 10).nodes.len(), 8);
    }

    #[test]
    fn one_training_of_two_preparations_is_two() {
        let titles = ["data", "a", "b", "a.csv", "b.csv", "train", "train", "train", "train"];
        let kinds = [Kind::Data, Kind::Run, Kind::Run, Kind::Output, Kind::Output];
        let kinds = kinds.into_iter().chain([Kind::Run; 4]);
        let mut nodes: Vec<Node> =
            kinds.zip(titles).map(|(kind, title)| node(kind, title, title)).collect();
        nodes[3].alike = "csv".into();
        nodes[4].alike = "csv".into();
        let edges = [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (3, 6), (4, 7), (4, 8)];
        let folded = fold(&nodes, &edges, 8);
        let trained: Vec<usize> =
            folded.nodes.iter().filter(|g| g.title == "train").map(|g| g.times).collect();
        assert_eq!((trained, folded.nodes.len()), (vec![2, 2], 7));
        // Where there is no room for that, they are one.
        assert_eq!(fold(&nodes, &edges, 5).nodes.len(), 5);
    }

    #[test]
    fn the_worst_gives_the_tone() {
        let (good, open, bad) = (
            (Tone::Good, "identical".to_owned()),
            (Tone::Open, "never verified".to_owned()),
            (Tone::Bad, "diverged".to_owned()),
        );
        assert_eq!(standing(&[&good, &good]), Some(good.clone()));
        assert_eq!(standing(&[&good, &open, &good]), Some((Tone::Open, "2 of 3 identical".into())));
        assert_eq!(standing(&[&good, &bad]).unwrap().0, Tone::Bad);
        assert_eq!(standing(&[]), None);
    }

    #[test]
    fn numbered_names_have_one_name() {
        assert_eq!(beginning(&["base.seed1", "base.seed10"]), Some("base.seed…".to_owned()));
        for others in
            [&["a", "b"][..], &["1", "2"], &["a1", "b1"], &["a.1.train", "a.2.train"], &[]]
        {
            assert_eq!(beginning(others), None);
        }
        let folded = fold(&[node(Kind::Run, "a", "train"), node(Kind::Run, "b", "train")], &[], 1);
        assert_eq!((folded.nodes[0].title.as_str(), folded.nodes[0].times), ("train", 2));
    }
}
