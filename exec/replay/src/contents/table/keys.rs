//! Columns by which rows that differ are paired.

use crate::contents::stream::Told;
use crate::contents::table::Paired;
use crate::contents::table::pairs::{self, Matched};
use crate::contents::table::scan::{Hasher, Scan, Side, Values, low};
use crate::error::Result;

/// Most hashes of keys that are held at once: 128 MiB.
const MAX_KEYS: usize = 1 << 24;
/// Most columns that are tried as keys.
const TRIED: usize = 4;

/// Columns that may be keys, the likeliest first: their names in each table.
pub(crate) fn candidates(
    x: &Scan,
    y: &Scan,
    compared: &[(String, String)],
) -> Vec<(String, String)> {
    let find = |scan: &Scan, name: &str| scan.columns.iter().position(|column| column.name == name);
    let rank = |(before, after): &(String, String)| {
        let (p, q) = (find(x, before)?, find(y, after)?);
        let may = x.columns[p].may_be_key() && y.columns[q].may_be_key();
        let word = after.to_ascii_lowercase();
        let parts = || word.split(|c: char| !c.is_alphanumeric());
        let named = parts().any(|part| ["id", "key", "uuid", "guid", "index"].contains(&part))
            || word.ends_with("id");
        let measured = x.columns[p].sort() == Values::Numbers;
        may.then_some((!named, measured, p))
    };
    let mut ranked: Vec<_> =
        compared.iter().filter_map(|pair| Some((rank(pair)?, pair.clone()))).collect();
    ranked.sort();
    ranked.into_iter().take(TRIED).map(|(_, pair)| pair).collect()
}

/// Pairs of rows, ascending by the first, and how they were found.
pub(crate) type Found = (Vec<(u32, u32)>, Paired);

/// Pairs of rows that differ.
pub(crate) fn paired(
    (a, b): (&Side<'_>, &Side<'_>),
    hasher: &Hasher,
    matched: &Matched,
    rows: (usize, usize),
    mut candidates: Vec<(String, String)>,
) -> Result<Told<Found>> {
    if matched.left_a.is_empty() || matched.left_b.is_empty() {
        return Ok(Ok((Vec::new(), Paired::Not)));
    }
    candidates.truncate((MAX_KEYS / rows.0.max(rows.1).max(1)).max(1));
    let mut best: Option<(Vec<(u32, u32)>, String)> = None;
    if !candidates.is_empty() {
        let (one, other): (Vec<String>, Vec<String>) = candidates.iter().cloned().unzip();
        let (x, y) = match (keys(a, hasher, &one)?, keys(b, hasher, &other)?) {
            (Ok(x), Ok(y)) => (x, y),
            (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
        };
        for ((x, y), name) in x.iter().zip(&y).zip(&other) {
            if pairs::distinct(x) && pairs::distinct(y) {
                let pairs = pairs::by_key(matched, x, y);
                if pairs.len() > best.as_ref().map_or(0, |(best, _)| best.len()) {
                    best = Some((pairs, name.clone()));
                }
            }
        }
    }
    Ok(Ok(match best {
        Some((pairs, name)) => (pairs, Paired::Key(name)),
        None => match pairs::by_place(matched, rows) {
            none if none.is_empty() => (none, Paired::Not),
            some => (some, Paired::Place),
        },
    }))
}

/// For each of some columns the hashes of its cells.
fn keys(side: &Side<'_>, hasher: &Hasher, names: &[String]) -> Result<Told<Vec<Vec<u64>>>> {
    let mut found: Vec<Vec<u64>> = vec![Vec::new(); names.len()];
    let mut places: Vec<Option<usize>> = Vec::new();
    let wanted = |name: &str| names.iter().any(|one| one == name);
    let read = side.each(&wanted, |_, _, rows| {
        if places.is_empty() || places.iter().any(Option::is_none) {
            let find = |name: &String| rows.names().iter().position(|other| other == name);
            places = names.iter().map(find).collect();
        }
        for (hashes, place) in found.iter_mut().zip(&places) {
            let hash = place.map_or(0, |place| hasher.cell(rows.cell(place)));
            hashes.push(low(hash));
        }
    })?;
    Ok(read.map(|()| found))
}
