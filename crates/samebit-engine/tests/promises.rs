//! The promises as a user meets them: the digest of the logits over everything that must not matter, greedy and sampled.

use std::ops::ControlFlow;

use samebit_engine::sampler::SamplerConfig;
use samebit_engine::{Engine, EngineError, EngineOptions, Generation, Request};
use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics, float_env};
use samebit_model::{ForwardError, KvType};
use samebit_synth::{Plan, Request as Synthetic};

fn model(shape: &str, quant: &str) -> Vec<u8> {
    let request = Synthetic { shape, quant, pure: false, seed: 3, layers: None, vocab_from: None };
    Plan::new(&request).expect("a known shape and type").bytes().expect("made")
}

fn load(bytes: &[u8], options: &EngineOptions) -> Engine {
    Engine::load(Gguf::from_bytes(bytes.to_vec()).expect("a GGUF file"), options).expect("a model")
}

fn engine(shape: &str, quant: &str, options: &EngineOptions) -> Engine {
    load(&model(shape, quant), options)
}

fn reference() -> EngineOptions {
    EngineOptions { isa: Isa::Reference, ..EngineOptions::default() }
}

fn prompt() -> Vec<u32> {
    (0..70u32).map(|i| (i * 37 + 11) % 500).collect()
}

fn request(sampler: SamplerConfig, max_tokens: usize) -> Request {
    Request { max_tokens, sampler, stop_tokens: Vec::new(), ignore_eos: true }
}

fn sampled() -> SamplerConfig {
    SamplerConfig { seed: 42, temperature: 1.5, top_k: 0, top_p: 0.99, ..SamplerConfig::default() }
}

fn generate(engine: &Engine, sampler: SamplerConfig) -> Generation {
    let request = request(sampler, 12);
    engine.generate(&prompt(), &request, &mut |_| ControlFlow::Continue(())).expect("finite")
}

#[test]
fn the_digest_does_not_depend_on_how_it_was_computed() {
    for (shape, quant) in [("tiny-llama-256", "Q4_K_M"), ("tiny-gemma3", "Q5_0"), ("tiny-gpt-oss", "MXFP4")] {
        let base = engine(shape, quant, &reference());
        for sampler in [SamplerConfig::greedy(), sampled()] {
            let wanted = generate(&base, sampler.clone());
            let ways = [
                EngineOptions { ubatch: 1, ..reference() },
                EngineOptions { ubatch: 7, ..reference() },
                EngineOptions { ubatch: 64, threads: 2, ..reference() },
                EngineOptions { threads: 3, ..reference() },
                EngineOptions { kv_cache: false, ..reference() },
                EngineOptions { kv_cache: false, ubatch: 7, threads: 2, ..reference() },
                EngineOptions { isa: Isa::native(), ubatch: usize::MAX, ..reference() },
            ];
            for options in ways {
                let got = generate(&base.with_options(&options), sampler.clone());
                assert_eq!(got, wanted, "{shape} {quant} {options:?}");
            }
        }
    }
}

#[test]
fn nor_with_a_cache_of_bytes() {
    let reference = || EngineOptions { kv: KvType::Q8_0, ..reference() };
    let base = engine("tiny-qwen3-288", "Q4_1", &reference());
    for sampler in [SamplerConfig::greedy(), sampled()] {
        let wanted = generate(&base, sampler.clone());
        for options in [
            EngineOptions { ubatch: 7, threads: 2, ..reference() },
            EngineOptions { kv_cache: false, ubatch: 64, ..reference() },
            EngineOptions { speculation: 4, isa: Isa::native(), ..reference() },
            EngineOptions { isa: Isa::native(), ubatch: usize::MAX, ..reference() },
        ] {
            let got = generate(&base.with_options(&options), sampler.clone());
            assert_eq!(
                (got.tokens, got.logits_digest),
                (wanted.tokens.clone(), wanted.logits_digest.clone()),
                "{options:?}"
            );
        }
    }
}

#[test]
fn the_digest_depends_on_what_it_should() {
    let base = engine("tiny-llama-288", "Q8_0", &reference());
    let wanted = generate(&base, SamplerConfig::greedy()).logits_digest;
    for options in [
        EngineOptions { kv: KvType::F32, ..reference() },
        EngineOptions { kv: KvType::Q8_0, ..reference() },
        EngineOptions { numerics: Numerics::F32, ..reference() },
        EngineOptions { numerics: Numerics::F64, ..reference() },
        EngineOptions { numerics: Numerics::A8, ..reference() },
    ] {
        let got = generate(&base.with_options(&options), SamplerConfig::greedy()).logits_digest;
        assert_ne!(got, wanted, "{options:?}");
    }
    let other = SamplerConfig { seed: 43, ..sampled() };
    assert_ne!(generate(&base, sampled()).tokens, generate(&base, other).tokens, "another seed");
}

