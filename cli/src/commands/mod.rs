//! The command line: what can be typed, and which file answers it.

mod add;
mod baselines;
mod board;
mod cat;
mod check;
mod clone;
mod compare;
mod completions;
mod demo;
mod describe;
mod curve;
mod diff;
mod du;
mod eval;
mod exchange;
mod fork;
mod gc;
mod get;
mod graph;
mod import;
mod init;
mod log;
mod ls;
mod name;
mod page;
mod pattern;
mod pull;
mod push;
mod remote;
mod report;
mod run;
mod serve;
mod show;
mod sign;
mod replaced;
mod stale;
mod strip;
mod status;
mod token;
mod trace;
mod follow;
mod vary;
mod verify;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{Ui, say};

/// Content-addressed data, code, weights and results, with their lineage; and the proof that a
/// result can be done again.
#[derive(Parser, Debug)]
#[command(
    name = "lab",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "REF is a name, NAME@vN or the first digits of a hash; then :OUTPUT or :INPUT of a run, or /PATH in a directory.\n\
        What was imported is also found by its old hash: md5:DIGITS, sha256:DIGITS, git:DIGITS, mlflow:RUN-ID.\n\
        Exit codes: 0 yes, 1 the answer is no, 2 bad usage or input, 3 not found, 4 refused, 5 I/O, 70 a bug, 130 interrupted.\n\
        Start with `lab demo`."
)]
pub(crate) struct Cli {
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress bars, notes or hints
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Fetch nothing that a pull left out; LAB_OFFLINE=1 means the same
    #[arg(long, global = true)]
    pub offline: bool,
    /// Work in this folder
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub work_in: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Init(init::Args),
    Add(add::Args),
    Import(import::Args),
    Get(get::Args),
    Ls(ls::Args),
    Cat(cat::Args),
    Show(show::Args),
    Log(log::Args),
    Why(why::Args),
    Graph(graph::Args),
    Status(status::Args),
    Run(run::Args),
    Baselines(baselines::Args),
    Verify(verify::Args),
    Vary(vary::Args),
    Sign(sign::Args),
    Diff(diff::Args),
    Compare(compare::Args),
    Fork(fork::Args),
    Eval(eval::Args),
    Board(board::Args),
    Report(report::Args),
    Name(name::Args),
    Remote(remote::Args),
    Push(push::Args),
    Pull(pull::Args),
    Clone(clone::Args),
    Serve(serve::Args),
    Token(token::Args),
    Check(check::Args),
    Du(du::Args),
    Gc(gc::Args),
    Demo(demo::Args),
    Completions(completions::Args),
}

/// Says what was wrong with the command line, or the help that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().map(|w| w.to_string_lossy().into_owned()).collect();
    let before_dashes = || words.iter().take_while(|word| *word != "--");
    if error.use_stderr() && before_dashes().any(|word| word == "--json") {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = Failure::usage(message).hint("`lab help` lists the commands and options");
        return ExitCode::from(failure.report(Ui { json: true, quiet: true }));
    }
    // Help that nobody reads any more is no error.
    let _ = error.print();
    if error.kind() == ErrorKind::UnknownArgument && words.get(1).is_some_and(|word| word == "run")
    {
        let command = words.get(2..).unwrap_or_default().join(" ");
        say(&format!("hint: a command comes after two dashes: `lab run -- {command}`"));
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// Does what was typed.
pub(crate) fn run(ui: Ui, cli: &Cli) -> Outcome {
    let context = Context::new(ui, cli.work_in.as_deref(), cli.offline)?;
    match &cli.command {
        Command::Init(args) => init::run(&context, args),
        Command::Add(args) => add::run(&context, args),
        Command::Import(args) => import::run(&context, args),
        Command::Get(args) => get::run(&context, args),
        Command::Ls(args) => ls::run(&context, args),
        Command::Cat(args) => cat::run(&context, args),
        Command::Show(args) => show::run(&context, args),
        Command::Log(args) => log::run(&context, args),
        Command::Why(args) => why::run(&context, args),
        Command::Graph(args) => graph::run(&context, args),
        Command::Status(args) => status::run(&context, args),
        Command::Run(args) => run::run(&context, args),
        Command::Baselines(args) => baselines::run(&context, args),
        Command::Verify(args) => verify::run(&context, args),
        Command::Vary(args) => vary::run(&context, args),
        Command::Sign(args) => sign::run(&context, args),
        Command::Diff(args) => diff::run(&context, args),
        Command::Compare(args) => compare::run(&context, args),
        Command::Fork(args) => fork::run(&context, args),
        Command::Eval(args) => eval::run(&context, args),
        Command::Board(args) => board::run(&context, args),
        Command::Report(args) => report::run(&context, args),
        Command::Name(args) => name::run(&context, args),
        Command::Remote(args) => remote::run(&context, args),
        Command::Push(args) => push::run(&context, args),
        Command::Pull(args) => pull::run(&context, args),
        Command::Clone(args) => clone::run(&context, args),
        Command::Serve(args) => serve::run(&context, args),
        Command::Token(args) => token::run(&context, args),
        Command::Check(args) => check::run(&context, args),
        Command::Du(args) => du::run(&context, args),
        Command::Gc(args) => gc::run(&context, args),
        Command::Demo(args) => demo::run(&context, args),
        Command::Completions(args) => completions::run(args),
    }
}
