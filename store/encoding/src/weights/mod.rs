//! Where the tensors of a weights file lie, told by its contents and never by its name.
//!
//! The store cuts chunks where tensors end, splits floats into planes of bytes, and looks for a
//! tensor's namesake in a base; for all three it must know the tensors. Known are safetensors,
//! .npy, .npz, GGUF and PyTorch checkpoints. Only headers are read, all of them hostile until
//! proven otherwise: at most 100 MB of header and a million tensors, every length checked before
//! it is used. A header that does not make sense is no error: such a file is stored as plain
//! bytes, as any other. So is an archive's compressed member.

mod source;
mod region;
mod scan;
mod safetensors;
mod npy;
mod gguf;
mod zip;
mod pickle;
mod archive;

use std::io;

pub use region::{Layout, Region, Tensor};
pub use source::Source;
use source::{Input, Step, Stop};
pub use zip::Packed;

/// What the formats need to be told apart.
const HEAD_LEN: u64 = 16;

/// Reads where the tensors of a file lie.
type Reader = fn(&mut Input<'_>) -> Step<Layout>;

/// Where the tensors of a file of `size` bytes lie. None: not a weights file that is known here,
/// or one whose header does not make sense. An error only if the source fails.
pub fn layout(size: u64, source: &mut dyn Source) -> io::Result<Option<Layout>> {
    let mut input = Input::new(source, size);
    let found = input.upto(0, HEAD_LEN, size).and_then(|head| {
        let read = reader(&head, size).ok_or(Stop::Unfit)?;
        read(&mut input)
    });
    match found {
        Ok(layout) => Ok(Some(layout)),
        Err(Stop::Unfit) => Ok(None),
        Err(Stop::Io(error)) => Err(error),
    }
}

/// The tensors of a safetensors file of `size` bytes, the empty ones too. None: it is none, or one whose
/// header does not make sense. An error only if the source fails.
pub fn safetensors(size: u64, source: &mut dyn Source) -> io::Result<Option<Vec<Tensor>>> {
    let mut input = Input::new(source, size);
    let found =
        input.upto(0, HEAD_LEN, size).and_then(|head| match safetensors::plausible(&head, size) {
            true => safetensors::described(&mut input),
            false => Err(Stop::Unfit),
        });
    match found {
        Ok(tensors) => Ok(Some(tensors)),
        Err(Stop::Unfit) => Ok(None),
        Err(Stop::Io(error)) => Err(error),
    }
}

/// The members of a zip archive of `size` bytes, in the order of the file. None: it is none, or one that
/// is not understood. An error only if the source fails.
pub fn members(size: u64, source: &mut dyn Source) -> io::Result<Option<Vec<Packed>>> {
    let mut input = Input::new(source, size);
    let head = input.upto(0, HEAD_LEN, size);
    let found = head.and_then(|head| match head.starts_with(zip::MAGIC) {
        true => zip::Directory::read(&mut input)?.packed(&mut input),
        false => Err(Stop::Unfit),
    });
    match found {
        Ok(members) => Ok(Some(members)),
        Err(Stop::Unfit) => Ok(None),
        Err(Stop::Io(error)) => Err(error),
    }
}

/// Whether [`layout`] is worth calling: cheap, from the first 16 bytes of a file or all it has.
pub fn might_have_layout(head: &[u8], size: u64) -> bool {
    reader(head, size).is_some()
}

fn reader(head: &[u8], size: u64) -> Option<Reader> {
    match head {
        _ if head.starts_with(npy::MAGIC) => Some(npy::layout),
        _ if head.starts_with(gguf::MAGIC) => Some(gguf::layout),
        _ if head.starts_with(zip::MAGIC) => Some(archive::layout),
        _ if safetensors::plausible(head, size) => Some(safetensors::layout),
        _ => None,
    }
}
