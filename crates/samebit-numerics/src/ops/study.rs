//! The `a8` study mode: activations of 8 bits, as llama.cpp's CPU code quantises them. NUMERICS.md, "Precision modes".
//!
//! Not part of v1. It answers how much of a difference between two engines is precision; order and rounding inside a
//! block follow this text, not another program's instructions.

use alloc::vec::Vec;
use core::ops::Range;

use super::elementwise::{Gate, gated};
use super::matmul::Matrix;
use crate::activations::{NonFinite, SMALLEST};
use crate::arith::{Arith, Float32, Single};
use crate::blocks::{Family, Format, IntChunk, decode_chunk};
use crate::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use crate::reduce::{CHUNK, chunks};

/// Rows of activations quantised to 8 bits.
#[derive(Clone, Debug, Default)]
pub struct Quantized8 {
    cols: usize,
    q: Vec<i16>,
    /// One per 32 elements, or one per chunk for 256-element weights.
    scale: Vec<f32>,
    /// scale · Σq rounded to binary16, per 32 elements.
    sum: Vec<f32>,
}

/// Elements that share a scale against weights of a format: 32 or 256.
#[inline(always)]
fn group(format: Format) -> usize {
    if format.family() == Family::Block256 { CHUNK } else { 32 }
}

impl Quantized8 {
    /// Quantises `rows` rows of `cols` elements as weights of `format` want them.
    ///
    /// # Errors
    /// The first element that is infinite or NaN.
    pub fn fill(&mut self, format: Format, x: &[f32], rows: usize, cols: usize) -> Result<(), NonFinite> {
        *self = Self { cols, ..Self::default() };
        for (row, values) in x.chunks_exact(cols).take(rows).enumerate() {
            if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                return Err(NonFinite { row, index });
            }
            for part in values.chunks(group(format)) {
                if group(format) == CHUNK { self.push_256(part) } else { self.push_32(part) }
            }
        }
        Ok(())
    }

    /// 127 steps to the largest magnitude, the scale rounded to binary16 after its reciprocal was taken.
    #[inline(always)]
    fn push_32(&mut self, x: &[f32]) {
        let largest = x.iter().fold(0.0f32, |m, v| if v.abs() > m { v.abs() } else { m });
        let scale = largest / 127.0;
        let inverse = if scale < SMALLEST { 0.0 } else { 1.0 / scale };
        let before = self.q.len();
        self.q.extend(x.iter().map(|v| nearest(v * inverse)));
        let sum: i32 = self.q[before..].iter().map(|&q| i32::from(q)).sum();
        self.scale.push(f16_to_f32(f32_to_f16(scale)));
        self.sum.push(f16_to_f32(f32_to_f16(scale * sum as f32)));
    }

    /// −127 steps to the value of largest magnitude, a binary32 scale.
    #[inline(always)]
    fn push_256(&mut self, x: &[f32]) {
        let extreme = x.iter().fold(0.0f32, |m, &v| if v.abs() > m.abs() { v } else { m });
        // As in v1, what is too small for a reciprocal is zero.
        let zero = extreme.abs() < SMALLEST;
        let inverse = if zero { 0.0 } else { -127.0 / extreme };
        self.q.extend(x.iter().map(|v| nearest(v * inverse).min(127)));
        self.scale.push(if zero { 0.0 } else { 1.0 / inverse });
    }
}

/// To the nearest integer, ties to even, for |x| < 2²².
#[inline(always)]
fn nearest(x: f32) -> i16 {
    const MAGIC: f32 = 12_582_912.0;
    ((x + MAGIC) - MAGIC) as i16
}

/// The product with 8-bit activations; `out` is `rows.len() × tokens`.
#[inline(always)]
pub fn matmul_a8<F: Float32>(w: &Matrix<'_>, rows: Range<usize>, x: &Quantized8, out: &mut [f32]) {
    assert_eq!(x.cols, w.cols, "matmul: activations do not fit");
    let tokens = x.q.len() / w.cols.max(1);
    let mut weights = IntChunk::default();
    for (row, y) in rows.zip(out.chunks_mut(tokens.max(1))) {
        y.fill(0.0);
        for chunk in 0..chunks(w.cols) {
            decode_chunk(w.format, w.row(row), chunk, w.cols, &mut weights);
            for (t, y) in y.iter_mut().enumerate() {
                *y = match w.format.family() {
                    Family::Block256 => x.dot_256::<F>(&weights, t, chunk, w.format.has_offset(), *y),
                    _ => x.dot_32::<F>(&weights, t, chunk, w.format.has_offset(), *y),
                };
            }
        }
    }
}

impl Quantized8 {
    #[inline(always)]
    fn dot_32<F: Float32>(&self, w: &IntChunk, row: usize, chunk: usize, has_offset: bool, mut y: f32) -> f32 {
        let start = row * self.cols + chunk * CHUNK;
        for block in 0..w.len / 32 {
            let q = &self.q[start + block * 32..][..32];
            let sum: i32 = w.w[block * 32..].iter().zip(q).map(|(&w, &q)| i32::from(w) * i32::from(q)).sum();
            let slot = start / 32 + block;
            y = F::fma(sum as f32, w.scale[block] * self.scale[slot], y);
            if has_offset {
                y = F::fma(w.offset[block], self.sum[slot], y);
            }
        }
        y
    }

    #[inline(always)]
    fn dot_256<F: Float32>(&self, w: &IntChunk, row: usize, chunk: usize, has_offset: bool, y: f32) -> f32 {
        let q = &self.q[row * self.cols + chunk * CHUNK..][..CHUNK];
        let scale = self.scale[row * (self.cols / CHUNK) + chunk];
        let sum: i32 = w.w.iter().zip(q).map(|(&w, &q)| i32::from(w) * i32::from(q)).sum();
        let y = F::fma(w.scale[0] * scale, sum as f32, y);
        if !has_offset {
            return y;
        }
        let block = |b: &[i16]| -> i32 { b.iter().map(|&q| i32::from(q)).sum() };
        let minimums: i32 = q.chunks(16).zip(&w.min).map(|(b, &m)| i32::from(m) * block(b)).sum();
        F::fma(-(w.offset[0] * scale), minimums as f32, y)
    }
}

/// Rounds activations to the weights' own 16-bit float format, as that mode does before a float product.
#[inline(always)]
pub fn round_to_weights(format: Format, x: &mut [f32]) {
    for v in x {
        *v = match format {
            Format::F16 => f16_to_f32(f32_to_f16(*v)),
            Format::Bf16 => bf16_to_f32(f32_to_bf16(*v)),
            _ => *v,
        };
    }
}

/// [`gated`] with the tanh form of GELU looked up by binary16, as llama.cpp's CPU code does: between −10 and 10 both the
/// gate and its GELU are rounded to binary16; outside, the gate's sign decides.
#[inline(always)]
pub fn gated_by_half_table<F: Float32>(kind: Gate, gate: &mut [f32], up: &[f32]) {
    if kind != Gate::GeluTanh {
        return gated::<Single<F>>(kind, gate, up);
    }
    let half = |x: f32| f16_to_f32(f32_to_f16(x));
    for (g, &u) in gate.iter_mut().zip(up) {
        let gelu = match *g {
            x if x <= -10.0 => 0.0,
            x if x >= 10.0 => x,
            x => half(Single::<F>::gelu_tanh(half(x))),
        };
        *g = gelu * u;
    }
}
