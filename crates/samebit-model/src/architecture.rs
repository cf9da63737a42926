//! What distinguishes one architecture from another, as data.
//!
//! Sizes are a file's business (see [`config`](crate::config)); here is what a file does not say.
//! To add an architecture, add a row. Names are GGUF's `general.architecture`.

use samebit_numerics::ops::elementwise::Gate;
use samebit_numerics::ops::rope::Pairing;
use samebit_numerics::ops::router::Router;

/// Which layers see only a window of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// None, whatever the file says.
    Never,
    /// All but each `period`-th layer, where the file (or `default`) gives a window.
    AllButEach {
        /// Layers `period − 1`, `2·period − 1`, … see everything.
        period: usize,
        /// The window where the file gives none; 0 is no window.
        default: usize,
    },
}

/// One architecture.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    /// GGUF's `general.architecture`, also the prefix of its keys.
    pub name: &'static str,
    /// RoPE pairing.
    pub pairing: Pairing,
    /// Gate of the feed-forward network.
    pub gate: Gate,
    /// Embeddings are multiplied by √width.
    pub scaled_embedding: bool,
    /// Queries and keys are normalised head by head.
    pub query_key_norm: bool,
    /// Norms after attention and feed-forward, before the residual sums (`post_attention_norm`, `post_ffw_norm`).
    pub post_norms: bool,
    /// The tensor of the norm before the feed-forward network.
    pub feed_forward_norm: &'static str,
    /// Gate and up are rows of one matrix `ffn_up`, gate first.
    pub fused_gate: bool,
    /// Sliding windows.
    pub window: Window,
    /// RoPE base of windowed layers, where it is one of its own; those layers are not scaled.
    pub window_rope_base: Option<f32>,
    /// Scores of this many layers are divided by √(width / heads), not √(head size). Gemma's 27B.
    pub width_scaled_layers: Option<usize>,
    /// Soft-cap of attention scores where the file gives none.
    pub score_cap: Option<f32>,
    /// Soft-cap of the logits where the file gives none.
    pub logit_cap: Option<f32>,
    /// A learned score per head that takes part in the softmax and carries no value.
    pub sinks: bool,
    /// The router, where the file has experts.
    pub router: Router,
}

const LLAMA: Architecture = Architecture {
    name: "llama",
    pairing: Pairing::Normal,
    gate: Gate::Silu,
    scaled_embedding: false,
    query_key_norm: false,
    post_norms: false,
    feed_forward_norm: "ffn_norm",
    fused_gate: false,
    window: Window::Never,
    window_rope_base: None,
    width_scaled_layers: None,
    score_cap: None,
    logit_cap: None,
    sinks: false,
    router: Router::SoftmaxThenNormalise,
};

const QWEN2: Architecture = Architecture { name: "qwen2", pairing: Pairing::Neox, ..LLAMA };

const GEMMA2: Architecture = Architecture {
    name: "gemma2",
    gate: Gate::GeluTanh,
    scaled_embedding: true,
    post_norms: true,
    window: Window::AllButEach { period: 2, default: 4096 },
    width_scaled_layers: Some(46),
    score_cap: Some(50.0),
    logit_cap: Some(30.0),
    ..QWEN2
};

/// Every architecture that the forward pass runs.
pub const ARCHITECTURES: &[Architecture] = &[
    LLAMA,
    QWEN2,
    Architecture { name: "qwen3", query_key_norm: true, ..QWEN2 },
    Architecture { name: "qwen3moe", query_key_norm: true, ..QWEN2 },
    GEMMA2,
    Architecture {
        name: "gemma3",
        query_key_norm: true,
        window: Window::AllButEach { period: 6, default: 0 },
        window_rope_base: Some(10000.0),
        width_scaled_layers: Some(62),
        score_cap: None,
        logit_cap: None,
        ..GEMMA2
    },
    // Files of this architecture carry a window that their models were not converted to honour; llama.cpp ignores it too.
    Architecture { name: "phi3", fused_gate: true, ..QWEN2 },
    Architecture {
        name: "gpt-oss",
        gate: Gate::ClampedSwiglu,
        feed_forward_norm: "post_attention_norm",
        window: Window::AllButEach { period: 2, default: 0 },
        sinks: true,
        router: Router::SoftmaxOfChosen,
        ..QWEN2
    },
];

/// The architecture of a name.
pub fn find(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|a| a.name == name)
}
