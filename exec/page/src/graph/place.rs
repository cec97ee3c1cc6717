//! Where boxes stand, and which way arrows go.

use super::layers::{layers, turned};
use super::order::order;

/// Space between boxes of a layer, and between layers, in pixels.
const BESIDE: f64 = 22.0;
const BETWEEN: f64 = 44.0;
/// Width of the place that a long arrow has in a layer that it passes.
const LANE: f64 = 14.0;
/// Most places of arrows in layers that they pass; those for which there is none go straight.
const LANES: usize = 8000;
/// How often places follow those of their neighbours.
const SWEEPS: usize = 100;

/// Which way effects lie from their causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Down,
    Right,
}

/// A box: its left upper corner, and its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) at: (f64, f64),
    pub(super) size: (f64, f64),
}

/// A drawn graph, from the origin.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) flow: Flow,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) frames: Vec<Frame>,
    /// Of each arrow, in the order of the edges, the points that it goes through, from its cause to its effect: at the
    /// rim of a box the first and the last.
    pub(super) routes: Vec<Vec<(f64, f64)>>,
}

/// A box, or the place of an arrow, in a layer. Lengths are across the flow.
struct Item {
    layer: usize,
    across: f64,
    is_lane: bool,
}

/// Lays out boxes of these sizes.
pub(super) fn layout(sizes: &[(f64, f64)], edges: &[(usize, usize)], flow: Flow) -> Layout {
    // Across the flow and along it.
    let turn = |(x, y): (f64, f64)| if flow == Flow::Down { (x, y) } else { (y, x) };
    let turned = turned(sizes.len(), edges);
    let forward: Vec<(usize, usize)> = edges
        .iter()
        .zip(&turned)
        .map(|((from, to), turned)| if *turned { (*to, *from) } else { (*from, *to) })
        .collect();
    let layer = layers(sizes.len(), &forward);
    let mut items: Vec<Item> = sizes
        .iter()
        .zip(&layer)
        .map(|(size, layer)| Item { layer: *layer, across: turn(*size).0, is_lane: false })
        .collect();
    let chains = chains(&forward, &layer, &mut items);
    let mut rows = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
    items.iter().enumerate().for_each(|(n, item)| rows[item.layer].push(n));
    let mut links: Vec<(usize, usize)> = chains
        .iter()
        .flat_map(|chain| chain.windows(2))
        .map(|pair| (pair[0], pair[1]))
        .filter(|(from, to)| items[*from].layer + 1 == items[*to].layer)
        .collect();
    links.sort_unstable();
    links.dedup();
    order(&mut rows, &links, items.len());
    let centre = centres(&rows, &links, &items);

    // Each layer is as long as its longest box.
    let mut starts = Vec::new();
    let mut end = 0.0;
    for row in &rows {
        let long = row.iter().filter_map(|item| sizes.get(*item)).map(|size| turn(*size).1);
        let long = long.fold(0.0, f64::max);
        starts.push((end, long));
        end += long + BETWEEN;
    }
    let along = (end - BETWEEN).max(0.0);
    let across =
        items.iter().zip(&centre).map(|(item, at)| at + item.across / 2.0).fold(0.0, f64::max);
    let frames: Vec<Frame> = sizes
        .iter()
        .enumerate()
        .map(|(n, size)| {
            let (start, long) = starts[layer[n]];
            let (wide, own) = turn(*size);
            Frame { at: turn((centre[n] - wide / 2.0, start + (long - own) / 2.0)), size: *size }
        })
        .collect();
    let ports = ports(&chains, &centre, &items);
    let routes = chains.iter().zip(&ports).zip(&turned).map(|((chain, ports), is_turned)| {
        let rim = |node: usize, far: bool| {
            let frame = frames[node];
            let (_, at) = turn(frame.at);
            if far { at + turn(frame.size).1 } else { at }
        };
        let (first, last) = (chain[0], chain[chain.len() - 1]);
        let layer_end = |item: usize| starts[items[item].layer].0 + starts[items[item].layer].1;
        let mut points = vec![(ports.0, rim(first, true)), (ports.0, layer_end(first))];
        for lane in &chain[1..chain.len() - 1] {
            points.push((centre[*lane], starts[items[*lane].layer].0));
            points.push((centre[*lane], layer_end(*lane)));
        }
        points.push((ports.1, starts[items[last].layer].0));
        points.push((ports.1, rim(last, false)));
        let mut points: Vec<(f64, f64)> = points.into_iter().map(turn).collect();
        if *is_turned {
            points.reverse();
        }
        points
    });
    let routes = routes.collect();
    let (width, height) = turn((across, along));
    Layout { flow, width, height, frames, routes }
}

