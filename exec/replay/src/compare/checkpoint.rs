//! A PyTorch checkpoint: an archive that holds a pickle, which says what is where, and the numbers of
//! each storage as they lie in memory. The layout is that of `torch.save` since 1.6 (`torch/serialization.py`).
//!
//! Tensors that are laid out in another way than row by row or column by column are left to the
//! comparison of the archive's members.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lab_schema::Tolerance;

use crate::compare::element::Dtype;
use crate::compare::found::{Found, Tally};
use crate::compare::members::Member;
use crate::compare::pickle::{Pickle, Value};
use crate::compare::safetensors;
use crate::compare::source::Source;
use crate::compare::tensors::{self, MAX_RANK, Tensor};
use crate::error::Result;

/// Longest pickle that is read: names take about 200 bytes for each tensor.
const MAX_PICKLE_BYTES: u64 = 64 << 20;
/// Most values that are looked at, since a pickle can name one many times; and how deep.
const MAX_VALUES: usize = 2_000_000;
const MAX_DEPTH: usize = 64;

/// What a checkpoint holds.
pub(crate) struct Checkpoint {
    tensors: Vec<Tensor>,
    /// Numbers and texts beside them, such as the epoch, by their place.
    values: BTreeMap<String, String>,
}

impl Checkpoint {
    /// The tensors and the values beside them.
    pub(crate) fn into_parts(self) -> (Vec<Tensor>, BTreeMap<String, String>) {
        (self.tensors, self.values)
    }
}

/// The checkpoint in an archive; none if there is none, or one that is not understood.
pub(crate) fn parse(source: &dyn Source, members: &[Member]) -> Result<Option<Checkpoint>> {
    let is_pickle = |m: &&Member| m.name == "data.pkl" || m.name.ends_with("/data.pkl");
    let Some(pickle) = members.iter().find(is_pickle) else { return Ok(None) };
    if !pickle.stored || pickle.len > MAX_PICKLE_BYTES {
        return Ok(None);
    }
    let top = pickle.name.trim_end_matches("data.pkl");
    let named: HashMap<&str, &Member> =
        members.iter().filter_map(|m| Some((m.name.strip_prefix(top)?, m))).collect();
    let big_endian = match named.get("byteorder") {
        Some(member) if member.stored && member.len <= 16 => {
            source.read(member.offset, member.len)?.starts_with(b"big")
        }
        _ => false,
    };
    let bytes = source.read(pickle.offset, pickle.len)?;
    let Some(pickle) = Pickle::read(&bytes) else { return Ok(None) };
    let found = Checkpoint { tensors: Vec::new(), values: BTreeMap::new() };
    let mut walk = Walk { pickle: &pickle, named, big_endian, found, left: MAX_VALUES };
    let whole = walk.enter(pickle.root(), "", 0).is_some();
    Ok(Some(walk.found).filter(|found| whole && !found.tensors.is_empty()))
}

/// The difference to report; none if both hold the same tensors and values.
pub(crate) fn compare(
    (expected, a): (&dyn Source, &Checkpoint),
    (actual, b): (&dyn Source, &Checkpoint),
    tolerance: Option<Tolerance>,
) -> Result<Option<Found>> {
    let found = tensors::compare((expected, &a.tensors), (actual, &b.tensors), tolerance)?;
    if found.is_some() {
        return Ok(found);
    }
    let names: BTreeSet<&String> = a.values.keys().chain(b.values.keys()).collect();
    let mut tally = Tally::default();
    for name in names {
        let (x, y) = (a.values.get(name), b.values.get(name));
        tally.count(1, (x != y).into());
        if x != y {
            let shown =
                |value: Option<&String>| value.map_or("no such value", String::as_str).to_owned();
            tally.offer(false, || Found::new(name, &shown(x), &shown(y)));
        }
    }
    Ok(tally.finish())
}

struct Walk<'a> {
    pickle: &'a Pickle,
    /// The members beside the pickle.
    named: HashMap<&'a str, &'a Member>,
    big_endian: bool,
    found: Checkpoint,
    /// How many values may still be looked at.
    left: usize,
}

