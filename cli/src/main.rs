//! The `lab` binary: words for people, over the rooms below. One file per command.

mod ui;
mod times;
mod failure;
mod config;
mod bars;
mod known_as;
mod resolve;
mod new_name;
mod wiring;
mod context;
mod at_hand;
mod trust;
mod project;
mod commands;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if lab_process::guard(std::env::args_os()) {
        return ExitCode::SUCCESS;
    }
    let cli = match commands::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return commands::usage(&error),
    };
    let ui = ui::Ui { json: cli.json, quiet: cli.quiet };
    match std::panic::catch_unwind(|| commands::run(ui, &cli)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => ExitCode::from(failure.report(ui)),
        Err(_) => {
            ui::say(
                "this is a bug in lab; what was stored before is safe. Please report the lines above",
            );
            ExitCode::from(70)
        }
    }
}
