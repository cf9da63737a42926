//! Bugs in which tokens the model sees, and in their embeddings.

use samebit_model::Model;
use samebit_numerics::half::{bf16_to_f32, f32_to_bf16};

use super::{Fault, Number, Reading, Topic};
use crate::evidence::Evidence;

const TEXT: &str = "the model's tokenizer.ggml.add_bos_token and chat template (samebit tokenize)";

/// Other prompts than the one that the engine says it ran.
pub(super) fn tokens(evidence: &Evidence, readings: &[Reading]) -> Vec<Fault> {
    let generated: Vec<u32> = evidence.tokens[evidence.prompt..].to_vec();
    let mut faults: Vec<Fault> = readings
        .iter()
        .map(|reading| {
            let (prompt, generated) = (reading.prompt.clone(), generated.clone());
            Fault::new(Topic::Tokens, reading.id, &*reading.finding, TEXT, move |suspect, _| {
                let tokens: Vec<u32> = prompt.iter().chain(&generated).copied().collect();
                let other = tokens != suspect.tokens;
                suspect.tokens = tokens;
                other && !suspect.tokens.is_empty()
            })
        })
        .collect();
    let shifted = "each position is given the token before its own: the current token is missing from the input";
    faults.push(Fault::new(Topic::Tokens, "token-previous", shifted, "NUMERICS.md 16, step 1", |suspect, _| {
        let (right, last) = (suspect.tokens.clone(), suspect.tokens.len() - 1);
        suspect.tokens.copy_within(..last, 1);
        suspect.tokens != right
    }));
    for (id, finding, by) in [
        ("embedding-next-row", "embeddings are read one row off: each token has that of the next id", 1),
        ("embedding-previous-row", "embeddings are read one row off: each token has that of the id before", -1),
    ] {
        faults.push(Fault::new(Topic::Tokens, id, finding, "NUMERICS.md 16, step 1", move |suspect, model| {
            let rows = model.vocabulary() as i64;
            suspect.tokens.iter_mut().for_each(|t| *t = (i64::from(*t) + by).rem_euclid(rows) as u32);
            true
        }));
    }
    let stale = "generated tokens are not fed back: each step is given the token before its own";
    faults.push(Fault::new(Topic::Tokens, "token-previous-decode", stale, "NUMERICS.md 16, step 1", |suspect, _| {
        let (prompt, last) = (suspect.prompt, suspect.tokens.len() - 1);
        if prompt == 0 || prompt > last {
            return false;
        }
        let right = suspect.tokens.clone();
        suspect.tokens.copy_within(prompt - 1..last, prompt);
        suspect.tokens != right
    }));
    faults
}

pub(super) fn faults(model: &Model) -> Vec<Fault> {
    let scaled = model.config().architecture.scaled_embedding;
    let reference = "NUMERICS.md 9.1 and 16, step 1";
    let mut faults = Vec::new();
    let scale = |id, finding, power: i32| {
        Fault::new(Topic::Embedding, id, finding, reference, move |suspect, model| {
            let root = (model.config().width as f32).sqrt();
            let factor = if power > 0 { root } else { 1.0 / root };
            let at = if scaled { "inp_scaled" } else { "embd" };
            suspect.change(at, move |_, values| values.iter_mut().for_each(|v| *v *= factor));
            true
        })
    };
    if scaled {
        faults.push(Fault::new(
            Topic::Embedding,
            "embedding-scale-missing",
            "embeddings are not multiplied by √width",
            reference,
            |suspect, _| {
                suspect.change("inp_scaled", |moment, values| values.copy_from_slice(moment.earlier("embd")));
                true
            },
        ));
        faults.push(scale("embedding-scale-twice", "embeddings are multiplied by √width twice", 1));
        // √width in bfloat16, as engines have it that keep everything so.
        let root = (model.config().width as f32).sqrt();
        faults.push(scaled_by(model, f64::from(bf16_to_f32(f32_to_bf16(root)))));
    } else {
        faults.push(scale(
            "embedding-scaled",
            "embeddings are multiplied by √width, which this architecture does not do",
            1,
        ));
    }
    if !scaled {
        faults.push(scaled_by(model, 2.0));
    }
    faults.push(Fault::new(
        Topic::Embedding,
        "embedding-normed",
        "embeddings are brought to a root mean square of one",
        reference,
        move |suspect, _| {
            let at = if scaled { "inp_scaled" } else { "embd" };
            suspect.change(at, |moment, values| {
                for row in values.chunks_exact_mut(moment.cols) {
                    let square = row.iter().map(|v| v * v).sum::<f32>() / moment.cols as f32;
                    row.iter_mut().for_each(|v| *v /= square.sqrt());
                }
            });
            true
        },
    ));
    faults
}

/// Embeddings multiplied by a wrong number.
fn scaled_by(model: &Model, guess: f64) -> Fault {
    let scaled = model.config().architecture.scaled_embedding;
    let right = if scaled { f64::from((model.config().width as f32).sqrt()) } else { 1.0 };
    let finding = format!("embeddings are multiplied by {guess:.5}, which should be {right:.5}");
    Fault::new(Topic::Embedding, "embedding-scale", finding, "NUMERICS.md 9.1 and 16, step 1", move |suspect, _| {
        let factor = (guess / right) as f32;
        suspect.change(if scaled { "inp_scaled" } else { "embd" }, move |_, values| {
            values.iter_mut().for_each(|v| *v *= factor);
        });
        factor != 1.0
    })
    .number(Number { series: "embedding-scale", right, guess, refine: Some(scaled_by) })
}
