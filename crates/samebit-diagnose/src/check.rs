//! Whether evidence is of this model, and where each tensor stands in the pass.

use std::collections::BTreeSet;

use samebit_model::Model;

use crate::evidence::{Evidence, EvidenceError};
use crate::faults::Topic;

/// A tap: what goes wrong first there, and what it is made of (`x` is the residual stream before it).
struct Step {
    name: &'static str,
    topics: &'static [Topic],
    inputs: &'static [&'static str],
}

const fn step(name: &'static str, topics: &'static [Topic], inputs: &'static [&'static str]) -> Step {
    Step { name, topics, inputs }
}

/// The taps in the order of a pass. Where an architecture lacks a tap, its inputs stand for it.
const ORDER: &[Step] = &[
    step("embd", &[Topic::Tokens, Topic::Embedding, Topic::Quant], &[]),
    step("inp_scaled", &[Topic::Embedding], &["embd"]),
    step("attn_norm", &[Topic::Norm], &["x"]),
    step("Qcur", &[Topic::Product, Topic::Quant], &["attn_norm"]),
    step("Kcur", &[Topic::Product, Topic::Quant], &["attn_norm"]),
    step("Vcur", &[Topic::Product, Topic::Quant], &["attn_norm"]),
    step("Qcur_normed", &[Topic::Norm, Topic::Rope], &["Qcur"]),
    step("Kcur_normed", &[Topic::Norm, Topic::Rope], &["Kcur"]),
    step("Qcur_rope", &[Topic::Rope, Topic::Attention], &["Qcur_normed"]),
    step("Kcur_rope", &[Topic::Rope, Topic::Attention], &["Kcur_normed"]),
    step("kqv_out", &[Topic::Attention, Topic::Cache], &["Qcur_rope", "Kcur_rope", "Vcur"]),
    step("attn_out", &[Topic::Product, Topic::Quant], &["kqv_out"]),
    step("attn_post_norm", &[Topic::Norm], &["attn_out"]),
    step("ffn_inp", &[Topic::FeedForward], &["attn_post_norm", "x"]),
    step("ffn_norm", &[Topic::Norm], &["middle"]),
    step("ffn_moe_logits", &[Topic::Product, Topic::Quant], &["ffn_norm"]),
    step("ffn_moe_weights", &[Topic::FeedForward], &["ffn_moe_logits"]),
    step("ffn_moe_gate", &[Topic::Product, Topic::Quant, Topic::FeedForward], &["ffn_norm", "ffn_moe_logits"]),
    step("ffn_moe_up", &[Topic::Product, Topic::Quant, Topic::FeedForward], &["ffn_norm", "ffn_moe_logits"]),
    step("ffn_moe_gated", &[Topic::FeedForward], &["ffn_moe_gate", "ffn_moe_up"]),
    step("ffn_moe_down", &[Topic::Product, Topic::Quant], &["ffn_moe_gated"]),
    step("ffn_gate", &[Topic::Product, Topic::Quant, Topic::FeedForward], &["ffn_norm"]),
    step("ffn_up", &[Topic::Product, Topic::Quant, Topic::FeedForward], &["ffn_norm"]),
    step("ffn_gated", &[Topic::FeedForward], &["ffn_gate", "ffn_up"]),
    step("ffn_out", &[Topic::Product, Topic::Quant, Topic::FeedForward], &["ffn_gated", "ffn_moe_down", "ffn_norm"]),
    step("ffn_post_norm", &[Topic::Norm], &["ffn_out"]),
    step("l_out", &[Topic::FeedForward], &["ffn_post_norm", "middle"]),
    step("result_norm", &[Topic::Norm, Topic::Output], &["x"]),
    step("result_output", &[Topic::Output, Topic::Quant], &["result_norm"]),
];

/// Every name that evidence may have.
pub fn names() -> impl Iterator<Item = &'static str> {
    ORDER.iter().map(|step| step.name)
}

/// Where a tensor stands in the pass: its layer, and its place therein.
pub(crate) fn place(name: &str, layer: Option<usize>) -> (usize, usize) {
    let at = ORDER.iter().position(|step| step.name == name).unwrap_or(ORDER.len());
    let step = match (layer, name) {
        (Some(layer), _) => layer + 1,
        (None, "embd" | "inp_scaled") => 0,
        (None, _) => usize::MAX,
    };
    (step, at)
}

