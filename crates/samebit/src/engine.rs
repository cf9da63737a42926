//! From flags to a loaded engine.

use crate::args::{ComputeArgs, KvArg, ModelArgs, NumericsArg};
use crate::failure::Failure;
use samebit_engine::{Engine, EngineOptions};
use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics};
use samebit_model::{Config, KvType};

/// Context where neither the flags nor the prompt ask for more: enough to talk, and no gigabytes of cache.
const USUAL_CONTEXT: usize = 4096;

/// Loads the model's weights.
///
/// `wanted` is what prompt and answer may take together, where that is known.
pub(crate) fn load(gguf: Gguf, model: &ModelArgs, args: &ComputeArgs, wanted: usize) -> Result<Engine, Failure> {
    let options = EngineOptions {
        numerics: match args.numerics {
            NumericsArg::V1 => Numerics::V1,
            NumericsArg::F32 => Numerics::F32,
            NumericsArg::F64 => Numerics::F64,
            NumericsArg::A8 => Numerics::A8,
        },
        kv: match (args.kv, args.numerics) {
            (Some(KvArg::F16), _) => KvType::F16,
            (Some(KvArg::F32), _) => KvType::F32,
            // What is asked about precision should not be answered by the cache's.
            (None, NumericsArg::F32 | NumericsArg::F64) => KvType::F32,
            (None, NumericsArg::V1 | NumericsArg::A8) => KvType::F16,
        },
        isa: Isa::parse(&args.isa).map_err(|error| Failure::Usage(format!("--isa: {error}")))?,
        threads: threads(args.threads),
        ubatch: args.ubatch_size.min(args.batch_size),
        kv_cache: !args.no_kv_cache,
        context: context(&gguf, args.ctx_size, wanted),
    };
    Engine::load(gguf, &options).map_err(|error| Failure::at(&model.path, error))
}

/// One thread per core where the flags do not say.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        asked => asked,
    }
}

fn context(gguf: &Gguf, asked: usize, wanted: usize) -> usize {
    if asked > 0 {
        return asked;
    }
    // A model that has no readable configuration is refused when it is loaded.
    let trained = Config::from_metadata(gguf.metadata()).map_or(usize::MAX, |config| config.context);
    trained.min(USUAL_CONTEXT.max(wanted))
}
