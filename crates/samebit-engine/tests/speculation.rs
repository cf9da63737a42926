//! Promise S on whole models: tokens, finish and digest do not depend on drafts, accepted or refused.

use std::ops::ControlFlow;

use proptest::prelude::*;
use samebit_engine::sampler::SamplerConfig;
use samebit_engine::{Engine, EngineOptions, Generation, Request, Speculation};
use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics};
use samebit_model::KvType;
use samebit_synth::{Plan, Request as Synthetic};

fn engine(shape: &str, quant: &str) -> Engine {
    let request = Synthetic { shape, quant, pure: false, seed: 5, layers: None, vocab_from: None };
    let bytes = Plan::new(&request).expect("a known shape and type").bytes().expect("made");
    Engine::load(Gguf::from_bytes(bytes).expect("a GGUF file"), &EngineOptions::default()).expect("a model")
}

/// A text that comes back to itself, as code and quotations do.
fn prompt() -> Vec<u32> {
    (0..90u32).map(|i| 3 + (i % 30) * (i % 30) % 61).collect()
}

fn generate(engine: &Engine, prompt: &[u32], request: &Request) -> Generation {
    engine.generate(prompt, request, &mut |_| ControlFlow::Continue(())).expect("finite")
}

fn request(sampler: SamplerConfig) -> Request {
    Request { max_tokens: 48, sampler, stop_tokens: Vec::new(), ignore_eos: true }
}

/// Draws that repeat themselves: a model of noise would not.
fn narrow() -> SamplerConfig {
    let logit_bias = (3..7).map(|token| (token, 12.0)).collect();
    SamplerConfig { seed: 7, temperature: 0.7, top_k: 5, logit_bias, ..SamplerConfig::default() }
}

fn penalised() -> SamplerConfig {
    SamplerConfig { repeat_last_n: 20, repeat_penalty: 1.1, frequency_penalty: 0.05, presence_penalty: 0.1, ..narrow() }
}

/// The same but for how it came about.
fn same(a: &Generation, b: &Generation) -> bool {
    let bare = |g: &Generation| Generation { speculation: Speculation::default(), ..g.clone() };
    bare(a) == bare(b)
}

#[test]
fn drafts_change_nothing_on_any_architecture() {
    for (shape, quant) in [
        ("tiny-llama-256", "Q4_K_M"),
        ("tiny-qwen2-288", "Q5_0"),
        ("tiny-qwen3moe", "Q4_0"),
        ("tiny-gemma2", "Q8_0"),
        ("tiny-gemma3", "Q5_1"),
        ("tiny-phi3-256", "Q6_K"),
        ("tiny-gpt-oss", "MXFP4"),
    ] {
        let plain = engine(shape, quant);
        for (name, sampler) in [
            ("greedy", SamplerConfig { temperature: 0.0, ..narrow() }),
            ("sampled", narrow()),
            ("penalised", penalised()),
        ] {
            let request = request(sampler);
            let wanted = generate(&plain, &prompt(), &request);
            assert_eq!(wanted.speculation, Speculation { passes: 47, drafted: 0, accepted: 0 });
            for most in [1, 8, usize::MAX] {
                let options = EngineOptions { speculation: most, ..EngineOptions::default() };
                let got = generate(&plain.with_options(&options), &prompt(), &request);
                assert!(same(&got, &wanted), "{shape} {quant} {name} {most}");
                assert!(got.speculation.accepted > 0, "{shape} {quant} {name} {most}: {:?}", got.speculation);
                assert_eq!(got.speculation.passes + got.speculation.accepted, 47, "{shape} {quant} {name} {most}");
            }
        }
    }
}

