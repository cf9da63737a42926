//! Stories of engines whose authors searched for weeks, told again: each is an afternoon's work at most.

mod support;

use samebit_diagnose::forge::{Shown, forge, generate};
use samebit_diagnose::{Diagnosis, Evidence, Fault, Seen, Verdict};
use support::{Subject, precisions};

fn first(diagnosis: &Diagnosis) -> Vec<String> {
    diagnosis.findings.first().map(|finding| finding.ids.clone()).unwrap_or_default()
}

fn bug<'a>(subject: &'a Subject, id: &str) -> &'a Fault {
    subject.faults.iter().find(|fault| fault.id == id).expect("a known bug")
}

/// What an engine with a bug generates, with its logits and nothing else.
fn generated(subject: &Subject, id: &str) -> Evidence {
    let (bugs, prompt) = ([bug(subject, id)], &subject.tokens[..8]);
    let evidence = generate(&subject.model, prompt, 8, &bugs, precisions()[0], subject.setting);
    let tokens = evidence.expect("finite").expect("made").tokens;
    let run = (&tokens[..], prompt.len());
    forge(&subject.model, run, &bugs, precisions()[0], Shown::Logits, subject.setting).expect("finite").expect("made")
}

/// "drew drew drew": the same word for ever, from logits alone.
#[test]
fn repetition_by_a_cache_that_is_written_one_slot_too_early() {
    let subject = Subject::new("tiny-llama", "F32");
    let diagnosis = subject.diagnose(&generated(&subject, "cache-early-decode"));
    assert_eq!(first(&diagnosis), ["cache-early-decode"], "{}", diagnosis.text());
}

/// Garbage from the first word on, from logits alone.
#[test]
fn garbage_by_a_rope_that_turns_the_wrong_pairs() {
    let subject = Subject::new("tiny-llama", "F32");
    let diagnosis = subject.diagnose(&generated(&subject, "rope-pairing"));
    assert_eq!(first(&diagnosis), ["rope-pairing"], "{}", diagnosis.text());
}

/// The same, when all that is known is the words themselves.
#[test]
fn garbage_is_explained_from_tokens_alone() {
    let subject = Subject::new("tiny-llama", "F32");
    let (bugs, prompt) = ([bug(&subject, "residual-feed-forward")], &subject.tokens[..8]);
    let evidence = generate(&subject.model, prompt, 24, &bugs, precisions()[0], subject.setting);
    let diagnosis = subject.diagnose(&evidence.expect("finite").expect("made"));
    assert_eq!(first(&diagnosis), ["residual-feed-forward"], "{}", diagnosis.text());
    let right = generate(&subject.model, prompt, 24, &[], precisions()[1], subject.setting);
    let diagnosis = subject.diagnose(&right.expect("finite").expect("made"));
    assert_eq!(diagnosis.verdict, Verdict::NoBug, "{}", diagnosis.text());
}

/// Nearly right, and wrong in the last matrix.
#[test]
fn wrong_logits_by_six_bits_read_as_four() {
    let subject = Subject::new("tiny-llama-256", "Q6_K");
    let diagnosis = subject.diagnose(&generated(&subject, "q6-k-high-bits"));
    assert_eq!(first(&diagnosis), ["q6-k-high-bits"], "{}", diagnosis.text());
}

/// Other tokens at each run: a pool handed out a buffer with old values, and sums began in it.
#[test]
fn chance_by_a_buffer_that_was_not_cleared() {
    let subject = Subject::new("tiny-llama", "F32");
    let clean = subject.forge_in(&[], Shown::All, precisions()[0]).expect("made");
    let old = clean.tensors()[clean.find("ffn_norm", Some(0)).expect("there")].values.clone();
    let mut dirty = Evidence::new(clean.tokens.clone(), clean.prompt);
    for seen in clean.tensors() {
        let mut seen: Seen = seen.clone();
        if seen.name == "attn_out" && seen.layer == Some(1) {
            let from = seen.values.len() / 3;
            seen.values[from..].iter_mut().zip(&old[from..]).for_each(|(v, old)| *v += old);
        }
        dirty.add(seen).expect("as it was");
    }
    let diagnosis = subject.diagnose(&dirty);
    let departure = diagnosis.departure.as_ref().expect("it departs");
    assert_eq!((diagnosis.verdict, &*departure.tensor), (Verdict::Unexplained, "attn_out-1"), "{}", diagnosis.text());
    let look = departure.partly_right.as_deref().unwrap_or_default();
    assert!(look.contains("ffn_norm-0") && look.contains("not cleared"), "{look}");
}