impl Walk<'_> {
    /// Takes in a value and all that it holds; none if that is too much.
    fn enter(&mut self, number: usize, name: &str, depth: usize) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        let below = |part: &str| {
            if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") }
        };
        let pickle = self.pickle;
        let text = match pickle.value(number) {
            Value::Tuple(parts) | Value::List(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    self.enter(*part, &below(&i.to_string()), depth + 1)?;
                }
                return Some(());
            }
            Value::Dict(items) => return self.items(items, &below, depth),
            Value::Call { callee, arguments, items, state } => {
                match pickle.global(*callee) {
                    Some(("torch._utils", "_rebuild_tensor_v2")) => {
                        let tensor = self.tensor(pickle.tuple(*arguments)?, name);
                        self.found.tensors.extend(tensor);
                        return Some(());
                    }
                    Some(("torch._utils", "_rebuild_parameter")) => {
                        let inner = pickle.tuple(*arguments)?.first()?;
                        self.enter(*inner, name, depth + 1)?;
                    }
                    _ => {}
                }
                self.items(items, &below, depth)?;
                return match state {
                    Some(state) => self.enter(*state, name, depth + 1),
                    None => Some(()),
                };
            }
            Value::None => "None".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => format!("{value:?}"),
            Value::Text(value) => format!("{value:?}"),
            Value::Bytes(_) | Value::Global(..) | Value::Persistent(_) => return Some(()),
        };
        self.found.values.insert(name.to_owned(), text);
        Some(())
    }

    fn items(
        &mut self,
        items: &[(usize, usize)],
        below: &dyn Fn(&str) -> String,
        depth: usize,
    ) -> Option<()> {
        for (key, value) in items {
            let key = match self.pickle.value(*key) {
                Value::Text(text) => text.clone(),
                Value::Int(n) => n.to_string(),
                _ => continue,
            };
            self.enter(*value, &below(&key), depth + 1)?;
        }
        Some(())
    }

    /// The tensor that would be made from a storage, an offset, extents and strides.
    fn tensor(&self, arguments: &[usize], name: &str) -> Option<Tensor> {
        let [storage, offset, shape, strides, ..] = arguments[..] else { return None };
        let Value::Persistent(storage) = self.pickle.value(storage) else { return None };
        // ("storage", class, key, device, elements)
        let [_, class, key, ..] = self.pickle.tuple(*storage)?[..] else { return None };
        let dtype = self.dtype(self.pickle.global(class)?.1)?;
        let member = self.named.get(format!("data/{}", self.pickle.text(key)?).as_str())?;
        let (shape, strides) = (self.pickle.naturals(shape)?, self.pickle.naturals(strides)?);
        if shape.len() > MAX_RANK || !member.stored {
            return None;
        }
        let (elements, len) = tensors::extent(&shape, dtype.size)?;
        let by_rows = elements == 0 || is_dense(&shape, &strides, (0..shape.len()).rev());
        let by_columns = is_dense(&shape, &strides, 0..shape.len());
        if !by_rows && !by_columns {
            return None;
        }
        let start = self.pickle.natural(offset)?.checked_mul(dtype.size)?;
        if start.checked_add(len)? > member.len {
            return None;
        }
        let offset = member.offset + start;
        Some(Tensor { name: name.to_owned(), dtype, shape, fortran: !by_rows, offset, len })
    }

    fn dtype(&self, storage: &str) -> Option<Dtype> {
        let name = match storage {
            "DoubleStorage" => "F64",
            "FloatStorage" => "F32",
            "HalfStorage" => "F16",
            "BFloat16Storage" => "BF16",
            "LongStorage" => "I64",
            "IntStorage" => "I32",
            "ShortStorage" => "I16",
            "CharStorage" => "I8",
            "ByteStorage" => "U8",
            "BoolStorage" => "BOOL",
            _ => return None,
        };
        let dtype = safetensors::known(name)?;
        Some(Dtype { big_endian: self.big_endian, ..dtype })
    }
}

/// Whether elements lie one after the other, the first of these axes running fastest.
fn is_dense(shape: &[u64], strides: &[u64], axes: impl Iterator<Item = usize>) -> bool {
    let mut step = 1_u64;
    shape.len() == strides.len()
        && axes.into_iter().all(|axis| {
            let fits = shape[axis] == 1 || strides[axis] == step;
            step = step.saturating_mul(shape[axis]);
            fits
        })
}
