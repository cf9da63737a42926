//! The forward pass: rows of a batch in, logits out. One for every architecture, precision and instruction set.
//!
//! Knows what is computed and in which order; nothing of how (the table), of who else is in the batch (each row stands
//! alone), or of what comes of the logits.

use std::sync::Arc;

use samebit_kernels::{Activations, Pool, Table, float_env};
use samebit_numerics::activations::NonFinite;
use samebit_numerics::angles;
use samebit_numerics::arith::{self, Arith, Double, Float32, Soft};
use samebit_numerics::ops::matmul::Matrix;

use crate::cache::{Cache, Conversions};
use crate::error::ForwardError;
use crate::model::Model;
use crate::rope::Ropes;
use crate::tap::Tap;
use crate::weights::{FeedForward, Layer, Linear};

/// The precision of a pass: binary32 or binary64.
pub trait Real: Copy + Default + PartialOrd + Send + Sync + 'static {
    /// Exact.
    fn from_f32(x: f32) -> Self;
    /// Rounded to nearest even.
    fn to_f32(self) -> f32;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Cosine and sine of `position · frequency`, times `magnitude`, rounded once.
    fn cos_sin(position: u32, frequency: f64, magnitude: f64) -> (Self, Self);
}

impl Real for f32 {
    fn from_f32(x: f32) -> Self {
        x
    }
    fn to_f32(self) -> f32 {
        arith::canonical(self)
    }
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
    fn cos_sin(position: u32, frequency: f64, magnitude: f64) -> (Self, Self) {
        angles::cos_sin_scaled(position, frequency, magnitude)
    }
}

impl Real for f64 {
    fn from_f32(x: f32) -> Self {
        Self::from(x)
    }
    fn to_f32(self) -> f32 {
        Double::to_f32(self)
    }
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
    fn cos_sin(position: u32, frequency: f64, magnitude: f64) -> (Self, Self) {
        angles::cos_sin_f64(position, frequency, magnitude)
    }
}

/// One token of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The token.
    pub token: u32,
    /// Its position in its sequence. Positions before it are in the cache or earlier in the batch.
    pub position: usize,
    /// Which of the caches is its sequence's.
    pub cache: usize,
}

/// Runs a model: the functions, the threads, the tables of angles.
#[derive(Debug)]
pub struct Runner<R: 'static> {
    pub(crate) model: Arc<Model>,
    pub(crate) table: Table<R>,
    pub(crate) pool: Pool,
    pub(crate) ropes: Ropes<R>,
    activations: Activations<R>,
}

impl<R: Real> Runner<R> {
    /// A runner of `model` by `table` on `pool`, for contexts of up to `context` positions (which chooses LongRoPE's
    /// factors, where a model has them).
    pub fn new(model: Arc<Model>, table: Table<R>, pool: Pool, context: usize) -> Self {
        let ropes = float_env::with_default(|| Ropes::new(&model, context));
        Self { model, table, pool, ropes, activations: Activations::default() }
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub(crate) fn conversions(&self) -> Conversions<R> {
        Conversions { narrow: self.table.narrow, widen: self.table.widen }
    }

    /// Runs a batch, writes its keys and values to `caches`, and returns the logits of the rows `wanted` (indices into
    /// `rows`), `wanted.len() × vocabulary`. An empty batch gives nothing.
    ///
    /// # Errors
    /// A token outside the vocabulary; an activation that is not finite. The caches then hold no more than before,
    /// once truncated to where they were.
    pub fn run(
        &mut self,
        rows: &[Row],
        caches: &mut [Cache<R>],
        wanted: &[usize],
        tap: &mut dyn Tap<R>,
    ) -> Result<Vec<R>, ForwardError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        float_env::with_default(|| self.pass(rows, caches, wanted, tap))
    }

    fn pass(
        &mut self,
        rows: &[Row],
        caches: &mut [Cache<R>],
        wanted: &[usize],
        tap: &mut dyn Tap<R>,
    ) -> Result<Vec<R>, ForwardError> {
        let model = Arc::clone(&self.model);
        let width = model.config().width;
        for row in rows {
            caches[row.cache].grow(row.position + 1);
            self.ropes.reach(row.position);
        }
        let mut x = self.embed(rows, tap)?;
        for (index, layer) in model.weights().layers.iter().enumerate() {
            self.layer(index, layer, rows, caches, &mut x, tap)?;
        }
        let last: Vec<R> = wanted.iter().flat_map(|&row| &x[row * width..(row + 1) * width]).copied().collect();
        let kept: Vec<Row> = wanted.iter().map(|&row| rows[row]).collect();
        self.logits(&last, &kept, tap)
    }

