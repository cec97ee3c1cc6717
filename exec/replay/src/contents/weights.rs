//! Two files of tensors: which came, went or have another name, and how far the others moved.
//!
//! Norms are over finite elements, in double precision; whole numbers count as numbers. Tensors of one
//! shape are compared by value also where their types differ, so that a file that was cast tells what
//! that cost. Both files are read in blocks, whatever their size.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};

use serde::Serialize;

use crate::compare::element::{Class, Dtype, Float};
use crate::compare::found::shown;
use crate::compare::source::{Source, Window};
use crate::compare::tensors::Tensor;
use crate::contents::arrays::Weights;
use crate::error::Result;

/// Most tensors that are told one by one.
const KEPT: usize = 1000;
/// Elements that are decoded at once.
const STEP: u64 = 32 << 10;
/// A file names a place once, as a rule; how often all of its bytes are read at most.
const READINGS: u64 = 4;

/// What differs between two files of tensors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightsChange {
    /// Tensors of the first.
    pub before: u64,
    /// Tensors of the second.
    pub after: u64,
    /// Tensors with the same name, type, shape and bits in both.
    pub equal: u64,
    /// Those of one shape that differ, the largest relative change first; up to a bound.
    pub changed: Vec<TensorChange>,
    /// How many of those were left out.
    pub left_out: u64,
    /// Those that have another shape: name, what it was, what it is.
    pub reshaped: Vec<(String, String, String)>,
    /// Those that only the second has: name and form.
    pub added: Vec<(String, String)>,
    /// Those that only the first has.
    pub removed: Vec<(String, String)>,
    /// Those with the same bits under another name: the old and the new one.
    pub renamed: Vec<(String, String)>,
    /// How many tensors were not read, since the file names its bytes too often.
    pub unread: u64,
    /// Texts and numbers beside the tensors that differ, such as an epoch.
    pub beside: Vec<Beside>,
    /// All tensors that are compared, as if they were one.
    pub total: Moved,
}

/// A text or number beside tensors, shortened; none where it is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// What it is called.
    pub key: String,
    /// What it was.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

/// A tensor that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorChange {
    /// Its name.
    pub name: String,
    /// Its type and shape: `F32[3, 4]`.
    pub before: String,
    /// The same in the second file.
    pub after: String,
    /// How far it moved.
    pub moved: Moved,
}

/// How far elements moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Moved {
    /// Elements.
    pub elements: u64,
    /// Those with the same bits; of different types, those with the same value.
    pub equal: u64,
    /// Euclidean norm of the change.
    pub l2: f64,
    /// The same over the norm of the first; none if that is zero.
    pub relative_l2: Option<f64>,
    /// The largest absolute change of an element.
    pub largest: f64,
    /// Elements that differ, and of which one is infinite or no number.
    pub not_finite: u64,
}

/// What differs between two files of tensors.
pub(crate) fn change(
    (x, a): (&dyn Source, &Weights),
    (y, b): (&dyn Source, &Weights),
) -> Result<WeightsChange> {
    let (mut p, mut q): (&[u8], &[u8]) = (&[], &[]);
    let (x, y) = (a.within(x, &mut p), b.within(y, &mut q));
    let (mut p, mut q) = (by_name(&a.tensors), by_name(&b.tensors));
    let renamed = renamed((x, &mut p), (y, &mut q))?;
    let alone = |these: &BTreeMap<&str, &Tensor>, others: &BTreeMap<&str, &Tensor>| {
        let alone = these.iter().filter(|(name, _)| !others.contains_key(*name));
        alone.map(|(name, tensor)| ((*name).to_owned(), tensor.form())).collect()
    };
    let mut change = WeightsChange {
        before: a.tensors.len() as u64,
        after: b.tensors.len() as u64,
        equal: 0,
        changed: Vec::new(),
        left_out: 0,
        reshaped: Vec::new(),
        added: alone(&q, &p),
        removed: alone(&p, &q),
        renamed,
        unread: 0,
        beside: beside(&a.beside, &b.beside),
        total: Moved::default(),
    };
    let mut pairs: Vec<(&Tensor, &Tensor)> =
        p.iter().filter_map(|(name, one)| Some((*one, *q.get(name)?))).collect();
    pairs.sort_by_key(|(one, _)| one.offset);
    let (mut from, mut to) = (Window::new(x), Window::new(y));
    let mut left = READINGS.saturating_mul(x.len().saturating_add(y.len()));
    let mut total = Sums::default();
    let mut keep = Vec::new();
    for (one, other) in pairs {
        if one.shape != other.shape || one.fortran != other.fortran {
            change.reshaped.push((one.name.clone(), one.form(), other.form()));
            continue;
        }
        let Some(rest) = left.checked_sub(one.len.saturating_add(other.len)) else {
            change.unread += 1;
            continue;
        };
        left = rest;
        let sums = elements((&mut from, one), (&mut to, other))?;
        total.add(&sums);
        let moved = sums.moved();
        if one.dtype == other.dtype && moved.equal == moved.elements {
            change.equal += 1;
            continue;
        }
        let (name, before, after) = (one.name.clone(), one.form(), other.form());
        keep.push(TensorChange { name, before, after, moved });
    }
    let by = |change: &TensorChange| change.moved.relative_l2.unwrap_or(f64::INFINITY);
    keep.sort_by(|p, q| by(q).total_cmp(&by(p)).then_with(|| p.name.cmp(&q.name)));
    change.left_out = keep.len().saturating_sub(KEPT) as u64;
    keep.truncate(KEPT);
    change.changed = keep;
    change.reshaped.sort();
    change.total = total.moved();
    Ok(change)
}

