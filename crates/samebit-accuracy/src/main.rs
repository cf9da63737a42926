//! How near to the model as stored: the engine against golden outputs of another engine.
//!
//! `logits` compares logits and greedy continuations, `layers` the tensors inside a forward pass. Reads no clock but for
//! progress; what it prints depends on the files alone.

mod golden;
mod layers;
mod logits;
mod mode;
mod stats;
mod store;
mod subject;
mod table;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use samebit_kernels::Isa;

use crate::mode::Mode;
use crate::subject::{Machine, Opened};

#[derive(Parser)]
#[command(name = "samebit-accuracy", about = "How near to the model as stored")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Logits and greedy continuations, as Markdown tables
    Logits(logits::Options),
    /// The tensors of one forward pass; exits with 1 if one is further off than the tolerance
    Layers(LayersOptions),
}

/// Options of both commands.
#[derive(Args)]
struct Common {
    /// Folder of golden outputs, with exact_f32/ and layers_exact_f32/ in it
    #[arg(long)]
    golden: PathBuf,
    /// Folder of the model files, named as the golden outputs
    #[arg(long)]
    models: PathBuf,
    /// Only models whose name contains this
    #[arg(long)]
    only: Vec<String>,
    /// Instruction set: as `samebit run --isa` takes it
    #[arg(long, default_value = "native")]
    isa: String,
    /// Threads; all cores unless told
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Args)]
struct LayersOptions {
    #[command(flatten)]
    common: Common,
    /// Mode to run
    #[arg(long, value_parser = mode::parse, default_value = "f32")]
    mode: Mode,
    /// Largest difference, relative to a tensor's RMS, that counts as the same; the default has room for an engine
    /// that looks GELU up in a binary16 table
    #[arg(long, default_value_t = 2e-3)]
    tolerance: f64,
}

/// A model file and its golden outputs.
struct Pair {
    name: String,
    golden: PathBuf,
    model: PathBuf,
}

impl Common {
    /// The models of which both files are there, small to large.
    fn pairs(&self, folder: &str) -> Result<Vec<Pair>> {
        let folder = self.golden.join(folder);
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let mut pairs = Vec::new();
        for entry in entries {
            let golden = entry?.path();
            let Some(name) = golden.file_name().and_then(|name| name.to_str()?.strip_suffix(".json")) else {
                continue;
            };
            let name = name.to_owned();
            let model = logits::model_path(&self.models, &name);
            let chosen = self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()));
            match fs::metadata(&model) {
                Ok(file) if chosen => pairs.push((file.len(), Pair { name, golden, model })),
                Ok(_) => {}
                Err(_) if chosen => eprintln!("{}: not there, left out", model.display()),
                Err(_) => {}
            }
        }
        ensure!(!pairs.is_empty(), "no model in {} has golden outputs in {}", self.models.display(), folder.display());
        pairs.sort_by(|(bytes_a, a), (bytes_b, b)| (bytes_a, &a.name).cmp(&(bytes_b, &b.name)));
        Ok(pairs.into_iter().map(|(_, pair)| pair).collect())
    }

    fn machine(&self) -> Result<Machine> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Machine { isa: Isa::parse(&self.isa)?, threads: self.threads.unwrap_or(cores).max(1) })
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Logits(options) => logits::run(&options).map(|()| true),
        Command::Layers(options) => compare_layers(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("samebit-accuracy: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Prints each model's tensors; true if all are within the tolerance.
fn compare_layers(options: &LayersOptions) -> Result<bool> {
    let mut near = true;
    for pair in options.common.pairs("layers_exact_f32")? {
        let golden = golden::Layers::read(&pair.golden)?;
        let opened = Opened::open(&pair.model, Vec::new())?;
        let taken = opened.tensors(options.mode, options.common.machine()?, &golden.ids)?;
        let lines = layers::compare(&golden.tensors, &taken);
        println!("{}", table::layers(&pair.name, &lines, options.tolerance));
        let differences: Vec<f64> = lines.iter().filter_map(|line| line.verdict.difference()).collect();
        if differences.is_empty() {
            bail!("{}: no tensor of ours has a golden one's name", pair.name);
        }
        near &= differences.iter().all(|&difference| difference <= options.tolerance);
    }
    Ok(near)
}
