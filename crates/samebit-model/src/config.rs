//! A model's sizes and constants, read from a file's metadata, each checked before use.
//!
//! Knows GGUF's keys (`{architecture}.block_count`, …); nothing of tensors.

use samebit_gguf::Metadata;
use samebit_numerics::ops::attention::MAX_HEAD_DIM;

use crate::architecture::{ARCHITECTURES, Architecture, Window, find};
use crate::cache::KvType;
use crate::error::LoadError;

/// Bounds on what a file may claim, far above any model: they keep products within range and memory within reason.
const MAX_LAYERS: u64 = 4096;
const MAX_WIDTH: u64 = 1 << 20;
const MAX_HEADS: u64 = 1 << 14;
/// Elements of all keys of a position; a page of the cache has 256 times as many.
const MAX_KEY_WIDTH: usize = 1 << 16;
const MAX_EXPERTS: u64 = 4096;
const MAX_CONTEXT: u64 = 1 << 30;

/// A model's sizes and constants.
#[derive(Clone, Debug)]
pub struct Config {
    /// What a file of this architecture does not say.
    pub architecture: Architecture,
    /// Layers (`block_count`).
    pub layers: usize,
    /// Width of the residual stream (`embedding_length`).
    pub width: usize,
    /// Query heads (`attention.head_count`).
    pub heads: usize,
    /// Key/value heads (`attention.head_count_kv`).
    pub kv_heads: usize,
    /// Elements of a head (`attention.key_length`).
    pub head_dim: usize,
    /// Width of the feed-forward network (`feed_forward_length`, or an expert's `expert_feed_forward_length`).
    pub feed_forward: usize,
    /// Experts, 0 for a dense network (`expert_count`).
    pub experts: usize,
    /// Experts that each token uses (`expert_used_count`).
    pub experts_used: usize,
    /// Positions that the model was trained for (`context_length`).
    pub context: usize,
    /// ε of the norms (`attention.layer_norm_rms_epsilon`).
    pub epsilon: f32,
    /// Factor on attention scores.
    pub score_scale: f32,
    /// Soft-cap of attention scores (`attn_logit_softcapping`).
    pub score_cap: Option<f32>,
    /// Soft-cap of the logits (`final_logit_softcapping`).
    pub logit_cap: Option<f32>,
    /// Per layer: how many positions back it sees, itself included (`attention.sliding_window`).
    pub windows: Vec<Option<usize>>,
    /// RoPE of the layers.
    pub rope: RopeConfig,
}

/// RoPE's constants.
#[derive(Clone, Debug)]
pub struct RopeConfig {
    /// Rotated elements of a head (`rope.dimension_count`).
    pub dims: usize,
    /// Base of the frequencies (`rope.freq_base`).
    pub base: f32,
    /// Base of windowed layers (`rope.freq_base_swa`), where it differs.
    pub window_base: Option<f32>,
    /// Whether windowed layers are scaled like the others.
    pub window_scaled: bool,
    /// Scaling of the frequencies.
    pub scaling: RopeScalingConfig,
    /// Context of the training before scaling (`rope.scaling.original_context_length`).
    pub original_context: usize,
    /// Factor on sines and cosines (`rope.scaling.attn_factor`).
    pub attention_factor: f32,
}

/// Scaling of RoPE's frequencies (`rope.scaling.type`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScalingConfig {
    /// None.
    None,
    /// All frequencies divided by the factor.
    Linear(f32),
    /// YaRN by the factor. Peng et al. 2023.
    Yarn {
        /// `rope.scaling.factor`.
        factor: f32,
        /// `rope.scaling.yarn_ext_factor`.
        extrapolation: f32,
        /// `rope.scaling.yarn_beta_fast`.
        beta_fast: f32,
        /// `rope.scaling.yarn_beta_slow`.
        beta_slow: f32,
    },
    /// Factors from tensors, long or short by the context. Ding et al. 2024.
    Long,
}

