//! The promise: an answer does not depend on who else is served.

use crate::support::{go_on, model, narrow, server, start};
use samebit_engine::{Limits, Request};
use samebit_server::Options;
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// The answer and its digest.
fn told(body: &Value) -> (Value, Value, Value) {
    (
        body["choices"][0]["text"].clone(),
        body["samebit"]["logits_digest"].clone(),
        body["samebit"]["choices"][0]["tokens"].clone(),
    )
}

fn needle() -> Value {
    go_on("The needle in the", json!({"seed": 77, "temperature": 1.1, "max_tokens": 24, "samebit": true}))
}

#[test]
fn the_needle_is_what_the_engine_says_alone() {
    let model = model();
    let options = samebit_text::EncodeOptions { add_special: true, parse_special: true };
    let prompt = model.tokenizer.encode("The needle in the", options);
    let banned = model.tokenizer.eog_ids().into_iter().map(|id| (id, f32::NEG_INFINITY)).collect();
    let sampler =
        samebit_engine::sampler::SamplerConfig { seed: 77, temperature: 1.1, logit_bias: banned, ..Default::default() };
    let request = Request { max_tokens: 24, sampler, stop_tokens: Vec::new(), ignore_eos: true };
    let alone = model.engine.generate(&prompt, &request, &mut |_| ControlFlow::Continue(())).expect("an answer");
    let server = start(model, Options::default());
    let body = server.post("/v1/completions", &needle()).ok();
    let (_, digest, tokens) = told(&body);
    assert_eq!((digest, tokens), (json!(alone.logits_digest), json!(alone.tokens)));
}

#[test]
fn the_needle_is_the_same_under_load() {
    let wide = Options { limits: Limits { sequences: 8, rows: 37, ..Limits::default() }, ..Options::default() };
    let alone = told(&server().post("/v1/completions", &needle()).ok());
    for options in [wide, narrow(3, 1000)] {
        let server = start(model(), options);
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (server, alone) = (&server, &alone);
                scope.spawn(move || {
                    for turn in 0..8u64 {
                        let number = thread * 8 + turn;
                        let text = "other words ".repeat(1 + (number * 7 % 23) as usize);
                        let fields = json!({"n": 1 + number % 3, "seed": number, "max_tokens": 1 + number % 17, "stream": number % 2 == 0});
                        assert_eq!(server.post("/v1/completions", &go_on(&text, fields)).status, 200);
                        assert_eq!(told(&server.post("/v1/completions", &needle()).ok()), *alone);
                    }
                });
            }
        });
        server.settle();
    }
}
