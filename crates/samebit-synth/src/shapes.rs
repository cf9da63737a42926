//! The shapes that `synth` knows by name, as data: sizes from the models' published configurations, and tiny ones for tests.
//!
//! Knows nothing of tensors or types.

/// What sets one architecture's tensors and keys apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Architecture {
    /// `general.architecture`, and the prefix of its keys.
    pub(crate) name: &'static str,
    /// Queries, keys and values have biases.
    pub(crate) qkv_bias: bool,
    /// Query and key heads have norms.
    pub(crate) qk_norm: bool,
    /// Attention and feed-forward have norms behind them too.
    pub(crate) post_norms: bool,
    /// Queries, keys and values are one matrix; gate and up are one matrix.
    pub(crate) fused: bool,
    /// Attention sinks, biases wherever there is a matrix, and the second norm called `post_attention_norm`: gpt-oss.
    pub(crate) sinks: bool,
    /// Soft-caps of attention scores and of logits.
    pub(crate) caps: Option<(f32, f32)>,
}

const LLAMA: Architecture = Architecture {
    name: "llama",
    qkv_bias: false,
    qk_norm: false,
    post_norms: false,
    fused: false,
    sinks: false,
    caps: None,
};
const QWEN2: Architecture = Architecture { name: "qwen2", qkv_bias: true, ..LLAMA };
const QWEN3: Architecture = Architecture { name: "qwen3", qk_norm: true, ..LLAMA };
const QWEN3MOE: Architecture = Architecture { name: "qwen3moe", ..QWEN3 };
const GEMMA2: Architecture = Architecture { name: "gemma2", post_norms: true, caps: Some((50.0, 30.0)), ..LLAMA };
const GEMMA3: Architecture = Architecture { name: "gemma3", qk_norm: true, caps: None, ..GEMMA2 };
const PHI3: Architecture = Architecture { name: "phi3", fused: true, ..LLAMA };
const GPT_OSS: Architecture = Architecture { name: "gpt-oss", qkv_bias: true, sinks: true, ..LLAMA };

/// A mixture of experts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Experts {
    pub(crate) count: u32,
    pub(crate) used: u32,
    /// Width of one expert's feed-forward network.
    pub(crate) ffn: u32,
    /// Whether the file has a key of its own for that width.
    pub(crate) own_width: bool,
}

/// What is done to RoPE's frequencies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rope {
    Plain,
    /// One factor per pair, in the tensor `rope_freqs.weight`.
    Factors,
    /// Factors for short and for long contexts, in two tensors.
    LongShort {
        original: u32,
    },
    Yarn {
        factor: f32,
        original: u32,
    },
    Linear {
        factor: f32,
    },
}

/// Sizes of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) architecture: Architecture,
    pub(crate) layers: u32,
    pub(crate) width: u32,
    /// Feed-forward width.
    pub(crate) ffn: u32,
    pub(crate) heads: u32,
    pub(crate) kv_heads: u32,
    pub(crate) head_dim: u32,
    pub(crate) vocab: u32,
    pub(crate) context: u32,
    /// The output matrix is the embedding.
    pub(crate) tied: bool,
    pub(crate) rope_base: f32,
    pub(crate) epsilon: f32,
    pub(crate) experts: Option<Experts>,
    /// Sliding window; 0 is none.
    pub(crate) window: u32,
    pub(crate) rope: Rope,
}

/// `[layers, width, ffn, heads, kv_heads, head_dim]`
type Sizes = [u32; 6];

const fn shape(architecture: Architecture, sizes: Sizes, vocab: u32, context: u32, rope_base: f32) -> Shape {
    let [layers, width, ffn, heads, kv_heads, head_dim] = sizes;
    Shape {
        architecture,
        layers,
        width,
        ffn,
        heads,
        kv_heads,
        head_dim,
        vocab,
        context,
        tied: false,
        rope_base,
        epsilon: 1e-5,
        experts: None,
        window: 0,
        rope: Rope::Plain,
    }
}

impl Shape {
    const fn tied(self) -> Self {
        Self { tied: true, ..self }
    }
    const fn epsilon(self, epsilon: f32) -> Self {
        Self { epsilon, ..self }
    }
    const fn window(self, window: u32) -> Self {
        Self { window, ..self }
    }
    const fn rope(self, rope: Rope) -> Self {
        Self { rope, ..self }
    }
    /// Experts of a width of their own.
    const fn experts(self, count: u32, used: u32, ffn: u32) -> Self {
        Self { experts: Some(Experts { count, used, ffn, own_width: true }), ..self }
    }
    /// Experts of the feed-forward width.
    const fn wide_experts(self, count: u32, used: u32) -> Self {
        Self { experts: Some(Experts { count, used, ffn: self.ffn, own_width: false }), ..self }
    }
}