/// Reads an architecture's keys with its prefix.
struct Keys<'a> {
    metadata: &'a Metadata,
    prefix: &'static str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn problem<T>(&self, key: &str, problem: impl Into<String>) -> Result<T, LoadError> {
        Err(LoadError::Key { key: self.name(key), problem: problem.into() })
    }

    /// A count; where a file gives one per layer, all must be the same.
    fn count(&self, key: &str, largest: u64) -> Result<Option<usize>, LoadError> {
        let name = self.name(key);
        let value = match self.metadata.get(&name) {
            Some(value) if value.as_integer().is_none() => {
                let Some(list) = self.metadata.array_u32(&name).ok().flatten() else {
                    return self.problem(key, format!("must be a number, is {}", value.type_name()));
                };
                match list.split_first() {
                    Some((&first, rest)) if rest.iter().all(|&v| v == first) => Some(u64::from(first)),
                    _ => {
                        return self.problem(key, "differs from layer to layer, which is not supported");
                    }
                }
            }
            _ => self.metadata.u64(&name)?,
        };
        match value {
            Some(v) if v > largest => self.problem(key, format!("{v} is above the bound of {largest}")),
            v => Ok(v.map(|v| v as usize)),
        }
    }

    /// A count that must be there and above zero.
    fn size(&self, key: &str, largest: u64) -> Result<usize, LoadError> {
        match self.count(key, largest)? {
            Some(0) => self.problem(key, "must be above zero"),
            Some(value) => Ok(value),
            None => self.problem(key, "is missing"),
        }
    }

    /// A finite number.
    fn number(&self, key: &str) -> Result<Option<f32>, LoadError> {
        match self.metadata.f32(&self.name(key))? {
            Some(v) if !v.is_finite() => self.problem(key, format!("{v} is not a finite number")),
            v => Ok(v),
        }
    }

    /// A number above zero, or `default`.
    fn positive(&self, key: &str, default: f32) -> Result<f32, LoadError> {
        match self.number(key)? {
            Some(v) if v <= 0.0 => self.problem(key, format!("{v} must be above zero")),
            v => Ok(v.unwrap_or(default)),
        }
    }

    /// A soft-cap: zero is none, absent is the architecture's.
    fn cap(&self, key: &str, absent: Option<f32>) -> Result<Option<f32>, LoadError> {
        match self.number(key)? {
            Some(v) if v < 0.0 => self.problem(key, format!("{v} must not be negative")),
            v => Ok(v.or(absent).filter(|&v| v != 0.0)),
        }
    }
}

impl Config {
    /// Reads a file's metadata.
    ///
    /// # Errors
    /// An architecture that is not supported; a key that is missing, of the wrong type or out of its bounds.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self, LoadError> {
        let name = metadata.str("general.architecture")?.ok_or_else(|| metadata.missing("general.architecture"))?;
        let Some(architecture) = find(name) else {
            let supported: Vec<_> = ARCHITECTURES.iter().map(|a| a.name).collect();
            return Err(LoadError::Architecture { name: name.into(), supported: supported.join(", ") });
        };
        let keys = Keys { metadata, prefix: architecture.name };
        let layers = keys.size("block_count", MAX_LAYERS)?;
        let width = keys.size("embedding_length", MAX_WIDTH)?;
        let heads = keys.size("attention.head_count", MAX_HEADS)?;
        let kv_heads = keys.count("attention.head_count_kv", MAX_HEADS)?.unwrap_or(heads);
        if kv_heads == 0 || heads % kv_heads != 0 {
            return keys.problem("attention.head_count_kv", format!("{kv_heads} does not divide {heads} heads"));
        }
        let head_dim = head_dim(&keys, width, heads)?;
        if kv_heads * head_dim > MAX_KEY_WIDTH {
            return keys
                .problem("attention.head_count_kv", format!("{kv_heads} heads of {head_dim} are above any model's"));
        }
        if keys.metadata.bool(&keys.name("attention.causal"))? == Some(false) {
            return keys.problem("attention.causal", "is false: models that see ahead are not supported");
        }
        let (experts, experts_used, feed_forward) = experts(&keys)?;
        Ok(Self {
            architecture: *architecture,
            layers,
            width,
            heads,
            kv_heads,
            head_dim,
            feed_forward,
            experts,
            experts_used,
            context: keys.size("context_length", MAX_CONTEXT)?,
            epsilon: epsilon(&keys)?,
            score_scale: score_scale(&keys, layers, width, heads, head_dim)?,
            score_cap: keys.cap("attn_logit_softcapping", architecture.score_cap)?,
            logit_cap: keys.cap("final_logit_softcapping", architecture.logit_cap)?,
            windows: windows(&keys, architecture, layers)?,
            rope: rope(&keys, architecture, head_dim)?,
        })
    }

    /// Query heads that share a key/value head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Bytes of cache for one position, in a type.
    pub fn cache_bytes_per_position(&self, kind: KvType) -> usize {
        2 * self.layers * self.kv_heads * kind.head_bytes(self.head_dim)
    }
}