/// The items that each edge goes through, with a new one in every layer between its ends.
fn chains(edges: &[(usize, usize)], layer: &[usize], items: &mut Vec<Item>) -> Vec<Vec<usize>> {
    let most = items.len() + LANES;
    let chain = |(from, to): &(usize, usize)| {
        let mut chain = vec![*from];
        let between = layer[*from] + 1..layer[*to];
        if items.len() + between.len() <= most {
            for layer in between {
                chain.push(items.len());
                items.push(Item { layer, across: LANE, is_lane: true });
            }
        }
        chain.push(*to);
        chain
    };
    edges.iter().map(chain).collect()
}

/// The middle of every item across the flow: as near to its neighbours as the order and the space between boxes allow.
fn centres(rows: &[Vec<usize>], links: &[(usize, usize)], items: &[Item]) -> Vec<f64> {
    let (mut above, mut below) = (vec![Vec::new(); items.len()], vec![Vec::new(); items.len()]);
    for (from, to) in links {
        below[*from].push(*to);
        above[*to].push(*from);
    }
    let mut centre = vec![0.0; items.len()];
    for row in rows {
        settle(row, items, &mut centre, |_| (0.0, 1.0));
    }
    // A link between two that have no other neighbours on that side pulls most.
    let pull = |from: usize, to: usize| 1.0 / (below[from].len() * above[to].len()).max(1) as f64;
    for sweep in 0..SWEEPS {
        let before = centre.clone();
        let mut numbers: Vec<usize> = (0..rows.len()).collect();
        if sweep % 2 == 1 {
            numbers.reverse();
        }
        for number in numbers {
            let now = centre.clone();
            settle(&rows[number], items, &mut centre, |item| {
                let up = above[item].iter().map(|other| (now[*other], pull(*other, item)));
                let down = below[item].iter().map(|other| (now[*other], pull(item, *other)));
                let (sum, weight) = up
                    .chain(down)
                    .fold((0.0, 0.0), |(sum, weight), (at, pull)| (sum + at * pull, weight + pull));
                if weight > 0.0 { (sum / weight, weight) } else { (now[item], 0.05) }
            });
        }
        let moved = before.iter().zip(&centre).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if moved < 0.5 {
            break;
        }
    }
    // What is linked with one another only stands straight, as far as there is room: first above its effect, then below
    // its cause.
    let mut straight = |row: &Vec<usize>, one: &[Vec<usize>], other: &[Vec<usize>]| {
        let now = centre.clone();
        settle(row, items, &mut centre, |item| match one[item].as_slice() {
            [next] if other[*next].len() == 1 => (now[*next], 50.0),
            _ => (now[item], 1.0),
        });
    };
    rows.iter().rev().for_each(|row| straight(row, &below, &above));
    rows.iter().for_each(|row| straight(row, &above, &below));
    let least = items
        .iter()
        .zip(&centre)
        .map(|(item, at)| at - item.across / 2.0)
        .fold(f64::INFINITY, f64::min);
    if least.is_finite() {
        centre.iter_mut().for_each(|at| *at -= least);
    }
    centre
}

