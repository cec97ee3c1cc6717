//! Weights in zip archives: the .npy members of an .npz, the storages of a PyTorch checkpoint.
//!
//! Only members that lie uncompressed have a region. An archive without any such member is some
//! other zip and not known here. A PyTorch checkpoint is recognised by `data.pkl` in a folder of
//! the archive; its storages are the members of the folder `data` beside it, and their elements
//! stand in that pickle, which is never executed ([`super::pickle`]).

use std::collections::HashMap;

use super::npy;
use super::pickle;
use super::region::{Layout, Region};
use super::source::{Input, Step, Stop};
use super::zip::{Directory, Member};
use crate::float::Element;

/// The longest pickle that is looked into: about 100 bytes for each tensor, so 100,000 of them.
const MAX_PICKLE: u64 = 16 << 20;

/// Where the arrays and storages lie.
pub(super) fn layout(input: &mut Input<'_>) -> Step<Layout> {
    let directory = Directory::read(input)?;
    let mut regions = arrays(input, &directory)?;
    regions.extend(storages(input, &directory)?);
    let layout = Layout::new(regions, input.size())?;
    if layout.regions.is_empty() { Err(Stop::Unfit) } else { Ok(layout) }
}

/// The .npy members.
fn arrays(input: &mut Input<'_>, directory: &Directory) -> Step<Vec<Region>> {
    let mut regions = Vec::new();
    for (name, member) in directory.stored().filter(|(name, _)| name.ends_with(".npy")) {
        let (start, end) = member.data(input)?;
        match npy::region(input, name, start, end) {
            Ok(region) => regions.push(region),
            // A member with a wrong name is plain bytes.
            Err(Stop::Unfit) => {}
            Err(stop) => return Err(stop),
        }
    }
    Ok(regions)
}

/// The storages of a PyTorch checkpoint; none in any other archive.
fn storages(input: &mut Input<'_>, directory: &Directory) -> Step<Vec<Region>> {
    let is_root = |root: &&str| !root.contains('/');
    let root = directory.stored().find_map(|(n, _)| n.strip_suffix("/data.pkl").filter(is_root));
    let Some(root) = root else { return Ok(Vec::new()) };
    let members: Vec<(&str, &Member)> = directory
        .stored()
        .filter_map(|(name, member)| Some((name.strip_prefix(root)?.strip_prefix('/')?, member)))
        .collect();
    let pickle = contents(input, &members, "data.pkl", MAX_PICKLE)?;
    let order = contents(input, &members, "byteorder", 8)?;
    let elements = match order.as_deref() {
        Some(b"little") | None => pickle.as_deref().map(pickle::storages).unwrap_or_default(),
        Some(_) => HashMap::new(),
    };
    let mut regions = Vec::new();
    for (name, member) in members {
        let Some(key) = name.strip_prefix("data/") else { continue };
        let (start, end) = member.data(input)?;
        let element = elements.get(key.as_bytes()).copied().unwrap_or(Element::Other);
        regions.push(Region { name: name.to_owned(), start, end, element });
    }
    Ok(regions)
}

/// The contents of a member, if it is there and no longer than this.
fn contents(
    input: &mut Input<'_>,
    members: &[(&str, &Member)],
    name: &str,
    longest: u64,
) -> Step<Option<Vec<u8>>> {
    let Some((_, member)) = members.iter().find(|(n, _)| *n == name) else { return Ok(None) };
    let (start, end) = member.data(input)?;
    if end - start > longest {
        return Ok(None);
    }
    input.exact(start, end - start).map(Some)
}
