//! Folders of images: the folder that holds a file is its class.
//!
//! Every file must be an image, PNG or JPEG, which its content decides; all must have the same
//! size, since scaling them would be a choice that nobody made, unless the caller says how. The
//! order is that of the paths, byte by byte, whatever order they come in.

use std::collections::BTreeMap;

use crate::error::{DataError, Result};
use crate::picture::Frame;
use crate::{jpeg_file, jpeg_segments, png_file};

/// The most samples of all images together: 2 GiB.
const MAX_SAMPLES: u64 = 1 << 31;
const MAX_IMAGES: usize = 1 << 26;
const MAX_CLASSES: usize = 1 << 16;

/// Images of one size with their classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Images x height x width x channels, row-major; 255 is the brightest.
    pub pixels: Vec<u8>,
    /// For each image its index in `classes`.
    pub labels: Vec<u32>,
    /// The names of the folders: by value if all are integers, else by bytes.
    pub classes: Vec<String>,
    /// For each image its path, ascending.
    pub paths: Vec<String>,
}

/// Reads images from paths (with `/`) and contents, into `channels` channels (1 or 3).
///
/// `size` is the height and width that all must have; without it all must be like the first. Grey
/// images become colour by repetition; colour ones grey by the weights of ITU-R BT.601. 16-bit
/// samples become bytes, to nearest. Files are not gunzipped.
///
/// # Errors
/// [`DataError`] for a file that is no image, is damaged or cut off, is of another size or not
/// opaque; a path without a folder, or twice; no file at all; more than 2^24 pixels in an image,
/// 2 GiB in all, 2^16 classes.
pub fn images(
    files: impl Iterator<Item = (String, Vec<u8>)>,
    size: Option<(usize, usize)>,
    channels: usize,
) -> Result<Images> {
    let mut growing = Growing::new(size, channels)?;
    for (path, bytes) in files {
        let kind = growing.open(&path, &bytes)?;
        growing.check(&path, kind.frame())?;
        let samples = kind.decode(&bytes, &path, channels)?;
        growing.push(path, &samples)?;
    }
    growing.finish()
}

/// Like [`images`], but images of any size become `size` (height and width), each as it is read:
/// `resize` is given the samples of one, row-major, with its height and width.
///
/// # Errors
/// What `resize` says, and [`DataError`] as [`images`], but for sizes.
pub fn images_resized<E: From<DataError>>(
    files: impl Iterator<Item = (String, Vec<u8>)>,
    size: (usize, usize),
    channels: usize,
    mut resize: impl FnMut(Vec<u8>, (usize, usize)) -> std::result::Result<Vec<u8>, E>,
) -> std::result::Result<Images, E> {
    let mut growing = Growing::new(Some(size), channels)?;
    for (path, bytes) in files {
        let kind = growing.open(&path, &bytes)?;
        growing.check(&path, Frame { height: size.0, width: size.1 })?;
        let Frame { height, width } = kind.frame();
        let samples = kind.decode(&bytes, &path, channels)?;
        growing.push(path, &resize(samples, (height, width))?)?;
    }
    Ok(growing.finish()?)
}

/// Images in the order in which they come.
struct Growing {
    size: Option<(usize, usize)>,
    channels: usize,
    paths: Vec<String>,
    pixels: Vec<u8>,
}

/// An image whose file is whole, to be decoded.
enum Kind {
    Png(Frame),
    Jpeg(jpeg_segments::JpegFrame),
}

impl Kind {
    fn frame(&self) -> Frame {
        match self {
            Kind::Png(frame) => *frame,
            Kind::Jpeg(jpeg) => jpeg.frame,
        }
    }

    fn decode(self, bytes: &[u8], path: &str, channels: usize) -> Result<Vec<u8>> {
        match self {
            Kind::Png(frame) => png_file::decode(bytes, path, frame, channels),
            Kind::Jpeg(jpeg) => jpeg_file::decode(bytes, path, jpeg, channels),
        }
    }
}

impl Growing {
    fn new(size: Option<(usize, usize)>, channels: usize) -> Result<Growing> {
        if channels != 1 && channels != 3 {
            let (what, needed) = (format!("{channels} channels"), "1 or 3");
            return Err(DataError::Unsupported { file: "what is asked for".into(), what, needed });
        }
        Ok(Growing { size, channels, paths: Vec::new(), pixels: Vec::new() })
    }

