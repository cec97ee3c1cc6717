//! Pages and pictures that need nothing but themselves: values in, the text of one HTML file or one SVG out.
//!
//! A page holds its style, its pictures and its words; it loads nothing, runs nothing, and says so to the browser, which
//! then refuses whatever may have come in with a hostile name. It is read by day and by night, on a telephone, on paper and
//! by a screen reader. Equal values give equal bytes: there is no clock, no randomness and no file here.
//!
//! All text that comes from outside goes through `text.rs`, and only through it: nothing in the public interface takes
//! markup. How much is drawn is bounded, whatever comes in.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod text;
mod colour;
mod svg;
mod scale;
mod sample;
mod plot;
mod graph;
mod inline;
mod table;
mod style;
mod page;

pub use colour::{ARMS, Tone};
pub use graph::{Graph, Kind, Node, Picture, draw};
pub use inline::Inline;
pub use page::{Block, Figure, Page};
pub use plot::{Arm, Curve, Gap, curves, differences, strips};
pub use svg::Drawing;
pub use table::{Cell, Column, Holds, Table};
pub use text::{escaped, plain};
