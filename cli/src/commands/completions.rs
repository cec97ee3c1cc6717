//! `lab completions`

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use crate::failure::Outcome;
use crate::ui;

/// Print a completion script for a shell
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The shell, as in `lab completions bash > ~/.local/share/bash-completion/completions/lab`
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lab", &mut script);
    ui::write_or_leave(&mut std::io::stdout().lock(), &script);
    Ok(())
}