    /// What is to be decoded of a file.
    fn open(&self, path: &str, bytes: &[u8]) -> Result<Kind> {
        class(path)?;
        match self.paths.len() == MAX_IMAGES {
            true => Err(DataError::TooLarge { what: "images", limit: MAX_IMAGES as u64 }),
            false => kind(path, bytes),
        }
    }

    /// Takes the samples of an image, which [`Growing::check`] has seen.
    fn push(&mut self, path: String, samples: &[u8]) -> Result<()> {
        let (height, width) = self.size.unwrap_or_default();
        let needed = height * width * self.channels;
        if samples.len() != needed {
            let file = format!("image '{}'", path.escape_debug());
            let why = format!("resized it has {} samples, not {needed}", samples.len());
            return Err(DataError::Malformed { file, why });
        }
        self.pixels.extend_from_slice(samples);
        self.paths.push(path);
        Ok(())
    }

    /// Whether there is room for an image, and it has the size of the others.
    fn check(&mut self, path: &str, frame: Frame) -> Result<()> {
        let size = (frame.height, frame.width);
        let others = *self.size.get_or_insert(size);
        if size != others {
            let other = match self.paths.first() {
                Some(first) => format!("'{}' is", first.escape_debug()),
                None => "what is asked for is".to_owned(),
            };
            return Err(DataError::Size { path: path.to_owned(), size, other, others });
        }
        let samples = self.pixels.len() as u64 + (frame.pixels() * self.channels) as u64;
        match samples <= MAX_SAMPLES {
            true => Ok(()),
            false => Err(DataError::TooLarge { what: "samples of images", limit: MAX_SAMPLES }),
        }
    }

    fn finish(self) -> Result<Images> {
        let Some((height, width)) = self.size.filter(|_| !self.paths.is_empty()) else {
            return Err(DataError::Empty("the folder of images"));
        };
        let mut order: Vec<usize> = (0..self.paths.len()).collect();
        order.sort_by(|a, b| self.paths[*a].cmp(&self.paths[*b]));
        let sorted = order.is_sorted();
        let length = height * width * self.channels;
        let pixels = match sorted {
            true => self.pixels,
            false => {
                order.iter().flat_map(|i| &self.pixels[i * length..][..length]).copied().collect()
            }
        };
        let mut paths: Vec<String> = self.paths;
        paths.sort();
        if let Some(twice) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(DataError::Path { path: twice[0].clone(), why: "the same path twice" });
        }
        let classes = classes(&paths)?;
        let places = classes.iter().enumerate().map(|(place, name)| (name.as_str(), place as u32));
        let places: BTreeMap<&str, u32> = places.collect();
        let place = |path: &String| Ok(places[class(path)?]);
        let labels = paths.iter().map(place).collect::<Result<_>>()?;
        Ok(Images { height, width, channels: self.channels, pixels, labels, classes, paths })
    }
}

/// Tells an image by its first bytes.
fn kind(path: &str, bytes: &[u8]) -> Result<Kind> {
    if bytes.starts_with(png_file::MAGIC) {
        return Ok(Kind::Png(png_file::frame(bytes, path)?));
    }
    if bytes.starts_with(jpeg_segments::MAGIC) {
        return Ok(Kind::Jpeg(jpeg_segments::frame(bytes, path)?));
    }
    let file = format!("image '{}'", path.escape_debug());
    Err(DataError::Malformed { file, why: "it is neither PNG nor JPEG".into() })
}

/// The name of the folder that holds a file.
fn class(path: &str) -> Result<&str> {
    let folder = path.rsplit_once('/').map(|(folders, _)| folders);
    let name = folder.map(|folders| folders.rsplit_once('/').map_or(folders, |(_, name)| name));
    name.filter(|name| !name.is_empty()).ok_or_else(|| DataError::Path {
        path: path.to_owned(),
        why: "it lies in no folder, whose name would be its class",
    })
}

/// The distinct classes, by value if all are integers, else by bytes.
fn classes(paths: &[String]) -> Result<Vec<String>> {
    let mut classes = paths.iter().map(|path| class(path)).collect::<Result<Vec<&str>>>()?;
    classes.sort_unstable();
    classes.dedup();
    if classes.len() > MAX_CLASSES {
        return Err(DataError::TooLarge { what: "classes", limit: MAX_CLASSES as u64 });
    }
    let values: Option<Vec<i64>> = classes.iter().map(|class| class.parse().ok()).collect();
    if values.is_some() {
        classes.sort_by_key(|class| class.parse::<i64>().unwrap_or_default());
    }
    Ok(classes.into_iter().map(str::to_owned).collect())
}
