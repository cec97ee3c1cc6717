//! `lab run`

mod at_once;
mod command;
mod inputs;
mod lasts;
mod program;
mod put_back;
mod seeds;
mod steps;
mod variants;
mod wanted;

use std::collections::BTreeMap;
use std::path::Path;

use lab_pipeline::{bytes, milliseconds};
use lab_process::{Level, with_portable_variables};
use lab_schema::{Limits, Name, Number, Slot, Tolerance};

pub(super) use self::seeds::{Seeds, seeds};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::new_name::new_name;
use crate::project::Project;

/// Run a command, a tensor program or the steps of a lab.toml, and write down all that it used and made
///
/// A command (`lab run -- python train.py`) runs where you are, and needs no declarations: lab watches it, and records
/// each file that it reads and makes. With named inputs (`-i digits`) it runs in a fresh folder that holds the project's
/// code and those inputs. A tensor program (`lab run digits.toml`) runs inside lab, with the same bits everywhere. `lab run`
/// alone brings the steps that are declared in a lab.toml up to date: one that would find everything as a recorded run
/// found it is not run again.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("what").args(["program", "command"]))]
pub(super) struct Args {
    /// A tensor program, or a standard baseline (see `lab baselines`); or steps of lab.toml [default: all of them]
    #[arg(value_name = "PROGRAM.toml|baseline:NAME|STEP")]
    program: Vec<String>,
    /// A command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Name the result; the stages of a program become NAME.prepare, NAME.train and NAME
    #[arg(short, long)]
    name: Option<String>,
    /// An input: a name, a hash or a path; PATH= says where the command finds it, or which of a program's inputs it is
    #[arg(short, long = "input", value_name = "[PATH=]REF")]
    inputs: Vec<String>,
    /// A file or folder that the command leaves [default: all that it creates or changes]
    #[arg(short, long = "output", value_name = "PATH", conflicts_with = "program")]
    outputs: Vec<String>,
    /// How far a number in an output may be off, relatively, for a re-run to count as equivalent
    #[arg(long = "tolerance", value_name = "PATH=R", value_parser = tolerance, conflicts_with = "program")]
    tolerances: Vec<(Slot, Tolerance)>,
    /// Pass on, and record, one more environment variable
    #[arg(long = "env", value_name = "NAME[=VALUE]", conflicts_with = "program")]
    variables: Vec<String>,
    /// Stop the command after this time, such as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = milliseconds, conflicts_with = "program")]
    time_limit: Option<u64>,
    /// Let no process of the command use more than this, such as 512M or 4G
    #[arg(long, value_name = "SIZE", value_parser = bytes, conflicts_with = "program")]
    memory_limit: Option<u64>,
    /// Run the command in a fresh folder that holds the project's code, as with -i
    #[arg(long, conflicts_with = "program")]
    apart: bool,
    /// How much chance to take out: 0 nothing, 1 seeds of hash functions and cuBLAS workspaces, 2 also the system's random bytes, 3 also the time of day
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=3), conflicts_with = "program")]
    level: u8,
    /// Keep numerical libraries to AVX2 and a fixed number of threads, so that other machines can give the same bits
    #[arg(long)]
    portable: bool,
    /// Do it again at once, from the record alone, as `lab verify` does; exit code 1 if the result is another
    #[arg(long, conflicts_with = "program")]
    check: bool,
    /// Do not let a Python program tell which seeds it gives to its generators
    #[arg(long, conflicts_with = "program")]
    no_probe: bool,
    /// Change a parameter of the steps or a setting of the program, as in train.lr=0.01
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "command")]
    settings: Vec<String>,
    /// The seed, the same as --set seed=N
    #[arg(long, value_name = "N", conflicts_with = "command")]
    seed: Option<u64>,
    /// Run the steps, the program, or a command that says {seed}, once for each of these seeds, as in 1..10 or 1,2,5
    #[arg(long, value_name = "SEEDS", value_parser = seeds::seeds, conflicts_with = "seed")]
    seeds: Option<seeds::Seeds>,
    /// Run them once for each of these values of a setting, as in train.lr=0.1,0.3; of several settings with each
    /// other, as in 'train.lr=0.1,0.3 x train.epochs=5,10'. A command says {lr}
    #[arg(long, value_name = "KEY=VALUES", value_parser = Axes::parse)]
    grid: Vec<Axes>,
    /// Run the program once for each of so many folds: cross-validation
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000), conflicts_with = "command")]
    folds: Option<u32>,
    /// Run so many at once, of a program for many seeds or settings [default: as many as there are processors]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    jobs: Option<u32>,
    /// Run every step or stage, and a command for every seed, even where an earlier run could be reused
    #[arg(long)]
    again: bool,
    /// Only say which steps would run, and why; exit code 1 if any would
    #[arg(long, conflicts_with_all = ["command", "seeds", "grid"])]
    dry_run: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let name = match &args.name {
        Some(name) => Some(new_name(&context.registry()?.store, name)?),
        None => None,
    };
    match &args.program[..] {
        [program] if is_program(context, program)? => {
            if args.dry_run {
                return Err(Failure::usage("--dry-run is for the steps of a lab.toml"));
            }
            program::run(context, args, Path::new(program), name)
        }
        _ if args.jobs.is_some() => Err(Failure::usage("--jobs is for a tensor program").hint(
            "commands and steps leave their files in one place, and so run one after the other",
        )),
        [] if args.command.is_empty() => run_steps(context, args, &[], name),
        [] if args.are_many() => variants::command(context, args, name),
        [] if args.again => Err(Failure::usage("a command is run each time, without --again")
            .hint("with --seeds or --grid only what was not run before is")),
        [] => command::run(context, args, name),
        steps => run_steps(context, args, steps, name),
    }
}

