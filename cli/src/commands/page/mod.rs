//! What people look at: pages and pictures, written as one file each.

mod file;
mod lineage;
mod standing;
mod difference;

pub(super) use difference::difference;
pub(super) use file::{Target, written};
pub(super) use lineage::{Next, Walk, add_outputs, all_in, graph, neighbours, walk};
pub(super) use standing::{Standing, standing};
