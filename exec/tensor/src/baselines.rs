//! The catalogue of standard baselines: programs to run as they are, or to print and change.

/// A program of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// What people call it.
    pub name: &'static str,
    /// The program.
    pub text: &'static str,
}

impl Baseline {
    /// What it is, in a line: the first of the program.
    pub fn summary(&self) -> &'static str {
        self.text.lines().next().unwrap_or("").trim_start_matches(['#', ' '])
    }

    /// The one with this name.
    pub fn find(name: &str) -> Option<Baseline> {
        BASELINES.into_iter().find(|baseline| baseline.name == name)
    }
}

macro_rules! catalogue {
    ($($name:literal),* $(,)?) => {
        [$(Baseline { name: $name, text: include_str!(concat!("../baselines/", $name, ".toml")) }),*]
    };
}

/// All of them.
pub const BASELINES: [Baseline; 11] = catalogue![
    "neighbours",
    "bayes",
    "linear",
    "mlp",
    "mlp-regression",
    "lenet",
    "resnet",
    "char-lstm",
    "char-gru",
    "char-transformer",
    "skip-gram",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;

    #[test]
    fn every_baseline_is_a_program_of_its_name() {
        for baseline in BASELINES {
            let program = Program::parse(baseline.text).unwrap();
            assert_eq!(program.name(), Some(baseline.name));
            assert_eq!(program.stages().len(), 3);
            assert!(baseline.summary().ends_with('.') && baseline.summary().len() < 90);
        }
    }
}
