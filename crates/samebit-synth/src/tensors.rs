//! Which tensors and metadata a shape has. Names and keys are GGUF's.
//!
//! Knows nothing of types or of the numbers inside.

use super::shapes::{Rope, Shape};
use samebit_gguf::Metadata;

/// What a tensor is for: it decides its type and its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    Embedding,
    Output,
    Query,
    Key,
    /// Values, or queries, keys and values in one.
    Value,
    AttentionOutput,
    Gate,
    Up,
    Down,
    /// Kept in F32, as llama-quantize does.
    Router,
    Norm,
    Bias,
    Sinks,
    /// RoPE's factors, from 1 at the first pair to this at the last.
    RopeFactors(f32),
}

/// One tensor to be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// Row length first.
    pub(crate) dims: Vec<u64>,
    pub(crate) role: Role,
    /// The layer, 0 for tensors outside of any.
    pub(crate) layer: u32,
}

impl Tensor {
    /// The number of elements.
    pub(crate) fn elements(&self) -> u64 {
        self.dims.iter().product()
    }

    /// Whether it is a matrix that quantisation applies to.
    pub(crate) fn is_matrix(&self) -> bool {
        !matches!(self.role, Role::Router | Role::Norm | Role::Bias | Role::Sinks | Role::RopeFactors(_))
    }
}

struct List {
    tensors: Vec<Tensor>,
    layer: Option<u32>,
}

impl List {
    fn add(&mut self, name: &str, dims: &[u32], role: Role) {
        let name = match self.layer {
            Some(layer) => format!("blk.{layer}.{name}"),
            None => name.to_owned(),
        };
        let dims = dims.iter().map(|&n| u64::from(n)).collect();
        self.tensors.push(Tensor { name, dims, role, layer: self.layer.unwrap_or(0) });
    }

    /// A matrix, or a stack of them, and perhaps the bias of its outputs.
    fn linear(&mut self, name: &str, dims: &[u32], role: Role, bias: bool) {
        self.add(&format!("{name}.weight"), dims, role);
        if bias {
            self.add(&format!("{name}.bias"), &dims[1..], Role::Bias);
        }
    }
}

/// The tensors of a shape, in the order of the file.
pub(crate) fn tensors(shape: &Shape) -> Vec<Tensor> {
    let mut list = List { tensors: Vec::new(), layer: None };
    let (width, vocab) = (shape.width, shape.vocab);
    list.add("token_embd.weight", &[width, vocab], Role::Embedding);
    rope_tensors(shape, &mut list);
    for layer in 0..shape.layers {
        list.layer = Some(layer);
        attention(shape, &mut list);
        feed_forward(shape, &mut list);
    }
    list.layer = None;
    list.add("output_norm.weight", &[width], Role::Norm);
    if !shape.tied {
        list.add("output.weight", &[width, vocab], Role::Output);
    }
    list.tensors
}

fn rope_tensors(shape: &Shape, list: &mut List) {
    let pairs = [shape.head_dim / 2];
    match shape.rope {
        Rope::Factors => list.add("rope_freqs.weight", &pairs, Role::RopeFactors(8.0)),
        Rope::LongShort { .. } => {
            list.add("rope_factors_long.weight", &pairs, Role::RopeFactors(64.0));
            list.add("rope_factors_short.weight", &pairs, Role::RopeFactors(1.25));
        }
        Rope::Plain | Rope::Yarn { .. } | Rope::Linear { .. } => {}
    }
}

fn attention(shape: &Shape, list: &mut List) {
    let arch = shape.architecture;
    let width = shape.width;
    let (queries, keys) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    list.add("attn_norm.weight", &[width], Role::Norm);
    if arch.fused {
        list.linear("attn_qkv", &[width, queries + 2 * keys], Role::Value, arch.qkv_bias);
    } else {
        list.linear("attn_q", &[width, queries], Role::Query, arch.qkv_bias);
        list.linear("attn_k", &[width, keys], Role::Key, arch.qkv_bias);
        list.linear("attn_v", &[width, keys], Role::Value, arch.qkv_bias);
    }
    if arch.qk_norm {
        list.add("attn_q_norm.weight", &[shape.head_dim], Role::Norm);
        list.add("attn_k_norm.weight", &[shape.head_dim], Role::Norm);
    }
    if arch.sinks {
        list.add("attn_sinks.weight", &[shape.heads], Role::Sinks);
    }
    list.linear("attn_output", &[queries, width], Role::AttentionOutput, arch.sinks);
    if arch.post_norms || arch.sinks {
        list.add("post_attention_norm.weight", &[width], Role::Norm);
    }
}

fn feed_forward(shape: &Shape, list: &mut List) {
    let arch = shape.architecture;
    let (width, ffn) = (shape.width, shape.ffn);
    if !arch.sinks {
        list.add("ffn_norm.weight", &[width], Role::Norm);
    }
    if let Some(experts) = shape.experts {
        let (count, ffn, bias) = (experts.count, experts.ffn, arch.sinks);
        list.linear("ffn_gate_inp", &[width, count], Role::Router, bias);
        list.linear("ffn_gate_exps", &[width, ffn, count], Role::Gate, bias);
        list.linear("ffn_up_exps", &[width, ffn, count], Role::Up, bias);
        list.linear("ffn_down_exps", &[ffn, width, count], Role::Down, bias);
    } else if arch.fused {
        list.linear("ffn_up", &[width, 2 * ffn], Role::Up, false);
        list.linear("ffn_down", &[ffn, width], Role::Down, false);
    } else {
        list.linear("ffn_gate", &[width, ffn], Role::Gate, false);
        list.linear("ffn_up", &[width, ffn], Role::Up, false);
        list.linear("ffn_down", &[ffn, width], Role::Down, false);
    }
    if arch.post_norms {
        list.add("post_ffw_norm.weight", &[width], Role::Norm);
    }
}

