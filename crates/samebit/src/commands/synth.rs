//! `samebit synth`: a model of random weights.

use crate::args::{SynthArgs, Verbosity};
use crate::engine::threads;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::{interrupt, output};
use samebit_synth::{Plan, Request, SynthError};
use std::path::Path;

pub(crate) fn run(args: &SynthArgs, verbosity: Verbosity) -> Result<(), Failure> {
    // clap demands both unless --list is there.
    let (Some(shape), Some(path)) = (&args.shape, &args.output) else {
        return output::write(samebit_synth::listing().as_bytes());
    };
    if path.exists() && !args.force {
        return Err(Failure::at(path, "exists already: give --force to overwrite it, or another -o"));
    }
    let request = Request {
        shape,
        quant: &args.quant,
        pure: args.pure,
        seed: args.seed,
        layers: args.layers,
        vocab_from: args.vocab_from.as_deref(),
    };
    let plan = Plan::new(&request).map_err(|error| failure(path, &error))?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads(args.threads))
        .build()
        .map_err(|error| Failure::Input(format!("cannot start threads: {error}")))?;
    let bytes = pool.install(|| write(&plan, path, verbosity))?;
    let line = format!("{}: {} parameters, {bytes} bytes", path.display(), plan.elements());
    output::note(verbosity.quiet, &line);
    Ok(())
}

fn write(plan: &Plan, path: &Path, verbosity: Verbosity) -> Result<u64, Failure> {
    interrupt::be_orderly();
    let mut bar = Progress::new("writing", Unit::Parameters, verbosity.quiet);
    let total = plan.elements();
    let mut progress = |done| {
        bar.at(done, total);
        if interrupt::asked() { Err(std::io::Error::other("cancelled")) } else { Ok(()) }
    };
    plan.write(path, &mut progress).map_err(
        |error| {
            if interrupt::asked() { Failure::Cancelled } else { failure(path, &error) }
        },
    )
}

fn failure(path: &Path, error: &SynthError) -> Failure {
    match error {
        SynthError::Shape(_) | SynthError::Type(_) => Failure::Usage(error.to_string()),
        SynthError::SmallVocabulary { .. } => Failure::at(path, error),
        // These name their file.
        SynthError::NoVocabulary(_) | SynthError::Gguf(_) => Failure::Input(error.to_string()),
    }
}