/// Puts the items of a row where they want to be, weighed, in their order and with space between them: what they want
/// less the space before them has to rise, and the nearest rising sequence is found by pooling what falls (Ayer et al.,
/// "An Empirical Distribution Function for Sampling with Incomplete Information", 1955).
fn settle(row: &[usize], items: &[Item], centre: &mut [f64], wanted: impl Fn(usize) -> (f64, f64)) {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    let mut offsets = Vec::with_capacity(row.len());
    let mut offset = 0.0;
    for (n, item) in row.iter().enumerate() {
        if let Some(before) = n.checked_sub(1).map(|before| &items[row[before]]) {
            let gap = if before.is_lane && items[*item].is_lane { LANE / 2.0 } else { BESIDE };
            offset += (before.across + items[*item].across) / 2.0 + gap;
        }
        offsets.push(offset);
        let (at, weight) = wanted(*item);
        let mut pool = (at - offset, weight, 1);
        while let Some(last) = pools.last().copied().filter(|last| last.0 > pool.0) {
            pools.pop();
            let weight = last.1 + pool.1;
            pool = ((last.0 * last.1 + pool.0 * pool.1) / weight, weight, last.2 + pool.2);
        }
        pools.push(pool);
    }
    let places = pools.iter().flat_map(|(at, _, many)| std::iter::repeat_n(*at, *many));
    for ((item, offset), at) in row.iter().zip(offsets).zip(places) {
        centre[*item] = at + offset;
    }
}

