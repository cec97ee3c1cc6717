//! Images and their classes: arrays in files (IDX, npy, npz, safetensors), or a folder with a folder
//! per class; resized, if that is asked for, before anything is fitted to them.

use lab_data::{Array, DataError, Values};
use lab_preparation::images::{Images, PixelPlan, Shape};
use lab_preparation::resize::resize_pixels;
use lab_preparation::split::By;
use lab_preparation::target::TargetPlan;
use lab_schema::{ContentId, Value};

use super::table::{draw, of_labels};
use super::{counted, digest, product};
use crate::error::{Result, TensorError};
use crate::files::{Inputs, Prepared, Product, Target, to_value};
use crate::settings::Settings;
use crate::task::{IMAGES, LABELS, slot};
use crate::tensors::{self, Data};

/// Pixels, and which of the classes each image has.
struct Pictures {
    shape: Shape,
    pixels: Vec<u8>,
    labels: Vec<u32>,
    classes: Vec<String>,
}

impl Pictures {
    fn resized(self, size: Option<(usize, usize)>) -> Result<Pictures> {
        let Some((height, width)) = size else { return Ok(self) };
        let pixels = resize_pixels(&self.pixels, self.labels.len(), self.shape, height, width)?;
        Ok(Pictures { shape: Shape { height, width, ..self.shape }, pixels, ..self })
    }
}

/// The height and width that all images get; none if they are to stay as they are.
fn size(settings: &Settings<'_>) -> Option<(usize, usize)> {
    match settings.on("resize") {
        Some(Value::List(sides)) => match sides.as_slice() {
            [Value::Int(height), Value::Int(width)] => Some((*height as usize, *width as usize)),
            _ => None,
        },
        _ => None,
    }
}