fn run_steps(context: &Context, args: &Args, steps: &[String], name: Option<Name>) -> Outcome {
    args.refuse_for_steps()?;
    steps::run(context, args, steps, name)
}

/// Whether a word names a tensor program, and not a step of a `lab.toml`.
fn is_program(context: &Context, word: &str) -> Outcome<bool> {
    if word.starts_with(program::BASELINE) {
        return Ok(true);
    }
    let path = Path::new(word);
    if path.file_name().is_some_and(|name| name == "lab.toml") {
        return Err(Failure::usage(format!("'{word}' declares steps, and is no program"))
            .hint("`lab run` alone brings all of them up to date"));
    }
    let looks = path.extension().is_some_and(|e| e == "toml") || word.contains('/');
    let is_file = context.path(path).is_file();
    Ok(looks || is_file && Project::find(context, &context.registry()?, &[]).is_err())
}

/// What one `--grid` says.
#[derive(Clone, Debug)]
struct Axes(Vec<seeds::Axis>);

impl Axes {
    fn parse(text: &str) -> Result<Axes, String> {
        seeds::axes(text).map(Axes)
    }
}

impl Args {
    fn axes(&self) -> Vec<seeds::Axis> {
        self.grid.iter().flat_map(|axes| axes.0.clone()).collect()
    }

    /// Whether a program is to be run more than once.
    fn are_many(&self) -> bool {
        self.seeds.is_some() || self.folds.is_some() || !self.grid.is_empty()
    }