fn head_dim(keys: &Keys<'_>, width: usize, heads: usize) -> Result<usize, LoadError> {
    let key = keys.count("attention.key_length", MAX_HEAD_DIM as u64)?;
    let value = keys.count("attention.value_length", MAX_HEAD_DIM as u64)?;
    let dim = match key {
        Some(dim) => dim,
        None if width.is_multiple_of(heads) => width / heads,
        None => {
            return keys.problem("attention.head_count", format!("{heads} does not divide the width {width}"));
        }
    };
    if dim == 0 || dim % 2 != 0 || dim > MAX_HEAD_DIM {
        return keys
            .problem("attention.key_length", format!("{dim} must be even, above zero and at most {MAX_HEAD_DIM}"));
    }
    if value.is_some_and(|v| v != dim) {
        return keys.problem("attention.value_length", "differs from the key length, which is not supported");
    }
    Ok(dim)
}

fn experts(keys: &Keys<'_>) -> Result<(usize, usize, usize), LoadError> {
    let experts = keys.count("expert_count", MAX_EXPERTS)?.unwrap_or(0);
    if experts == 0 {
        return Ok((0, 0, keys.size("feed_forward_length", MAX_WIDTH)?));
    }
    let used = keys.size("expert_used_count", MAX_EXPERTS)?;
    if used > experts {
        return keys.problem("expert_used_count", format!("{used} is more than the {experts} experts"));
    }
    if keys.number("expert_weights_scale")?.is_some_and(|v| v != 0.0 && v != 1.0) {
        return keys.problem("expert_weights_scale", "other than 1 is not supported");
    }
    let own = keys.count("expert_feed_forward_length", MAX_WIDTH)?.filter(|&v| v != 0);
    let feed_forward = match own {
        Some(size) => size,
        None => keys.size("feed_forward_length", MAX_WIDTH)?,
    };
    Ok((experts, used, feed_forward))
}

fn epsilon(keys: &Keys<'_>) -> Result<f32, LoadError> {
    match keys.number("attention.layer_norm_rms_epsilon")? {
        Some(v) if v >= 0.0 => Ok(v),
        Some(v) => keys.problem("attention.layer_norm_rms_epsilon", format!("{v} must not be negative")),
        None => keys.problem("attention.layer_norm_rms_epsilon", "is missing"),
    }
}

/// 1/√(head size), or what the file or the architecture has instead; the root and the quotient in binary32.
fn score_scale(keys: &Keys<'_>, layers: usize, width: usize, heads: usize, dim: usize) -> Result<f32, LoadError> {
    use samebit_numerics::arith::{Float32, Soft};
    if let Some(scale) = keys.number("attention.scale")?.filter(|&v| v != 0.0) {
        return Ok(scale);
    }
    let by_width = find(keys.prefix).and_then(|a| a.width_scaled_layers) == Some(layers);
    let elements = if by_width { width / heads } else { dim };
    Ok(1.0 / Soft::sqrt(elements as f32))
}

