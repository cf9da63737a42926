//! Matrix times activations: y[t][r] = Σᵢ w[r][i] · x[t][i], chunk-256.
//!
//! Two dot products, chosen by the weights' format: `fma` chains for float weights, exact integers for quantised ones.
//! NUMERICS.md, "Dot products". Outputs are laid out row by row of the weights, so that work divides over outputs.

use core::ops::Range;

use crate::activations::{Quantized, QuantizedChunk};
use crate::arith::{Arith, Float32};
use crate::blocks::{Family, Format, IntChunk, decode_chunk};
use crate::reduce::{CHUNK, chunks};

/// A weight matrix as it lies in a file: `rows` rows of `cols` elements, each row whole blocks of `format`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// How a row is stored.
    pub format: Format,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// `rows` times the bytes of a row.
    pub bytes: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// A matrix over `bytes`; `None` unless they are exactly `rows` rows of `cols` elements.
    pub fn new(format: Format, rows: usize, cols: usize, bytes: &'a [u8]) -> Option<Self> {
        let expected = format.row_bytes(cols)?.checked_mul(rows)?;
        (bytes.len() == expected).then_some(Self { format, rows, cols, bytes })
    }

    /// Bytes of one row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &'a [u8] {
        let len = self.bytes.len() / self.rows;
        &self.bytes[row * len..(row + 1) * len]
    }
}

/// Rows of weights that the float product handles side by side; no output depends on its neighbours.
pub const FLOAT_TILE: usize = 16;

/// Float weights, or any weights dequantised: the partial of a chunk is the `fma` chain over its elements in order.
///
/// `x` is `tokens × cols`; `out` is `rows.len() × tokens`.
#[inline(always)]
pub fn matmul_float<A: Arith>(w: &Matrix<'_>, rows: Range<usize>, x: &[A::R], tokens: usize, out: &mut [A::R]) {
    assert_eq!(x.len(), tokens * w.cols, "matmul: activations do not fit");
    assert_eq!(out.len(), tokens * rows.len(), "matmul: outputs do not fit");
    let mut row_values = [0.0f32; CHUNK];
    let mut tile = [[A::ZERO; FLOAT_TILE]; CHUNK];
    for (tile_index, tile_out) in out.chunks_mut((FLOAT_TILE * tokens).max(1)).enumerate() {
        let first = rows.start + tile_index * FLOAT_TILE;
        let height = (rows.end - first).min(FLOAT_TILE);
        tile_out.fill(A::ZERO);
        for chunk in 0..chunks(w.cols) {
            let columns = chunk * CHUNK..w.cols.min((chunk + 1) * CHUNK);
            let len = columns.len();
            for r in 0..height {
                w.format.dequantize(w.elements(first + r, columns.clone()), &mut row_values[..len]);
                for (column, &value) in tile.iter_mut().zip(&row_values[..len]) {
                    column[r] = A::from_f32(value);
                }
            }
            for t in 0..tokens {
                let partial = chain_tile::<A>(&tile[..len], &x[t * w.cols + columns.start..][..len]);
                for r in 0..height {
                    let y = &mut tile_out[r * tokens + t];
                    *y = A::add(*y, partial[r]);
                }
            }
        }
    }
}

impl<'a> Matrix<'a> {
    /// Bytes of the elements `columns` of a row; the range begins and ends on whole blocks.
    #[inline(always)]
    fn elements(&self, row: usize, columns: Range<usize>) -> &'a [u8] {
        let (block, bytes) = (self.format.block_len(), self.format.block_bytes());
        &self.row(row)[columns.start / block * bytes..columns.end / block * bytes]
    }
}

/// Sixteen `fma` chains from +0 over the same elements, side by side.
#[inline(always)]
fn chain_tile<A: Arith>(tile: &[[A::R; FLOAT_TILE]], x: &[A::R]) -> [A::R; FLOAT_TILE] {
    let mut partial = [A::ZERO; FLOAT_TILE];
    for (weights, &value) in tile.iter().zip(x) {
        for (p, &weight) in partial.iter_mut().zip(weights) {
            *p = A::fma(weight, value, *p);
        }
    }
    partial
}

/// Quantised weights times quantised activations: exact integers, then a handful of float operations per chunk.
///
/// `out` is `rows.len() × tokens`, where `tokens` is the number of rows of `x`.
///
/// # Panics
/// If the weights' format is a float one (see [`matmul_float`]) or the sizes do not fit.
#[inline(always)]
pub fn matmul_quantized<F: Float32>(w: &Matrix<'_>, rows: Range<usize>, x: &Quantized, out: &mut [f32]) {
    assert_eq!(x.cols, w.cols, "matmul: activations do not fit");
    let tokens = x.high.len() / w.cols.max(1);
    assert_eq!(out.len(), tokens * rows.len(), "matmul: outputs do not fit");
    let family = w.format.family();
    assert!(family != Family::Float, "matmul: float weights have no integer product");
    let mut weights = IntChunk::default();
    for (row, y) in rows.zip(out.chunks_mut(tokens.max(1))) {
        y.fill(0.0);
        for chunk in 0..chunks(w.cols) {
            decode_chunk(w.format, w.row(row), chunk, w.cols, &mut weights);
            for (t, y) in y.iter_mut().enumerate() {
                let a = x.chunk(t, chunk);
                let term = match family {
                    Family::Block256 => dot_block256::<F>(&weights, &a, w.format.has_offset()),
                    _ => dot_block32::<F>(&weights, &a, w.format.has_offset()),
                };
                *y = F::fma(a.scale, term, *y);
            }
        }
    }
}

/// 32-element formats: `t = fma(Σ w·a, d_w, t)` along the chunk's blocks, and `t = fma(Σ a, m_w, t)` with offsets.
#[inline(always)]
pub fn dot_block32<F: Float32>(w: &IntChunk, a: &QuantizedChunk<'_>, has_offset: bool) -> f32 {
    let mut term = 0.0f32;
    for block in 0..w.len / 32 {
        let elements = block * 32..block * 32 + 32;
        let weights = &w.w[elements.clone()];
        let sum = 256 * dot(weights, &a.high[elements.clone()]) + dot(weights, &a.low[elements]);
        term = F::fma(sum as f32, w.scale[block], term);
        if has_offset {
            let halves = [2 * block, 2 * block + 1];
            let sum: i32 = halves.iter().map(|&i| 256 * a.high_sum[i] + a.low_sum[i]).sum();
            term = F::fma(sum as f32, w.offset[block], term);
        }
    }
    term
}

/// 256-element formats: the super-block's exact sums per plane, joined by one `fma`, then `t = fma(-dmin, m, d·s)`.
#[inline(always)]
pub fn dot_block256<F: Float32>(w: &IntChunk, a: &QuantizedChunk<'_>, has_offset: bool) -> f32 {
    let high = dot(&w.w, a.high);
    let low = dot(&w.w, a.low);
    let scaled = w.scale[0] * F::fma(256.0, high as f32, low as f32);
    if !has_offset {
        return scaled;
    }
    let minimums = |sums: &[i32]| -> i32 { w.min.iter().zip(sums).map(|(&m, &s)| i32::from(m) * s).sum() };
    let m = F::fma(256.0, minimums(a.high_sum) as f32, minimums(a.low_sum) as f32);
    F::fma(-w.offset[0], m, scaled)
}

/// Σ w·a in i32. At most 256 · 4096 · 128 in magnitude: exact.
#[inline(always)]
fn dot(w: &[i16], a: &[i16]) -> i32 {
    w.iter().zip(a).map(|(&w, &a)| i32::from(w) * i32::from(a)).sum()
}