/// Two bugs in different operations are found one after the other.
#[test]
fn two_bugs_are_both_found() {
    let subject = Subject::new("tiny-llama", "F32");
    let index = |id: &str| subject.faults.iter().position(|fault| fault.id == id).expect("known");
    let bugs = [index("rope-pairing"), index("gate-up-exchanged")];
    let diagnosis = subject.diagnose(&subject.forge_in(&bugs, Shown::All, precisions()[0]).expect("made"));
    let all: Vec<String> = diagnosis.findings.iter().flat_map(|finding| finding.ids.clone()).collect();
    assert_eq!(all, ["rope-pairing", "gate-up-exchanged"], "{}", diagnosis.text());
}

/// What is damaged, or of another model, is refused with one line.
#[test]
fn bad_traces_are_refused() {
    let subject = Subject::new("tiny-llama", "F32");
    let seen = |cols: usize, layer, values: Vec<f32>| Seen {
        name: "l_out".into(),
        layer: Some(layer),
        cols,
        positions: vec![0],
        values,
        known: None,
        resolution: 0.0,
    };
    let refused = |seen: Seen| {
        let mut evidence = Evidence::new(vec![1, 2], 2);
        let added = evidence.add(seen);
        let refused = added.and_then(|()| {
            samebit_diagnose::diagnose(&subject.model, &evidence, &[], subject.setting, &mut |_, _| {}).map(|_| ())
        });
        refused.expect_err("refused").to_string()
    };
    assert!(refused(seen(96, 0, vec![0.0; 95])).contains("cut short"));
    assert!(refused(seen(64, 0, vec![0.0; 64])).contains("rows of 64 where this model has 96"));
    assert!(refused(seen(96, 7, vec![0.0; 96])).contains("layers 0 to 1"));
    assert!(refused(seen(96, 0, vec![f32::NAN; 96])).contains("96 of 96 values are infinite or NaN"));
}

/// Two bugs in one operation: neither alone brings it right.
#[test]
fn two_bugs_of_one_operation_are_found_together() {
    let subject = Subject::new("tiny-llama-256", "F32");
    let index = |id: &str| subject.faults.iter().position(|fault| fault.id == id).expect("known");
    let bugs = [index("attention-scale-missing"), index("cache-early-decode")];
    let diagnosis = subject.diagnose(&subject.forge_in(&bugs, Shown::All, precisions()[0]).expect("made"));
    let mut all: Vec<String> = diagnosis.findings.iter().flat_map(|finding| finding.ids.clone()).collect();
    all.sort_unstable();
    assert_eq!(all, ["attention-scale-missing", "cache-early-decode"], "{}", diagnosis.text());
    assert!(diagnosis.departure.is_none(), "{}", diagnosis.text());
}

/// A leaky ReLU is nearly a ReLU, and is not told as one.
#[test]
fn what_is_only_like_a_known_bug_is_told_as_that() {
    let subject = Subject::new("tiny-llama", "F32");
    let clean = subject.forge_in(&[], Shown::All, precisions()[0]).expect("made");
    let values = |name: &str, layer| &clean.tensors()[clean.find(name, layer).expect("there")].values;
    let mut leaky = Evidence::new(clean.tokens.clone(), clean.prompt);
    for seen in clean.tensors() {
        let mut seen: Seen = seen.clone();
        if seen.name == "ffn_gated" {
            let (gate, up) = (values("ffn_gate", seen.layer), values("ffn_up", seen.layer));
            seen.values = gate.iter().zip(up).map(|(&g, &u)| if g > 0.0 { g * u } else { 0.05 * g * u }).collect();
        }
        leaky.add(seen).expect("as it was");
    }
    let diagnosis = subject.diagnose(&leaky);
    assert_eq!(diagnosis.verdict, Verdict::Unexplained, "{}", diagnosis.text());
    assert!(diagnosis.findings.first().is_none_or(|finding| finding.partial), "{}", diagnosis.text());
    assert_eq!(diagnosis.departure.as_ref().expect("it departs").tensor, "ffn_gated-0", "{}", diagnosis.text());
}

/// Wrong decoding is made inside experts too: nothing is left once it is known.
#[test]
fn experts_are_decoded_wrongly_like_the_rest() {
    let subject = Subject::new("tiny-mixtral-256", "Q4_K_M");
    let index = subject.faults.iter().position(|fault| fault.id == "q4-k-minimum").expect("known");
    let evidence = subject.forge(&[index], Shown::All).expect("made");
    assert!(evidence.find("ffn_moe_down", Some(1)).is_some());
    let diagnosis = subject.diagnose(&evidence);
    assert_eq!(first(&diagnosis), ["q4-k-minimum"], "{}", diagnosis.text());
    assert!(diagnosis.departure.is_none(), "{}", diagnosis.text());
}