/// Where each chain leaves its first box and enters its last, across the flow: side by side, in the order in which they
/// go on.
fn ports(chains: &[Vec<usize>], centre: &[f64], items: &[Item]) -> Vec<(f64, f64)> {
    let mut ports = vec![(0.0, 0.0); chains.len()];
    for leaving in [true, false] {
        let mut at: Vec<Vec<(f64, usize)>> = vec![Vec::new(); items.len()];
        for (n, chain) in chains.iter().enumerate() {
            let (own, next) = match leaving {
                true => (chain[0], chain[1]),
                false => (chain[chain.len() - 1], chain[chain.len() - 2]),
            };
            at[own].push((centre[next], n));
        }
        for (item, mut list) in at.into_iter().enumerate() {
            list.sort_by(|a, b| a.0.total_cmp(&b.0));
            let many = list.len() as f64;
            let room = (items[item].across - 28.0).max(0.0);
            let step = if many > 1.0 { (room / (many - 1.0)).min(16.0) } else { 0.0 };
            for ((_, chain), n) in list.into_iter().zip(0_u32..) {
                let port = centre[item] + (f64::from(n) - (many - 1.0) / 2.0) * step;
                if leaving { ports[chain].0 = port } else { ports[chain].1 = port }
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overlap(a: &Frame, b: &Frame) -> bool {
        let apart =
            |a: f64, long: f64, b: f64, other: f64| a + long <= b + 1e-6 || b + other <= a + 1e-6;
        !apart(a.at.0, a.size.0, b.at.0, b.size.0) && !apart(a.at.1, a.size.1, b.at.1, b.size.1)
    }

    fn on_rim(point: (f64, f64), frame: &Frame) -> bool {
        let inside = |at: f64, from: f64, long: f64| at >= from - 1e-6 && at <= from + long + 1e-6;
        let edge = |at: f64, from: f64, long: f64| {
            (at - from).abs() < 1e-6 || (at - from - long).abs() < 1e-6
        };
        let (x, y) = point;
        let ((left, top), (wide, high)) = (frame.at, frame.size);
        inside(x, left, wide) && edge(y, top, high) || inside(y, top, high) && edge(x, left, wide)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn boxes_stand_apart_and_arrows_end_at_them(
            sizes in prop::collection::vec((60.0..190.0f64, 30.0..70.0f64), 1..24),
            ends in prop::collection::vec((0usize..24, 0usize..24), 0..50),
            cyclic in prop::bool::weighted(0.2),
            right in any::<bool>(),
        ) {
            let many = sizes.len();
            let mut edges: Vec<(usize, usize)> = ends
                .into_iter()
                .map(|(a, b)| (a % many, b % many))
                .filter(|(a, b)| a != b && (cyclic || a < b))
                .collect();
            edges.sort_unstable();
            edges.dedup();
            let layout = layout(&sizes, &edges, if right { Flow::Right } else { Flow::Down });
            for (n, frame) in layout.frames.iter().enumerate() {
                prop_assert_eq!(frame.size, sizes[n]);
                prop_assert!(frame.at.0 >= -1e-6 && frame.at.0 + frame.size.0 <= layout.width + 1e-6);
                prop_assert!(frame.at.1 >= -1e-6 && frame.at.1 + frame.size.1 <= layout.height + 1e-6);
                for other in &layout.frames[n + 1..] {
                    prop_assert!(!overlap(frame, other), "{:?} {:?}", frame, other);
                }
            }
            prop_assert_eq!(layout.routes.len(), edges.len());
            for (route, (from, to)) in layout.routes.iter().zip(&edges) {
                prop_assert!(on_rim(route[0], &layout.frames[*from]));
                prop_assert!(on_rim(route[route.len() - 1], &layout.frames[*to]));
                // Where an arrow passes a layer, it has a place of its own there.
                for pair in route.windows(2) {
                    let straight = if right { pair[0].1 == pair[1].1 } else { pair[0].0 == pair[1].0 };
                    let middle = ((pair[0].0 + pair[1].0) / 2.0, (pair[0].1 + pair[1].1) / 2.0);
                    let dot = Frame { at: (middle.0 - 1.0, middle.1 - 1.0), size: (2.0, 2.0) };
                    let far = (pair[0].0 - pair[1].0).abs() + (pair[0].1 - pair[1].1).abs() > 4.0;
                    let hit = layout.frames.iter().any(|frame| overlap(&dot, frame));
                    prop_assert!(!(straight && far && hit), "{:?}", route);
                }
            }
        }
    }

    #[test]
    fn who_wants_one_place_shares_it_fairly() {
        let item = || Item { layer: 0, across: 10.0, is_lane: false };
        let items = [item(), item(), item(), item()];
        let mut centre = vec![0.0; 4];
        let wanted = [0.0, 0.0, 0.0, 500.0];
        settle(&[0, 1, 2, 3], &items, &mut centre, |n| (wanted[n], 1.0));
        let apart = 10.0 + BESIDE;
        assert_eq!(centre, [-apart, 0.0, apart, 500.0]);
        // Who pulls more moves less.
        settle(&[0, 1], &items, &mut centre, |n| (0.0, if n == 0 { 3.0 } else { 1.0 }));
        assert_eq!(centre[..2], [-apart / 4.0, 3.0 * apart / 4.0]);
    }

    #[test]
    fn a_dense_graph_is_bounded() {
        let sizes = vec![(100.0, 40.0); 200];
        let edges: Vec<(usize, usize)> =
            (0..200).flat_map(|a| (a + 1..200).map(move |b| (a, b))).take(2000).collect();
        let layout = layout(&sizes, &edges, Flow::Down);
        assert_eq!(layout.routes.len(), edges.len());
        assert!(
            layout.routes.iter().map(Vec::len).sum::<usize>() < 4 * edges.len() + 2 * LANES + 1
        );
    }

    #[test]
    fn a_chain_is_straight() {
        let layout = layout(&[(100.0, 40.0); 4], &[(0, 1), (1, 2), (2, 3)], Flow::Down);
        assert!(
            layout.routes.iter().flatten().all(|point| (point.0 - 50.0).abs() < 1e-6),
            "{layout:?}"
        );
        assert_eq!((layout.width, layout.height), (100.0, 4.0 * 40.0 + 3.0 * BETWEEN));
    }
}
