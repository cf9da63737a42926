//! The operations of a forward pass: canonical names, what other engines call them, what each is made from.
//!
//! The one place where a name is known. Canonical names are those that samebit-model's taps speak, which follow llama.cpp's.

/// What an operation does; its precision is judged accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Rows of the embedding matrix.
    Embedding,
    /// A product with one number.
    Scale,
    /// RMSNorm of rows or heads.
    Norm,
    /// A product with a matrix, and its bias.
    Linear,
    /// Rotation of queries or keys.
    Rope,
    /// Dot products of queries and keys.
    Scores,
    /// Softmax of the scores.
    Softmax,
    /// Attention from queries and the cache to weighted values.
    Attention,
    /// A residual sum.
    Residual,
    /// The gate of a feed-forward network.
    Gate,
    /// The choice of experts.
    Router,
    /// Anything else that a trace may hold: tables, the cache, weights.
    Other,
}

impl Kind {
    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Scale => "scale",
            Self::Norm => "norm",
            Self::Linear => "matrix product",
            Self::Rope => "RoPE",
            Self::Scores => "scores",
            Self::Softmax => "softmax",
            Self::Attention => "attention",
            Self::Residual => "residual sum",
            Self::Gate => "gate",
            Self::Router => "router",
            Self::Other => "table",
        }
    }
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The canonical name.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// It is one of each layer's.
    pub per_layer: bool,
    /// Canonical names of what it is made from, in the same layer; the first that a trace has counts where several stand
    /// for one. `^` is the layer before's output (or the embeddings).
    pub inputs: &'static [&'static str],
    /// Other engines' names.
    pub aliases: &'static [&'static str],
}

const fn op(
    name: &'static str,
    kind: Kind,
    per_layer: bool,
    inputs: &'static [&'static str],
    aliases: &'static [&'static str],
) -> Operation {
    Operation { name, kind, per_layer, inputs, aliases }
}

/// All operations, in the order of the computation.
pub const OPERATIONS: &[Operation] = &[
    op("rope_cos", Kind::Other, false, &[], &[]),
    op("rope_sin", Kind::Other, false, &[], &[]),
    op("rope_cos_swa", Kind::Other, false, &[], &[]),
    op("rope_sin_swa", Kind::Other, false, &[], &[]),
    op("embd", Kind::Embedding, false, &[], &["inp_embd", "token_embd", "embeddings"]),
    op("inp_scaled", Kind::Scale, false, &["embd"], &["inp_embd_scaled"]),
    op("attn_norm", Kind::Norm, true, &["^"], &["attention_norm"]),
    op("Qcur", Kind::Linear, true, &["attn_norm"], &["q"]),
    op("Kcur", Kind::Linear, true, &["attn_norm"], &["k"]),
    op("Vcur", Kind::Linear, true, &["attn_norm"], &["v"]),
    op("Qcur_normed", Kind::Norm, true, &["Qcur"], &["q_norm"]),
    op("Kcur_normed", Kind::Norm, true, &["Kcur"], &["k_norm"]),
    op("Qcur_rope", Kind::Rope, true, &["Qcur_normed", "Qcur"], &["q_rope"]),
    op("Kcur_rope", Kind::Rope, true, &["Kcur_normed", "Kcur"], &["k_rope"]),
    op("cache_k", Kind::Other, true, &["Kcur_rope"], &[]),
    op("cache_v", Kind::Other, true, &["Vcur"], &[]),
    op("kq", Kind::Scores, true, &["Qcur_rope", "Kcur_rope"], &["attn_scores"]),
    op("kq_soft_max", Kind::Softmax, true, &["Qcur_rope", "Kcur_rope"], &["kq_soft_max_ext", "attn_weights"]),
    op("kqv_out", Kind::Attention, true, &["Qcur_rope", "Kcur_rope", "Vcur"], &["kqv_wo_in", "attn_mixed"]),
    op("attn_out", Kind::Linear, true, &["kqv_out"], &["attn_output"]),
    op("attn_post_norm", Kind::Norm, true, &["attn_out"], &[]),
    op("ffn_inp", Kind::Residual, true, &["attn_post_norm", "attn_out", "^"], &["sa_out"]),
    op("ffn_norm", Kind::Norm, true, &["ffn_inp"], &["attn_post_norm_moe"]),
    op("ffn_moe_logits", Kind::Linear, true, &["ffn_norm"], &[]),
    op("ffn_moe_topk", Kind::Router, true, &["ffn_moe_logits"], &[]),
    op(
        "ffn_moe_weights",
        Kind::Router,
        true,
        &["ffn_moe_logits"],
        &["ffn_moe_weights_norm", "ffn_moe_weights_softmax"],
    ),
    op("ffn_moe_gate", Kind::Linear, true, &["ffn_norm"], &["ffn_moe_gate_biased"]),
    op("ffn_moe_up", Kind::Linear, true, &["ffn_norm"], &["ffn_moe_up_biased"]),
    op(
        "ffn_moe_gated",
        Kind::Gate,
        true,
        &["ffn_moe_gate", "ffn_moe_up"],
        &["ffn_moe_swiglu", "ffn_moe_geglu", "ffn_moe_swiglu_oai", "ffn_moe_gate_par"],
    ),
    op("ffn_moe_down", Kind::Linear, true, &["ffn_moe_gated"], &["ffn_moe_down_biased"]),
    op("ffn_gate", Kind::Linear, true, &["ffn_norm"], &[]),
    op("ffn_up", Kind::Linear, true, &["ffn_norm"], &[]),
    op("ffn_gated", Kind::Gate, true, &["ffn_gate", "ffn_up"], &["ffn_swiglu", "ffn_geglu", "ffn_gate_par", "ffn_act"]),
    op("ffn_out", Kind::Linear, true, &["ffn_gated", "ffn_moe_down", "ffn_norm"], &["ffn_moe_out", "ffn_down"]),
    op("ffn_post_norm", Kind::Norm, true, &["ffn_out"], &[]),
    op("l_out", Kind::Residual, true, &["ffn_post_norm", "ffn_out", "ffn_inp"], &["layer_out", "hidden"]),
    op("result_norm", Kind::Norm, false, &["^"], &["final_norm", "output_norm"]),
    op("result_output", Kind::Linear, false, &["result_norm"], &["logits", "output"]),
];

