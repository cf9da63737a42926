//! The project's own chores, run as `cargo xtask COMMAND`.
//!
//! Knows the repository's layout and where test models come from. May not know any crate of the runtime: it must
//! build in seconds and work when they do not; what needs them is started through cargo.

mod cargo;
mod digests;
mod licences;
mod models;
mod package;
mod page;
#[cfg(unix)]
mod record;
mod targets;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own chores", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer a prompt with SmolLM2-135M-Instruct: fetch it, build samebit, run it
    Demo {
        /// What to ask
        #[arg(default_value = "Why is the sky blue? Answer in one sentence.")]
        prompt: String,
        /// Further arguments of `samebit run`, after `--`
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Fetch the test models and run every test of the workspace
    Test {
        /// Further arguments of `cargo test`, after `--`
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Fetch the test models and verify their SHA-256 (no name: all of them)
    Models {
        /// Which ones: smollm2, gemma3, qwen2
        names: Vec<String>,
    },
    /// Check the rules of the house: lengths, unsafe, floats, headers, dependencies, …
    Tidy,
    /// Check that every dependency's licence is one the project accepts
    Licences,
    /// Check conformance/v1.txt, or write it anew with --bless
    Conformance {
        /// Arguments of the `conformance` program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Check every kernel of this machine's instruction sets against the reference, on random inputs
    Checkkern {
        /// Arguments of `checkkern` (README.md in its folder)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Build for other machines, run there under emulators, and check the bits (no name: all)
    #[command(visible_alias = "target")]
    Targets {
        /// Which ones: aarch64, wasm, x86-old
        names: Vec<String>,
    },
    /// Run real models in every way that must not matter and compare the digests of their logits
    Digests(digests::Options),
    /// Build the static binary and the Debian package
    Package,
    /// Test the server's chat page in a headless Chromium
    Page,
    /// Play the scripts in docs/ in a terminal and write what they show, or check with --check that it is the same
    #[cfg(unix)]
    Record(record::Options),
    /// Compare logits and continuations with golden outputs and print tables
    Accuracy {
        /// Arguments of `samebit-accuracy logits` (try --help)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Compare activations layer by layer with golden outputs
    Layers {
        /// Arguments of `samebit-accuracy layers` (try --help)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Runs one command; `false` means that a check said no.
fn run(command: Command) -> Result<bool> {
    let root = repository_root()?;
    match command {
        Command::Demo { prompt, rest } => demo(&root, &prompt, &rest),
        Command::Test { rest } => test(&root, &rest),
        Command::Models { names } => models::fetch_named(&names).map(|()| true),
        Command::Tidy => tidy::check(&root),
        Command::Licences => licences::check(&root),
        Command::Conformance { rest } => {
            let vectors = root.join("conformance/v1.txt").display().to_string();
            run_with(&root, "samebit-conform", vectors, &rest)
        }
        Command::Checkkern { rest } => cargo::run_release(&root, "checkkern", &rest),
        Command::Targets { names } => targets::check(&root, &names),
        Command::Digests(options) => digests::compare(&root, &options),
        Command::Package => package::build(&root),
        Command::Page => page::check(&root),
        #[cfg(unix)]
        Command::Record(options) => record::run(&root, &options),
        Command::Accuracy { rest } => run_with(&root, "samebit-accuracy", "logits".to_owned(), &rest),
        Command::Layers { rest } => run_with(&root, "samebit-accuracy", "layers".to_owned(), &rest),
    }
}

fn run_with(root: &Path, package: &str, first: String, rest: &[String]) -> Result<bool> {
    let args: Vec<String> = std::iter::once(first).chain(rest.iter().cloned()).collect();
    cargo::run_release(root, package, &args)
}

fn demo(root: &Path, prompt: &str, rest: &[String]) -> Result<bool> {
    models::fetch_named(&["smollm2".to_owned()])?;
    let model = models::folder()?.join(models::SMOLLM2.file);
    let mut args = vec!["run".to_owned(), "-m".to_owned(), model.display().to_string()];
    args.extend(["--chat", "--temp", "0", "-n", "128", "-p", prompt].map(str::to_owned));
    args.extend_from_slice(rest);
    cargo::run_release(root, "samebit", &args)
}

fn test(root: &Path, rest: &[String]) -> Result<bool> {
    models::fetch_named(&[])?;
    let mut command = cargo::command(root);
    // With the features that only some builds have.
    command.args(["test", "--workspace", "--locked", "--features", "samebit/otel"]).args(rest);
    command.env(models::FOLDER_VARIABLE, models::folder()?);
    cargo::succeeds(&mut command)
}

/// The folder above this crate's own, where the workspace's Cargo.toml lies.
fn repository_root() -> Result<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let root = here.parent().context("xtask lies in no repository")?;
    Ok(root.to_path_buf())
}
