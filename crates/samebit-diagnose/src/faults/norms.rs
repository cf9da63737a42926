//! Bugs in RMSNorm.

use samebit_model::Model;
use samebit_model::weights::Layer;
use samebit_numerics::arith::{Float32, Soft};

use super::{Fault, Number, Topic};
use crate::suspect::Suspect;

const REFERENCE: &str = "NUMERICS.md 6.1";
const PLACES: &str = "NUMERICS.md 16, steps 2 and 3";

/// The norms of a layer and of the output.
const NORMS: [(&str, &str, &str); 5] = [
    ("attn_norm", "attention-norm-missing", "the norm before attention is left out"),
    ("ffn_norm", "feed-forward-norm-missing", "the norm before the feed-forward network is left out"),
    ("attn_post_norm", "attention-post-norm-missing", "the norm after attention is left out"),
    ("ffn_post_norm", "feed-forward-post-norm-missing", "the norm after the feed-forward network is left out"),
    ("result_norm", "final-norm-missing", "the final norm is left out"),
];

pub(super) fn faults(model: &Model) -> Vec<Fault> {
    let right = f64::from(model.config().epsilon);
    let guesses = [0.0, 1e-12, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1];
    let mut faults: Vec<Fault> = guesses
        .into_iter()
        .filter(|guess| (guess - right).abs() > 1e-3 * right)
        .map(|guess| epsilon(model, guess))
        .collect();
    faults.extend(weights(model));
    faults.extend(
        NORMS.into_iter().filter(|(at, ..)| there(model, at)).map(|(at, id, finding)| missing(at, id, finding)),
    );
    faults.extend(other_functions());
    if model.config().architecture.query_key_norm {
        faults.extend(heads());
    }
    faults.push(Fault::new(
        Topic::Norm,
        "norms-exchanged",
        "the weights of the norms before attention and before the feed-forward network are taken for each other",
        PLACES,
        |suspect, _| {
            suspect.each_layer(|layer| std::mem::swap(&mut layer.attention_norm, &mut layer.feed_forward_norm));
            true
        },
    ));
    faults
}

fn there(model: &Model, at: &str) -> bool {
    !at.contains("post") || model.config().architecture.post_norms
}

fn epsilon(model: &Model, guess: f64) -> Fault {
    let right = f64::from(model.config().epsilon);
    Fault::new(
        Topic::Norm,
        "norm-epsilon",
        format!("RMSNorm's ε is {guess:.3e}, which should be {right:.0e}"),
        REFERENCE,
        move |suspect, _| {
            suspect.config.epsilon = guess as f32;
            true
        },
    )
    .number(Number { series: "norm-epsilon", right, guess, refine: Some(epsilon) })
}

/// Edits the weights of every norm of width; those of heads too, if `heads`.
fn each_norm(suspect: &mut Suspect, heads: bool, edit: impl Fn(&mut [f32]) + Copy) {
    suspect.each_layer(|layer: &mut Layer| {
        let Layer { attention_norm, feed_forward_norm, attention_post_norm, feed_forward_post_norm, .. } = layer;
        edit(attention_norm);
        edit(feed_forward_norm);
        attention_post_norm.iter_mut().chain(feed_forward_post_norm).for_each(|norm| edit(norm));
        if heads {
            layer.query_norm.iter_mut().chain(&mut layer.key_norm).for_each(|norm| edit(norm));
        }
    });
    edit(&mut suspect.weights.output_norm);
}

fn weights(model: &Model) -> Vec<Fault> {
    let heads = model.config().architecture.query_key_norm;
    let gemma = model.config().architecture.scaled_embedding;
    let shift = move |id, finding, by: f32| {
        Fault::new(Topic::Norm, id, finding, REFERENCE, move |suspect, _| {
            each_norm(suspect, heads, |norm| norm.iter_mut().for_each(|w| *w += by));
            true
        })
    };
    let whole = "the norms' weights are taken with one too little: GGUF stores Gemma's with the +1 in them";
    let twice = "one is added to the norms' weights, which GGUF stores with Gemma's +1 in them";
    let mut faults = vec![
        shift("norm-plus-one-missing", if gemma { whole } else { "one is taken off the norms' weights" }, -1.0),
        shift(
            "norm-plus-one-doubled",
            if gemma { twice } else { "one is added to the norms' weights, as for Gemma's own files" },
            1.0,
        ),
    ];
    faults.push(Fault::new(
        Topic::Norm,
        "norm-weights-missing",
        "the norms' weights are not multiplied",
        REFERENCE,
        move |suspect, _| {
            each_norm(suspect, heads, |norm| norm.fill(1.0));
            true
        },
    ));
    faults.push(Fault::new(
        Topic::Norm,
        "final-norm-weights",
        "the final norm's weights are not multiplied",
        REFERENCE,
        |suspect, _| {
            suspect.weights.output_norm.fill(1.0);
            true
        },
    ));
    faults
}

