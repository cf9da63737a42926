//! Small models and their traces.

use std::sync::Arc;

use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics};
use samebit_model::{KvType, Model};
use samebit_synth::{Plan, Request};
use samebit_trace::{Filter, How, Script, Trace, record};

/// A synthetic model of a shape and type, loaded.
pub(crate) fn model(shape: &str, quant: &str) -> Arc<Model> {
    let request = Request { shape, quant, pure: false, seed: 11, layers: None, vocab_from: None };
    let bytes = Plan::new(&request).expect("a known shape and type").bytes().expect("made");
    Arc::new(Model::load(Gguf::from_bytes(bytes).expect("a GGUF file")).expect("a model"))
}

/// In a mode, with the cache that goes with it.
pub(crate) fn how(numerics: Numerics) -> How {
    let kv = if numerics == Numerics::F32 { KvType::F32 } else { KvType::F16 };
    How { numerics, kv, isa: Isa::Reference, ..How::default() }
}

/// A trace of a prompt.
pub(crate) fn trace(model: &Arc<Model>, numerics: Numerics, prompt: &[u32], decode: usize, filter: Filter) -> Trace {
    let script = Script { prompt, decode, all_logits: false };
    record::record(model, &how(numerics), &script, filter).expect("a trace")
}
