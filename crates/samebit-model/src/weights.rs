//! Tensors by name, checked against the shapes that the architecture gives them.
//!
//! Matrices stay in the file; what is small (norms, biases) is copied out as binary32.

use std::collections::BTreeSet;

use samebit_gguf::{Gguf, TensorInfo, TensorType};
use samebit_kernels::packed::packed_bytes;
use samebit_numerics::blocks::Format;
use samebit_numerics::ops::matmul::Matrix;

use crate::config::Config;
use crate::error::LoadError;

/// A matrix, or a stack of them (one per expert), in the file.
#[derive(Clone, Debug)]
pub struct Weight {
    info: TensorInfo,
    format: Format,
    rows: usize,
    cols: usize,
    stack: usize,
    packed_at: usize,
}

impl Weight {
    /// The format of its rows.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Outputs (of one matrix of the stack).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Its name in the file.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Matrices in the stack: one, or one per expert.
    pub fn stack(&self) -> usize {
        self.stack
    }

    /// Bytes of the whole stack in packed form.
    pub fn packed_bytes(&self) -> usize {
        self.stack * packed_bytes(self.format, self.rows, self.cols)
    }

    /// Where its packed form begins among all packed weights.
    pub(crate) fn packed_at(&self) -> usize {
        self.packed_at
    }

    pub(crate) fn info(&self) -> &TensorInfo {
        &self.info
    }

    /// The matrix number `index` of the stack.
    ///
    /// # Panics
    /// If there is no such matrix.
    pub fn matrix<'a>(&self, gguf: &'a Gguf, index: usize) -> Matrix<'a> {
        let data = gguf.data(&self.info);
        let len = self.format.row_bytes(self.cols).map_or(0, |row| row * self.rows);
        let bytes = &data[index * len..(index + 1) * len];
        Matrix { format: self.format, rows: self.rows, cols: self.cols, bytes }
    }
}

/// A matrix and the bias of its outputs, if it has one.
#[derive(Clone, Debug)]
pub struct Linear {
    /// The matrix.
    pub weight: Weight,
    /// One number per output; for a stack, of all its matrices in order.
    pub bias: Option<Vec<f32>>,
}

/// The feed-forward network of a layer.
#[derive(Clone, Debug)]
pub enum FeedForward {
    /// Gate, up and down.
    Gated {
        /// Width to feed-forward width.
        gate: Linear,
        /// Likewise.
        up: Linear,
        /// Back.
        down: Linear,
    },
    /// Gate and up as rows of one matrix, gate first.
    Fused {
        /// Width to twice the feed-forward width.
        gate_up: Linear,
        /// Back.
        down: Linear,
    },
    /// A mixture of experts.
    Experts {
        /// Width to number of experts.
        router: Linear,
        /// Stacks, one matrix per expert.
        gate: Linear,
        /// Likewise.
        up: Linear,
        /// Likewise.
        down: Linear,
    },
}

/// Queries, keys and values.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one per layer, and nearly all are the large one
pub enum Projections {
    /// A matrix each.
    Separate {
        /// Width to heads · head size.
        query: Linear,
        /// Width to key/value heads · head size.
        key: Linear,
        /// Likewise.
        value: Linear,
    },
    /// Rows of one matrix: queries, keys, values.
    Fused(Linear),
}

/// One layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Norm before attention.
    pub attention_norm: Vec<f32>,
    /// Queries, keys, values.
    pub projections: Projections,
    /// Norm of each query head.
    pub query_norm: Option<Vec<f32>>,
    /// Norm of each key head.
    pub key_norm: Option<Vec<f32>>,
    /// Sink of each query head.
    pub sinks: Option<Vec<f32>>,
    /// Attention's output.
    pub output: Linear,
    /// Norm after attention.
    pub attention_post_norm: Option<Vec<f32>>,
    /// Norm before the feed-forward network.
    pub feed_forward_norm: Vec<f32>,
    /// The feed-forward network.
    pub feed_forward: FeedForward,
    /// Norm after the feed-forward network.
    pub feed_forward_post_norm: Option<Vec<f32>>,
}

/// All of a model's tensors.
#[derive(Clone, Debug)]
pub struct Weights {
    /// One row per token.
    pub embedding: Weight,
    /// The layers in order.
    pub layers: Vec<Layer>,
    /// Norm before the output.
    pub output_norm: Vec<f32>,
    /// One row per token; the embedding itself where the file has none.
    pub output: Linear,
    /// RoPE's factor per pair (`rope_freqs`, or long and short ones).
    pub rope_factors: RopeFactors,
    /// Bytes of all matrices in packed form.
    pub packed_bytes: usize,
}

impl Weights {
    /// The matrices that activations are multiplied by, in the order of their places in packed form.
    pub fn matrices(&self) -> Vec<&Weight> {
        let mut all: Vec<&Weight> = Vec::new();
        for layer in &self.layers {
            all.extend(layer.linears().into_iter().map(|linear| &linear.weight));
        }
        all.push(&self.output.weight);
        all.sort_by_key(|weight| weight.packed_at);
        all
    }
}

