//! Bugs in matrix products: which matrix, which bias, how it is read, how its sum is kept, how its blocks are decoded.

use std::collections::{BTreeSet, HashSet};

use samebit_model::Model;
use samebit_model::weights::{FeedForward, Layer, Linear, Projections};
use samebit_numerics::blocks::Format;

use super::{Fault, Topic};
use crate::attention::to_half;
use crate::decoders::{DECODERS, Decoder};
use crate::product::{PRODUCTS, remake, remake_transposed, right_row, usual};
use crate::suspect::Suspect;

const LAYOUT: &str = "NUMERICS.md 15, the format's own table";

pub(super) fn faults(model: &Model) -> Vec<Fault> {
    let mut faults = projections(model);
    faults.extend(biases(model));
    faults.extend(transposed(model));
    let formats = formats(model);
    faults.extend(DECODERS.iter().filter(|d| formats.contains(&d.format)).flat_map(|d| decoding(model, d)));
    faults.push(half_sums());
    faults
}

/// Formats of all matrices.
fn formats(model: &Model) -> HashSet<Format> {
    let weights = model.weights();
    let mut formats: HashSet<Format> = weights.matrices().iter().map(|weight| weight.format()).collect();
    formats.insert(weights.embedding.format());
    formats
}

fn projections(model: &Model) -> Vec<Fault> {
    let reference = "NUMERICS.md 16, step 2.2";
    let exchange = |id, finding: &str, swap: fn(&mut Linear, &mut Linear, &mut Linear)| {
        Fault::new(Topic::Product, id, finding, reference, move |suspect, _| {
            let mut done = false;
            for layer in &mut suspect.weights.layers {
                if let Projections::Separate { query, key, value } = &mut layer.projections {
                    swap(query, key, value);
                    done = true;
                }
            }
            done
        })
    };
    let mut faults = vec![exchange(
        "k-v-weights-exchanged",
        "the matrices of keys and values are taken for each other",
        |_, k, v| {
            std::mem::swap(k, v);
        },
    )];
    if model.config().heads == model.config().kv_heads {
        let finding = "the matrices of queries and keys are taken for each other";
        faults.push(exchange("q-k-weights-exchanged", finding, |q, k, _| std::mem::swap(q, k)));
    }
    faults.push(Fault::new(
        Topic::Product,
        "qkv-rows",
        "the rows of the fused matrix are cut in the order queries, values, keys",
        reference,
        |suspect, model| {
            let fused = model.weights().layers.iter().any(|layer| matches!(layer.projections, Projections::Fused(_)));
            if fused {
                suspect.change("Kcur", |moment, values| exchange_rows(moment, values, "Vcur"));
                suspect.change("Vcur", |moment, values| exchange_rows(moment, values, "Kcur"));
            }
            fused
        },
    ));
    faults
}

/// The product that another tensor should be.
fn exchange_rows(moment: &crate::suspect::Moment<'_>, values: &mut [f32], other: &'static str) {
    remake(other, moment, values, &|product, row, into| right_row(moment, product, row, into), usual);
}

/// The matrices of a layer with the ids of their biases.
fn linears(layer: &mut Layer) -> Vec<(&'static str, &mut Linear)> {
    let mut all = match &mut layer.projections {
        Projections::Separate { query, key, value } => vec![("q", query), ("k", key), ("v", value)],
        Projections::Fused(all) => vec![("qkv", all)],
    };
    all.push(("output", &mut layer.output));
    match &mut layer.feed_forward {
        FeedForward::Gated { gate, up, down } => all.extend([("gate", gate), ("up", up), ("down", down)]),
        FeedForward::Fused { gate_up, down } => all.extend([("up", gate_up), ("down", down)]),
        FeedForward::Experts { router, gate, up, down } => {
            all.extend([("router", router), ("gate", gate), ("up", up), ("down", down)]);
        }
    }
    all
}

fn biases(model: &Model) -> Vec<Fault> {
    let reference = "NUMERICS.md 5.5 and 16, step 2";
    let mut layers = model.weights().layers.clone();
    let named: BTreeSet<&'static str> = layers
        .iter_mut()
        .flat_map(|layer| linears(layer).into_iter().filter(|(_, l)| l.bias.is_some()).map(|(name, _)| name))
        .collect();
    let drop = |id: String, finding: String, which: Vec<&'static str>| {
        Fault::new(Topic::Product, id, finding, reference, move |suspect, _| {
            edit_biases(suspect, &which, |linear| linear.bias = None);
            true
        })
    };
    let mut faults = Vec::new();
    if named.is_empty() {
        return faults;
    }
    let all: Vec<&'static str> = named.iter().copied().collect();
    faults.push(drop("biases-missing".into(), "biases are not added".into(), all.clone()));
    faults.push(Fault::new(Topic::Product, "biases-twice", "biases are added twice", reference, move |suspect, _| {
        let double = |linear: &mut Linear| linear.bias.iter_mut().flatten().for_each(|b| *b *= 2.0);
        edit_biases(suspect, &all, double);
        true
    }));
    for name in named {
        faults.push(drop(
            format!("bias-missing-{name}"),
            format!("the bias of attn or ffn `{name}` is not added"),
            vec![name],
        ));
    }
    faults
}