#[rustfmt::skip]
const REAL: &[(&str, Shape)] = &[
    ("smollm2-135m", shape(LLAMA, [30, 576, 1536, 9, 3, 64], 49152, 8192, 1e5).tied()),
    ("smollm2-360m", shape(LLAMA, [32, 960, 2560, 15, 5, 64], 49152, 8192, 1e5).tied()),
    ("smollm2-1.7b", shape(LLAMA, [24, 2048, 8192, 32, 32, 64], 49152, 8192, 13e4).tied()),
    ("tinyllama-1.1b", shape(LLAMA, [22, 2048, 5632, 32, 4, 64], 32000, 2048, 1e4)),
    ("llama3.2-1b", shape(LLAMA, [16, 2048, 8192, 32, 8, 64], 128_256, 131_072, 5e5).tied().rope(Rope::Factors)),
    ("llama3.2-3b", shape(LLAMA, [28, 3072, 8192, 24, 8, 128], 128_256, 131_072, 5e5).tied().rope(Rope::Factors)),
    ("llama3-8b", shape(LLAMA, [32, 4096, 14336, 32, 8, 128], 128_256, 8192, 5e5)),
    ("llama3.1-8b", shape(LLAMA, [32, 4096, 14336, 32, 8, 128], 128_256, 131_072, 5e5).rope(Rope::Factors)),
    ("mistral-7b", shape(LLAMA, [32, 4096, 14336, 32, 8, 128], 32768, 32768, 1e6)),
    ("mixtral-8x7b", shape(LLAMA, [32, 4096, 14336, 32, 8, 128], 32000, 32768, 1e6).wide_experts(8, 2)),
    ("qwen2.5-0.5b", shape(QWEN2, [24, 896, 4864, 14, 2, 64], 151_936, 32768, 1e6).tied().epsilon(1e-6)),
    ("qwen2.5-1.5b", shape(QWEN2, [28, 1536, 8960, 12, 2, 128], 151_936, 32768, 1e6).tied().epsilon(1e-6)),
    ("qwen2.5-7b", shape(QWEN2, [28, 3584, 18944, 28, 4, 128], 152_064, 32768, 1e6).epsilon(1e-6)),
    ("qwen3-0.6b", shape(QWEN3, [28, 1024, 3072, 16, 8, 128], 151_936, 40960, 1e6).tied().epsilon(1e-6)),
    ("qwen3-1.7b", shape(QWEN3, [28, 2048, 6144, 16, 8, 128], 151_936, 40960, 1e6).tied().epsilon(1e-6)),
    ("qwen3-4b", shape(QWEN3, [36, 2560, 9728, 32, 8, 128], 151_936, 40960, 1e6).tied().epsilon(1e-6)),
    ("qwen3-8b", shape(QWEN3, [36, 4096, 12288, 32, 8, 128], 151_936, 40960, 1e6).epsilon(1e-6)),
    ("qwen3-30b-a3b", shape(QWEN3MOE, [48, 2048, 6144, 32, 4, 128], 151_936, 40960, 1e6).epsilon(1e-6).experts(128, 8, 768)),
    ("gemma2-2b", shape(GEMMA2, [26, 2304, 9216, 8, 4, 256], 256_000, 8192, 1e4).tied().epsilon(1e-6).window(4096)),
    ("gemma3-270m", shape(GEMMA3, [18, 640, 2048, 4, 1, 256], 262_144, 32768, 1e6).tied().epsilon(1e-6).window(512)),
    ("gemma3-1b", shape(GEMMA3, [26, 1152, 6912, 4, 1, 256], 262_144, 32768, 1e6).tied().epsilon(1e-6).window(512)),
    ("gemma3-4b", shape(GEMMA3, [34, 2560, 10240, 8, 4, 256], 262_208, 131_072, 1e6).tied().epsilon(1e-6).window(1024)
        .rope(Rope::Linear { factor: 8.0 })),
    ("phi3-mini-4k", shape(PHI3, [32, 3072, 8192, 32, 32, 96], 32064, 4096, 1e4)),
    ("phi3.5-mini", shape(PHI3, [32, 3072, 8192, 32, 32, 96], 32064, 131_072, 1e4).rope(Rope::LongShort { original: 4096 })),
    ("gpt-oss-20b", shape(GPT_OSS, [24, 2880, 2880, 64, 8, 64], 201_088, 131_072, 15e4).window(128).experts(32, 4, 2880)
        .rope(Rope::Yarn { factor: 32.0, original: 4096 })),
];