impl Layer {
    /// Its matrices.
    pub fn linears(&self) -> Vec<&Linear> {
        let mut all = match &self.projections {
            Projections::Separate { query, key, value } => vec![query, key, value],
            Projections::Fused(linear) => vec![linear],
        };
        all.push(&self.output);
        match &self.feed_forward {
            FeedForward::Gated { gate, up, down } => all.extend([gate, up, down]),
            FeedForward::Fused { gate_up, down } => all.extend([gate_up, down]),
            FeedForward::Experts { router, gate, up, down } => all.extend([router, gate, up, down]),
        }
        all
    }
}

/// RoPE's factors that come as tensors.
#[derive(Clone, Debug, Default)]
pub struct RopeFactors {
    /// `rope_freqs.weight`: for all contexts.
    pub all: Option<Vec<f32>>,
    /// `rope_factors_short.weight`: for contexts up to the original one.
    pub short: Option<Vec<f32>>,
    /// `rope_factors_long.weight`: beyond.
    pub long: Option<Vec<f32>>,
}

/// The block format of a tensor type, if there is one here.
pub fn format_of(ty: TensorType) -> Option<Format> {
    Format::from_name(ty.name())
}

/// Takes tensors out of a file and remembers which.
struct Loader<'a> {
    gguf: &'a Gguf,
    taken: BTreeSet<String>,
    /// Bytes of the packed form of the matrices found so far.
    packed: usize,
}

impl<'a> Loader<'a> {
    fn find(&mut self, name: &str, expected: &[usize]) -> Result<Option<(&'a TensorInfo, Format)>, LoadError> {
        let Some(info) = self.gguf.tensor(name) else {
            return Ok(None);
        };
        let expected: Vec<u64> = expected.iter().map(|&n| n as u64).collect();
        // Trailing dimensions of one element may be written or not.
        let significant = |shape: &[u64]| shape.iter().rposition(|&n| n != 1).map_or(1, |last| last + 1);
        if info.shape[..significant(&info.shape).min(info.shape.len())] != expected[..significant(&expected)] {
            return Err(LoadError::Shape { name: name.into(), found: info.shape.clone(), expected });
        }
        let Some(format) = format_of(info.ty) else {
            let supported: Vec<_> = Format::ALL.iter().map(|f| f.name()).collect();
            return Err(LoadError::TensorType {
                name: name.into(),
                ty: info.ty.name(),
                supported: supported.join(", "),
            });
        };
        self.taken.insert(name.into());
        Ok(Some((info, format)))
    }

    fn optional_vector(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, LoadError> {
        let Some((info, format)) = self.find(name, shape)? else {
            return Ok(None);
        };
        let mut values = vec![0.0; shape.iter().product()];
        format.dequantize(self.gguf.data(info), &mut values);
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(Some(values)),
            false => Err(LoadError::NonFiniteTensor(name.into())),
        }
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        self.optional_vector(name, &[len])?.ok_or_else(|| LoadError::MissingTensor(name.into()))
    }

    fn optional_weight(&mut self, name: &str, shape: &[usize]) -> Result<Option<Weight>, LoadError> {
        let found = self.find(name, shape)?;
        Ok(found.map(|(info, format)| {
            let (rows, cols, stack) = (shape[1], shape[0], shape.get(2).copied().unwrap_or(1));
            Weight { info: info.clone(), format, rows, cols, stack, packed_at: 0 }
        }))
    }

    /// Gives a matrix its place among the packed ones.
    fn place(&mut self, weight: &mut Weight) {
        weight.packed_at = self.packed;
        self.packed += weight.packed_bytes();
    }

    /// `{name}.weight` of `[cols, rows, (stack)]`, and `{name}.bias` of `[rows, (stack)]` where there is one.
    fn linear(&mut self, name: &str, shape: &[usize]) -> Result<Linear, LoadError> {
        let tensor = format!("{name}.weight");
        let mut weight = self.optional_weight(&tensor, shape)?.ok_or(LoadError::MissingTensor(tensor))?;
        self.place(&mut weight);
        Ok(Linear { weight, bias: self.optional_vector(&format!("{name}.bias"), &shape[1..])? })
    }
}