    /// How many runs of a program go on at once.
    fn jobs(&self) -> usize {
        let given = self.jobs.and_then(|jobs| usize::try_from(jobs).ok());
        given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    fn level(&self) -> Level {
        level(self.level)
    }

    /// Refuses a setting of `--set` that `--grid` has too.
    fn refuse_twice(&self, key: &str) -> Outcome {
        match self.axes().iter().any(|axis| axis.key == key) {
            true => Err(Failure::usage(format!("--grid sets {key}, and so does --set"))),
            false => Ok(()),
        }
    }

    /// What does not go together with a command that is run more than once.
    fn refuse_for_many(&self) -> Outcome {
        let given = [
            ("-i", !self.inputs.is_empty(), "what it reads is recorded, and need not be named"),
            ("--apart", self.apart, "it runs where it lies, one after the other"),
            ("--check", self.check, "`lab verify NAME@seeds` does all of it again"),
        ];
        match given.into_iter().find(|(_, is_given, _)| *is_given) {
            Some((option, _, why)) => {
                let what = format!("{option} does not go together with --seeds or --grid");
                Err(Failure::usage(what).hint(why))
            }
            None => Ok(()),
        }
    }

    /// What belongs to a command on the command line, and for steps is declared.
    fn refuse_for_steps(&self) -> Outcome {
        let given = [
            ("--input", !self.inputs.is_empty(), "steps read what they read: nothing is declared"),
            ("--output", !self.outputs.is_empty(), "write `outputs = [..]` in lab.toml"),
            ("--tolerance", !self.tolerances.is_empty(), "write `tolerance = { .. }` in lab.toml"),
            ("--env", !self.variables.is_empty(), "write `env = { .. }` in lab.toml"),
            ("--time-limit", self.time_limit.is_some(), "write `time_limit = \"10m\"` in lab.toml"),
            (
                "--memory-limit",
                self.memory_limit.is_some(),
                "write `memory_limit = \"4G\"` in lab.toml",
            ),
            ("--apart", self.apart, "steps run where they lie"),
            ("--check", self.check, "`lab verify` does it for all steps, by their names"),
            ("--no-probe", self.no_probe, "write `probe = false` at the top of lab.toml"),
            ("--level", self.level != 1, "write `level = 2` at the top of lab.toml"),
        ];
        if self.folds.is_some() {
            return Err(Failure::usage(
                "--folds is for a tensor program: `lab run PROGRAM.toml --folds 5`",
            )
            .hint("let the steps take the fold as a parameter, and set it: `--set fold=0`"));
        }
        match given.into_iter().find(|(_, is_given, _)| *is_given) {
            Some((option, _, why)) => Err(Failure::usage(format!(
                "{option} is for a command: `lab run {option} … -- COMMAND`"
            ))
            .hint(why)),
            None => Ok(()),
        }
    }

    /// Recorded variables, with those that `--portable` adds.
    fn pinned(&self, variables: BTreeMap<String, String>) -> BTreeMap<String, String> {
        if self.portable { with_portable_variables(variables) } else { variables }
    }

    fn limits(&self) -> Limits {
        Limits { wall_ms: self.time_limit, memory_bytes: self.memory_limit }
    }
}

/// A level by its number.
fn level(number: u8) -> Level {
    match number {
        0 => Level::Record,
        1 => Level::Pin,
        2 => Level::Entropy,
        _ => Level::Time,
    }
}

/// `PATH=R` to a relative tolerance.
fn tolerance(text: &str) -> Result<(Slot, Tolerance), String> {
    let (slot, number) = text
        .rsplit_once('=')
        .ok_or("a path, '=' and a number are needed, as in metrics.json=1e-6")?;
    let slot = Slot::new(slot).map_err(|e| e.to_string())?;
    let relative = number.parse::<f64>().map_err(|_| format!("'{number}' is not a number"))?;
    if relative.is_nan() || relative < 0.0 {
        return Err("a tolerance is not negative".to_owned());
    }
    let relative = Number::new(relative).map_err(|e| e.to_string())?;
    let absolute = Number::new(0.0).map_err(|e| e.to_string())?;
    Ok((slot, Tolerance { absolute, relative }))
}

/// `KEY=VALUE` in two.
fn key_value(text: &str) -> Outcome<(&str, &str)> {
    text.split_once('=').ok_or_else(|| {
        Failure::usage(format!("'{text}' is not KEY=VALUE")).hint("as in --set train.lr=0.01")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_relative_and_not_negative() {
        let (slot, t) = tolerance("out/metrics.json=1e-6").unwrap();
        assert_eq!(slot.as_str(), "out/metrics.json");
        assert!(t.allows(1.0, 1.000_000_5) && !t.allows(1.0, 1.000_002));
        for bad in ["metrics.json", "m=-1", "m=NaN", "m=inf", "../m=1", "m="] {
            assert!(tolerance(bad).is_err(), "{bad}");
        }
    }
}