    /// Embeddings of the tokens, scaled where the architecture says so.
    fn embed(&self, rows: &[Row], tap: &mut dyn Tap<R>) -> Result<Vec<R>, ForwardError> {
        let (config, embedding) = (self.model.config(), &self.model.weights().embedding);
        let matrix = embedding.matrix(self.model.gguf(), 0);
        let mut values = vec![0.0f32; config.width];
        let mut x = Vec::with_capacity(rows.len() * config.width);
        for row in rows {
            if row.token as usize >= matrix.rows {
                return Err(ForwardError::Token { token: row.token, vocabulary: matrix.rows });
            }
            matrix.format.dequantize(matrix.row(row.token as usize), &mut values);
            x.extend(values.iter().map(|&v| R::from_f32(v)));
        }
        check_finite(&x, rows, || embedding.name().into())?;
        tap.tensor("embd", None, config.width, &x);
        if config.architecture.scaled_embedding {
            (self.table.scale)(&mut x, Soft::sqrt(config.width as f32));
            tap.tensor("inp_scaled", None, config.width, &x);
        }
        Ok(x)
    }

    fn layer(
        &mut self,
        index: usize,
        layer: &Layer,
        rows: &[Row],
        caches: &mut [Cache<R>],
        x: &mut [R],
        tap: &mut dyn Tap<R>,
    ) -> Result<(), ForwardError> {
        let config = self.model.config();
        let (width, post_norms) = (config.width, config.architecture.post_norms);
        let normed = self.rms_norm(x, &layer.attention_norm, rows, || place(index, "attn_norm"))?;
        tap.tensor("attn_norm", Some(index), width, &normed);
        let mixed = self.attention(index, layer, &normed, rows, caches, tap)?;
        let [mut out] = self.linear([(&layer.output, 0)], &mixed, rows)?;
        tap.tensor("attn_out", Some(index), width, &out);
        if let Some(norm) = &layer.attention_post_norm {
            out = self.rms_norm(&out, norm, rows, || place(index, "post_attention_norm"))?;
            tap.tensor("attn_post_norm", Some(index), width, &out);
        }
        (self.table.add)(x, &out);
        tap.tensor(if post_norms { "sa_out" } else { "ffn_inp" }, Some(index), width, x);

        let normed = self.rms_norm(x, &layer.feed_forward_norm, rows, || place(index, "ffn_norm"))?;
        tap.tensor("ffn_norm", Some(index), width, &normed);
        let mut out = self.feed_forward(index, layer, &normed, rows, tap)?;
        tap.tensor("ffn_out", Some(index), width, &out);
        if let Some(norm) = &layer.feed_forward_post_norm {
            out = self.rms_norm(&out, norm, rows, || place(index, "post_ffw_norm"))?;
            tap.tensor("ffn_post_norm", Some(index), width, &out);
        }
        (self.table.add)(x, &out);
        tap.tensor("l_out", Some(index), width, x);
        Ok(())
    }

    fn feed_forward(
        &mut self,
        index: usize,
        layer: &Layer,
        x: &[R],
        rows: &[Row],
        tap: &mut dyn Tap<R>,
    ) -> Result<Vec<R>, ForwardError> {
        let inner = self.model.config().feed_forward;
        let (mut gate, up, down) = match &layer.feed_forward {
            FeedForward::Experts { router, gate, up, down } => {
                return self.experts(index, [router, gate, up, down], x, rows, tap);
            }
            FeedForward::Gated { gate, up, down } => {
                let [g, u] = self.linear([(gate, 0), (up, 0)], x, rows)?;
                (g, u, down)
            }
            FeedForward::Fused { gate_up, down } => {
                let [both] = self.linear([(gate_up, 0)], x, rows)?;
                let half = |upper: usize| -> Vec<R> {
                    both.chunks_exact(2 * inner)
                        .flat_map(|row| &row[upper * inner..(upper + 1) * inner])
                        .copied()
                        .collect()
                };
                (half(0), half(1), down)
            }
        };
        tap.tensor("ffn_gate", Some(index), inner, &gate);
        tap.tensor("ffn_up", Some(index), inner, &up);
        (self.table.gated)(self.model.config().architecture.gate, &mut gate, &up);
        tap.tensor("ffn_gated", Some(index), inner, &gate);
        let [out] = self.linear([(down, 0)], &gate, rows)?;
        Ok(out)
    }

