//! Shapes and words into the text of an SVG.

use crate::colour::{ARMS, DAY, NIGHT, Tone};
use crate::text::{escaped, fitted, shortened};

/// Height of ordinary text in a picture, in CSS pixels.
pub(crate) const TEXT: f64 = 13.0;
/// Height of text that matters less.
pub(crate) const SMALL: f64 = 11.5;

/// Longest title and description of a picture, in characters.
const TOLD: (usize, usize) = (300, 20_000);
/// Farthest from the origin that anything is drawn.
const FAR: f64 = 1e6;

/// A picture that is done.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub(crate) width: f64,
    pub(crate) height: f64,
    title: String,
    description: String,
    body: String,
}

impl Drawing {
    /// Width in CSS pixels.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Height in CSS pixels.
    pub fn height(&self) -> f64 {
        self.height
    }

    /// The picture as a file of its own, with its style, its paper and its colours for day and night.
    pub fn file(&self) -> String {
        let style = format!(
            "svg{{{};color-scheme:light dark}}@media (prefers-color-scheme:dark){{svg{{{}}}}}{STYLE}",
            DAY.variables(),
            NIGHT.variables()
        );
        let margin = 24.0;
        let [width, height] = [self.width, self.height].map(|side| number(side + 2.0 * margin));
        let at = number(-margin);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"{at} {at} {width} {height}\" role=\"img\" aria-labelledby=\"title description\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n<style>{style}</style>\n\
             <rect class=\"paper\" x=\"{at}\" y=\"{at}\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            escaped(&self.title),
            escaped(&self.description),
            self.body
        )
    }

    /// The picture as a part of a page, which has the style; `id` begins the ids in it.
    pub(crate) fn part(&self, id: &str, class: &str) -> String {
        let [width, height] = [self.width, self.height].map(number);
        format!(
            "<svg class=\"{class}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n{}</svg>",
            escaped(&self.title),
            escaped(&self.description),
            self.body
        )
    }
}

/// The style of what is drawn, by classes.
pub(crate) const STYLE: &str = "\
svg text{font-family:var(--sans,-apple-system,'Segoe UI',Roboto,'Noto Sans','Helvetica Neue','Liberation Sans',Arial,sans-serif);font-size:13px;fill:var(--ink);font-variant-numeric:tabular-nums}\
svg .small{font-size:11.5px}svg .dim{fill:var(--dim)}svg .strong{font-weight:600}\
svg .hash{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'Liberation Mono',monospace;font-size:11px;fill:var(--dim)}\
svg .middle{text-anchor:middle}svg .end{text-anchor:end}\
svg .paper{fill:var(--paper)}svg .axis{stroke:var(--dim);stroke-width:1}svg .grid{stroke:var(--rule);stroke-width:1}\
svg .zero{stroke:var(--ink);stroke-width:1.2}svg .margin{fill:var(--panel);stroke:var(--rule)}\
svg .box{fill:var(--paper);stroke:var(--dim);stroke-width:1.2}svg .data{fill:var(--panel);stroke:var(--dim);stroke-width:1.2}\
svg .edge{fill:none;stroke:var(--dim);stroke-width:1.1}svg .head{fill:var(--dim);stroke:none}\
svg .good{fill:var(--good)}svg .bad{fill:var(--bad)}svg .open{fill:var(--dim)}\
svg .sign{fill:none;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}\
svg .sign.good{stroke:var(--good)}svg .sign.bad{stroke:var(--bad)}svg .sign.open{stroke:var(--dim)}\
svg .line{fill:none;stroke-width:1.2;stroke-linejoin:round;opacity:.5}svg .mean{fill:none;stroke-width:2.4;stroke-linejoin:round}\
svg .reach{stroke-width:2.2;fill:none}svg .dot{stroke:var(--paper);stroke-width:.8}\
svg .a0{--c:var(--arm0)}svg .a1{--c:var(--arm1)}svg .a2{--c:var(--arm2)}svg .a3{--c:var(--arm3)}svg .a4{--c:var(--arm4)}\
svg .dot{fill:var(--c)}svg .line,svg .mean,svg .reach{stroke:var(--c)}";

/// A picture in the making.
pub(crate) struct Canvas {
    body: String,
}

impl Canvas {
    pub(crate) fn new() -> Self {
        Self { body: String::new() }
    }

    /// A picture of one em that stands in a line of words, and is passed over by screen readers: the words say the same.
    pub(crate) fn within_words(self) -> String {
        format!(
            "<svg class=\"sign\" viewBox=\"-6 -6 12 12\" aria-hidden=\"true\">{}</svg>",
            self.body.trim_end()
        )
    }

    /// The picture, of this size in CSS pixels. A screen reader reads the title and the description instead of it.
    pub(crate) fn done(
        self,
        (width, height): (f64, f64),
        title: &str,
        description: &str,
    ) -> Drawing {
        Drawing {
            width,
            height,
            title: shortened(title, TOLD.0),
            description: shortened(description, TOLD.1),
            body: self.body,
        }
    }

    /// Puts what another canvas has on top.
    pub(crate) fn append(&mut self, other: Canvas) {
        self.body.push_str(&other.body);
    }

