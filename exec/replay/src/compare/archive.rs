//! Archives in the zip format, which also holds NumPy's `.npz` and PyTorch's checkpoints: arrays and
//! tensors by element, all other members as files of their own.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::Tolerance;

use crate::compare::bytes;
use crate::compare::checkpoint;
use crate::compare::found::{Found, Tally};
use crate::compare::members::{Member, Part, open};
use crate::compare::npy;
use crate::compare::source::Source;
use crate::compare::tensors::{self, Tensor};
use crate::error::Result;

/// Compares two members as files of their own.
pub(crate) type Inner<'a> = dyn Fn(&dyn Source, &dyn Source) -> Result<Option<Found>> + 'a;

/// The difference to report between two archives whose files differ. `inner` compares two members.
pub(crate) fn compare(
    (expected, a): (&dyn Source, &[Member]),
    (actual, b): (&dyn Source, &[Member]),
    tolerance: Option<Tolerance>,
    inner: &Inner<'_>,
) -> Result<Option<Found>> {
    if let (Some(x), Some(y)) = (arrays(expected, a)?, arrays(actual, b)?) {
        return match tensors::compare((expected, &x), (actual, &y), tolerance)? {
            None => bytes::same_values(expected, actual, tolerance),
            found => Ok(found),
        };
    }
    if let (Some(x), Some(y)) = (checkpoint::parse(expected, a)?, checkpoint::parse(actual, b)?)
        && let Some(found) = checkpoint::compare((expected, &x), (actual, &y), tolerance)?
    {
        return Ok(Some(found));
    }
    let by_name = |members: &[Member]| -> BTreeMap<String, Member> {
        members.iter().map(|member| (member.name.clone(), member.clone())).collect()
    };
    let (x, y) = (by_name(a), by_name(b));
    let names: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
    let mut tally = Tally::default();
    for name in names {
        let found = match (x.get(name), y.get(name)) {
            (Some(p), Some(q)) => {
                let found = inner(&open(expected, p)?, &open(actual, q)?)?;
                found.map(|found| Found {
                    at: Some(match &found.at {
                        Some(at) => format!("{name}: {at}"),
                        None => name.clone(),
                    }),
                    ..found
                })
            }
            (p, _) => {
                let [has, lacks] = ["a file", "no such file"];
                let (p, q) = if p.is_some() { (has, lacks) } else { (lacks, has) };
                Some(Found::new(name, p, q))
            }
        };
        tally.count(1, found.is_some().into());
        if let Some(found) = found {
            tally.offer(found.tolerated, || found);
        }
    }
    match tally.finish() {
        // Times of members are no values.
        None => bytes::same_values(expected, actual, tolerance),
        found => Ok(found),
    }
}

/// The arrays of a `.npz` whose members lie there as they are.
pub(crate) fn arrays(source: &dyn Source, members: &[Member]) -> Result<Option<Vec<Tensor>>> {
    let mut all = Vec::new();
    for member in members {
        let Some(name) = member.name.strip_suffix(".npy").filter(|_| member.stored) else {
            return Ok(None);
        };
        let part = Part::Slice(source, member.offset, member.len);
        let Some(array) = npy::parse(&part)? else { return Ok(None) };
        all.push(Tensor { name: name.to_owned(), offset: member.offset + array.offset, ..array });
    }
    Ok((!all.is_empty()).then_some(all))
}