fn by_name(tensors: &[Tensor]) -> BTreeMap<&str, &Tensor> {
    tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect()
}

fn beside(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<Beside> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ = keys.into_iter().filter(|key| a.get(*key) != b.get(*key)).take(KEPT);
    let text =
        |from: &BTreeMap<String, String>, key: &String| from.get(key).map(|text| shown(text));
    differ
        .map(|key| Beside { key: key.clone(), before: text(a, key), after: text(b, key) })
        .collect()
}

/// Takes out the tensors that stand in the other file under another name, with the same bits: of those
/// that only one has, and that have a partner of their type and shape.
fn renamed(
    (x, a): (&dyn Source, &mut BTreeMap<&str, &Tensor>),
    (y, b): (&dyn Source, &mut BTreeMap<&str, &Tensor>),
) -> Result<Vec<(String, String)>> {
    let alone = |these: &BTreeMap<&str, &Tensor>, others: &BTreeMap<&str, &Tensor>| {
        let alone = these.iter().filter(|(name, _)| !others.contains_key(*name));
        alone.map(|(_, tensor)| (tensor.form(), tensor.name.clone())).collect::<Vec<_>>()
    };
    let (gone, came) = (alone(a, b), alone(b, a));
    let forms = |these: &[(String, String)]| -> BTreeSet<String> {
        these.iter().map(|(form, _)| form.clone()).collect()
    };
    let both: BTreeSet<String> = forms(&gone).intersection(&forms(&came)).cloned().collect();
    let state = RandomState::new();
    let mut left = READINGS.saturating_mul(x.len().saturating_add(y.len()));
    let mut hashed = |window: &mut Window<'_>, tensor: &Tensor| -> Result<Option<u64>> {
        let Some(rest) = left.checked_sub(tensor.len) else { return Ok(None) };
        left = rest;
        let mut hasher = state.build_hasher();
        let mut done = 0;
        while done < tensor.len {
            let bytes = window.take(tensor.offset + done, tensor.len - done)?;
            hasher.write(bytes);
            done += bytes.len() as u64;
        }
        Ok(Some(hasher.finish()))
    };
    let mut known: BTreeMap<(String, u64), Vec<String>> = BTreeMap::new();
    let mut window = Window::new(y);
    for (form, name) in came.iter().rev().filter(|(form, _)| both.contains(form)) {
        let Some(tensor) = b.get(name.as_str()) else { continue };
        if let Some(hash) = hashed(&mut window, tensor)? {
            known.entry((form.clone(), hash)).or_default().push(name.clone());
        }
    }
    let mut found = Vec::new();
    let mut window = Window::new(x);
    for (form, name) in gone.into_iter().filter(|(form, _)| both.contains(form)) {
        let Some(tensor) = a.get(name.as_str()) else { continue };
        let Some(hash) = hashed(&mut window, tensor)? else { continue };
        if let Some(new) = known.get_mut(&(form, hash)).and_then(Vec::pop) {
            a.remove(name.as_str());
            b.remove(new.as_str());
            found.push((name, new));
        }
    }
    found.sort();
    Ok(found)
}

