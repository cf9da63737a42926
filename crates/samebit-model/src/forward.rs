//! The forward pass: rows of a batch in, logits out. One for every architecture, precision and instruction set.
//!
//! Knows what is computed and in which order; nothing of how (the table), of who else is in the batch (each row stands
//! alone), or of what comes of the logits.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use samebit_kernels::{Activations, Columns, Grid, Pool, Table, float_env};
use samebit_numerics::activations::NonFinite;
use samebit_numerics::angles;
use samebit_numerics::arith::{self, Arith, Double, Float32, Soft};
use samebit_numerics::ops::matmul::Matrix;

use crate::attention::Part;
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
    /// Rounded to nearest even.
    fn from_f64(x: f64) -> Self;
    /// Exact.
    fn to_f64(self) -> f64;
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
    fn from_f64(x: f64) -> Self {
        Double::to_f32(x)
    }
    fn to_f64(self) -> f64 {
        Self::into(self)
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
    fn from_f64(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
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

/// What is wanted of a batch: of which rows (indices into the batch) the logits, and of which the state that logits are made from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Rows of logits.
    pub logits: &'a [usize],
    /// Rows of states: the residual stream after the output norm.
    pub states: &'a [usize],
}

/// What came of a batch, one row after the other as they were wanted.
#[derive(Clone, Debug, Default)]
pub struct Outcome<R> {
    /// `wanted.logits.len() × vocabulary`.
    pub logits: Vec<R>,
    /// `wanted.states.len() × width`.
    pub states: Vec<R>,
}

/// Outputs of a matrix that are not divided: two groups of packed rows.
const UNIT: usize = 32;

/// Embeddings that are looked up before their pages of the file are given back.
const LOOKED_UP: usize = 64;

/// Runs a model: the functions, the threads, the tables of angles, and room for a pass.
#[derive(Debug)]
pub struct Runner<R: 'static> {
    pub(crate) model: Arc<Model>,
    pub(crate) table: Table<R>,
    pub(crate) pool: Pool,
    pub(crate) ropes: Ropes<R>,
    room: Room<R>,
}

/// The activations of a pass, kept from one to the next so that a token makes no new ones. All are overwritten before they
/// are read.
#[derive(Debug, Default)]
pub(crate) struct Room<R> {
    /// The residual stream, `rows × width`.
    x: Vec<R>,
    /// What a norm made of it.
    pub(crate) normed: Vec<R>,
    /// What attention or the feed-forward network adds to it.
    change: Vec<R>,
    pub(crate) queries: Vec<R>,
    pub(crate) keys: Vec<R>,
    pub(crate) values: Vec<R>,
    /// All three, where a matrix makes them together.
    pub(crate) projected: Vec<R>,
    /// Attention's output before its matrix.
    pub(crate) mixed: Vec<R>,
    /// Pages of a single row's attention.
    pub(crate) parts: Vec<Part<R>>,
    gate: Vec<R>,
    up: Vec<R>,
    pub(crate) activations: Activations<R>,
}