/// The keys that describe the shape; the vocabulary's are apart.
pub(crate) fn metadata(shape: &Shape, name: &str, file_type: u32) -> Metadata {
    let mut metadata = Metadata::new();
    let prefix = shape.architecture.name;
    metadata.insert("general.architecture", prefix);
    metadata.insert("general.type", "model");
    metadata.insert("general.name", format!("synthetic {name}"));
    metadata.insert("general.file_type", file_type);
    metadata.insert("general.quantization_version", 2u32);
    let mut count = |key: &str, value: u32| {
        metadata.insert(format!("{prefix}.{key}"), value);
    };
    count("vocab_size", shape.vocab);
    count("block_count", shape.layers);
    count("context_length", shape.context);
    count("embedding_length", shape.width);
    count("feed_forward_length", shape.ffn);
    count("attention.head_count", shape.heads);
    count("attention.head_count_kv", shape.kv_heads);
    count("attention.key_length", shape.head_dim);
    count("attention.value_length", shape.head_dim);
    count("rope.dimension_count", shape.head_dim);
    if shape.window > 0 {
        count("attention.sliding_window", shape.window);
    }
    if let Some(experts) = shape.experts {
        count("expert_count", experts.count);
        count("expert_used_count", experts.used);
        if experts.own_width {
            count("expert_feed_forward_length", experts.ffn);
        }
    }
    float_metadata(shape, &mut metadata);
    metadata
}

fn float_metadata(shape: &Shape, metadata: &mut Metadata) {
    let prefix = shape.architecture.name;
    let key = |key: &str| format!("{prefix}.{key}");
    metadata.insert(key("attention.layer_norm_rms_epsilon"), shape.epsilon);
    metadata.insert(key("rope.freq_base"), shape.rope_base);
    if let Some((scores, logits)) = shape.architecture.caps {
        metadata.insert(key("attn_logit_softcapping"), scores);
        metadata.insert(key("final_logit_softcapping"), logits);
    }
    match shape.rope {
        Rope::Plain | Rope::Factors => {}
        Rope::LongShort { original } => {
            metadata.insert(key("rope.scaling.original_context_length"), original);
            // √(1 + ln(131072 / 4096) / ln(4096)), the factor of the models that have such tensors.
            metadata.insert(key("rope.scaling.attn_factor"), 1.190_238_1f32);
        }
        Rope::Yarn { factor, original } => {
            metadata.insert(key("rope.scaling.type"), "yarn");
            metadata.insert(key("rope.scaling.factor"), factor);
            metadata.insert(key("rope.scaling.original_context_length"), original);
        }
        Rope::Linear { factor } => {
            metadata.insert(key("rope.scaling.type"), "linear");
            metadata.insert(key("rope.scaling.factor"), factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shapes::{all, find};
    use super::*;

    fn parameters(name: &str) -> u64 {
        let shape = find(name).unwrap_or_else(|| panic!("{name} is listed"));
        tensors(&shape).iter().map(Tensor::elements).sum()
    }

    /// The models' published parameter counts.
    #[test]
    fn real_shapes_have_the_parameters_they_are_known_for() {
        assert_eq!(parameters("smollm2-135m"), 134_515_008);
        assert_eq!(parameters("tinyllama-1.1b"), 1_100_048_384);
        assert_eq!(parameters("llama3-8b"), 8_030_261_248);
        assert_eq!(parameters("mistral-7b"), 7_248_023_552);
        assert_eq!(parameters("mixtral-8x7b"), 46_702_792_704);
        assert_eq!(parameters("qwen2.5-0.5b"), 494_032_768);
        assert_eq!(parameters("qwen3-0.6b"), 596_049_920);
        assert_eq!(parameters("qwen3-30b-a3b"), 30_532_122_624);
        assert_eq!(parameters("gemma2-2b"), 2_614_341_888);
        assert_eq!(parameters("gemma3-270m"), 268_098_176);
        assert_eq!(parameters("phi3-mini-4k"), 3_821_079_552);
        assert_eq!(parameters("gpt-oss-20b"), 20_914_757_184);
    }

    #[test]
    fn names_are_unique_in_every_shape() {
        for (name, shape) in all() {
            let mut names: Vec<String> = tensors(&shape).into_iter().map(|t| t.name).collect();
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count, "{name}");
        }
    }

    #[test]
    fn tiny_shapes_are_tiny() {
        for (name, shape) in all().iter().filter(|(name, _)| name.starts_with("tiny-")) {
            let elements: u64 = tensors(shape).iter().map(Tensor::elements).sum();
            assert!(elements < 4_000_000, "{name}: {elements}");
        }
    }
}