/// A tiny shape of each architecture at width 96; the wider ones are made from it. Windows and original contexts are so short that
/// a test of a few dozen tokens crosses them, and there are just enough layers for every kind of layer (in the wider twins, two).
#[rustfmt::skip]
const TINY: &[(&str, Shape)] = &[
    ("tiny-llama", tiny(LLAMA, 2, 32)),
    ("tiny-llama-rope", tiny(LLAMA, 2, 32).tied().rope(Rope::Factors)),
    ("tiny-mixtral", tiny(LLAMA, 2, 32).wide_experts(4, 2)),
    ("tiny-qwen2", tiny(QWEN2, 2, 32).tied()),
    ("tiny-qwen3", tiny(QWEN3, 2, 64).tied()),
    ("tiny-qwen3moe", tiny(QWEN3MOE, 2, 64).experts(4, 2, 64)),
    ("tiny-gemma2", tiny(GEMMA2, 2, 64).tied().window(24)),
    ("tiny-gemma3", tiny(GEMMA3, 6, 64).tied().window(24)),
    ("tiny-phi3", tiny(PHI3, 2, 32).rope(Rope::LongShort { original: 64 })),
    ("tiny-gpt-oss", tiny(GPT_OSS, 2, 64).window(24).experts(4, 2, 64).rope(Rope::Yarn { factor: 8.0, original: 64 })),
];

/// Vocabulary of the tiny shapes: three special tokens, 256 bytes and a few words' worth of merges.
const TINY_VOCAB: u32 = 512;

const fn tiny(architecture: Architecture, layers: u32, head_dim: u32) -> Shape {
    shape(architecture, [layers, 96, 160, 3, 1, head_dim], TINY_VOCAB, 1024, 1e4)
}

/// The wider twins of a tiny shape: rows of whole 256-blocks, and rows that end inside one. The first number of each is the suffix.
const WIDER: [(u32, u32, u32, u32, u32); 2] = [(256, 512, 4, 2, 256), (288, 352, 9, 3, 96)];

fn widened(shape: &Shape, (width, ffn, heads, kv_heads, expert_ffn): (u32, u32, u32, u32, u32)) -> Shape {
    // A head size of its own stays; one that is the width's share of a head goes with it.
    let own_head_dim = shape.head_dim * shape.heads != shape.width;
    let head_dim = if own_head_dim { shape.head_dim } else { width / heads };
    let experts = shape.experts.map(|experts| Experts { ffn: expert_ffn, ..experts });
    let ffn = match experts {
        Some(Experts { own_width: false, .. }) => expert_ffn,
        _ => ffn,
    };
    let layers = shape.layers.min(2);
    Shape { layers, width, ffn, heads, kv_heads, head_dim, experts, ..*shape }
}

/// Every shape with its name, in the order of listing.
pub(crate) fn all() -> Vec<(String, Shape)> {
    let tiny = TINY.iter().flat_map(|(name, shape)| {
        let wider = WIDER.map(|sizes| (format!("{name}-{}", sizes.0), widened(shape, sizes)));
        std::iter::once(((*name).to_owned(), *shape)).chain(wider)
    });
    let real = REAL.iter().map(|(name, shape)| ((*name).to_owned(), *shape));
    tiny.chain(real).collect()
}

/// The shape of a name; names are compared without regard to case.
pub(crate) fn find(name: &str) -> Option<Shape> {
    all().into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, shape)| shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sizes_fit() {
        let all = all();
        for (index, (name, shape)) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|(other, _)| other != name), "{name} twice");
            assert_eq!(shape.heads % shape.kv_heads, 0, "{name}");
            assert_eq!(shape.head_dim % 2, 0, "{name}");
            assert_eq!(shape.width % 32, 0, "{name}: rows of whole 32-blocks");
            assert_eq!((shape.head_dim * shape.heads) % 32, 0, "{name}");
            if shape.architecture.fused {
                assert_eq!(shape.head_dim * shape.heads, shape.width, "{name}");
            }
            if let Some(experts) = shape.experts {
                assert!(experts.used <= experts.count && experts.ffn % 32 == 0, "{name}");
                assert!(experts.own_width || experts.ffn == shape.ffn, "{name}");
            }
        }
        assert_eq!(all.len(), 3 * TINY.len() + REAL.len());
    }

    #[test]
    fn tiny_shapes_come_with_whole_and_broken_chunks() {
        for (name, _) in TINY {
            let whole = find(&format!("{name}-256")).expect("listed");
            assert_eq!((whole.width % 256, whole.heads * whole.head_dim % 256), (0, 0), "{name}");
            let broken = find(&format!("{name}-288")).expect("listed");
            assert!(broken.width > 256 && !broken.width.is_multiple_of(256));
        }
    }
}