impl<R: Real> Runner<R> {
    /// A runner of `model` by `table` on `pool`, for contexts of up to `context` positions (which chooses LongRoPE's
    /// factors, where a model has them).
    pub fn new(model: Arc<Model>, table: Table<R>, pool: Pool, context: usize) -> Self {
        let ropes = float_env::with_default(|| Ropes::new(&model, context));
        Self { model, table, pool, ropes, room: Room::default() }
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// RoPE's cosines and sines of a position that was run; of the windowed layers' table if asked for and there is one.
    ///
    /// # Panics
    /// If the position was not run.
    pub fn rope(&self, windowed: bool, position: usize) -> (&[R], &[R]) {
        self.ropes.of_layer(windowed).at(position)
    }

    pub(crate) fn conversions(&self) -> Conversions<R> {
        Conversions { narrow: self.table.narrow, quantize8: self.table.quantize8 }
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
        Ok(self.run_for(rows, caches, Wanted { logits: wanted, states: &[] }, tap)?.logits)
    }

    /// As [`Runner::run`], for callers that want states too.
    ///
    /// # Errors
    /// As there.
    pub fn run_for(
        &mut self,
        rows: &[Row],
        caches: &mut [Cache<R>],
        wanted: Wanted<'_>,
        tap: &mut dyn Tap<R>,
    ) -> Result<Outcome<R>, ForwardError> {
        if rows.is_empty() {
            return Ok(Outcome::default());
        }
        if self.table.fast.is_some() {
            self.model.begin_pass(&self.pool);
        }
        let mut room = core::mem::take(&mut self.room);
        let outcome = float_env::with_default(|| self.pass(rows, caches, wanted, tap, &mut room));
        self.room = room;
        outcome
    }

    fn pass(
        &mut self,
        rows: &[Row],
        caches: &mut [Cache<R>],
        wanted: Wanted<'_>,
        tap: &mut dyn Tap<R>,
        room: &mut Room<R>,
    ) -> Result<Outcome<R>, ForwardError> {
        let model = Arc::clone(&self.model);
        let width = model.config().width;
        for row in rows {
            caches[row.cache].grow(row.position + 1);
            self.ropes.reach(row.position);
        }
        self.embed(rows, room, tap)?;
        for (index, layer) in model.weights().layers.iter().enumerate() {
            self.layer(index, layer, rows, caches, room, tap)?;
        }
        let Room { x, change, .. } = room;
        let all = || wanted.logits.iter().chain(wanted.states);
        change.clear();
        change.extend(all().flat_map(|&row| &x[row * width..(row + 1) * width]));
        let kept: Vec<Row> = all().map(|&row| rows[row]).collect();
        self.output(&kept, wanted.logits.len(), room, tap)
    }

    /// Embeddings of the tokens, scaled where the architecture says so.
    fn embed(&self, rows: &[Row], room: &mut Room<R>, tap: &mut dyn Tap<R>) -> Result<(), ForwardError> {
        let (config, embedding) = (self.model.config(), &self.model.weights().embedding);
        let matrix = embedding.matrix(self.model.gguf(), 0);
        let mut values = vec![0.0f32; config.width];
        let x = &mut room.x;
        x.clear();
        for rows in rows.chunks(LOOKED_UP) {
            for row in rows {
                if row.token as usize >= matrix.rows {
                    return Err(ForwardError::Token { token: row.token, vocabulary: matrix.rows });
                }
                matrix.format.dequantize(matrix.row(row.token as usize), &mut values);
                x.extend(values.iter().map(|&v| R::from_f32(v)));
            }
            self.model.release_embeddings(rows.iter().map(|row| row.token));
        }
        check_finite(x, rows, || embedding.name().into())?;
        tap.tensor("embd", None, config.width, x);
        if config.architecture.scaled_embedding {
            (self.table.scale)(x, Soft::sqrt(config.width as f32));
            tap.tensor("inp_scaled", None, config.width, x);
        }
        Ok(())
    }

    fn layer(
        &self,
        index: usize,
        layer: &Layer,
        rows: &[Row],
        caches: &mut [Cache<R>],
        room: &mut Room<R>,
        tap: &mut dyn Tap<R>,
    ) -> Result<(), ForwardError> {
        let config = self.model.config();
        let (width, post_norms) = (config.width, config.architecture.post_norms);
        self.rms_norm(&room.x, &layer.attention_norm, rows, &mut room.normed, || place(index, "attn_norm"))?;
        tap.tensor("attn_norm", Some(index), width, &mut room.normed);
        self.project(layer, rows, room)?;
        self.attention(index, layer, rows, caches, room, tap)?;
        let Room { x, normed, change, mixed, activations, .. } = room;
        self.linear([(&layer.output, 0)], mixed, rows, [change], activations)?;
        tap.tensor("attn_out", Some(index), width, change);
        if let Some(norm) = &layer.attention_post_norm {
            self.rms_norm(change, norm, rows, normed, || place(index, "post_attention_norm"))?;
            core::mem::swap(change, normed);
            tap.tensor("attn_post_norm", Some(index), width, change);
        }
        self.add(x, change, width);
        tap.tensor(if post_norms { "sa_out" } else { "ffn_inp" }, Some(index), width, x);

        self.rms_norm(x, &layer.feed_forward_norm, rows, normed, || place(index, "ffn_norm"))?;
        tap.tensor("ffn_norm", Some(index), width, normed);
        self.feed_forward(index, layer, rows, room, tap)?;
        let Room { x, normed, change, .. } = room;
        tap.tensor("ffn_out", Some(index), width, change);
        if let Some(norm) = &layer.feed_forward_post_norm {
            self.rms_norm(change, norm, rows, normed, || place(index, "post_ffw_norm"))?;
            core::mem::swap(change, normed);
            tap.tensor("ffn_post_norm", Some(index), width, change);
        }
        self.add(x, change, width);
        tap.tensor("l_out", Some(index), width, x);
        Ok(())
    }

    /// The feed-forward network of `normed`, into `change`.
    fn feed_forward(
        &self,
        index: usize,
        layer: &Layer,
        rows: &[Row],
        room: &mut Room<R>,
        tap: &mut dyn Tap<R>,
    ) -> Result<(), ForwardError> {
        let inner = self.model.config().feed_forward;
        let Room { normed, change, gate, up, projected, activations, .. } = room;
        let down = match &layer.feed_forward {
            FeedForward::Experts { router, gate, up, down } => {
                return self.experts(index, [router, gate, up, down], rows, normed, change, activations, tap);
            }
            FeedForward::Gated { gate: g, up: u, down } => {
                self.linear([(g, 0), (u, 0)], normed, rows, [gate, up], activations)?;
                down
            }
            FeedForward::Fused { gate_up, down } => {
                self.linear([(gate_up, 0)], normed, rows, [projected], activations)?;
                columns(projected, 2 * inner, 0..inner, gate);
                columns(projected, 2 * inner, inner..2 * inner, up);
                down
            }
        };
        tap.tensor("ffn_gate", Some(index), inner, gate);
        tap.tensor("ffn_up", Some(index), inner, up);
        let act = self.model.config().architecture.gate;
        self.pool.rows([Grid::new(gate, inner), Grid::new(up, inner)], |_, [gate, up]| {
            (self.table.gated)(act, gate, up);
        });
        tap.tensor("ffn_gated", Some(index), inner, gate);
        self.linear([(down, 0)], gate, rows, [change], activations)
    }

    /// Logits of the first rows in `change`, states of the others.
    fn output(
        &self,
        rows: &[Row],
        of_logits: usize,
        room: &mut Room<R>,
        tap: &mut dyn Tap<R>,
    ) -> Result<Outcome<R>, ForwardError> {
        if rows.is_empty() {
            return Ok(Outcome::default());
        }
        let (model, Room { change, normed, activations, .. }) = (&self.model, room);
        self.rms_norm(change, &model.weights().output_norm, rows, normed, || "output_norm".into())?;
        tap.tensor("result_norm", None, model.config().width, normed);
        let states = normed.split_off(of_logits * model.config().width);
        if of_logits == 0 {
            return Ok(Outcome { logits: Vec::new(), states });
        }
        let rows = &rows[..of_logits];
        let mut logits = Vec::new();
        self.linear([(&model.weights().output, 0)], normed, rows, [&mut logits], activations)?;
        if let Some(cap) = model.config().logit_cap {
            self.pool.rows([Grid::new(&mut logits, model.vocabulary())], |_, [row]| (self.table.soft_cap)(row, cap));
        }
        tap.tensor("result_output", None, model.vocabulary(), &mut logits);
        Ok(Outcome { logits, states })
    }

    /// `x = x + y`, row by row.
    fn add(&self, x: &mut [R], y: &[R], width: usize) {
        self.pool.rows([Grid::new(x, width)], |row, [x]| (self.table.add)(x, &y[row * width..(row + 1) * width]));
    }

    /// RMSNorm of each row, or of each head of each row where the weight is a head's.
    pub(crate) fn rms_norm(
        &self,
        x: &[R],
        weight: &[f32],
        rows: &[Row],
        out: &mut Vec<R>,
        place: impl Fn() -> String,
    ) -> Result<(), ForwardError> {
        out.resize(x.len(), R::default());
        let (width, epsilon) = (x.len() / rows.len(), self.model.config().epsilon);
        let broken = AtomicBool::new(false);
        self.pool.rows([Grid::new(out, width)], |row, [out]| {
            let x = &x[row * width..(row + 1) * width];
            for (x, out) in x.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
                (self.table.rms_norm)(x, weight, epsilon, out);
            }
            if !all_finite(out) {
                broken.store(true, Ordering::Relaxed);
            }
        });
        if broken.into_inner() { check_finite(out, rows, place) } else { Ok(()) }
    }

