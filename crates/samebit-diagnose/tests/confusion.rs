//! For each known bug a trace that has it; the bug must be found, first of all, and nothing where there is none.

mod support;

use samebit_diagnose::forge::Shown;
use support::Subject;

/// Every bug of a model, each with its own trace; prints the table of what was found.
fn all_found(shape: &str, quant: &str, shown: Shown) {
    let subject = Subject::new(shape, quant);
    let mut missed = Vec::new();
    for index in 0..subject.faults.len() {
        let Some(evidence) = subject.forge(&[index], shown) else { continue };
        let diagnosis = subject.diagnose(&evidence);
        let (told, line) = subject.told(&diagnosis, index);
        if !told {
            missed.push(line);
        }
    }
    assert!(missed.is_empty(), "{shape} {quant} {shown:?}: {} missed:\n{}", missed.len(), missed.join("\n"));
}

fn nothing_found(shape: &str, quant: &str) {
    let subject = Subject::new(shape, quant);
    for shown in [Shown::All, Shown::Layers, Shown::Logits] {
        for precision in support::precisions() {
            let evidence = subject.forge_in(&[], shown, precision).expect("no bug can be made anywhere");
            let diagnosis = subject.diagnose(&evidence);
            let verdict = diagnosis.verdict;
            assert_eq!(
                verdict,
                samebit_diagnose::Verdict::NoBug,
                "{shape} {quant} {shown:?} {precision:?}: {}",
                diagnosis.text()
            );
        }
    }
}

#[test]
fn no_bug_is_no_bug() {
    for (shape, quant) in [("tiny-llama-256", "Q4_K_M"), ("tiny-gemma3", "F32"), ("tiny-qwen2-256", "Q6_K")] {
        nothing_found(shape, quant);
    }
}

#[test]
fn llama_all() {
    all_found("tiny-llama-256", "Q4_K_M", Shown::All);
}

#[test]
fn llama_logits() {
    all_found("tiny-llama-256", "Q4_K_M", Shown::Logits);
}

#[test]
fn gemma_all() {
    all_found("tiny-gemma3", "F16", Shown::All);
}

#[test]
fn gemma2_all() {
    all_found("tiny-gemma2-256", "Q5_K_M", Shown::All);
}

#[test]
fn qwen_all() {
    all_found("tiny-qwen2-256", "Q8_0", Shown::All);
}

#[test]
fn phi_all() {
    all_found("tiny-phi3-256", "Q5_0", Shown::All);
}

#[test]
fn gpt_oss_all() {
    all_found("tiny-gpt-oss-256", "Q4_0", Shown::All);
}