    fn logits(&mut self, x: &[R], rows: &[Row], tap: &mut dyn Tap<R>) -> Result<Vec<R>, ForwardError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let model = Arc::clone(&self.model);
        let normed = self.rms_norm(x, &model.weights().output_norm, rows, || "output_norm".into())?;
        tap.tensor("result_norm", None, model.config().width, &normed);
        let [mut logits] = self.linear([(&model.weights().output, 0)], &normed, rows)?;
        if let Some(cap) = model.config().logit_cap {
            (self.table.soft_cap)(&mut logits, cap);
        }
        tap.tensor("result_output", None, model.vocabulary(), &logits);
        Ok(logits)
    }

    /// RMSNorm of each row, or of each head of each row where the weight is a head's.
    pub(crate) fn rms_norm(
        &self,
        x: &[R],
        weight: &[f32],
        rows: &[Row],
        place: impl Fn() -> String,
    ) -> Result<Vec<R>, ForwardError> {
        let mut out = vec![R::default(); x.len()];
        for (row, out) in x.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
            (self.table.rms_norm)(row, weight, self.model.config().epsilon, out);
        }
        check_finite(&out, rows, place)?;
        Ok(out)
    }

    /// The same rows through several matrices (with the index into each stack), each `rows × outputs`; activations are
    /// made ready once. Nothing that is not finite goes in or comes out.
    pub(crate) fn linear<const N: usize>(
        &mut self,
        linears: [(&Linear, usize); N],
        x: &[R],
        rows: &[Row],
    ) -> Result<[Vec<R>; N], ForwardError> {
        let model = Arc::clone(&self.model);
        let cols = linears[0].0.weight.cols();
        let formats = linears.map(|(linear, _)| linear.weight.format());
        let ready = self.table.activations(x, rows.len(), cols, &formats, &mut self.activations);
        ready.map_err(|NonFinite { row, index }| {
            let place = format!("input of {}", linears[0].0.weight.name());
            ForwardError::NonFinite { place, position: rows[row].position, index, remedy: "" }
        })?;
        let mut outputs = [const { Vec::new() }; N];
        for ((linear, index), output) in linears.into_iter().zip(&mut outputs) {
            let matrix = linear.weight.matrix(model.gguf(), index);
            *output = self.multiply(&matrix);
            if let Some(bias) = &linear.bias {
                let bias = &bias[index * matrix.rows..(index + 1) * matrix.rows];
                output.chunks_exact_mut(matrix.rows).for_each(|row| (self.table.add_bias)(row, bias));
            }
            check_finite(output, rows, || format!("output of {}", linear.weight.name()))?;
        }
        Ok(outputs)
    }

    /// The ready activations times a matrix, `tokens × outputs`; threads share the outputs.
    fn multiply(&self, matrix: &Matrix<'_>) -> Vec<R> {
        let (table, x) = (&self.table, &self.activations);
        let mut by_output = vec![R::default(); matrix.rows * x.tokens];
        self.pool.fill(&mut by_output, x.tokens, |first, part| {
            (table.matmul)(matrix, first..first + part.len() / x.tokens, x, part);
        });
        if x.tokens == 1 {
            return by_output;
        }
        let mut out = vec![R::default(); by_output.len()];
        for (output, values) in by_output.chunks_exact(x.tokens).enumerate() {
            for (token, &value) in values.iter().enumerate() {
                out[token * matrix.rows + output] = value;
            }
        }
        out
    }
}

/// The name of a layer's tensor: `blk.3.attn_norm`.
pub(crate) fn place(layer: usize, part: &str) -> String {
    format!("blk.{layer}.{part}")
}

/// Whether all values of some rows, of whatever width, are finite.
///
/// # Errors
/// The first that is not: an infinity may vanish in what follows (a gate, a cap, a weight of zero), so it is looked for
/// where it arises.
pub(crate) fn check_finite<R: Real>(x: &[R], rows: &[Row], place: impl Fn() -> String) -> Result<(), ForwardError> {
    match x.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let width = x.len() / rows.len();
            let (position, index) = (rows[at / width].position, at % width);
            Err(ForwardError::NonFinite { place: place(), position, index, remedy: "" })
        }
    }
}