/// What can be wrong where a tensor is the first to depart: what shows first at itself, and at what it is made of as far back as
/// the other engine's own values are not known.
pub(crate) fn topics(model: &Model, evidence: &Evidence, name: &str, layer: Option<usize>) -> BTreeSet<Topic> {
    let mut topics = BTreeSet::new();
    let mut open = vec![(name.to_owned(), layer)];
    let mut seen = BTreeSet::new();
    while let Some((name, layer)) = open.pop() {
        let Some(step) = ORDER.iter().find(|step| step.name == name) else { continue };
        topics.extend(step.topics);
        for input in step.inputs {
            let (input, layer) = resolve(model, input, layer);
            if !known(evidence, &input, layer) && seen.insert((input.clone(), layer)) {
                open.push((input, layer));
            }
        }
    }
    topics
}

/// The stream before a layer or after its attention, by the tap that hears it.
fn resolve(model: &Model, input: &str, layer: Option<usize>) -> (String, Option<usize>) {
    let architecture = &model.config().architecture;
    let embedding = if architecture.scaled_embedding { "inp_scaled" } else { "embd" };
    let last = model.config().layers - 1;
    let (name, layer) = match (input, layer) {
        ("x", Some(0)) => (embedding, None),
        ("x", Some(layer)) => ("l_out", Some(layer - 1)),
        ("x", None) => ("l_out", Some(last)),
        ("middle", layer) => ("ffn_inp", layer),
        (name, layer) => (name, layer),
    };
    (name.to_owned(), layer)
}

/// Whether the other engine's values of a tensor are there for every position.
fn known(evidence: &Evidence, name: &str, layer: Option<usize>) -> bool {
    let seen = evidence.find(name, layer).map(|index| &evidence.tensors()[index]);
    seen.is_some_and(|seen| seen.known.is_none() && seen.positions.len() == evidence.tokens.len())
}

/// Elements of a row of a tensor.
fn cols(model: &Model, name: &str) -> Option<usize> {
    let config = model.config();
    Some(match name {
        "Qcur" | "Qcur_normed" | "Qcur_rope" | "kqv_out" => config.heads * config.head_dim,
        "Kcur" | "Kcur_normed" | "Kcur_rope" | "Vcur" => config.kv_heads * config.head_dim,
        "ffn_gate" | "ffn_up" | "ffn_gated" => config.feed_forward,
        "ffn_moe_logits" => config.experts,
        "ffn_moe_weights" => config.experts_used,
        "ffn_moe_gate" | "ffn_moe_up" | "ffn_moe_gated" => config.experts_used * config.feed_forward,
        "ffn_moe_down" => config.experts_used * config.width,
        "result_output" => model.vocabulary(),
        name if names().any(|known| known == name) => config.width,
        _ => return None,
    })
}

/// Refuses what cannot be compared, with one line that says why.
///
/// # Errors
/// See [`EvidenceError`].
pub(crate) fn check(model: &Model, evidence: &Evidence) -> Result<(), EvidenceError> {
    if evidence.tokens.is_empty() {
        return Err(EvidenceError::NoTokens);
    }
    if let Some(&token) = evidence.tokens.iter().find(|&&t| t as usize >= model.vocabulary()) {
        return Err(EvidenceError::Token { token, vocabulary: model.vocabulary() });
    }
    for seen in evidence.tensors() {
        let tensor = seen.label();
        if let Some(layer) = seen.layer.filter(|&layer| layer >= model.config().layers) {
            let last = model.config().layers - 1;
            debug_assert!(layer > last);
            return Err(EvidenceError::Layer { tensor, last });
        }
        if let Some(expected) = cols(model, &seen.name).filter(|&expected| expected != seen.cols) {
            return Err(EvidenceError::Shape { tensor, found: seen.cols, expected });
        }
    }
    let known = evidence.tensors().iter().any(|seen| cols(model, &seen.name).is_some());
    let choices = evidence.greedy && evidence.prompt < evidence.tokens.len();
    if !known && !choices {
        let found: Vec<String> = evidence.tensors().iter().take(4).map(|seen| seen.label()).collect();
        let known: Vec<&str> = names().collect();
        return Err(EvidenceError::Names { found: found.join(", "), known: known.join(", ") });
    }
    evidence.first_non_finite().map_or(Ok(()), Err)
}
