//! For each known bug a trace that has it; the bug must be found, first of all, and nothing where there is none.
//!
//! Traces are made freely in one precision and rounded to binary16; what looks at them does not know in which. The same for real
//! models: `examples/confusion.rs`.

mod support;

use samebit_diagnose::forge::Shown;
use samebit_diagnose::{Topic, Verdict};
use support::Subject;

/// Every bug of a model that `wanted` names, each with its own trace; at most `most` may be told as something else.
fn found(shape: &str, quant: &str, shown: Shown, wanted: impl Fn(Topic) -> bool, most: usize) {
    let subject = Subject::new(shape, quant);
    let mut missed = Vec::new();
    let mut tried = 0;
    for index in (0..subject.faults.len()).filter(|&index| wanted(subject.faults[index].topic)) {
        let Some(evidence) = subject.forge(&[index], shown) else { continue };
        let diagnosis = subject.diagnose(&evidence);
        let (told, line) = subject.told(&diagnosis, index);
        tried += 1;
        if !told {
            missed.push(line);
        }
    }
    assert!(tried > 0);
    let count = missed.len();
    assert!(count <= most, "{shape} {quant} {shown:?}: {count} of {tried} missed:\n{}", missed.join("\n"));
}

fn nothing_found(shape: &str, quant: &str) {
    let subject = Subject::new(shape, quant);
    for shown in [Shown::All, Shown::Layers, Shown::Logits] {
        for precision in support::precisions() {
            let evidence = subject.forge_in(&[], shown, precision).expect("no bug can be made anywhere");
            let diagnosis = subject.diagnose(&evidence);
            assert_eq!(
                diagnosis.verdict,
                Verdict::NoBug,
                "{shape} {quant} {shown:?} {precision:?}: {}",
                diagnosis.text()
            );
        }
    }
}

#[test]
fn no_bug_is_no_bug() {
    for (shape, quant) in [("tiny-llama", "Q4_0"), ("tiny-gemma3", "F32"), ("tiny-qwen2", "Q8_0")] {
        nothing_found(shape, quant);
    }
}

#[test]
fn each_bug_of_llama() {
    found("tiny-llama", "Q4_0", Shown::All, |_| true, 0);
}

#[test]
fn each_bug_of_gemma() {
    found("tiny-gemma3", "F16", Shown::All, |topic| topic != Topic::Product && topic != Topic::Quant, 0);
}

#[test]
fn each_bug_of_qwen() {
    found("tiny-qwen2", "Q8_0", Shown::All, |topic| topic != Topic::Norm, 0);
}

#[test]
fn each_bug_of_decoding() {
    for quant in ["Q4_K_M", "Q3_K_M", "Q2_K"] {
        found("tiny-llama-256", quant, Shown::All, |topic| topic == Topic::Quant, 0);
    }
}