#[test]
fn the_host_s_floating_point_environment_does_not_matter() {
    // Head sizes whose root is no number: their scale is rounded.
    for (shape, quant) in [("tiny-qwen3-288", "Q4_1"), ("tiny-phi3", "Q6_K")] {
        let bytes = model(shape, quant);
        let run = || generate(&load(&bytes, &EngineOptions { threads: 2, ..reference() }), sampled());
        assert_eq!(float_env::with_hostile(run), run(), "{shape}");
    }
    // The control: the same operation without the guard, as an engine without one would run it.
    let table = samebit_kernels::Table::single(Isa::Reference, Numerics::V1);
    let norm = || {
        let mut out = [0.0f32; 64];
        (table.rms_norm)(&std::array::from_fn::<f32, 64, _>(|i| i as f32 / 7.0), &[1.1; 64], 1e-5, &mut out);
        out.map(f32::to_bits)
    };
    assert_ne!(float_env::with_hostile(norm), norm(), "that environment must change what is not guarded");
}

/// A tiny model one of whose tensors holds something that is no number.
fn damaged(tensor: &str, quant: &str, damage: impl Fn(&mut [u8])) -> Result<Engine, EngineError> {
    let request = Synthetic { shape: "tiny-llama", quant, pure: true, seed: 3, layers: None, vocab_from: None };
    let mut bytes = Plan::new(&request).expect("a known shape and type").bytes().expect("made");
    let gguf = Gguf::from_bytes(bytes.clone()).expect("a GGUF file");
    let info = gguf.tensor(tensor).expect("the tensor");
    let start = info.file_offset() as usize;
    damage(&mut bytes[start..start + info.byte_len() as usize]);
    Engine::load(Gguf::from_bytes(bytes).expect("a GGUF file"), &reference())
}

#[test]
fn what_is_not_finite_is_an_error_that_names_the_tensor() {
    let infinity_f16 = |data: &mut [u8]| data[..2].copy_from_slice(&0x7c00u16.to_le_bytes());
    let nan_f32 = |data: &mut [u8]| data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let every_row =
        |data: &mut [u8]| data.chunks_mut(18).for_each(|b| b[..2].copy_from_slice(&0x7e00u16.to_le_bytes()));
    for part in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] {
        let tensor = format!("blk.1.{part}.weight");
        let engines = [
            damaged(&tensor, "Q4_0", infinity_f16),
            damaged(&tensor, "F32", nan_f32),
            damaged(&tensor, "Q4_0", every_row),
        ];
        for engine in engines.map(|engine| engine.expect("matrices are looked at when they are used")) {
            for numerics in [Numerics::V1, Numerics::F32, Numerics::A8, Numerics::F64] {
                let engine = engine.with_options(&EngineOptions { numerics, ..reference() });
                let request = request(SamplerConfig::greedy(), 4);
                let result = engine.generate(&prompt(), &request, &mut |_| ControlFlow::Continue(()));
                let Err(EngineError::Forward(ForwardError::NonFinite { place, .. })) = result else {
                    panic!("{tensor} in {numerics:?}: {result:?}");
                };
                assert_eq!(place, format!("output of {tensor}"), "{numerics:?}");
            }
        }
    }
    let norm = damaged("blk.0.attn_norm.weight", "F32", nan_f32);
    assert!(norm.is_err_and(|error| error.to_string().contains("blk.0.attn_norm.weight")));
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let engine = engine("tiny-llama", "F16", &EngineOptions { context: 80, ..reference() });
    let go = |prompt: &[u32], n| {
        engine.generate(prompt, &request(SamplerConfig::greedy(), n), &mut |_| ControlFlow::Continue(()))
    };
    assert!(matches!(go(&[], 1), Err(EngineError::EmptyPrompt)));
    assert!(matches!(go(&[1; 81], 1), Err(EngineError::PromptTooLong { tokens: 81, context: 80 })));
    assert!(matches!(go(&[u32::MAX], 1), Err(EngineError::Forward(ForwardError::Token { .. }))));
    assert_eq!(go(&prompt(), 1000).expect("fits").tokens.len(), 10, "the context bounds the answer");
    let cancelled = engine.generate(&prompt(), &request(SamplerConfig::greedy(), 5), &mut |event| match event {
        samebit_engine::Event::Token(_) => ControlFlow::Break(()),
        samebit_engine::Event::Prefill { .. } => ControlFlow::Continue(()),
    });
    assert_eq!(cancelled.expect("ended in order").tokens.len(), 1, "what was generated is kept");
}
