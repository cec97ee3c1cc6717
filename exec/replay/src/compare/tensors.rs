//! Two sets of named tensors: the first element that differs, in the order of names.
//!
//! Both files are read once, from front to back, in blocks; what is found is sorted by name
//! afterwards. Element-wise distances say little about a whole training (values near zero are
//! millions of units apart at a relative norm of 1e-7), hence the share of elements that differ
//! and the relative Euclidean norm over all float tensors stand beside the first element.

use std::collections::BTreeMap;

use lab_schema::Tolerance;

use crate::compare::element::Dtype;
use crate::compare::found::{Found, Tally, allows};
use crate::compare::source::{Source, Window};
use crate::error::Result;

/// Most dimensions of a tensor; a file with more is taken as plain bytes.
pub(crate) const MAX_RANK: usize = 64;

/// Where a tensor lies in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// Its name; empty for a file that holds just one.
    pub(crate) name: String,
    /// Its element type.
    pub(crate) dtype: Dtype,
    /// Its extents, outermost first.
    pub(crate) shape: Vec<u64>,
    /// Whether the first index runs fastest.
    pub(crate) fortran: bool,
    /// First byte.
    pub(crate) offset: u64,
    /// Number of bytes: elements times their size, and inside the file.
    pub(crate) len: u64,
}

impl Tensor {
    fn elements(&self) -> u64 {
        self.len / self.dtype.size
    }

    /// `F32[3, 4]`.
    pub(crate) fn form(&self) -> String {
        let order = if self.fortran { ", first index fastest" } else { "" };
        format!("{}{:?}{order}", self.dtype.name, self.shape)
    }

    /// `name[i, j]` of the element number `index`.
    fn place(&self, mut index: u64) -> String {
        let mut at = vec![0; self.shape.len()];
        let mut unravel = |axis: usize| {
            let extent = self.shape[axis].max(1);
            at[axis] = index % extent;
            index /= extent;
        };
        if self.fortran {
            (0..self.shape.len()).for_each(&mut unravel);
        } else {
            (0..self.shape.len()).rev().for_each(&mut unravel);
        }
        if at.is_empty() { self.name.clone() } else { format!("{}{at:?}", self.name) }
    }

    fn alike(&self, other: &Tensor) -> bool {
        (&self.dtype, &self.shape, self.fortran) == (&other.dtype, &other.shape, other.fortran)
    }
}

/// Number of elements and of bytes; none if they do not fit into 64 bits.
pub(crate) fn extent(shape: &[u64], size: u64) -> Option<(u64, u64)> {
    let elements = shape.iter().try_fold(1_u64, |n, extent| n.checked_mul(*extent))?;
    Some((elements, elements.checked_mul(size)?))
}

/// The difference to report; none if both hold the same tensors with the same bits.
pub(crate) fn compare(
    (expected, expected_tensors): (&dyn Source, &[Tensor]),
    (actual, actual_tensors): (&dyn Source, &[Tensor]),
    tolerance: Option<Tolerance>,
) -> Result<Option<Found>> {
    let by_name = |tensors| -> BTreeMap<&str, &Tensor> {
        let tensors: &[Tensor] = tensors;
        tensors.iter().map(|t| (t.name.as_str(), t)).collect()
    };
    let (a, b) = (by_name(expected_tensors), by_name(actual_tensors));
    let mut tally = mismatches(&a, &b);
    let mut pairs: Vec<(&Tensor, &Tensor)> = a
        .iter()
        .filter_map(|(name, x)| b.get(name).map(|y| (*x, *y)))
        .filter(|(x, y)| x.alike(y))
        .collect();
    pairs.sort_by_key(|(x, _)| x.offset);
    let (mut x, mut y) = (Window::new(expected), Window::new(actual));
    let mut compared = Vec::with_capacity(pairs.len());
    for (p, q) in pairs {
        compared.push((p, elements((&mut x, p), (&mut y, q), tolerance)?));
    }
    compared.sort_by(|(p, _), (q, _)| p.name.cmp(&q.name));
    let (mut delta, mut norm) = (0.0, 0.0);
    for (tensor, part) in compared {
        tally.count(tensor.elements(), part.different);
        delta += part.delta;
        norm += part.norm;
        if let Some(found) = part.found {
            tally.offer(found.tolerated, || found);
        }
    }
    let relative_l2 = (delta > 0.0 && norm > 0.0).then(|| (delta / norm).sqrt());
    Ok(tally.finish().map(|found| Found { relative_l2, ..found }))
}

/// Tensors that only one side has, or that have another type or shape.
fn mismatches(a: &BTreeMap<&str, &Tensor>, b: &BTreeMap<&str, &Tensor>) -> Tally {
    let mut tally = Tally::default();
    let names: std::collections::BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
    for name in names {
        let (x, y) = (a.get(name), b.get(name));
        if x.zip(y).is_some_and(|(x, y)| x.alike(y)) {
            continue;
        }
        let elements = x.into_iter().chain(y).map(|t| t.elements()).max().unwrap_or(0);
        tally.count(elements, elements);
        let form = |t: Option<&&Tensor>| t.map_or_else(|| "no such tensor".into(), |t| t.form());
        tally.offer(false, || Found::new(name, &form(x), &form(y)));
    }
    tally
}

/// What the comparison of two tensors of one form gave.
#[derive(Default)]
struct Part {
    different: u64,
    /// Sum of the squares of the differences.
    delta: f64,
    /// Sum of the squares of what was recorded.
    norm: f64,
    found: Option<Found>,
}

fn elements(
    (x, a): (&mut Window<'_>, &Tensor),
    (y, b): (&mut Window<'_>, &Tensor),
    tolerance: Option<Tolerance>,
) -> Result<Part> {
    let size = a.dtype.size;
    let step = Window::STEP / size * size;
    let mut part = Part::default();
    let mut tally = Tally::default();
    let mut done = 0;
    while done < a.len {
        let len = step.min(a.len - done);
        let (p, q) = (x.take(a.offset + done, len)?, y.take(b.offset + done, len)?);
        if p == q {
            part.norm += squares(&a.dtype, p);
        } else {
            let elements = p.chunks_exact(size as usize).zip(q.chunks_exact(size as usize));
            for (i, (p, q)) in elements.enumerate() {
                let values = a.dtype.value(p).zip(a.dtype.value(q));
                if let Some((p, _)) = values {
                    part.norm += p * p;
                }
                if p == q {
                    continue;
                }
                part.different += 1;
                if let Some((p, q)) = values {
                    part.delta += (p - q) * (p - q);
                }
                let tolerated = values.is_some_and(|(p, q)| allows(tolerance, p, q));
                tally.offer(tolerated, || Found {
                    ulps: a.dtype.ulps(p, q),
                    ..Found::new(
                        a.place(done / size + i as u64),
                        &a.dtype.text(p),
                        &a.dtype.text(q),
                    )
                });
            }
        }
        done += len;
    }
    part.found = tally.finish();
    Ok(part)
}

fn squares(dtype: &Dtype, bytes: &[u8]) -> f64 {
    bytes.chunks_exact(dtype.size as usize).filter_map(|b| dtype.value(b)).map(|v| v * v).sum()
}