fn windows(keys: &Keys<'_>, architecture: &Architecture, layers: usize) -> Result<Vec<Option<usize>>, LoadError> {
    let Window::AllButEach { period, default } = architecture.window else {
        return Ok(vec![None; layers]);
    };
    let window = keys.count("attention.sliding_window", MAX_CONTEXT)?.unwrap_or(default);
    if window == 0 {
        return Ok(vec![None; layers]);
    }
    let pattern = "attention.sliding_window_pattern";
    if let Some(mask) = window_mask(keys, pattern)? {
        if mask.len() < layers {
            return keys.problem(pattern, format!("has {} entries for {layers} layers", mask.len()));
        }
        return Ok(mask.into_iter().take(layers).map(|windowed| windowed.then_some(window)).collect());
    }
    let period = keys.count(pattern, MAX_LAYERS)?.unwrap_or(period);
    let windowed = |layer: usize| period == 0 || layer % period < period - 1;
    Ok((0..layers).map(|layer| windowed(layer).then_some(window)).collect())
}

/// The pattern as a list, of booleans or numbers, which says of each layer whether it is windowed.
fn window_mask(keys: &Keys<'_>, pattern: &str) -> Result<Option<Vec<bool>>, LoadError> {
    let name = keys.name(pattern);
    if keys.metadata.get(&name).is_none_or(|value| value.as_integer().is_some()) {
        return Ok(None);
    }
    if let Ok(Some(list)) = keys.metadata.array_bool(&name) {
        return Ok(Some(list.to_vec()));
    }
    Ok(keys.metadata.array_i32(&name)?.map(|list| list.iter().map(|&v| v != 0).collect()))
}

fn rope(keys: &Keys<'_>, architecture: &Architecture, head_dim: usize) -> Result<RopeConfig, LoadError> {
    let dims = keys.count("rope.dimension_count", MAX_HEAD_DIM as u64)?.unwrap_or(head_dim);
    if dims == 0 || dims % 2 != 0 || dims > head_dim {
        return keys
            .problem("rope.dimension_count", format!("{dims} must be even and at most the head size {head_dim}"));
    }
    let factor = match keys.number("rope.scaling.factor")?.filter(|&v| v != 0.0) {
        Some(factor) => factor,
        None => keys.number("rope.scale_linear")?.filter(|&v| v != 0.0).unwrap_or(1.0),
    };
    if factor <= 0.0 {
        return keys.problem("rope.scaling.factor", format!("{factor} must be above zero"));
    }
    let type_key = keys.name("rope.scaling.type");
    let scaling = match keys.metadata.str(&type_key)?.unwrap_or("linear") {
        "none" => RopeScalingConfig::None,
        "linear" if factor == 1.0 => RopeScalingConfig::None,
        "linear" => RopeScalingConfig::Linear(factor),
        "yarn" => RopeScalingConfig::Yarn {
            factor,
            extrapolation: keys.number("rope.scaling.yarn_ext_factor")?.filter(|&v| v >= 0.0).unwrap_or(1.0),
            beta_fast: keys.positive("rope.scaling.yarn_beta_fast", 32.0)?,
            beta_slow: keys.positive("rope.scaling.yarn_beta_slow", 1.0)?,
        },
        "longrope" if factor == 1.0 => RopeScalingConfig::Long,
        "longrope" => return keys.problem("rope.scaling.factor", "together with longrope is not supported"),
        other => {
            return keys.problem("rope.scaling.type", format!("`{other}` is not one of none, linear, yarn, longrope"));
        }
    };
    let window_base = match keys.number("rope.freq_base_swa")? {
        Some(base) if base <= 0.0 => {
            return keys.problem("rope.freq_base_swa", format!("{base} must be above zero"));
        }
        base => base.or(architecture.window_rope_base),
    };
    let context = keys.size("context_length", MAX_CONTEXT)?;
    Ok(RopeConfig {
        dims,
        base: keys.positive("rope.freq_base", 10000.0)?,
        window_base,
        window_scaled: architecture.window_rope_base.is_none(),
        scaling,
        original_context: keys
            .count("rope.scaling.original_context_length", MAX_CONTEXT)?
            .filter(|&v| v != 0)
            .unwrap_or(context),
        attention_factor: keys.positive("rope.scaling.attn_factor", 1.0)?,
    })
}