/// The operation of a canonical name.
pub fn operation(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|op| op.name == name)
}

/// What kind of operation a canonical name is.
pub fn kind(name: &str) -> Kind {
    operation(name).map_or(Kind::Other, |op| op.kind)
}

/// A key that sorts tensors as they are computed.
pub fn order(name: &str, layer: Option<usize>) -> (usize, usize, usize) {
    let index = OPERATIONS.iter().position(|op| op.name == name).unwrap_or(OPERATIONS.len());
    match layer {
        Some(layer) => (1, layer, index),
        None if name.starts_with("result") => (2, 0, index),
        None if index == OPERATIONS.len() => (3, 0, index),
        None => (0, 0, index),
    }
}

/// The name with its layer: `attn_norm-3`, `result_norm`.
pub fn label(name: &str, layer: Option<usize>) -> String {
    layer.map_or_else(|| name.to_owned(), |layer| format!("{name}-{layer}"))
}

/// Canonical name and layer of a tensor's name in any spelling: `attn_norm-3`, `ffn_swiglu-3`, `blk.3.attn_norm`,
/// `model.layers.3.attn_norm`. Weights (`blk.3.attn_q.weight`) stay as they are. `None` if nobody knows it.
pub fn canonical(name: &str) -> Option<(String, Option<usize>)> {
    if name.ends_with(".weight") || name.ends_with(".bias") {
        return Some((name.into(), None));
    }
    let (base, layer) = split(name);
    let op = OPERATIONS.iter().find(|op| op.name == base || op.aliases.contains(&base))?;
    (op.per_layer == layer.is_some()).then(|| (op.name.into(), layer))
}

/// A name and its layer.
fn split(name: &str) -> (&str, Option<usize>) {
    if let Some((base, layer)) = name.rsplit_once('-')
        && let Ok(layer) = layer.parse()
    {
        return (base, Some(layer));
    }
    for prefix in ["blk.", "model.layers.", "layers.", "h."] {
        if let Some((layer, base)) = name.strip_prefix(prefix).and_then(|rest| rest.split_once('.'))
            && let Ok(layer) = layer.parse()
        {
            return (base, Some(layer));
        }
    }
    (name, None)
}

/// Canonical name and layer of a node of a ggml graph, from its name, its operation and the names of its sources.
/// `None` for nodes that are nothing of their own: views, copies, parts of an operation.
///
/// ggml names a tensor anew at each step (`Qcur` is the product, the sum with the bias and the rotation), and leaves some
/// unnamed, so the matrix that a product takes says more than the product's name.
pub fn of_graph(name: &str, operation: &str, sources: &[&str]) -> Option<(String, Option<usize>)> {
    const NOTHING: [&str; 9] =
        ["VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE", "CPY", "SET_ROWS", "RMS_NORM", "NONE", "NORM"];
    if NOTHING.contains(&operation) || name.contains(" (") {
        return None;
    }
    if operation == "MUL_MAT" {
        let by_weight = sources.iter().find_map(|source| of_matrix(source));
        return by_weight.or_else(|| canonical(name));
    }
    if operation == "FLASH_ATTN_EXT" {
        let layer = std::iter::once(&name).chain(sources).find_map(|name| layer_in(name))?;
        return Some(("kqv_out".into(), Some(layer)));
    }
    if operation == "ADD" && sources.iter().any(|source| source.ends_with("ffn_gate_inp.bias")) {
        // The router's scores, whose sum with the bias bears the name of what comes next.
        return Some(("ffn_moe_logits".into(), layer_in(name)));
    }
    let (base, layer) = canonical(name)?;
    match (operation, base.as_str()) {
        ("ROPE", "Qcur" | "Kcur") => Some((format!("{base}_rope"), layer)),
        // Queries that carry the scale already are no result of their own.
        ("SCALE", "Qcur" | "Qcur_rope") | ("GET_ROWS", "attn_out" | "ffn_inp" | "l_out") => None,
        // Before they are brought to a sum of one.
        ("GET_ROWS", "ffn_moe_weights") => None,
        _ => Some((base, layer)),
    }
}