impl Weights {
    /// Finds every tensor that the configuration calls for.
    ///
    /// # Errors
    /// A tensor that is missing, of a wrong shape or an unsupported type, or that has no place.
    pub fn load(gguf: &Gguf, config: &Config) -> Result<Self, LoadError> {
        let mut loader = Loader { gguf, taken: BTreeSet::new(), packed: 0 };
        let name = "token_embd.weight";
        let vocabulary = gguf.tensor(name).and_then(|t| t.shape.get(1)).map_or(1, |&n| n as usize);
        let embedding = loader
            .optional_weight(name, &[config.width, vocabulary])?
            .ok_or_else(|| LoadError::MissingTensor(name.into()))?;
        let layers = (0..config.layers).map(|i| layer(&mut loader, config, i)).collect::<Result<_, _>>()?;
        let output = match gguf.tensor("output.weight") {
            Some(_) => loader.linear("output", &[config.width, vocabulary])?,
            None => {
                let mut weight = embedding.clone();
                loader.place(&mut weight);
                Linear { weight, bias: loader.optional_vector("output.bias", &[vocabulary])? }
            }
        };
        let output_norm = loader.vector("output_norm.weight", config.width)?;
        let pairs = config.rope.dims / 2;
        let rope_factors = RopeFactors {
            all: loader.optional_vector("rope_freqs.weight", &[pairs])?,
            short: loader.optional_vector("rope_factors_short.weight", &[pairs])?,
            long: loader.optional_vector("rope_factors_long.weight", &[pairs])?,
        };
        check_rope_factors(&rope_factors)?;
        match gguf.tensors().iter().find(|t| !loader.taken.contains(&t.name) && !t.name.ends_with(".attn_rot_embd")) {
            Some(unknown) => Err(LoadError::UnknownTensor(unknown.name.clone())),
            None => {
                let packed_bytes = loader.packed;
                Ok(Self { embedding, layers, output_norm, output, rope_factors, packed_bytes })
            }
        }
    }
}

fn check_rope_factors(factors: &RopeFactors) -> Result<(), LoadError> {
    let named =
        [("rope_freqs", &factors.all), ("rope_factors_short", &factors.short), ("rope_factors_long", &factors.long)];
    for (name, values) in named {
        if values.iter().flatten().any(|&v| v <= 0.0) {
            let problem = "a factor is not above zero".into();
            return Err(LoadError::Key { key: format!("{name}.weight"), problem });
        }
    }
    Ok(())
}

fn layer(loader: &mut Loader<'_>, config: &Config, index: usize) -> Result<Layer, LoadError> {
    let arch = &config.architecture;
    let (width, dim) = (config.width, config.head_dim);
    let (query, key_value) = (config.heads * dim, config.kv_heads * dim);
    let name = |part: &str| format!("blk.{index}.{part}");
    let projections = if loader.gguf.tensor(&name("attn_qkv.weight")).is_some() {
        Projections::Fused(loader.linear(&name("attn_qkv"), &[width, query + 2 * key_value])?)
    } else {
        Projections::Separate {
            query: loader.linear(&name("attn_q"), &[width, query])?,
            key: loader.linear(&name("attn_k"), &[width, key_value])?,
            value: loader.linear(&name("attn_v"), &[width, key_value])?,
        }
    };
    let mut norm = |wanted: bool, part: &str, len: usize| match wanted {
        true => loader.vector(&name(part), len).map(Some),
        false => Ok(None),
    };
    let query_norm = norm(arch.query_key_norm, "attn_q_norm.weight", dim)?;
    let key_norm = norm(arch.query_key_norm, "attn_k_norm.weight", dim)?;
    let attention_post_norm = norm(arch.post_norms, "post_attention_norm.weight", width)?;
    let feed_forward_post_norm = norm(arch.post_norms, "post_ffw_norm.weight", width)?;
    let sinks = norm(arch.sinks, "attn_sinks.weight", config.heads)?;
    Ok(Layer {
        attention_norm: loader.vector(&name("attn_norm.weight"), width)?,
        projections,
        query_norm,
        key_norm,
        sinks,
        output: loader.linear(&name("attn_output"), &[query, width])?,
        attention_post_norm,
        feed_forward_norm: loader.vector(&name(&format!("{}.weight", arch.feed_forward_norm)), width)?,
        feed_forward: feed_forward(loader, config, &name)?,
        feed_forward_post_norm,
    })
}

fn feed_forward(
    loader: &mut Loader<'_>,
    config: &Config,
    name: &dyn Fn(&str) -> String,
) -> Result<FeedForward, LoadError> {
    let (width, inner, experts) = (config.width, config.feed_forward, config.experts);
    if experts > 0 {
        return Ok(FeedForward::Experts {
            router: loader.linear(&name("ffn_gate_inp"), &[width, experts])?,
            gate: loader.linear(&name("ffn_gate_exps"), &[width, inner, experts])?,
            up: loader.linear(&name("ffn_up_exps"), &[width, inner, experts])?,
            down: loader.linear(&name("ffn_down_exps"), &[inner, width, experts])?,
        });
    }
    let down = loader.linear(&name("ffn_down"), &[inner, width])?;
    if config.architecture.fused_gate {
        return Ok(FeedForward::Fused { gate_up: loader.linear(&name("ffn_up"), &[width, 2 * inner])?, down });
    }
    Ok(FeedForward::Gated {
        gate: loader.linear(&name("ffn_gate"), &[width, inner])?,
        up: loader.linear(&name("ffn_up"), &[width, inner])?,
        down,
    })
}
