//! Boxes, words and arrows.

use super::Kind;
use super::fold::{Folded, Group};
use super::place::{Flow, Frame, Layout};
use crate::svg::{Canvas, Drawing, Path, SMALL, TEXT};
use crate::text::{count, more, shortened, width};

/// Widths of a box, in pixels.
const WIDTHS: (f64, f64) = (104.0, 236.0);
/// Space between the rim of a box and its words.
const PAD: f64 = 11.0;
/// Height of a line of words.
const LINE: f64 = 16.5;
/// How far a sheet of a stack stands out.
const SHEET: f64 = 4.0;
/// Arrows that are told to who cannot see them.
const TOLD: usize = 60;
/// Room for a sign before words.
const SIGN: f64 = 15.0;

/// The line below the title: what it is, and its hash or how many.
fn second(group: &Group) -> String {
    let word = group.kind.word();
    match group.times {
        1 if group.hash.is_empty() => word.to_owned(),
        1 => format!("{word} {}", group.hash),
        many if group.kind == Kind::Data => count(many, "data set"),
        many => count(many, word),
    }
}

/// The size of the box that holds the words of a node.
pub(super) fn size(group: &Group) -> (f64, f64) {
    let standing = group.standing.as_ref().map_or(0.0, |(_, words)| width(words) * SMALL + SIGN);
    let lines = [
        width(&group.title) * TEXT * 1.08,
        width(&second(group)) * 11.0,
        width(&group.note) * SMALL,
        standing,
    ];
    let wide = lines.into_iter().fold(0.0, f64::max) + 2.0 * PAD;
    let many = 2.0
        + f64::from(u8::from(!group.note.is_empty()))
        + f64::from(u8::from(group.standing.is_some()));
    (wide.clamp(WIDTHS.0, WIDTHS.1), many * LINE + 12.0)
}

pub(super) fn paint(folded: &Folded, layout: &Layout, title: &str) -> Drawing {
    let mut canvas = Canvas::new();
    for route in &layout.routes {
        arrow(&mut canvas, route, layout.flow);
    }
    for (group, frame) in folded.nodes.iter().zip(&layout.frames) {
        let words = [group.title.as_str(), &second(group), &group.note];
        let words =
            words.into_iter().chain(group.standing.as_ref().map(|(_, words)| words.as_str()));
        let whole: Vec<&str> = words.filter(|words| !words.is_empty()).collect();
        canvas.group(&shortened(&whole.join("; "), 1000), |canvas| node(canvas, group, frame));
    }
    let mut height = layout.height + 2.0 * SHEET + 2.0;
    if !folded.note.is_empty() {
        let note = format!("{}.", folded.note);
        canvas.text_within(
            (0.0, height + 22.0),
            "small dim",
            &note,
            (SMALL, layout.width.max(320.0)),
        );
        height += 30.0;
    }
    let mut wide = layout.width + 2.0 * SHEET + 2.0;
    if !folded.note.is_empty() {
        wide = wide.max(320.0);
    }
    canvas.done((wide, height), title, &told(folded))
}

fn node(canvas: &mut Canvas, group: &Group, frame: &Frame) {
    // Sheets stand out to the right and below; the picture keeps room for them.
    let (x, y) = (frame.at.0 + 1.0, frame.at.1 + 1.0);
    let (class, round) = match group.kind {
        Kind::Run => ("box", 3.0),
        Kind::Data => ("data", 14.0),
        Kind::Output => ("box", 14.0),
    };
    let sheets = match group.times {
        1 => 0_u8,
        2 => 1,
        _ => 2,
    };
    for sheet in (1..=sheets).rev().map(|sheet| f64::from(sheet) * SHEET) {
        canvas.rectangle((x + sheet, y + sheet), frame.size, round, class);
    }
    canvas.rectangle((x, y), frame.size, round, class);
    // A little more than was measured, since the sum was rounded.
    let (left, room) = (x + PAD, frame.size.0 - 2.0 * PAD + 0.1);
    let mut line = y + 6.0 + LINE - 4.0;
    canvas.text_within((left, line), "strong", &group.title, (TEXT * 1.08, room));
    line += LINE;
    canvas.text_within((left, line), "hash", &second(group), (11.0, room));
    if !group.note.is_empty() {
        line += LINE;
        canvas.text_within((left, line), "small", &group.note, (SMALL, room));
    }
    if let Some((tone, words)) = &group.standing {
        line += LINE;
        canvas.sign((left + 4.5, line - 4.0), *tone);
        let class = format!("small {}", tone.class());
        canvas.text_within((left + SIGN, line), &class, words, (SMALL, room - SIGN));
    }
}

/// A line through these points that bends between layers, and a head at its end.
fn arrow(canvas: &mut Canvas, route: &[(f64, f64)], flow: Flow) {
    let place = |(x, y): &(f64, f64)| (x + 1.0, y + 1.0);
    let mut points: Vec<(f64, f64)> = route.iter().map(place).collect();
    let [from, .., before, tip] = points.as_mut_slice() else { return };
    let (from, tip) = (*from, {
        let onwards = match flow {
            Flow::Down => (0.0, 7.0_f64.copysign(tip.1 - from.1)),
            Flow::Right => (7.0_f64.copysign(tip.0 - from.0), 0.0),
        };
        let end = *tip;
        *tip = (end.0 - onwards.0, end.1 - onwards.1);
        // The head takes the place of a last piece that is shorter.
        if (before.0 - end.0).abs() + (before.1 - end.1).abs() < 7.0 {
            *before = *tip;
        }
        end
    });
    let mut path = Path::default();
    path.to('M', &[from]);
    for (n, pair) in points.windows(2).enumerate() {
        let (a, b) = (pair[0], pair[1]);
        if n % 2 == 0 {
            path.to('L', &[b]);
        } else {
            let (one, other) = match flow {
                Flow::Down => {
                    let middle = (a.1 + b.1) / 2.0;
                    ((a.0, middle), (b.0, middle))
                }
                Flow::Right => {
                    let middle = (a.0 + b.0) / 2.0;
                    ((middle, a.1), (middle, b.1))
                }
            };
            path.to('C', &[one, other, b]);
        }
    }
    canvas.path(&path, "edge");
    let neck = points[points.len() - 1];
    let aside = match flow {
        Flow::Down => (3.6, 0.0),
        Flow::Right => (0.0, 3.6),
    };
    let mut head = Path::default();
    head.closed(&[tip, (neck.0 + aside.0, neck.1 + aside.1), (neck.0 - aside.0, neck.1 - aside.1)]);
    canvas.path(&head, "head");
}

/// The graph in words.
fn told(folded: &Folded) -> String {
    let name = |n: usize| {
        folded.nodes.get(n).map_or_else(String::new, |group| {
            let standing =
                group.standing.as_ref().map(|(_, words)| format!(", {words}")).unwrap_or_default();
            format!("{} ({}{standing})", shortened(&group.title, 80), second(group))
        })
    };
    let mut lines: Vec<String> = folded
        .edges
        .iter()
        .take(TOLD)
        .map(|(from, to)| format!("{} leads to {}", name(*from), name(*to)))
        .collect();
    if lines.is_empty() {
        lines = (0..folded.nodes.len().min(TOLD)).map(name).collect();
    }
    if folded.edges.len() > TOLD {
        lines.push(more(folded.edges.len() - TOLD, "arrow"));
    }
    lines.join(". ")
}