/// The layer in `__fattn__-3`, or in a source: `cache_k_l3 (view)`, `Qcur-3 (permuted)`.
fn layer_in(name: &str) -> Option<usize> {
    let name = name.split(' ').next()?;
    let number = name.strip_prefix("cache_k_l").or_else(|| Some(name.rsplit_once('-')?.1))?;
    number.parse().ok()
}

/// What a product with a matrix of this name makes.
fn of_matrix(weight: &str) -> Option<(String, Option<usize>)> {
    if weight == "output.weight" || weight == "token_embd.weight" {
        return Some(("result_output".into(), None));
    }
    let (layer, part) = weight.strip_prefix("blk.")?.split_once('.')?;
    let name = match part {
        "attn_q.weight" => "Qcur",
        "attn_k.weight" => "Kcur",
        "attn_v.weight" => "Vcur",
        "attn_output.weight" => "attn_out",
        "ffn_gate.weight" => "ffn_gate",
        "ffn_up.weight" => "ffn_up",
        "ffn_down.weight" => "ffn_out",
        "ffn_gate_inp.weight" => "ffn_moe_logits",
        _ => return None,
    };
    Some((name.into(), Some(layer.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_many_spellings() {
        let is = |name: &str, base: &str, layer| assert_eq!(canonical(name), Some((base.to_owned(), layer)), "{name}");
        is("attn_norm-3", "attn_norm", Some(3));
        is("blk.3.attn_norm", "attn_norm", Some(3));
        is("ffn_swiglu-11", "ffn_gated", Some(11));
        is("inp_embd", "embd", None);
        is("blk.0.attn_q.weight", "blk.0.attn_q.weight", None);
        for unknown in ["norm-0", "l_out", "result_norm-1", "", "-", "attn_norm-", "attn_norm-x"] {
            assert_eq!(canonical(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_input_is_an_operation_before() {
        for (index, op) in OPERATIONS.iter().enumerate() {
            for input in op.inputs.iter().filter(|name| **name != "^") {
                assert!(OPERATIONS[..index].iter().any(|o| o.name == *input), "{} from {input}", op.name);
            }
        }
    }

    #[test]
    fn a_graph_names_things_by_what_they_are() {
        let is = |name, op, sources: &[&str]| of_graph(name, op, sources).map(|(base, _)| base);
        assert_eq!(is("Qcur-0", "MUL_MAT", &["blk.0.attn_q.weight", "attn_norm-0"]).as_deref(), Some("Qcur"));
        assert_eq!(is("Qcur-0", "ROPE", &["Qcur-0"]).as_deref(), Some("Qcur_rope"));
        assert_eq!(is("Qcur-0", "RESHAPE", &["Qcur-0"]), None);
        assert_eq!(is("node_31", "MUL_MAT", &["blk.0.attn_output.weight", "kqv_out-0"]).as_deref(), Some("attn_out"));
        assert_eq!(is("__fattn__-3", "FLASH_ATTN_EXT", &["Qcur-3"]).as_deref(), Some("kqv_out"));
        let flash = of_graph("node_27", "FLASH_ATTN_EXT", &["node_9 (permuted)", "cache_k_l12 (view) (permuted)"]);
        assert_eq!(flash, Some(("kqv_out".into(), Some(12))));
        assert_eq!(is("node_9", "SCALE", &["Qcur-0"]), None);
        let biased = is("ffn_moe_probs-0", "ADD", &["ffn_moe_logits-0", "blk.0.ffn_gate_inp.bias"]);
        assert_eq!(biased.as_deref(), Some("ffn_moe_logits"));
        assert_eq!(is("ffn_moe_weights-0", "GET_ROWS", &["ffn_moe_probs-0"]), None);
        assert_eq!(is("ffn_moe_weights_norm-0", "DIV", &["ffn_moe_weights-0"]).as_deref(), Some("ffn_moe_weights"));
        assert_eq!(is("cache_k_l0 (view)", "SET_ROWS", &[]), None);
        assert_eq!(is("kqv_out-0", "CONT", &["kqv-0 (permuted)"]).as_deref(), Some("kqv_out"));
    }
}