fn missing(at: &'static str, id: &'static str, finding: &'static str) -> Fault {
    Fault::new(Topic::Norm, id, finding, PLACES, move |suspect, _| {
        suspect.change(at, move |moment, values| {
            let before = match at {
                "attn_post_norm" => moment.earlier("attn_out"),
                "ffn_post_norm" => moment.earlier("ffn_out"),
                _ => moment.stream,
            };
            copy_rows(moment.positions, before, values, moment.cols);
        });
        true
    })
}

/// Rows of the stream, which has all positions, for the rows of a tensor that may have fewer.
fn copy_rows(positions: &[usize], from: &[f32], to: &mut [f32], cols: usize) {
    for (row, &position) in to.chunks_exact_mut(cols).zip(positions) {
        if let Some(values) = from.get(position * cols..(position + 1) * cols) {
            row.copy_from_slice(values);
        }
    }
}

fn other_functions() -> Vec<Fault> {
    type Norm = fn(&[f32], &[f32], f32, &mut [f32]);
    let with = |id, finding: &str, norm: Norm| {
        Fault::new(Topic::Norm, id, finding, REFERENCE, move |suspect, _| {
            suspect.table.rms_norm = norm;
            true
        })
    };
    vec![
        with("norm-epsilon-outside", "RMSNorm's ε is added outside the root", |x, w, epsilon, out| {
            let root = Soft::sqrt(square(x) / x.len() as f32);
            weigh(x, w, 1.0 / (root + epsilon), 0.0, out);
        }),
        with(
            "norm-sum",
            "RMSNorm divides by the root of the sum of squares, not of their mean",
            |x, w, epsilon, out| {
                weigh(x, w, 1.0 / Soft::sqrt(square(x) + epsilon), 0.0, out);
            },
        ),
        with(
            "norm-mean-removed",
            "LayerNorm stands where RMSNorm should: the mean is taken off",
            |x, w, epsilon, out| {
                let mean = x.iter().sum::<f32>() / x.len() as f32;
                let deviations: Vec<f32> = x.iter().map(|v| v - mean).collect();
                weigh(x, w, 1.0 / Soft::sqrt(square(&deviations) / x.len() as f32 + epsilon), mean, out);
            },
        ),
        with("norm-no-root", "RMSNorm divides by the mean square, not by its root", |x, w, epsilon, out| {
            weigh(x, w, 1.0 / (square(x) / x.len() as f32 + epsilon), 0.0, out);
        }),
    ]
}

fn square(x: &[f32]) -> f32 {
    crate::attention::dot(x, x)
}

fn weigh(x: &[f32], w: &[f32], factor: f32, mean: f32, out: &mut [f32]) {
    for ((o, x), w) in out.iter_mut().zip(x).zip(w) {
        *o = (x - mean) * factor * w;
    }
}

/// Norms of queries and keys.
fn heads() -> Vec<Fault> {
    let reference = "NUMERICS.md 16, step 2.3";
    let without = |id, finding: &str, query: bool, key: bool| {
        Fault::new(Topic::Norm, id, finding, reference, move |suspect, _| {
            if query {
                suspect.change("Qcur_normed", |moment, values| values.copy_from_slice(moment.earlier("Qcur")));
            }
            if key {
                suspect.change("Kcur_normed", |moment, values| values.copy_from_slice(moment.earlier("Kcur")));
            }
            true
        })
    };
    vec![
        without("qk-norm-missing", "queries and keys are not normalised head by head", true, true),
        without("q-norm-missing", "queries are not normalised head by head", true, false),
        without("k-norm-missing", "keys are not normalised head by head", false, true),
        Fault::new(
            Topic::Norm,
            "qk-norm-exchanged",
            "the norms of queries and keys are taken for each other",
            reference,
            |suspect, _| {
                suspect.each_layer(|layer| std::mem::swap(&mut layer.query_norm, &mut layer.key_norm));
                true
            },
        ),
        Fault::new(
            Topic::Norm,
            "qk-norm-whole-row",
            "queries and keys are normalised over all heads at once, not head by head",
            reference,
            |suspect, _| {
                let epsilon = suspect.config.epsilon;
                for (at, before) in [("Qcur_normed", "Qcur"), ("Kcur_normed", "Kcur")] {
                    suspect.change(at, move |moment, values| {
                        let Some(layer) = moment.weights() else { return };
                        let norm = if at == "Qcur_normed" { &layer.query_norm } else { &layer.key_norm };
                        let Some(norm) = norm else { return };
                        let rows = moment.earlier(before).chunks_exact(moment.cols);
                        for (row, out) in rows.zip(values.chunks_exact_mut(moment.cols)) {
                            let factor = 1.0 / Soft::sqrt(square(row) / moment.cols as f32 + epsilon);
                            for (i, (o, x)) in out.iter_mut().zip(row).enumerate() {
                                *o = x * factor * norm[i % norm.len()];
                            }
                        }
                    });
                }
                true
            },
        ),
    ]
}