    /// Words at a point of their base line.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        let (x, y) = (number(x), number(y));
        self.body.push_str(&format!(
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>\n",
            escaped(text)
        ));
    }

    /// The same, as much of it as fits into a width, with all of it for whoever points at it.
    pub(crate) fn text_within(
        &mut self,
        at: (f64, f64),
        class: &str,
        text: &str,
        (size, most): (f64, f64),
    ) {
        let short = fitted(text, most / size);
        if short == text {
            return self.text(at, class, text);
        }
        let (x, y) = (number(at.0), number(at.1));
        self.body.push_str(&format!(
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\"><title>{}</title>{}</text>\n",
            escaped(&shortened(text, 1000)),
            escaped(&short)
        ));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let [a, b, c, d] = [from.0, from.1, to.0, to.1].map(number);
        self.body.push_str(&format!(
            "<line x1=\"{a}\" y1=\"{b}\" x2=\"{c}\" y2=\"{d}\" class=\"{class}\"/>\n"
        ));
    }

    pub(crate) fn rectangle(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        round: f64,
        class: &str,
    ) {
        let [x, y, width, height, round] =
            [x, y, width.max(0.0), height.max(0.0), round].map(number);
        self.body.push_str(&format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\" class=\"{class}\"/>\n"
        ));
    }

    pub(crate) fn path(&mut self, path: &Path, class: &str) {
        if !path.0.is_empty() {
            self.body.push_str(&format!("<path d=\"{}\" class=\"{class}\"/>\n", path.0));
        }
    }

    /// The mark of a run of an arm: of another shape for each, so that it can be told without its colour.
    pub(crate) fn mark(&mut self, (x, y): (f64, f64), arm: usize) {
        let class = format!("dot a{}", arm % ARMS);
        let mut path = Path::default();
        match arm % 4 {
            0 => {
                let [x, y] = [x, y].map(number);
                let circle = format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" class=\"{class}\"/>\n");
                return self.body.push_str(&circle);
            }
            1 => return self.rectangle((x - 3.6, y - 3.6), (7.2, 7.2), 0.0, &class),
            2 => path.closed(&[(x, y - 4.8), (x + 4.6, y + 3.6), (x - 4.6, y + 3.6)]),
            _ => path.closed(&[(x, y - 5.2), (x + 5.2, y), (x, y + 5.2), (x - 5.2, y)]),
        }
        self.path(&path, &class);
    }

    /// A tick, a ring or a cross.
    pub(crate) fn sign(&mut self, (x, y): (f64, f64), tone: Tone) {
        let mut path = Path::default();
        match tone {
            Tone::Good => {
                path.to('M', &[(x - 4.0, y)]);
                path.to('L', &[(x - 1.2, y + 3.0), (x + 4.0, y - 3.6)]);
            }
            Tone::Bad => {
                path.to('M', &[(x - 3.2, y - 3.2)]);
                path.to('L', &[(x + 3.2, y + 3.2)]);
                path.to('M', &[(x + 3.2, y - 3.2)]);
                path.to('L', &[(x - 3.2, y + 3.2)]);
            }
            Tone::Open => {
                path.to('M', &[(x, y - 3.0)]);
                path.to('C', &[(x + 4.0, y - 3.0), (x + 4.0, y + 3.0), (x, y + 3.0)]);
                path.to('C', &[(x - 4.0, y + 3.0), (x - 4.0, y - 3.0), (x, y - 3.0)]);
            }
        }
        self.path(&path, &format!("sign {}", tone.class()));
    }

    /// What belongs together, with words for whoever points at it.
    pub(crate) fn group(&mut self, title: &str, inside: impl FnOnce(&mut Self)) {
        self.body.push_str(&format!("<g><title>{}</title>\n", escaped(title)));
        inside(self);
        self.body.push_str("</g>\n");
    }
}

/// A path in the making.
#[derive(Default)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn to(&mut self, letter: char, points: &[(f64, f64)]) {
        self.0.push(letter);
        for (n, (x, y)) in points.iter().enumerate() {
            let gap = if n > 0 { " " } else { "" };
            self.0.push_str(&format!("{gap}{} {}", number(*x), number(*y)));
        }
    }

    pub(crate) fn closed(&mut self, points: &[(f64, f64)]) {
        if let [first, rest @ ..] = points {
            self.to('M', &[*first]);
            self.to('L', rest);
            self.0.push('Z');
        }
    }
}

/// A coordinate to a tenth of a pixel; never anything that is no number.
pub(crate) fn number(value: f64) -> String {
    let value = if value.is_nan() { 0.0 } else { value.clamp(-FAR, FAR) };
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_finite() {
        for (value, text) in [
            (1.0, "1"),
            (0.25, "0.2"),
            (-0.01, "0"),
            (f64::NAN, "0"),
            (f64::INFINITY, "1000000"),
            (-1e308, "-1000000"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn words_of_others_stay_words() {
        let mut canvas = Canvas::new();
        let evil = "</text><script>1</script>\" x=\"";
        canvas.text((0.0, 0.0), "small", evil);
        canvas.group(evil, |canvas| canvas.text_within((0.0, 0.0), "", evil, (13.0, 40.0)));
        let drawing = canvas.done((10.0, 10.0), evil, evil);
        for text in [drawing.file(), drawing.part("p1", "wide")] {
            assert!(!text.contains("<script") && !text.contains("\" x=\"\""), "{text}");
            assert_eq!(text.matches("</text>").count(), 2, "{text}");
        }
    }
}
