//! Vectors of whole models: small synthetic ones of every architecture, over the formats; their bytes, and what they say.

use std::ops::ControlFlow;

use samebit_engine::sampler::SamplerConfig;
use samebit_engine::{Engine, EngineOptions, Request};
use samebit_gguf::Gguf;
use samebit_kernels::Isa;
use samebit_model::KvType;
use samebit_synth::{Plan, Request as Synthetic};

use crate::digest::Digest;
use crate::list::Vector;

/// Shapes and types: each architecture, rows that 256 divides and rows that it does not, every format.
const MODELS: [(&str, &str); 15] = [
    ("tiny-llama", "Q4_1"),
    ("tiny-llama", "F16"),
    ("tiny-llama-256", "Q4_K_M"),
    ("tiny-llama-rope-288", "Q8_0"),
    ("tiny-mixtral-256", "Q5_K_M"),
    ("tiny-qwen2-288", "Q5_0"),
    ("tiny-qwen2-256", "IQ4_XS"),
    ("tiny-qwen3-256", "Q6_K"),
    ("tiny-qwen3moe", "Q4_0"),
    ("tiny-gemma2-256", "Q3_K"),
    ("tiny-gemma3", "Q5_1"),
    ("tiny-gemma3-256", "Q2_K"),
    ("tiny-phi3", "IQ4_NL"),
    ("tiny-phi3-288", "BF16"),
    ("tiny-gpt-oss-288", "MXFP4"),
];

/// Of those, the ones that are also run with a cache of bytes.
const OVER_BYTES: [(&str, &str); 3] =
    [("tiny-llama", "Q4_1"), ("tiny-gemma3-256", "Q2_K"), ("tiny-gpt-oss-288", "MXFP4")];

/// A model could not be made or run.
#[derive(Debug, thiserror::Error)]
#[error("{model}: {problem}")]
pub struct ModelError {
    model: String,
    problem: String,
}

pub(crate) fn vectors(isa: Isa) -> Result<Vec<Vector>, ModelError> {
    let all = MODELS.iter().map(|&(shape, quant)| (shape, quant, KvType::F16));
    let bytes = OVER_BYTES.iter().map(|&(shape, quant)| (shape, quant, KvType::Q8_0));
    all.chain(bytes).map(|(shape, quant, kv)| vector(shape, quant, kv, isa)).collect()
}

/// The model's bytes, then tokens and the logits' digest of a greedy and of a sampled continuation.
fn vector(shape: &str, quant: &str, kv: KvType, isa: Isa) -> Result<Vector, ModelError> {
    let name = match kv {
        KvType::F16 => format!("model/{shape}/{quant}"),
        _ => format!("model/{shape}/{quant}/{}", kv.name()),
    };
    let failed = |problem: String| ModelError { model: name.clone(), problem };
    let request = Synthetic { shape, quant, pure: false, seed: 1, layers: None, vocab_from: None };
    let bytes = Plan::new(&request).and_then(|plan| plan.bytes()).map_err(|e| failed(e.to_string()))?;
    let mut digest = Digest::new(name.clone()).raw(&bytes);
    let gguf = Gguf::from_bytes(bytes).map_err(|e| failed(e.to_string()))?;
    let options = EngineOptions { isa, kv, ..EngineOptions::default() };
    let engine = Engine::load(gguf, &options).map_err(|e| failed(e.to_string()))?;
    let prompt: Vec<u32> = (0..48).map(|i| (i * 97 + 13) % 500).collect();
    let sampled = SamplerConfig { seed: 7, temperature: 1.2, ..SamplerConfig::default() };
    for sampler in [SamplerConfig::greedy(), sampled] {
        let request = Request { max_tokens: 8, sampler, stop_tokens: Vec::new(), ignore_eos: true };
        let generation = engine.generate(&prompt, &request, &mut |_| ControlFlow::Continue(()));
        let generation = generation.map_err(|e| failed(e.to_string()))?;
        digest = digest.words(&generation.tokens).raw(generation.logits_digest.as_bytes());
    }
    Ok(digest.finish())
}
