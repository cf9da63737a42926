//! Traces that have a known bug, for tests and for the table that shows what is told from what.
//!
//! A forged trace is not a mirror: it is made in another precision, freely, and rounded to binary16, or to bfloat16 where it holds
//! values that binary16 has no room for.

use samebit_model::{ForwardError, Model};
use samebit_numerics::half::{bf16_to_f32, f32_to_bf16};

use crate::attention::to_half;
use crate::baseline::{Setting, whole};
use crate::evidence::{Evidence, Seen};
use crate::faults::Fault;
use crate::suspect::{How, Precision, Suspect, run};

/// What a forged trace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Every tensor.
    All,
    /// The layers' outputs and the logits.
    Layers,
    /// The logits of the last prompt token and of the generated ones.
    Logits,
    /// Generated tokens only: the highest logit each time.
    Tokens,
}

impl Shown {
    fn has(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Layers => matches!(name, "l_out" | "result_output"),
            Self::Logits => name == "result_output",
            Self::Tokens => false,
        }
    }
}

/// The trace that an engine with some bugs would give for some tokens, of which the first `prompt` are the prompt. Nothing if a bug
/// cannot be made here.
///
/// # Errors
/// The bugs make a value that is not finite.
pub fn forge(
    model: &Model,
    (tokens, prompt): (&[u32], usize),
    bugs: &[&Fault],
    precision: Precision,
    shown: Shown,
    setting: Setting,
) -> Result<Option<Evidence>, ForwardError> {
    let claimed = Evidence::new(tokens.to_vec(), prompt);
    let mut suspect = Suspect::innocent(model, &claimed, setting.isa, precision);
    for bug in bugs {
        if !(bug.make)(&mut suspect, model) {
            return Ok(None);
        }
    }
    let ran = suspect.tokens.clone();
    let how = How { keep: true, forced: false, ..whole(model, setting) };
    let outcome = run(model, suspect, &claimed, how)?;
    let mut evidence = Evidence::new(tokens.to_vec(), prompt);
    let shift = tokens.len() as isize - ran.len() as isize;
    let large = outcome.kept.iter().any(|(.., values)| values.iter().any(|&v| !to_half(v).is_finite()));
    let store = |v: f32| if large { bf16_to_f32(f32_to_bf16(v)) } else { to_half(v) };
    for (name, layer, cols, values) in outcome.kept.iter().filter(|(name, ..)| shown.has(name)) {
        let rows = values.chunks_exact(*cols).enumerate().filter_map(|(row, values)| {
            let position = row.checked_add_signed(shift)?;
            let seen = shown != Shown::Logits || position + 1 >= prompt;
            seen.then_some((position, values))
        });
        let (positions, values): (Vec<usize>, Vec<&[f32]>) = rows.unzip();
        let values: Vec<f32> = values.concat().into_iter().map(store).collect();
        let seen =
            Seen { name: name.clone(), layer: *layer, cols: *cols, positions, values, known: None, resolution: 0.0 };
        // Its shapes are our own.
        let _ = evidence.add(seen);
    }
    Ok(Some(evidence))
}

/// The tokens that an engine with some bugs generates, prompt included: the highest logit each time.
///
/// # Errors
/// See [`forge`].
pub fn generate(
    model: &Model,
    prompt: &[u32],
    count: usize,
    bugs: &[&Fault],
    precision: Precision,
    setting: Setting,
) -> Result<Option<Evidence>, ForwardError> {
    let mut tokens = prompt.to_vec();
    for _ in 0..count {
        let run = (&tokens[..], prompt.len());
        let mut made = forge(model, run, bugs, precision, Shown::Logits, setting)?;
        if made.is_none() && tokens.len() == prompt.len() {
            // Some bugs begin with the first generated token.
            made = forge(model, run, &[], precision, Shown::Logits, setting)?;
        }
        let Some(evidence) = made else { return Ok(None) };
        let Some(logits) = evidence.tensors().last() else { return Ok(None) };
        let row = logits.values.chunks_exact(logits.cols).next_back().unwrap_or_default();
        let highest = (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        tokens.push(highest as u32);
    }
    let mut evidence = Evidence::new(tokens, prompt.len());
    evidence.greedy = true;
    Ok(Some(evidence))
}
