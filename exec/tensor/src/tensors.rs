//! The safetensors files that stages leave and read.
//!
//! Writing is done here, so that equal tensors are equal bytes: entries by descending alignment,
//! then by name, without gaps and without metadata. Reading is candle's.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use lab_schema::Slot;
use serde_json::json;

use crate::error::{Result, TensorError};

/// The numbers of a tensor, row-major.
#[derive(Clone, Copy)]
pub(crate) enum Data<'a> {
    F32(&'a [f32]),
    I64(&'a [i64]),
    F64(&'a [f64]),
}

impl Data<'_> {
    fn parts(&self) -> (&'static str, usize, Vec<u8>) {
        match self {
            Data::F32(values) => ("F32", 4, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Data::F64(values) => ("F64", 8, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Data::I64(values) => ("I64", 8, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        }
    }
}

/// The bytes of a file with these tensors: name, shape, numbers.
pub(crate) fn write(tensors: &[(&str, &[usize], Data<'_>)]) -> Vec<u8> {
    let mut entries: Vec<_> = tensors.iter().map(|t| (t.0, t.1, t.2.parts())).collect();
    entries.sort_by(|(a, _, (_, x, _)), (b, _, (_, y, _))| y.cmp(x).then(a.cmp(b)));
    let mut header = Vec::new();
    let mut offset = 0;
    for (name, shape, (dtype, _, bytes)) in &entries {
        let end = offset + bytes.len();
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [offset, end] });
        header.push(format!("{}:{entry}", json!(name)));
        offset = end;
    }
    let mut header = format!("{{{}}}", header.join(",")).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    entries.into_iter().for_each(|(_, _, (_, _, bytes))| file.extend(bytes));
    file
}

/// Named tensors: shape and numbers.
pub(crate) type Arrays = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The bytes of a file with these tensors.
pub(crate) fn of_arrays(arrays: &Arrays) -> Vec<u8> {
    let entries: Vec<_> =
        arrays.iter().map(|(n, (s, v))| (n.as_str(), s.as_slice(), Data::F32(v))).collect();
    write(&entries)
}

/// The tensors of a file that came in as the input `slot`.
pub(crate) struct Tensors<'a> {
    slot: &'a Slot,
    tensors: HashMap<String, Tensor>,
}

impl<'a> Tensors<'a> {
    /// Reads a whole file.
    pub(crate) fn read(slot: &'a Slot, bytes: &[u8]) -> Result<Self> {
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
            .map_err(|e| TensorError::BadInput { slot: slot.clone(), why: e.to_string() })?;
        Ok(Tensors { slot, tensors })
    }

    /// The numbers of a tensor with this name and shape.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let sizes: Vec<Option<usize>> = shape.iter().copied().map(Some).collect();
        let tensor = self.take(name, DType::F32, &sizes)?;
        self.read_out(tensor.flatten_all().and_then(|t| t.to_vec1()))
    }

    /// The numbers of a tensor of one axis, in f64.
    pub(crate) fn doubles(&mut self, name: &str, length: usize) -> Result<Vec<f64>> {
        let tensor = self.take(name, DType::F64, &[Some(length)])?;
        self.read_out(tensor.to_vec1())
    }

    /// The whole numbers of a tensor of one axis.
    pub(crate) fn integers(&mut self, name: &str, length: Option<usize>) -> Result<Vec<i64>> {
        let tensor = self.take(name, DType::I64, &[length])?;
        self.read_out(tensor.to_vec1())
    }

    /// The numbers of a tensor of any shape, and that.
    pub(crate) fn any_floats(&mut self, name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
        let shape = match self.tensors.get(name) {
            Some(tensor) => tensor.dims().to_vec(),
            None => Vec::new(),
        };
        Ok((self.floats(name, &shape)?, shape))
    }

    /// All tensors of numbers, by name.
    pub(crate) fn all_floats(&mut self) -> Result<Arrays> {
        let names: Vec<String> = self.tensors.keys().cloned().collect();
        let mut all = BTreeMap::new();
        for name in names {
            let (values, shape) = self.any_floats(&name)?;
            all.insert(name, (shape, values));
        }
        Ok(all)
    }

    fn read_out<T>(&self, read: candle_core::Result<T>) -> Result<T> {
        read.map_err(|e| TensorError::BadInput { slot: self.slot.clone(), why: e.to_string() })
    }

    /// The tensor with this name, type and shape; `None` in the shape leaves a size open.
    fn take(&mut self, name: &str, dtype: DType, shape: &[Option<usize>]) -> Result<Tensor> {
        let bad = |why| TensorError::BadInput { slot: self.slot.clone(), why };
        let tensor = self.tensors.remove(name).ok_or_else(|| bad(format!("it lacks '{name}'")))?;
        let fits = |(size, expected): (&usize, &Option<usize>)| expected.is_none_or(|e| e == *size);
        let same_rank = tensor.rank() == shape.len();
        if tensor.dtype() != dtype || !same_rank || !tensor.dims().iter().zip(shape).all(fits) {
            let expected: Vec<String> =
                shape.iter().map(|s| s.map_or("any".into(), |s| s.to_string())).collect();
            return Err(bad(format!(
                "'{name}' is {:?} {:?}, not {dtype:?} [{}]",
                tensor.dtype(),
                tensor.dims(),
                expected.join(", ")
            )));
        }
        Ok(tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_they_were_written_and_do_not_depend_on_order() {
        let x = ("x", &[2usize, 2][..], Data::F32(&[1.0, -0.0, f32::MIN_POSITIVE, 4.5]));
        let y = ("y", &[3usize][..], Data::I64(&[i64::MIN, 0, 7]));
        let file = write(&[x, y]);
        assert_eq!(file, write(&[y, x]));
        let slot = Slot::new("train.safetensors").unwrap();
        let mut tensors = Tensors::read(&slot, &file).unwrap();
        let got = tensors.take("y", DType::I64, &[None]).unwrap();
        assert_eq!(got.to_vec1::<i64>().unwrap(), [i64::MIN, 0, 7]);
        let got = tensors.take("x", DType::F32, &[None, Some(2)]).unwrap();
        assert_eq!(got.to_vec2::<f32>().unwrap()[1], [f32::MIN_POSITIVE, 4.5]);
        assert!(tensors.take("x", DType::F32, &[None, Some(2)]).is_err());
    }

    #[test]
    fn damaged_files_and_other_shapes_are_refused() {
        let slot = Slot::new("train.safetensors").unwrap();
        let file = write(&[("x", &[2], Data::F32(&[1.0, 2.0]))]);
        for cut in 0..file.len() {
            assert!(Tensors::read(&slot, &file[..cut]).is_err(), "{cut}");
        }
        for (dtype, shape) in
            [(DType::I64, &[None][..]), (DType::F32, &[None, None]), (DType::F32, &[Some(3)])]
        {
            assert!(Tensors::read(&slot, &file).unwrap().take("x", dtype, shape).is_err());
        }
    }
}