/// Runs the stage on images.
pub(super) fn prepare(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Product> {
    let pictures = match inputs.contents.get(&slot(IMAGES)) {
        Some(ContentId::Tree(_)) => folder(inputs, settings)?,
        _ => arrays(inputs)?.resized(size(settings))?,
    };
    let count = pictures.labels.len();
    let table = of_labels(&pictures.labels, &pictures.classes);
    let rows = table.all_rows();
    let target = TargetPlan::Class { column: "label".into() }.fit(&table, &rows)?;
    let by = match settings.bool("stratify")? {
        true => By::Classes("label".into()),
        false => By::Rows,
    };
    let parts = draw(&table, &rows, settings, by)?;
    let images = Images::new(count, pictures.shape, &pictures.pixels)?;
    let plan = match settings.text("pixels")? {
        "normalize" => PixelPlan::Normalize,
        _ => PixelPlan::Divide,
    };
    let fitted = plan.fit(&images, &parts.train)?;
    let Shape { height, width, channels } = pictures.shape;
    let file = |part: &[usize]| -> Result<Vec<u8>> {
        let x = fitted.apply(&images, part)?;
        let lab_preparation::target::Targets::Classes(y) = target.apply(&table, part)? else {
            return Err(TensorError::Unsupported("images with numbers to foretell"));
        };
        let y: Vec<i64> = y.iter().map(|y| i64::from(*y)).collect();
        let origin: Vec<i64> = part.iter().map(|row| *row as i64).collect();
        Ok(tensors::write(&[
            ("x", &[part.len(), height, width, channels], Data::F32(&x)),
            ("y", &[part.len()], Data::I64(&y)),
            ("row", &[part.len()], Data::I64(&origin)),
        ]))
    };
    let files = [file(&parts.train)?, file(&parts.validation)?, file(&parts.test)?];
    let lab_preparation::target::FittedTarget::Class { column, classes } = target else {
        return Err(TensorError::Unsupported("images with numbers to foretell"));
    };
    let prepared = Prepared {
        sizes: vec![height, width, channels],
        target: Target::Class { column, classes },
        features: Vec::new(),
        found: None,
        fitted: to_value(&fitted),
        rows: counted(&parts, 0),
        split: digest(&parts.test),
    };
    Ok(product(files, &prepared))
}

/// A folder of PNG and JPEG files, a folder per class.
fn folder(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Pictures> {
    let files = inputs.files(IMAGES)?;
    if inputs.contents.contains_key(&slot(LABELS)) {
        let (key, other) =
            ("prepare.labels".into(), "a folder of images, whose folders are the classes".into());
        return Err(TensorError::Idle { key, other });
    }
    if let Some((path, _)) = files.iter().find(|(path, _)| path.matches('/').count() != 1) {
        let why = format!(
            "'{}' does not lie in the folder of a class, one below the top",
            path.escape_debug()
        );
        return Err(TensorError::BadArray { slot: slot(IMAGES), why });
    }
    let channels = if settings.text("colours")? == "grey" { 1 } else { 3 };
    let files = files.into_iter();
    let images = match size(settings) {
        None => lab_data::images(files, None, channels).map_err(sized)?,
        Some(size) => {
            lab_data::images_resized(files, size, channels, |pixels, (height, width)| {
                let shape = Shape { height, width, channels };
                Ok::<_, TensorError>(resize_pixels(&pixels, 1, shape, size.0, size.1)?)
            })?
        }
    };
    let shape = Shape { height: images.height, width: images.width, channels: images.channels };
    let (labels, classes) = (images.labels, images.classes);
    Ok(Pictures { shape, pixels: images.pixels, labels, classes })
}

/// An error that speaks of sizes, with what to do about them.
fn sized(error: DataError) -> TensorError {
    match error {
        error @ DataError::Size { .. } => TensorError::BadArray {
            slot: slot(IMAGES),
            why: format!("{error} (see prepare.resize)"),
        },
        error => error.into(),
    }
}

/// An array of pixels and one of labels.
fn arrays(inputs: Inputs<'_>) -> Result<Pictures> {
    let bad = |name: &str, why: String| TensorError::BadArray { slot: slot(name), why };
    let (images, labels) = both(inputs)?;
    let (height, width, channels) = match images.shape.as_slice() {
        &[_, height, width] => (height, width, 1),
        &[_, height, width, channels] => (height, width, channels),
        shape => return Err(bad(IMAGES, format!("{shape:?} are no images"))),
    };
    let Values::U8(pixels) = images.values else {
        return Err(bad(IMAGES, "pixels are bytes, 0 to 255".into()));
    };
    let numbers: Vec<i64> = match &labels.values {
        Values::U8(values) => values.iter().map(|v| i64::from(*v)).collect(),
        Values::I32(values) => values.iter().map(|v| i64::from(*v)).collect(),
        Values::I64(values) => values.clone(),
        _ => return Err(bad(LABELS, "labels are whole numbers".into())),
    };
    if labels.shape != [images.shape[0]] {
        let why = format!("{:?} labels for {} images", labels.shape, images.shape[0]);
        return Err(bad(LABELS, why));
    }
    let mut known: Vec<i64> = numbers.clone();
    known.sort_unstable();
    known.dedup();
    let place = |label: &i64| known.binary_search(label).unwrap_or(0) as u32;
    Ok(Pictures {
        shape: Shape { height, width, channels },
        pixels,
        labels: numbers.iter().map(place).collect(),
        classes: known.iter().map(i64::to_string).collect(),
    })
}

/// The images and the labels: in a file each, IDX or npy, or in one, npz or safetensors.
fn both(inputs: Inputs<'_>) -> Result<(Array, Array)> {
    let bytes = inputs.unpacked(IMAGES)?;
    if inputs.contents.contains_key(&slot(LABELS)) {
        return Ok((array(&bytes)?, array(&inputs.unpacked(LABELS)?)?));
    }
    if [&b"\x93NUMPY"[..], &[0, 0, 8, 3], &[0, 0, 8, 4]].iter().any(|m| bytes.starts_with(m)) {
        return Err(TensorError::MissingKey("prepare.labels, the classes of these images".into()));
    }
    let mut arrays = match bytes.starts_with(b"PK") {
        true => lab_data::npz(&bytes)?,
        false => lab_data::safetensors(&bytes)?,
    };
    let names = arrays.keys().cloned().collect::<Vec<_>>().join(", ");
    let mut take = |name: &str, other: &str| {
        let found = arrays.remove(name).or_else(|| arrays.remove(other));
        found.ok_or_else(|| TensorError::BadArray {
            slot: slot(IMAGES),
            why: format!("it has neither '{name}' nor '{other}', but {names}"),
        })
    };
    Ok((take("images", "x")?, take("labels", "y")?))
}

/// The array in a file: npy by its first bytes, else IDX.
fn array(bytes: &[u8]) -> Result<Array> {
    match bytes.starts_with(b"\x93NUMPY") {
        true => Ok(lab_data::npy(bytes)?),
        false => Ok(lab_data::idx(bytes)?),
    }
}
