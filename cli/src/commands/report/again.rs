//! What to type to have it, to check it, and to do it anew.

use std::collections::BTreeSet;

use lab_page::{Block, Inline};
use lab_schema::Executor;

use super::{Subject, Told};
use crate::commands::describe;

/// Runs whose hashes are written out in full, and commands.
const RUNS: usize = 100;
const COMMANDS: usize = 12;

impl Subject<'_> {
    pub(super) fn again(&self, told: &[Told]) -> Vec<Block> {
        let mut blocks = vec![Block::Paragraph(vec![
            Inline::text(
                "Whoever has a store with these runs can do each of them again from its record, in a box that holds \
                          what was recorded and nothing else; ",
            ),
            Inline::code("lab verify"),
            Inline::text(" then compares every byte that comes out."),
        ])];
        let named: Vec<String> = told.iter().take(3).map(|run| quoted(&run.name)).collect();
        let mut lines = vec![
            "# fetch them, with all that they came from; LOCATION is where they were published"
                .to_owned(),
            format!("lab clone LOCATION {} --into copy", self.wanted(told)),
            format!("cd copy && lab show {}", named.first().cloned().unwrap_or_default()),
        ];
        lines.push(String::new());
        lines.push("# do them again, and compare every hash".to_owned());
        lines.extend(told.iter().take(RUNS).map(|run| format!("lab verify {}", run.id)));
        if told.len() > RUNS {
            lines.push(format!("# and {} more", told.len() - RUNS));
        }
        if self.judged.is_some() {
            lines.push(String::new());
            lines.push("# compare them again".to_owned());
            lines.push(self.compare());
        }
        blocks.push(Block::Commands(lines));
        let is_program = |run: &&Told| matches!(run.recipe.executor(), Executor::Tensor(_));
        if let Some(run) = told.iter().find(is_program) {
            let text = "The program of a run is in its record, with every default written out: ";
            let show = format!("lab show {}", run.id.short());
            let words = [Inline::text(text), Inline::code(show), Inline::text(" prints it.")];
            blocks.push(Block::Paragraph(words.to_vec()));
        }
        let commands = commands(told);
        if !commands.is_empty() {
            blocks.push(Block::Subheading("What was run".into()));
            blocks.push(Block::Commands(commands));
        }
        blocks
    }

    /// The names to fetch, as they were typed where a store can be asked for them.
    fn wanted(&self, told: &[Told]) -> String {
        let names = told.iter().map(|run| run.name.as_str());
        let names: BTreeSet<String> = names.take(RUNS).map(quoted).collect();
        let all: Vec<String> =
            told.iter().map(|run| quoted(&run.name)).filter(|name| names.contains(name)).collect();
        all.join(" ")
    }

    /// The comparison as it was asked for.
    fn compare(&self) -> String {
        let mut words: Vec<String> = ["lab", "compare"].map(str::to_owned).to_vec();
        words.extend(self.args.references.iter().cloned());
        words.extend(self.args.asked.words(&self.gathered.metric));
        describe::command_line(&words)
    }
}

/// The commands of the runs, each once.
fn commands(told: &[Told]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let command = |run: &Told| match run.recipe.executor() {
        Executor::Command(command) => Some(describe::command_line(&command.argv)),
        Executor::Tensor(_) => None,
    };
    let mut lines: Vec<String> =
        told.iter().filter_map(command).filter(|line| seen.insert(line.clone())).collect();
    if lines.len() > COMMANDS {
        let more = lines.len() - COMMANDS;
        lines.truncate(COMMANDS);
        lines.push(format!("# and {more} more, of the same sort"));
    }
    lines
}

fn quoted(name: &str) -> String {
    describe::command_line(&[name.to_owned()])
}
