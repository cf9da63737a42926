//! Small models, forged traces, and whether a diagnosis is the right one.

#![allow(dead_code)] // each test uses its own part

use samebit_diagnose::attention::Exactness;
use samebit_diagnose::forge::{Shown, forge};
use samebit_diagnose::suspect::Precision;
use samebit_diagnose::{Diagnosis, Evidence, Fault, Reading, Setting, diagnose, faults};
use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics};
use samebit_model::Model;
use samebit_synth::{Plan, Request};

/// A model, tokens, and its known bugs.
pub(crate) struct Subject {
    pub(crate) model: Model,
    pub(crate) tokens: Vec<u32>,
    pub(crate) prompt: usize,
    pub(crate) faults: Vec<Fault>,
    pub(crate) readings: Vec<Reading>,
    pub(crate) setting: Setting,
}

/// Bugs that change the tiny models' tensors by no more than precision does: small logits are hardly capped, large embeddings hide ε,
/// and both forms of GELU are nearly one. For these, nothing is the right answer too.
const FAINT: [&str; 4] = ["logit-cap", "norm-epsilon", "norm-epsilon-outside", "gate-gelu-erf"];

/// The precisions that traces are forged in.
pub(crate) fn precisions() -> [Precision; 3] {
    [
        Precision { numerics: Numerics::F32, exactness: Exactness::Full },
        Precision { numerics: Numerics::A8, exactness: Exactness::HalfProducts },
        Precision { numerics: Numerics::A8, exactness: Exactness::HalfSums },
    ]
}

impl Subject {
    pub(crate) fn new(shape: &str, quant: &str) -> Self {
        let request = Request { shape, quant, pure: false, seed: 5, layers: None, vocab_from: None };
        let bytes = Plan::new(&request).expect("a known shape and type").bytes().expect("made");
        let model = Model::load(Gguf::from_bytes(bytes).expect("a GGUF file")).expect("a model");
        // Long enough for the tiny models' windows of 24, where they have one.
        let windowed = model.config().windows.iter().any(Option::is_some);
        let (prompt, all) = if windowed { (26, 30) } else { (9, 13) };
        let tokens: Vec<u32> = (0..all).map(|i| (i * i * 37 + i * 11 + 3) % 509).collect();
        let reading = |id, prompt: Vec<u32>| Reading { id, finding: id.into(), prompt };
        let twice = [&tokens[..1], &tokens[..prompt]].concat();
        let readings = vec![reading("bos-missing", tokens[1..prompt].to_vec()), reading("bos-twice", twice)];
        let evidence = Evidence::new(tokens.clone(), prompt);
        let faults = faults::all(&model, &evidence, &readings);
        let setting = Setting { isa: Isa::native(), threads: 1 };
        Self { model, tokens, prompt, faults, readings, setting }
    }

    pub(crate) fn forge_in(&self, bugs: &[usize], shown: Shown, precision: Precision) -> Option<Evidence> {
        let bugs: Vec<&Fault> = bugs.iter().map(|&index| &self.faults[index]).collect();
        // A bug that overflows gives no trace.
        forge(&self.model, (&self.tokens, self.prompt), &bugs, precision, shown, self.setting).ok().flatten()
    }

    pub(crate) fn forge(&self, bugs: &[usize], shown: Shown) -> Option<Evidence> {
        self.forge_in(bugs, shown, precisions()[1])
    }

    pub(crate) fn diagnose(&self, evidence: &Evidence) -> Diagnosis {
        diagnose(&self.model, evidence, &self.readings, self.setting, &mut |_, _| {}).expect("evidence of this model")
    }

    /// Whether the first finding is the bug, or one that it cannot be told from; and a line about it.
    pub(crate) fn told(&self, diagnosis: &Diagnosis, bug: usize) -> (bool, String) {
        let fault = &self.faults[bug];
        let guess = fault.number.as_ref().map_or(String::new(), |number| format!(" {}", number.guess));
        let first = diagnosis.findings.first();
        let names = |ids: &Vec<String>| ids.contains(&fault.id);
        let found = first.is_some_and(|finding| names(&finding.ids) && finding.ids.len() == 1);
        let tied = first.is_some_and(|finding| finding.cannot_be_told_from.iter().any(names));
        let nothing = first.is_none() && diagnosis.departure.is_none();
        let said = first.map_or(if nothing { "NOTHING".into() } else { "?".into() }, |f| {
            format!("{:?} {:?} {:.1e}->{:.1e} at {}", f.ids, f.number, f.before, f.after, f.tensor)
        });
        println!(
            "{}{guess}: {}{said}",
            fault.id,
            if found {
                ""
            } else if tied {
                "(tie) "
            } else {
                "MISSED "
            }
        );
        (found || tied || (nothing && FAINT.contains(&&*fault.id)), format!("{}{guess}: {said}", fault.id))
    }
}
