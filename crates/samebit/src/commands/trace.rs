//! `samebit trace`: a prompt's forward pass, tensor by tensor, in a file.

use crate::args::{TraceArgs, Verbosity};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::{engine, model, output, prompt};
use samebit_model::Model;
use samebit_trace::{Filter, How, Script, TraceError, names, record};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub(crate) fn run(args: &TraceArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let filter = filter(args)?;
    let gguf = model::open(&args.model)?;
    let tokenizer = model::tokenizer(&args.model, &gguf)?;
    let tokens = prompt::with_chat(&args.prompt, &args.chat, &args.model, &gguf, &tokenizer)?;
    let digest = model::digest(&gguf, verbosity)?;
    let loaded = Arc::new(Model::load(gguf).map_err(|error| Failure::at(&args.model.path, error))?);
    let options = engine::options(&args.compute)?;
    let how = How {
        numerics: options.numerics,
        kv: options.kv,
        isa: options.isa,
        threads: options.threads,
        cpus: engine::cpus(args.place.pin, options.threads, verbosity.quiet)?.unwrap_or_default(),
        context: options.context,
    };
    let script = Script { prompt: &tokens, decode: args.predict, all_logits: args.all_logits };
    let mut trace = record::record(&loaded, &how, &script, filter).map_err(|error| failure(&args.model.path, error))?;
    trace.meta.model_digest = Some(digest);
    if args.weights {
        let mut progress = Progress::new("weights", Unit::Repetitions, verbosity.quiet);
        let mut tell = |done: usize, total: usize| progress.at(done as u64, total as u64);
        trace.entries.extend(samebit_trace::weights(&loaded, &mut tell));
    }
    if trace.entries.is_empty() {
        return Err(Failure::Usage("nothing is left to write: no tensor has such a layer, name and position".into()));
    }
    trace.write(&args.output).map_err(|error| Failure::Input(error.to_string()))?;
    let (tensors, positions) = (trace.entries.len(), trace.meta.tokens.len());
    output::note(verbosity.quiet, &format!("{}: {tensors} tensors, {positions} positions", args.output.display()));
    Ok(())
}

/// A trace's error as a command's: what stopped in the model is the model's.
pub(crate) fn failure(model: &Path, error: TraceError) -> Failure {
    match error {
        TraceError::Forward(error) => Failure::at(model, error),
        other => Failure::Input(other.to_string()),
    }
}

fn filter(args: &TraceArgs) -> Result<Filter, Failure> {
    let mut only = BTreeSet::new();
    for name in &args.only {
        let known = names::canonical(name).or_else(|| names::canonical(&format!("{name}-0")));
        let (name, _) = known.ok_or_else(|| {
            let all: Vec<&str> = names::OPERATIONS.iter().map(|op| op.name).collect();
            Failure::Usage(format!("--only {name}: no such tensor; there are {}", all.join(", ")))
        })?;
        only.insert(name);
    }
    Ok(Filter {
        layers: args.layers.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
        names: only,
        positions: args.positions.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
        summary: args.summary,
        tables: args.tables,
        cache: args.cache,
    })
}