/// Sums over elements.
#[derive(Clone, Copy, Default)]
struct Sums {
    elements: u64,
    equal: u64,
    /// Of the squares of the changes.
    delta: f64,
    /// Of the squares of the first.
    norm: f64,
    largest: f64,
    not_finite: u64,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.elements += other.elements;
        self.equal += other.equal;
        self.delta += other.delta;
        self.norm += other.norm;
        self.largest = self.largest.max(other.largest);
        self.not_finite += other.not_finite;
    }

    fn moved(&self) -> Moved {
        let relative = (self.delta / self.norm).sqrt();
        Moved {
            elements: self.elements,
            equal: self.equal,
            l2: self.delta.sqrt(),
            relative_l2: relative.is_finite().then_some(relative),
            largest: self.largest,
            not_finite: self.not_finite,
        }
    }
}

/// Compares two tensors of one shape.
fn elements(
    (x, a): (&mut Window<'_>, &Tensor),
    (y, b): (&mut Window<'_>, &Tensor),
) -> Result<Sums> {
    let mut sums = Sums::default();
    let all = a.len / a.dtype.size;
    sums.elements = all;
    let (mut p, mut q) = (Vec::new(), Vec::new());
    let mut done = 0;
    let same_type = a.dtype == b.dtype;
    while done < all {
        let count = STEP.min(all - done);
        let one = x.take(a.offset + done * a.dtype.size, count * a.dtype.size)?;
        let other = y.take(b.offset + done * b.dtype.size, count * b.dtype.size)?;
        done += count;
        values(&a.dtype, one, &mut p);
        if same_type && one == other {
            sums.equal += count;
            sums.norm += p.iter().filter(|v| v.is_finite()).map(|v| v * v).sum::<f64>();
            continue;
        }
        values(&b.dtype, other, &mut q);
        if same_type {
            let size = a.dtype.size as usize;
            let pairs = one.chunks_exact(size).zip(other.chunks_exact(size));
            sums.equal += pairs.filter(|(one, other)| one == other).count() as u64;
        } else {
            sums.equal += p.iter().zip(&q).filter(|(v, w)| v == w).count() as u64;
        }
        for (v, w) in p.iter().zip(&q) {
            if v.is_finite() && w.is_finite() {
                let step = w - v;
                sums.norm += v * v;
                sums.delta += step * step;
                sums.largest = sums.largest.max(step.abs());
            } else if v.to_bits() != w.to_bits() {
                sums.not_finite += 1;
            }
        }
    }
    Ok(sums)
}

/// The elements as numbers; those without a known meaning are no numbers.
fn values(dtype: &Dtype, bytes: &[u8], out: &mut Vec<f64>) {
    out.clear();
    match dtype.class {
        // The most frequent one without a detour.
        Class::Float(Float::F32) if !dtype.big_endian => {
            let (parts, _) = bytes.as_chunks::<4>();
            out.extend(parts.iter().map(|part| f64::from(f32::from_le_bytes(*part))));
        }
        Class::Float(Float::BF16) if !dtype.big_endian => {
            let (parts, _) = bytes.as_chunks::<2>();
            let wide = |[low, high]: [u8; 2]| f32::from_le_bytes([0, 0, low, high]);
            out.extend(parts.iter().map(|part| f64::from(wide(*part))));
        }
        _ => {
            let size = usize::try_from(dtype.size).unwrap_or(1).max(1);
            out.extend(bytes.chunks_exact(size).map(|b| dtype.number(b).unwrap_or(f64::NAN)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::safetensors;

    fn dtype(name: &str) -> Dtype {
        safetensors::known(name).unwrap()
    }

    #[test]
    fn every_type_is_read_by_value() {
        let read = |name: &str, bytes: &[u8]| {
            let mut out = Vec::new();
            values(&dtype(name), bytes, &mut out);
            out
        };
        assert_eq!(read("F32", &1.5_f32.to_le_bytes()), [1.5]);
        assert_eq!(read("BF16", &[0xc0, 0x3f]), [1.5]);
        assert_eq!(read("F16", &[0x00, 0x3e]), [1.5]);
        assert_eq!(read("I8", &[0xff, 2]), [-1.0, 2.0]);
        assert_eq!(read("U16", &[0xff, 0xff]), [65535.0]);
        assert_eq!(read("BOOL", &[1, 0]), [1.0, 0.0]);
        let opaque = Dtype { class: Class::Opaque, ..dtype("U8") };
        let mut out = Vec::new();
        values(&opaque, &[1], &mut out);
        assert!(out[0].is_nan());
    }
}