    /// The same rows through several matrices (with the index into each stack), each `rows × outputs`, plus their biases;
    /// activations are made ready once. Nothing that is not finite goes in or comes out.
    pub(crate) fn linear<const N: usize>(
        &self,
        linears: [(&Linear, usize); N],
        x: &[R],
        rows: &[Row],
        outputs: [&mut Vec<R>; N],
        activations: &mut Activations<R>,
    ) -> Result<(), ForwardError> {
        let cols = linears[0].0.weight.cols();
        let formats = linears.map(|(linear, _)| linear.weight.format());
        let packed = linears.map(|(linear, index)| self.model.packed(&linear.weight, index));
        let ready = match &self.table.fast {
            Some(fast) => fast.activations(&self.pool, x, cols, &formats, R::is_finite, activations),
            None => self.table.activations(x, rows.len(), cols, &formats, activations),
        };
        ready.map_err(|NonFinite { row, index }| {
            let place = format!("input of {}", linears[0].0.weight.name());
            ForwardError::NonFinite { place, position: rows[row].position, index, remedy: "" }
        })?;
        let broken = AtomicBool::new(false);
        let biases = linears.map(|(linear, index)| {
            let rows = linear.weight.rows();
            linear.bias.as_ref().map(|bias| &bias[index * rows..(index + 1) * rows])
        });
        let mut index = 0;
        let mut outputs = outputs.map(|output| {
            let width = linears[index].0.weight.rows();
            index += 1;
            output.resize(rows.len() * width, R::default());
            (output, width)
        });
        let grids = outputs.each_mut().map(|(output, width)| Grid::new(output, *width));
        self.pool.columns(grids, UNIT, |which, mut out| {
            let (linear, index) = linears[which];
            let in_file = || linear.weight.matrix(self.model.gguf(), index);
            let (bias, out) = (biases[which], &mut out);
            let finite = match (&self.table.fast, &packed[which]) {
                (Some(fast), Some(matrix)) => fast.product(matrix, activations, bias, out),
                (Some(fast), None) => fast.product_of_file(&in_file(), activations, bias, out),
                (None, _) => self.product(&in_file(), activations, bias, out),
            };
            if !finite {
                broken.store(true, Ordering::Relaxed);
            }
        });
        if broken.into_inner() {
            for ((output, _), (linear, _)) in outputs.iter().zip(linears) {
                check_finite(output, rows, || format!("output of {}", linear.weight.name()))?;
            }
        }
        Ok(())
    }

    /// Some outputs by the reference's product, whose outputs lie the other way round; whether all are finite.
    fn product(&self, matrix: &Matrix<'_>, x: &Activations<R>, bias: Option<&[f32]>, out: &mut Columns<'_, R>) -> bool {
        let range = out.range();
        let mut by_output = vec![R::default(); range.len() * x.tokens];
        (self.table.matmul)(matrix, range.clone(), x, &mut by_output);
        let mut finite = true;
        for token in 0..x.tokens {
            let row = out.row(token);
            for (output, to) in row.iter_mut().enumerate() {
                *to = by_output[output * x.tokens + token];
            }
            if let Some(bias) = bias {
                (self.table.add_bias)(row, &bias[range.clone()]);
            }
            finite &= all_finite(row);
        }
        finite
    }
}

/// Some columns of rows of `width` elements.
pub(crate) fn columns<R: Copy>(from: &[R], width: usize, range: Range<usize>, to: &mut Vec<R>) {
    to.clear();
    to.extend(from.chunks_exact(width).flat_map(|row| &row[range.clone()]));
}

fn all_finite<R: Real>(x: &[R]) -> bool {
    // No early end, so that the loop is one of vectors.
    x.iter().fold(true, |all, v| all & v.is_finite())
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