#[test]
fn drafts_meet_every_other_promise() {
    let base = engine("tiny-gemma3", "Q4_K_M");
    let request = request(penalised());
    let with = |options: &EngineOptions| generate(&base.with_options(options), &prompt(), &request);
    let spec = EngineOptions { speculation: 8, ..EngineOptions::default() };
    let wanted = with(&EngineOptions { isa: Isa::Reference, ..EngineOptions::default() });
    for options in [
        EngineOptions { isa: Isa::Reference, ..spec.clone() },
        EngineOptions { threads: 3, ..spec.clone() },
        EngineOptions { ubatch: 2, ..spec.clone() },
        EngineOptions { ubatch: 3, threads: 2, ..spec.clone() },
        EngineOptions { kv_cache: false, ..spec.clone() },
        EngineOptions { kv_cache: false, ubatch: 5, ..spec.clone() },
    ] {
        let got = with(&options);
        assert!(same(&got, &wanted) && got.speculation.accepted > 0, "{options:?} {:?}", got.speculation);
    }
    // Passes of one row have no room for a guess.
    let got = with(&EngineOptions { ubatch: 1, ..spec });
    assert!(same(&got, &wanted) && got.speculation.drafted == 0, "{:?}", got.speculation);
    for numerics in [Numerics::F32, Numerics::F64, Numerics::A8] {
        let options = EngineOptions { numerics, kv: KvType::F32, ..EngineOptions::default() };
        let wanted = with(&options);
        let got = with(&EngineOptions { speculation: 8, ..options });
        assert!(same(&got, &wanted) && got.speculation.accepted > 0, "{numerics:?} {:?}", got.speculation);
    }
}

#[test]
fn the_ends_are_where_they_were() {
    let plain = engine("tiny-llama", "F16");
    let spec = plain.with_options(&EngineOptions { speculation: 16, ..EngineOptions::default() });
    let long = generate(&plain, &prompt(), &request(SamplerConfig::greedy()));
    for max_tokens in 0..long.tokens.len() {
        let request = Request { max_tokens, ..request(SamplerConfig::greedy()) };
        assert!(same(&generate(&spec, &prompt(), &request), &generate(&plain, &prompt(), &request)), "{max_tokens}");
    }
    for &stop in &long.tokens {
        let request = Request { stop_tokens: vec![stop], ignore_eos: false, ..request(SamplerConfig::greedy()) };
        assert!(same(&generate(&spec, &prompt(), &request), &generate(&plain, &prompt(), &request)), "stop {stop}");
    }
    let full = EngineOptions { context: 100, speculation: 16, ..EngineOptions::default() };
    let got = generate(&plain.with_options(&full), &prompt(), &request(SamplerConfig::greedy()));
    assert_eq!(got.tokens, long.tokens[..10], "the context bounds the answer");
    for patience in 1..20 {
        let broken_off = |engine: &Engine| {
            let mut left = patience;
            let mut listener = |_| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            engine.generate(&prompt(), &request(SamplerConfig::greedy()), &mut listener).expect("ended in order")
        };
        assert!(same(&broken_off(&spec), &broken_off(&plain)), "after {patience} events");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_prompt_any_setting(
        piece in proptest::collection::vec(3u32..512, 1..12),
        times in 1usize..8,
        most in 1usize..12,
        temperature in prop_oneof![Just(0.0f32), 0.2f32..1.5],
        repeat_penalty in prop_oneof![Just(1.0f32), 0.7f32..1.4],
        seed in any::<u64>(),
        width in 1u32..40,
        ubatch in 1usize..40,
    ) {
        // Made once for all cases.
        static ENGINE: std::sync::OnceLock<Engine> = std::sync::OnceLock::new();
        let plain = ENGINE.get_or_init(|| engine("tiny-gpt-oss", "Q4_0"));
        let logit_bias = (3..3 + width).map(|token| (token, 5.0)).collect();
        let sampler = SamplerConfig { seed, temperature, repeat_penalty, logit_bias, ..SamplerConfig::default() };
        let prompt = piece.repeat(times);
        let request = Request { max_tokens: 24, ..request(sampler) };
        let spec = plain.with_options(&EngineOptions { speculation: most, ubatch, ..EngineOptions::default() });
        let (got, wanted) = (generate(&spec, &prompt, &request), generate(plain, &prompt, &request));
        prop_assert!(same(&got, &wanted), "{:?} {:?}", got, wanted);
    }
}
