//! Whether evidence is of this model, and where each tensor stands in the pass.

use samebit_model::Model;

use crate::evidence::{Evidence, EvidenceError};
use crate::faults::Topic;

/// The taps in the order of a layer, with what goes wrong first there.
const ORDER: &[(&str, &[Topic])] = &[
    ("embd", &[Topic::Tokens, Topic::Embedding, Topic::Quant]),
    ("inp_scaled", &[Topic::Embedding]),
    ("attn_norm", &[Topic::Norm]),
    ("Qcur", &[Topic::Product, Topic::Quant]),
    ("Kcur", &[Topic::Product, Topic::Quant]),
    ("Vcur", &[Topic::Product, Topic::Quant]),
    ("Qcur_normed", &[Topic::Norm, Topic::Rope]),
    ("Kcur_normed", &[Topic::Norm, Topic::Rope]),
    ("Qcur_rope", &[Topic::Rope]),
    ("Kcur_rope", &[Topic::Rope]),
    ("kqv_out", &[Topic::Attention, Topic::Cache]),
    ("attn_out", &[Topic::Product, Topic::Quant]),
    ("attn_post_norm", &[Topic::Norm]),
    ("sa_out", &[Topic::FeedForward]),
    ("ffn_inp", &[Topic::FeedForward]),
    ("ffn_norm", &[Topic::Norm]),
    ("ffn_moe_logits", &[Topic::Product, Topic::Quant]),
    ("ffn_moe_weights", &[Topic::FeedForward]),
    ("ffn_gate", &[Topic::Product, Topic::Quant]),
    ("ffn_up", &[Topic::Product, Topic::Quant]),
    ("ffn_gated", &[Topic::FeedForward]),
    ("ffn_out", &[Topic::Product, Topic::Quant]),
    ("ffn_post_norm", &[Topic::Norm]),
    ("l_out", &[Topic::FeedForward]),
    ("result_norm", &[Topic::Norm]),
    ("result_output", &[Topic::Output, Topic::Quant]),
];

/// Every name that evidence may have.
pub fn names() -> impl Iterator<Item = &'static str> {
    ORDER.iter().map(|(name, _)| *name)
}

/// Where a tensor stands in the pass: its layer, and its place therein.
pub(crate) fn place(name: &str, layer: Option<usize>) -> (usize, usize) {
    let at = ORDER.iter().position(|(known, _)| *known == name).unwrap_or(ORDER.len());
    let step = match (layer, name) {
        (Some(layer), _) => layer + 1,
        (None, "embd" | "inp_scaled") => 0,
        (None, _) => usize::MAX,
    };
    (step, at)
}

/// What the bugs that show first at a tensor are about.
pub(crate) fn topics(name: &str) -> &'static [Topic] {
    ORDER.iter().find(|(known, _)| *known == name).map_or(&[], |(_, topics)| topics)
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
