//! `lab demo`
//!
//! Everything that is shown is typed as a user would type it and done by this very program as a
//! process of its own; nothing is acted. The accuracies at the end are read back from the records.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::describe;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome, io_failure};
use crate::ui::{self, DIM, GOOD, paint};

/// The UCI handwritten digits; see `cli/data/README.md`.
const DATA: &[u8] = include_bytes!("../../data/digits.csv.gz");

/// The program that learns them.
const PROGRAM: &[u8] = include_bytes!("../../data/digits.toml");

/// How many further seeds show the spread that chance alone gives.
const SEEDS: std::ops::RangeInclusive<u64> = 2..=6;

/// See the main job done on real handwritten digits, in under a minute
///
/// Leaves a folder behind in which everything can be looked at and tried again.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The folder to make
    #[arg(value_name = "DIR", default_value = "lab-demo")]
    directory: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let root = context.path(&args.directory);
    if root.exists() && root.read_dir().map_or(true, |mut entries| entries.next().is_some()) {
        return Err(Failure::new(
            Exit::Refused,
            format!("{} exists and is not an empty folder", args.directory.display()),
        )
        .hint("choose another: `lab demo DIR`; or look around in it: everything is still there"));
    }
    let program = std::env::current_exe().map_err(|e| io_failure("find", Path::new("lab"), &e))?;
    let start = context.now_ms();
    let mine = root.join("mine");
    for (name, bytes) in [("digits.csv.gz", DATA), ("digits.toml", PROGRAM)] {
        let path = mine.join(name);
        fs::create_dir_all(&mine)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|e| io_failure("write", &path, &e))?;
    }
    let demo = Demo { context, program, root: root.clone() };
    demo.keep_and_run()?;
    demo.share_and_verify()?;
    let answer = demo.change_one_variable()?;

    let ui = context.ui;
    ui.line("");
    ui.line(format!(
        "Done in {}. Everything is in {}: try `cd {}/mine`, then `lab log`, `lab show base`,",
        ui::duration(context.now_ms() - start),
        args.directory.display(),
        args.directory.display()
    ));
    ui.line(
        "`lab why base:model.safetensors`, `lab get base`; change digits.toml and run it again.",
    );
    ui.answer(&answer);
    Ok(())
}

struct Demo<'a> {
    context: &'a Context,
    program: PathBuf,
    root: PathBuf,
}

impl Demo<'_> {
    fn keep_and_run(&self) -> Outcome {
        self.say("1,797 handwritten digits, scanned at 8 x 8 pixels. Keep exactly these bytes; `b3sum` prints the same id.");
        self.show("cd mine");
        self.lab("mine", &["init"])?;
        self.lab("mine", &["add", "digits.csv.gz", "--name", "digits"])?;
        self.say("Split, train and judge, as digits.toml says. Each stage is a run of its own, recorded with all it used.");
        self.lab("mine", &["run", "digits.toml", "--name", "base"])?;
        self.say("Where does the result come from?");
        self.lab("mine", &["graph", "base"])
    }

    fn share_and_verify(&self) -> Outcome {
        self.say("Share it through a folder: a mounted drive would do.");
        self.lab("mine", &["remote", "add", "origin", "../share"])?;
        self.lab("mine", &["push"])?;
        self.say("A colleague fetches it, and does all of it again: does every output have the recorded hash?");
        self.show("cd ..");
        self.lab("", &["clone", "share", "--into", "colleague"])?;
        self.show("cd colleague");
        self.lab("colleague", &["verify", "base", "--deep"])
    }

    fn change_one_variable(&self) -> Outcome<Value> {
        self.say(
            "Back home, one hidden variable changes: the order in which training sees the digits.",
        );
        self.show("cd ../mine");
        self.lab(
            "mine",
            &["run", "digits.toml", "--set", "train.shuffle_seed=2", "--name", "shuffled"],
        )?;
        self.say("The prepared data was reused. What differs, the cause first?");
        self.type_and_run("mine", &["diff", "base", "shuffled"], &[1])?;
        self.say(
            "Does that mean anything? See what chance alone does: the same program with other seeds.",
        );
        let (base, shuffled) = (self.accuracy("base")?, self.accuracy("shuffled")?);
        let mut seeds = vec![base];
        for seed in SEEDS {
            let (seed, name) = (seed.to_string(), format!("seed-{seed}"));
            self.lab("mine", &["run", "digits.toml", "--seed", &seed, "--name", &name, "--quiet"])?;
            seeds.push(self.accuracy(&name)?);
        }
        let (low, high) =
            seeds.iter().fold((f64::MAX, f64::MIN), |(l, h), a| (l.min(*a), h.max(*a)));
        let (moved, spread) = (shuffled - base, high - low);
        let ui = self.context.ui;
        ui.line("");
        let list: Vec<String> = seeds.iter().map(|a| describe::number(*a)).collect();
        ui.line(format!("  seeds 1 to {}       {}", SEEDS.end(), list.join("  ")));
        ui.line(format!(
            "  spread of seeds    {} ({} to {})",
            describe::number(spread),
            describe::number(low),
            describe::number(high)
        ));
        ui.line(format!("  other shuffling    {:+.4}", moved));
        let verdict = if moved.abs() < spread {
            paint(
                GOOD,
                "less than chance alone: a difference of this size, from one seed, means nothing",
            )
        } else {
            "more than these seeds spread: worth more seeds, and a test".to_owned()
        };
        ui.line(format!("  {verdict}"));
        Ok(
            json!({ "accuracy": base, "shuffled": shuffled, "seeds": seeds, "spread": spread, "directory": self.root.to_string_lossy() }),
        )
    }

    /// The accuracy in a run's record.
    fn accuracy(&self, name: &str) -> Outcome<f64> {
        let output = self
            .command("mine", &["show", "--json", name])
            .output()
            .map_err(|e| io_failure("start", &self.program, &e))?;
        let shown: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        shown
            .and_then(|shown| shown["metrics"]["accuracy"].as_f64())
            .ok_or_else(|| Failure::new(Exit::No, format!("run '{name}' has no accuracy")))
    }

    fn say(&self, text: &str) {
        self.context.ui.line("");
        self.context.ui.line(paint(DIM, format!("# {text}")));
    }

    fn show(&self, command: &str) {
        self.context.ui.line(format!("{} {command}", paint(GOOD, "$")));
    }

    fn lab(&self, folder: &str, args: &[&str]) -> Outcome {
        self.type_and_run(folder, args, &[0])
    }

    /// Shows a command as it would be typed, runs it, and lets it speak for itself.
    fn type_and_run(&self, folder: &str, args: &[&str], expected: &[i32]) -> Outcome {
        self.show(&format!("lab {}", args.join(" ")));
        let mut command = self.command(folder, args);
        let failed = |error| io_failure("start", &self.program, &error);
        let status = if self.context.ui.json {
            // Standard output belongs to the answer; what was said is shown if it matters.
            let output = command.output().map_err(failed)?;
            if !output.status.success() {
                ui::say(String::from_utf8_lossy(&output.stderr).trim_end());
            }
            output.status
        } else {
            command.status().map_err(failed)?
        };
        if status.code().is_some_and(|code| expected.contains(&code)) {
            return Ok(());
        }
        Err(Failure::new(Exit::No, format!("`lab {}` ended with {status}", args.join(" "))))
    }

    fn command(&self, folder: &str, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.root.join(folder)).stdin(Stdio::null());
        command
    }
}
