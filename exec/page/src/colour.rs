//! The colours of both themes, as variables of the style: what they are for, not what they look like.
//!
//! Whatever bears a meaning by its colour bears it a second time, by a shape or a word. The colours of the arms were
//! searched for: as far apart as can be for people who see all colours, and for those who lack the red, the green or the
//! blue cones, with at least 4.5 of contrast to what lies behind them.

/// How good the news is; told by a sign and a word as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Nobody knows.
    Open,
    /// Not as it should be.
    Bad,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Open => "open",
            Tone::Bad => "bad",
        }
    }
}

/// How many arms have a colour of their own; those after them begin again, with other shapes.
pub const ARMS: usize = 5;

/// The colours of a theme.
pub(crate) struct Theme {
    paper: &'static str,
    panel: &'static str,
    ink: &'static str,
    dim: &'static str,
    rule: &'static str,
    good: &'static str,
    bad: &'static str,
    arms: [&'static str; ARMS],
}

pub(crate) const DAY: Theme = Theme {
    paper: "#fffdf9",
    panel: "#f6f2ea",
    ink: "#1c1b19",
    dim: "#625d54",
    rule: "#d9d3c7",
    good: "#1d6b3b",
    bad: "#a8281c",
    arms: ["#0769d9", "#b03601", "#8e2c8d", "#145345", "#221d37"],
};

pub(crate) const NIGHT: Theme = Theme {
    paper: "#171614",
    panel: "#211f1c",
    ink: "#ece8e0",
    dim: "#a8a196",
    rule: "#413d36",
    good: "#7fce9a",
    bad: "#ff9d8a",
    arms: ["#4597ef", "#ea904f", "#e099d2", "#31cf91", "#f4edd5"],
};

impl Theme {
    /// As declarations of variables.
    pub(crate) fn variables(&self) -> String {
        let named = [
            ("paper", self.paper),
            ("panel", self.panel),
            ("ink", self.ink),
            ("dim", self.dim),
            ("rule", self.rule),
            ("good", self.good),
            ("bad", self.bad),
        ];
        let named = named.iter().map(|(name, colour)| format!("--{name}:{colour}"));
        let arms = self.arms.iter().enumerate().map(|(n, colour)| format!("--arm{n}:{colour}"));
        named.chain(arms).collect::<Vec<_>>().join(";")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three channels, 0 to 1, linear in light (IEC 61966-2-1).
    fn light(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| {
            let c = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        })
    }

    /// As WCAG 2.2 defines it.
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |colour| {
            let [r, g, b] = light(colour);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let (a, b): (f64, f64) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// What is seen with all cones; and without the red, the green, the blue ones (Machado, Oliveira and Fernandes, "A
    /// Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, severity 1).
    const SEEN: [[[f64; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ];

    /// CIE 1976 L*a*b* under D65 of what is seen.
    fn seen(colour: &str, by: &[[f64; 3]; 3]) -> [f64; 3] {
        let product = |matrix: &[[f64; 3]; 3], v: [f64; 3]| {
            matrix.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
        };
        let [r, g, b] = product(by, light(colour)).map(|c| c.clamp(0.0, 1.0));
        let to_xyz = [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ];
        let [x, y, z] = product(&to_xyz, [r, g, b]);
        let f = |t: f64| {
            if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 }
        };
        let [x, y, z] = [f(x / 0.95047), f(y), f(z / 1.08883)];
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn all_can_be_read_on_what_lies_behind() {
        for theme in [DAY, NIGHT] {
            let texts = [theme.ink, theme.dim, theme.good, theme.bad];
            for colour in texts.iter().chain(&theme.arms) {
                for behind in [theme.paper, theme.panel] {
                    let contrast = contrast(colour, behind);
                    assert!(contrast >= 4.5, "{colour} on {behind}: {contrast:.2}");
                }
            }
        }
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
    }

    #[test]
    fn everybody_can_tell_the_arms_apart() {
        for theme in [DAY, NIGHT] {
            for by in &SEEN {
                for (n, one) in theme.arms.iter().enumerate() {
                    for other in &theme.arms[n + 1..] {
                        let (a, b) = (seen(one, by), seen(other, by));
                        let far = (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt();
                        assert!(far > 20.0, "{one} and {other}: {far:.1}");
                    }
                }
            }
        }
    }
}
