//! `samebit compare`: the first operation in which two traces part.

use crate::args::{CompareArgs, ModelArgs, Verbosity};
use crate::commands::trace::failure;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::{engine, model, output};
use samebit_kernels::Isa;
use samebit_model::Model;
use samebit_trace::compare::{Options, Report, compare};
use samebit_trace::report::{html, svg, terminal};
use samebit_trace::{Filter, How, NameMap, Script, Trace, read, record};
use std::path::Path;
use std::sync::Arc;

pub(crate) fn run(args: &CompareArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let map = args.names.as_deref().map(read::name_map).transpose().map_err(input)?;
    let (first, second) = match (&args.traces[..], &args.model) {
        ([a, b], _) => (Some(open(a, map.as_ref())?), open(b, map.as_ref())?),
        ([b], Some(_)) => (None, open(b, map.as_ref())?),
        _ => return Err(Failure::Usage("one trace can only be compared with a model: give another, or -m".into())),
    };
    let mut second = second;
    if let Some(tokens) = &args.tokens {
        second.meta.tokens.clone_from(tokens);
    }
    let how = how(args, verbosity)?;
    let loaded = args.model.as_deref().map(|path| load(path, &second, verbosity)).transpose()?;
    let path = args.model.as_deref().unwrap_or(Path::new("model"));
    let first = match (first, &loaded) {
        (Some(first), _) => first,
        (None, Some(model)) => ours(model, &how, &second, args, path)?,
        (None, None) => return Err(Failure::Usage("give a second trace, or -m".into())),
    };
    let mut bar = Progress::new("precisions", Unit::Repetitions, verbosity.quiet);
    let mut progress = |done: usize, total: usize| bar.at(done as u64, total as u64);
    let mut options = Options {
        model: loaded.as_ref().map(|model| (model, &how)),
        tolerance: args.tolerance,
        progress: &mut progress,
    };
    let report = compare(&first, &second, &mut options).map_err(|error| failure(path, error))?;
    bar.clear();
    show(args, &report)?;
    if report.departs { Err(Failure::No) } else { Ok(()) }
}

fn show(args: &CompareArgs, report: &Report) -> Result<(), Failure> {
    let put = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
    };
    if let Some(path) = &args.html {
        put(path, html::page(report))?;
    }
    if let Some(path) = &args.svg {
        put(path, svg::file(report))?;
    }
    if args.json {
        return output::write_json(report);
    }
    output::write(terminal::text(report, args.all).as_bytes())
}

fn input(error: samebit_trace::TraceError) -> Failure {
    Failure::Input(error.to_string())
}

fn open(path: &Path, map: Option<&NameMap>) -> Result<Trace, Failure> {
    read::read(path, map).map_err(input)
}

/// The model; says so where their trace names another file.
fn load(path: &Path, theirs: &Trace, verbosity: Verbosity) -> Result<Arc<Model>, Failure> {
    let gguf = model::open(&ModelArgs { path: path.to_owned() })?;
    if let Some(digest) = &theirs.meta.model_digest
        && *digest != model::digest(&gguf, verbosity)?
    {
        output::note(verbosity.quiet, &format!("{}: not the file that their trace was made of", path.display()));
    }
    Ok(Arc::new(Model::load(gguf).map_err(|error| Failure::at(path, error))?))
}

fn how(args: &CompareArgs, verbosity: Verbosity) -> Result<How, Failure> {
    let kv = engine::kv(args.numerics, args.kv)?;
    let threads = engine::threads(args.threads);
    let cpus = engine::cpus(args.place.pin, threads, verbosity.quiet)?.unwrap_or_default();
    Ok(How { numerics: engine::numerics(args.numerics), kv, isa: Isa::native(), threads, cpus, context: 0 })
}

/// Our own trace of their tokens.
fn ours(model: &Arc<Model>, how: &How, theirs: &Trace, args: &CompareArgs, path: &Path) -> Result<Trace, Failure> {
    let tokens = &theirs.meta.tokens;
    if tokens.is_empty() {
        let place = args.traces.last().map(|p| p.display().to_string()).unwrap_or_default();
        return Err(Failure::Input(format!(
            "{place}: does not say which tokens it was made of: give them with --tokens"
        )));
    }
    let decode = theirs.meta.generated.len();
    let prompt = &tokens[..tokens.len() - decode.saturating_sub(1).min(tokens.len() - 1)];
    let all_logits = decode == 0 && theirs.entries.iter().any(|e| e.name == "result_output" && e.rows() > 1);
    let script = Script { prompt, decode, all_logits };
    record::record(model, how, &script, Filter::default()).map_err(|error| failure(path, error))
}
