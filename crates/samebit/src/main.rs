//! The samebit command line: flags in, reports out. The work is done in the crates below.

mod args;
mod commands;
mod config;
mod engine;
mod failure;
mod interrupt;
#[cfg(not(target_family = "wasm"))]
mod library;
mod machine;
mod model;
mod output;
mod progress;
mod prompt;

use args::{Cli, Command};
use config::{Config, Stop};
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let argv = args::normalise(std::env::args_os());
    let (mut cli, config) = match config::parse(&argv) {
        Ok(parsed) => parsed,
        // Help and version go to stdout with code 0, mistakes to stderr with code 2.
        Err(Stop::Clap(error)) => error.exit(),
        Err(Stop::Failure(failure)) => return failure.report(),
    };
    interrupt::listen();
    match locate(&mut cli).and_then(|()| dispatch(&cli, &config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Puts files in the place of models' names.
fn locate(cli: &mut Cli) -> Result<(), Failure> {
    cli.command.models().into_iter().try_for_each(model::locate)
}

fn dispatch(cli: &Cli, config: &Config) -> Result<(), Failure> {
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
        Command::Config(args) => commands::config::run(args, config),
        Command::Doctor(args) => commands::doctor::run(args, verbosity),
        Command::Completions(args) => commands::shell::completions(args),
        Command::Man(args) => commands::shell::man(args),
        #[cfg(not(target_family = "wasm"))]
        Command::Pull(args) => commands::library::pull(args, verbosity),
        #[cfg(not(target_family = "wasm"))]
        Command::List(args) => commands::library::list(args, verbosity),
        #[cfg(not(target_family = "wasm"))]
        Command::Rm(args) => commands::library::rm(args, verbosity),
    }
}
