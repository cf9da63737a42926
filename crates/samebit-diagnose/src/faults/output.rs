//! Bugs in the way from the last layer to the logits.

use samebit_model::Model;
use samebit_model::weights::Linear;

use super::rope::short;
use super::{Fault, Number, Topic};
use crate::product::{remake, remake_transposed, right_row, usual};

const REFERENCE: &str = "NUMERICS.md 16, step 3";

pub(super) fn faults(model: &Model) -> Vec<Fault> {
    let mut faults = vec![
        Fault::new(
            Topic::Output,
            "output-transposed",
            "the output matrix is read transposed",
            REFERENCE,
            |suspect, _| {
                suspect.change("result_output", |moment, values| {
                    remake_transposed("result_output", moment, values);
                });
                true
            },
        ),
        Fault::new(
            Topic::Output,
            "output-row-shifted",
            "the output matrix is read one row off: logits belong to the next token",
            REFERENCE,
            |suspect, _| {
                suspect.change("result_output", |moment, values| {
                    let rows = moment.model.weights().output.weight.rows();
                    remake(
                        "result_output",
                        moment,
                        values,
                        &|p, row, into| right_row(moment, p, (row + 1) % rows, into),
                        usual,
                    );
                });
                true
            },
        ),
        previous_row("logits-previous-row", "logits are taken from the row before the last", |_, _| true),
        previous_row(
            "logits-previous-row-prompt",
            "after the prompt, logits are taken from the row before the last",
            |position, prompt| position < prompt,
        ),
    ];
    faults.extend(matrix_and_cap(model));
    faults.extend([0.5, 2.0].map(|guess| scaled(model, guess)));
    faults
}

/// The final norm of the position before, where `wrong` says so of `(position, prompt)`.
fn previous_row(id: &'static str, finding: &str, wrong: fn(usize, usize) -> bool) -> Fault {
    Fault::new(Topic::Output, id, finding, REFERENCE, move |suspect, _| {
        suspect.change("result_norm", move |moment, values| {
            let (before, cols) = (moment.stream, moment.cols);
            let rows = values.chunks_exact_mut(cols).zip(moment.positions);
            for (row, &position) in rows.filter(|(_, position)| wrong(**position, moment.prompt)) {
                if let Some(stream) = position.checked_sub(1).and_then(|p| before.get(p * cols..(p + 1) * cols)) {
                    norm(stream, &moment.model.weights().output_norm, moment.config().epsilon, row);
                }
            }
        });
        suspect.tokens.len() > 1
    })
}

fn matrix_and_cap(model: &Model) -> Vec<Fault> {
    let mut faults = Vec::new();
    let tied = model.weights().output.weight.name() == model.weights().embedding.name();
    if !tied {
        let finding = "the embedding serves as output matrix, though the file has one of its own";
        faults.push(Fault::new(Topic::Output, "output-tied", finding, REFERENCE, |suspect, _| {
            suspect.weights.output = Linear { weight: suspect.weights.embedding.clone(), bias: None };
            true
        }));
    }
    match model.config().logit_cap {
        Some(_) => faults.push(Fault::new(
            Topic::Output,
            "logit-cap-missing",
            "logits are not soft-capped",
            "NUMERICS.md 9.3",
            |suspect, _| {
                suspect.config.logit_cap = None;
                true
            },
        )),
        None => faults.push(Fault::new(
            Topic::Output,
            "logit-cap",
            "logits are soft-capped at 30, which this model does not do",
            "NUMERICS.md 9.3",
            |suspect, _| {
                suspect.config.logit_cap = Some(30.0);
                true
            },
        )),
    }
    faults
}

fn scaled(_: &Model, guess: f64) -> Fault {
    Fault::new(
        Topic::Output,
        "logits-scaled",
        format!("logits are multiplied by {}", short(guess)),
        REFERENCE,
        move |suspect, _| {
            suspect.change("result_output", move |_, values| values.iter_mut().for_each(|v| *v *= guess as f32));
            true
        },
    )
    .number(Number { series: "logits-scaled", right: 1.0, guess, refine: Some(scaled) })
}

fn norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let square = x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32;
    let factor = 1.0 / (square + epsilon).sqrt();
    for ((o, x), w) in out.iter_mut().zip(x).zip(weight) {
        *o = x * factor * w;
    }
}
