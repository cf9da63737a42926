//! Sessions: tokens chosen by the caller, in any portions, give the rows that a prompt gives.

use std::ops::ControlFlow;

use samebit_engine::{Engine, EngineError, EngineOptions};
use samebit_gguf::Gguf;
use samebit_synth::{Plan, Request};

fn engine(options: &EngineOptions) -> Engine {
    let request = Request { shape: "tiny-gemma3", quant: "Q8_0", pure: false, seed: 3, layers: None, vocab_from: None };
    let bytes = Plan::new(&request).expect("a known shape and type").bytes().expect("made");
    Engine::load(Gguf::from_bytes(bytes).expect("a GGUF file"), options).expect("a model")
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|logit| logit.to_bits()).collect()
}

#[test]
fn portions_and_steps_back_change_no_bit() {
    let tokens: Vec<u32> = (0..60u32).map(|i| (i * 37 + 11) % 500).collect();
    let engine = engine(&EngineOptions { ubatch: 16, ..EngineOptions::default() });
    let row = |position| {
        let row = engine.logits(&tokens, position, &mut |_| ControlFlow::Continue(()));
        bits(&row.expect("finite"))
    };
    let mut session = engine.session();
    assert!(session.is_empty());
    assert_eq!(bits(&session.prefill(&tokens[..50]).expect("finite")), row(49));
    assert_eq!(bits(&session.decode(tokens[50]).expect("finite")), row(50));
    // Elsewhere and back: what was there is forgotten.
    session.prefill(&tokens[..9]).expect("finite");
    session.truncate(40);
    assert_eq!(session.len(), 40);
    assert_eq!(bits(&session.prefill(&tokens[40..]).expect("finite")), row(59));
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_no_trace() {
    let engine = engine(&EngineOptions { context: 8, ubatch: 2, ..EngineOptions::default() });
    let mut session = engine.session();
    assert!(matches!(session.prefill(&[]), Err(EngineError::EmptyPrompt)));
    let row = session.prefill(&[5, 6, 7]).expect("fits");
    assert!(matches!(session.prefill(&[1; 6]), Err(EngineError::PromptTooLong { tokens: 9, context: 8 })));
    // The first pass of two goes well, the second meets a token that is none.
    assert!(matches!(session.prefill(&[1, 2, u32::MAX]), Err(EngineError::Forward(_))));
    assert_eq!(session.len(), 3);
    session.truncate(2);
    assert_eq!(bits(&session.decode(7).expect("fits")), bits(&row));
}
