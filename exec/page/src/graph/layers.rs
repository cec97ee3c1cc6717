//! In which layer a node stands.

/// The edges without cycles: of each, whether it has to be turned round for that. What leads to a node that is still
/// being looked at, depth first, closes a cycle.
pub(super) fn turned(nodes: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let out = outgoing(nodes, edges);
    let mut state = vec![State::New; nodes];
    let mut turned = vec![false; edges.len()];
    for start in 0..nodes {
        if state[start] != State::New {
            continue;
        }
        state[start] = State::Open;
        let mut open = vec![(start, 0)];
        while let Some((node, next)) = open.last_mut() {
            let Some(edge) = out[*node].get(*next) else {
                state[*node] = State::Done;
                open.pop();
                continue;
            };
            *next += 1;
            let to = edges[*edge].1;
            match state[to] {
                State::Open => turned[*edge] = true,
                State::New => {
                    state[to] = State::Open;
                    open.push((to, 0));
                }
                State::Done => {}
            }
        }
    }
    turned
}

/// The places in `edges` of those that begin at each node.
fn outgoing(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut out = vec![Vec::new(); nodes];
    for (place, (from, _)) in edges.iter().enumerate() {
        out[*from].push(place);
    }
    out
}

/// The layer of each node, by the longest way that leads to it; what nothing leads to stands right above what it leads
/// to. The edges have no cycles.
pub(super) fn layers(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let out = outgoing(nodes, edges);
    let mut before = vec![0_usize; nodes];
    edges.iter().for_each(|(_, to)| before[*to] += 1);
    let sources: Vec<usize> = (0..nodes).filter(|node| before[*node] == 0).collect();
    let mut layer = vec![0_usize; nodes];
    let mut todo = sources.clone();
    while let Some(node) = todo.pop() {
        for edge in &out[node] {
            let to = edges[*edge].1;
            layer[to] = layer[to].max(layer[node] + 1);
            before[to] -= 1;
            if before[to] == 0 {
                todo.push(to);
            }
        }
    }
    for source in sources {
        let nearest = out[source].iter().map(|edge| layer[edges[*edge].1]).min();
        layer[source] = nearest.map_or(0, |nearest| nearest.saturating_sub(1));
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_above_effects() {
        // 3 is a source that only the last one reads.
        let edges = [(0, 1), (1, 2), (0, 2), (3, 2)];
        assert_eq!(layers(4, &edges), [0, 1, 2, 1]);
        assert_eq!(turned(4, &edges), [false; 4]);
        // The longest way counts, whichever is gone first.
        assert_eq!(layers(4, &[(1, 2), (2, 3), (0, 3)]), [1, 0, 1, 2]);
        assert_eq!(layers(4, &[(0, 2), (2, 3), (1, 3)]), [0, 1, 1, 2]);
    }

    #[test]
    fn cycles_are_cut_once() {
        let edges = [(0, 1), (1, 2), (2, 0), (2, 3)];
        assert_eq!(turned(4, &edges), [false, false, true, false]);
        let long: Vec<(usize, usize)> = (0..100_000).map(|n| (n, (n + 1) % 100_000)).collect();
        assert_eq!(turned(100_000, &long).iter().filter(|turned| **turned).count(), 1);
    }
}