fn edit_biases(suspect: &mut Suspect, which: &[&str], edit: impl Fn(&mut Linear) + Copy) {
    for layer in &mut suspect.weights.layers {
        linears(layer).into_iter().filter(|(name, _)| which.contains(name)).for_each(|(_, linear)| edit(linear));
    }
}

/// Matrices read column by column.
fn transposed(model: &Model) -> Vec<Fault> {
    let config = model.config();
    let square = config.heads * config.head_dim == config.width;
    let named: [(&'static str, &'static str, &[&'static str]); 4] = [
        ("transposed-q", "the matrix of queries is read transposed", &["Qcur"]),
        ("transposed-kv", "the matrices of keys and values are read transposed", &["Kcur", "Vcur"]),
        ("transposed-output", "attention's output matrix is read transposed", &["attn_out"]),
        (
            "transposed-feed-forward",
            "the feed-forward matrices are read transposed",
            &["ffn_gate", "ffn_up", "ffn_out"],
        ),
    ];
    let reference = "NUMERICS.md 3.1 and 5: a row of weights is an output's";
    let mut faults: Vec<Fault> = named
        .into_iter()
        .map(|(id, finding, taps)| {
            Fault::new(Topic::Product, id, finding, reference, move |suspect, _| {
                for &tap in taps {
                    suspect.change(tap, move |moment, values| remake_transposed(tap, moment, values));
                }
                true
            })
        })
        .collect();
    if square {
        faults.push(Fault::new(
            Topic::Product,
            "attention-output-missing",
            "attention's output matrix is left out",
            reference,
            |suspect, _| {
                suspect.change("attn_out", |moment, values| values.copy_from_slice(moment.earlier("kqv_out")));
                true
            },
        ));
    }
    faults
}

/// A format decoded wrongly: everywhere, and in products alone.
fn decoding(model: &Model, decoder: &'static Decoder) -> Vec<Fault> {
    let name = decoder.format.name().to_ascii_lowercase().replace('_', "-");
    let embedded = model.weights().embedding.format() == decoder.format;
    let multiplied = model.weights().matrices().iter().any(|weight| weight.format() == decoder.format);
    let fault = |id: String, finding: String, products: bool, rows: bool| {
        Fault::new(Topic::Quant, id, finding, LAYOUT, move |suspect, _| {
            if products {
                spoil_products(suspect, decoder);
            }
            if rows {
                spoil_embedding(suspect, decoder);
            }
            products || rows
        })
    };
    let finding = |what: &str| format!("{}{what} is decoded wrongly: {}", decoder.format.name(), decoder.what);
    let mut faults = vec![fault(format!("{name}-{}", decoder.id), finding(""), multiplied, embedded)];
    if embedded && multiplied {
        faults.push(fault(
            format!("{name}-{}-in-products", decoder.id),
            finding(" in products (not in embeddings)"),
            true,
            false,
        ));
        faults.push(fault(
            format!("{name}-{}-in-embeddings", decoder.id),
            finding(" in embeddings (not in products)"),
            false,
            true,
        ));
    }
    faults
}

fn spoil_products(suspect: &mut Suspect, decoder: &'static Decoder) {
    for tap in PRODUCTS {
        suspect.change(tap, move |moment, values| {
            let concerned =
                crate::product::product(tap, moment).is_some_and(|p| p.linear.weight.format() == decoder.format);
            if concerned {
                let row_of = |p: &crate::product::Product<'_>, row: usize, into: &mut Vec<f32>| {
                    let matrix = p.matrix(moment);
                    into.resize(matrix.cols, 0.0);
                    decoder.decode(matrix.row(row), into);
                };
                remake(tap, moment, values, &row_of, usual);
            }
        });
    }
}

fn spoil_embedding(suspect: &mut Suspect, decoder: &'static Decoder) {
    suspect.change("embd", move |moment, values| {
        let matrix = moment.model.weights().embedding.matrix(moment.model.gguf(), 0);
        for (row, &position) in values.chunks_exact_mut(moment.cols).zip(moment.positions) {
            if matrix.format == decoder.format {
                decoder.decode(matrix.row(moment.tokens[position] as usize), row);
            }
        }
    });
}

/// Sums of products kept in binary16.
fn half_sums() -> Fault {
    let finding = "products are accumulated in binary16: sums lose three digits";
    Fault::new(Topic::Product, "f16-accumulation", finding, "NUMERICS.md 2 and 5", |suspect, _| {
        for tap in PRODUCTS {
            suspect.change(tap, move |moment, values| {
                remake(tap, moment, values, &|p, row, into| right_row(moment, p, row, into), |w, x| {
                    w.iter().zip(x).fold(0.0, |sum, (w, x)| to_half(sum + to_half(w * x)))
                });
            });
        }
        true
    })
    .slow()
}
