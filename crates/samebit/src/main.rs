//! The samebit command line: flags in, reports out. The work is done in the crates below.

mod args;
mod commands;
mod engine;
mod failure;
mod interrupt;
mod model;
mod output;
mod progress;
mod prompt;

use args::{Cli, Command};
use clap::Parser;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(args::normalise(std::env::args_os())) {
        Ok(cli) => cli,
        // Help and version go to stdout with code 0, mistakes to stderr with code 2.
        Err(error) => error.exit(),
    };
    interrupt::listen();
    match dispatch(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: &Cli) -> Result<(), Failure> {
    let verbosity = cli.verbosity;
    match &cli.command {
        Command::Run(args) => commands::run::run(args, verbosity),
        #[cfg(not(target_family = "wasm"))]
        Command::Chat(args) => commands::chat::run(args, verbosity),
        #[cfg(not(target_family = "wasm"))]
        Command::Serve(args) => commands::serve::run(args, verbosity),
        Command::Logits(args) => commands::logits::run(args, verbosity),
        Command::Bench(args) => commands::bench::run(args, verbosity),
        Command::Tokenize(args) => commands::tokenize::tokenize(args),
        Command::Detokenize(args) => commands::tokenize::detokenize(args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Synth(args) => commands::synth::run(args, verbosity),
        Command::Trace(args) => commands::trace::run(args, verbosity),
        Command::Compare(args) => commands::compare::run(args, verbosity),
        Command::Diagnose(args) => commands::diagnose::run(args, verbosity),
        Command::CheckEngine(args) => commands::check_engine::run(args, verbosity),
    }
}
