//! From flags to a loaded engine.

use crate::args::{ComputeArgs, KvArg, ModelArgs, NumericsArg};
use crate::failure::Failure;
use crate::output;
use crate::progress::{Progress, Unit};
use samebit_engine::{Engine, EngineOptions};
use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics, PinError, pool};
use samebit_model::KvType;
use samebit_text::Tokenizer;
use std::collections::BTreeSet;
#[cfg(not(target_family = "wasm"))]
use std::path::Path;

/// What the flags ask for; no speculation.
pub(crate) fn options(args: &ComputeArgs) -> Result<EngineOptions, Failure> {
    Ok(EngineOptions {
        numerics: numerics(args.numerics),
        kv: kv(args.numerics, args.kv)?,
        isa: isa(&args.isa)?,
        threads: threads(args.threads),
        ubatch: args.ubatch_size.min(args.batch_size),
        kv_cache: !args.no_kv_cache,
        context: args.ctx_size,
        speculation: 0,
    })
}

/// The precision mode.
pub(crate) fn numerics(asked: NumericsArg) -> Numerics {
    match asked {
        NumericsArg::V1 => Numerics::V1,
        NumericsArg::F32 => Numerics::F32,
        NumericsArg::F64 => Numerics::F64,
        NumericsArg::A8 => Numerics::A8,
    }
}

/// The type of the cache.
pub(crate) fn kv(numerics: NumericsArg, asked: Option<KvArg>) -> Result<KvType, Failure> {
    match (asked, numerics) {
        (Some(KvArg::F16 | KvArg::Q8_0), NumericsArg::F64) => {
            Err(Failure::Usage("--numerics f64 has a cache in double precision: leave --kv out".to_owned()))
        }
        (Some(kv), _) => Ok(kv.kind()),
        // What is asked about precision should not be answered by the cache's.
        (None, NumericsArg::F32 | NumericsArg::F64) => Ok(KvType::F32),
        (None, NumericsArg::V1 | NumericsArg::A8) => Ok(KvType::F16),
    }
}

/// The instruction set of a name.
pub(crate) fn isa(name: &str) -> Result<Isa, Failure> {
    Isa::parse(name).map_err(|error| Failure::Usage(format!("--isa: {error}")))
}

/// Loads the model; its matrices stay in the file until [`prepare`] or the second pass.
/// The tokenizer, made from the same file, must have a text for every token that the model can choose.
pub(crate) fn load(
    gguf: Gguf,
    tokenizer: &Tokenizer,
    model: &ModelArgs,
    options: &EngineOptions,
    quiet: bool,
) -> Result<Engine, Failure> {
    let engine = Engine::load(gguf, options).map_err(|error| Failure::at(&model.path, error))?;
    let trained = engine.model().config().context;
    if options.context > trained {
        let asked = options.context;
        output::note(quiet, &format!("-c {asked} is beyond the {trained} positions that the model was made for"));
    }
    let (rows, texts) = (engine.vocab_size(), tokenizer.vocab_size());
    if rows != texts {
        let what =
            format!("the vocabulary has {texts} tokens but `token_embd.weight` has {rows} rows: the file is damaged");
        return Err(Failure::at(&model.path, what));
    }
    Ok(engine)
}

/// Puts the weights into the form that many passes want.
pub(crate) fn prepare(engine: &Engine, quiet: bool) {
    let mut progress = Progress::new("loading", Unit::Bytes, quiet);
    engine.prepare(&mut |done, total| progress.at(done as u64, total as u64));
}

/// The CPUs to bind threads to, if that is asked for and can be had here: those that this process may use, one of each core
/// before the second of any, and enough for so many threads. To be found out before any thread is bound.
pub(crate) fn cpus(asked: bool, threads: usize, quiet: bool) -> Result<Option<Vec<usize>>, Failure> {
    if !asked {
        return Ok(None);
    }
    match pool::usable_cpus() {
        Ok(cpus) if cpus.len() < threads => {
            let there = cpus.len();
            Err(Failure::Usage(format!(
                "--pin: {threads} threads want a core each, and this process may use {there}: give at most -t {there}"
            )))
        }
        Ok(cpus) => Ok(Some(by_core(cpus, siblings))),
        Err(error @ PinError::Unsupported) => {
            output::note(quiet, &format!("--pin does nothing here: {error}"));
            Ok(None)
        }
        Err(error) => Err(Failure::Input(format!("--pin: {error}"))),
    }
}

/// Binds the engine's threads, the calling one too.
pub(crate) fn pin(engine: &Engine, cpus: Option<&Vec<usize>>) -> Result<(), Failure> {
    let pinned = cpus.map_or(Ok(()), |cpus| engine.pin(cpus));
    pinned.map_err(|error| Failure::Input(format!("--pin: {error}")))
}

/// CPUs in another order: the first of each core, then the others.
fn by_core(cpus: Vec<usize>, core: impl Fn(usize) -> String) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let (mut first, others): (Vec<_>, Vec<_>) = cpus.into_iter().partition(|&cpu| seen.insert(core(cpu)));
    first.extend(others);
    first
}

/// What names the core of a CPU: the list of its CPUs, or its own number where the system does not tell.
fn siblings(cpu: usize) -> String {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    std::fs::read_to_string(path).unwrap_or_else(|_| cpu.to_string())
}

/// One thread per core where the flags do not say.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}

/// Tokens that a draft model guesses ahead unless the flags say.
#[cfg(not(target_family = "wasm"))]
const GUESSED: usize = 8;

/// How far to guess ahead: a model that guesses is there to guess.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn guessed(asked: usize, draft: Option<&Path>) -> usize {
    if draft.is_some() && asked == 0 { GUESSED } else { asked }
}

/// The model that guesses. It runs as the other does, and shares nothing with it but the vocabulary.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn draft(
    path: &Path,
    vocabulary: &Tokenizer,
    options: &EngineOptions,
    quiet: bool,
) -> Result<Engine, Failure> {
    let from = ModelArgs { path: path.to_owned() };
    let gguf = crate::model::open(&from)?;
    let tokenizer = crate::model::tokenizer(&from, &gguf)?;
    if let Some(id) = tokenizer.first_difference(vocabulary) {
        let text = |tokenizer: &Tokenizer| {
            let piece = tokenizer.piece(id).unwrap_or_default();
            format!("{:?}", String::from_utf8_lossy(&piece))
        };
        let (here, there) = (text(&tokenizer), text(vocabulary));
        let why = format!(
            "token {id} is {here} here and {there} in the model: to guess, it must have the model's vocabulary"
        );
        return Err(Failure::at(path, why));
    }
    let engine = load(gguf, &tokenizer, &from, options, quiet)?;
    prepare(&engine, quiet);
    Ok(engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_go_before_their_second_cpus() {
        let pairs = |cpu: usize| (cpu % 3).to_string();
        assert_eq!(by_core(vec![0, 1, 3, 4, 5], pairs), [0, 1, 5, 3, 4]);
        assert_eq!(by_core(vec![2, 7], |cpu| cpu.to_string()), [2, 7]);
    }
}
