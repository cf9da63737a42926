//! Activations as 16-bit integers in two int8 planes, one f32 scale per chunk-256.
//!
//! Knows nothing of weights: whatever their format, the same integers serve. NUMERICS.md, "Quantised activations".

use alloc::vec::Vec;

use crate::reduce::{CHUNK, chunks};

/// Steps on each side of zero: 127 · 256, so that the high plane stays within ±127.
pub const STEPS: f32 = 32512.0;

/// A chunk whose largest magnitude is below 2⁻¹⁰⁰ is all zero: its reciprocal would overflow.
pub const SMALLEST: f32 = f32::from_bits((127 - 100) << 23);

/// Elements over which the planes' sums are kept, for formats with minimums.
pub const SUM_BLOCK: usize = 16;

/// A value that is no number reached an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// Row (token) within the batch.
    pub row: usize,
    /// Index of the element within its row.
    pub index: usize,
}

/// Rows of activations quantised for the integer dot products.
///
/// `a = 256·high + low`, `|a| ≤ 32512`, `high` and `low` within int8; kept as i16 here so that the reference's loops are plain.
#[derive(Clone, Debug, Default)]
pub struct Quantized {
    /// Elements of a row.
    pub cols: usize,
    /// The planes, `rows × cols` each.
    pub high: Vec<i16>,
    /// See `high`.
    pub low: Vec<i16>,
    /// Scale of each chunk, `rows × chunks(cols)`.
    pub scale: Vec<f32>,
    /// Σ high over blocks of [`SUM_BLOCK`] within each chunk, `rows × chunks(cols) × 16`.
    pub high_sum: Vec<i32>,
    /// Σ low, likewise.
    pub low_sum: Vec<i32>,
}

/// One chunk of one quantised row.
#[derive(Clone, Copy, Debug)]
pub struct QuantizedChunk<'a> {
    /// Up to 256 values of the high plane.
    pub high: &'a [i16],
    /// The same of the low plane.
    pub low: &'a [i16],
    /// The chunk's scale.
    pub scale: f32,
    /// Σ high over blocks of 16.
    pub high_sum: &'a [i32],
    /// Σ low over blocks of 16.
    pub low_sum: &'a [i32],
}

impl Quantized {
    /// Quantises `rows` rows of `cols` elements of `x`, replacing what was there.
    ///
    /// # Errors
    /// The first element that is infinite or NaN.
    ///
    /// # Panics
    /// If `x` is not `rows · cols` long.
    #[inline(always)]
    pub fn fill(&mut self, x: &[f32], rows: usize, cols: usize) -> Result<(), NonFinite> {
        assert_eq!(x.len(), rows * cols, "activations: length is not rows times columns");
        let per_row = chunks(cols);
        self.cols = cols;
        self.high.resize(rows * cols, 0);
        self.low.resize(rows * cols, 0);
        self.scale.resize(rows * per_row, 0.0);
        self.high_sum.resize(rows * per_row * (CHUNK / SUM_BLOCK), 0);
        self.low_sum.resize(rows * per_row * (CHUNK / SUM_BLOCK), 0);
        for row in 0..rows {
            for chunk in 0..per_row {
                let start = row * cols + chunk * CHUNK;
                let end = row * cols + cols.min((chunk + 1) * CHUNK);
                let (high, low) = (&mut self.high[start..end], &mut self.low[start..end]);
                let scale = quantize_chunk(&x[start..end], high, low).ok_or_else(|| first_non_finite(x, row, cols))?;
                let slot = row * per_row + chunk;
                self.scale[slot] = scale;
                let sums = slot * (CHUNK / SUM_BLOCK)..(slot + 1) * (CHUNK / SUM_BLOCK);
                block_sums(high, &mut self.high_sum[sums.clone()]);
                block_sums(low, &mut self.low_sum[sums]);
            }
        }
        Ok(())
    }

    /// Chunk number `chunk` of row `row`.
    #[inline(always)]
    pub fn chunk(&self, row: usize, chunk: usize) -> QuantizedChunk<'_> {
        let start = row * self.cols + chunk * CHUNK;
        let end = row * self.cols + self.cols.min((chunk + 1) * CHUNK);
        let slot = row * chunks(self.cols) + chunk;
        let sums = slot * (CHUNK / SUM_BLOCK)..(slot + 1) * (CHUNK / SUM_BLOCK);
        QuantizedChunk {
            high: &self.high[start..end],
            low: &self.low[start..end],
            scale: self.scale[slot],
            high_sum: &self.high_sum[sums.clone()],
            low_sum: &self.low_sum[sums],
        }
    }
}

/// Quantises one chunk and returns its scale, or `None` where a value is infinite or NaN.
#[inline(always)]
pub fn quantize_chunk(x: &[f32], high: &mut [i16], low: &mut [i16]) -> Option<f32> {
    // Magnitudes order as their bits do, and what is not finite is above all others.
    let largest = x.iter().fold(0u32, |m, v| m.max(v.to_bits() & 0x7fff_ffff));
    if largest >= 0x7f80_0000 {
        return None;
    }
    let largest = f32::from_bits(largest);
    if largest < SMALLEST {
        high.fill(0);
        low.fill(0);
        return Some(0.0);
    }
    let inverse = STEPS / largest;
    for ((&v, h), l) in x.iter().zip(high).zip(low) {
        let a = round_to_i32(v * inverse);
        *h = ((a + 128) >> 8) as i16;
        *l = (a - (((a + 128) >> 8) << 8)) as i16;
    }
    Some(largest / STEPS)
}

/// To the nearest integer, ties to even, for |x| < 2²².
#[inline(always)]
pub(crate) fn round_to_i32(x: f32) -> i32 {
    // At 1.5·2²³ the unit in the last place is 1: the addition rounds, and the integer lies in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32
}

#[inline(always)]
fn block_sums(plane: &[i16], sums: &mut [i32]) {
    sums.fill(0);
    for (sum, block) in sums.iter_mut().zip(plane.chunks(SUM_BLOCK)) {
        *sum = block.iter().map(|&v| i32::from(v)).sum();
    }
}

#[cold]
fn first_non_finite(x: &[f32], row: usize, cols: usize) -> NonFinite {
    let values = &x[row * cols..(row + 1) * cols];
    NonFinite { row, index: values.iter().position(|v| !v.is_finite()).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    fn quantize(x: &[f32]) -> (vec::Vec<i32>, f32) {
        let mut q = Quantized::default();
        q.fill(x, 1, x.len()).expect("finite");
        (q.high.iter().zip(&q.low).map(|(&h, &l)| 256 * i32::from(h) + i32::from(l)).collect(), q.scale[0])
    }

    #[test]
    fn planes_are_int8_and_rebuild_the_value() {
        let x: vec::Vec<f32> = (0..256).map(|i| (i as f32 - 128.0) * 0.73).collect();
        let (a, d) = quantize(&x);
        let mut q = Quantized::default();
        q.fill(&x, 1, 256).expect("finite");
        for i in 0..256 {
            assert!((-127..=127).contains(&q.high[i]) && (-128..=127).contains(&q.low[i]));
            assert!((a[i] as f32 * d - x[i]).abs() <= d * 0.5001, "{i}: {} {}", a[i] as f32 * d, x[i]);
        }
        assert_eq!(a[0], -32512);
    }

    #[test]
    fn ties_go_to_even() {
        // The largest value is 32512, so steps are 1 and .5 is a tie.
        let (a, d) = quantize(&[32512.0, 0.5, 1.5, 2.5, -0.5, -1.5]);
        assert_eq!((a, d), (vec![32512, 0, 2, 2, 0, -2], 1.0));
    }

    #[test]
    fn tiny_chunks_are_zero_and_extremes_do_not_overflow() {
        assert_eq!(quantize(&[1e-40, -1e-38]), (vec![0, 0], 0.0));
        assert_eq!(quantize(&[SMALLEST, 0.0]).0, vec![32512, 0]);
        assert_eq!(quantize(&[f32::MAX, -f32::MAX]).0, vec![32512, -32512]);
        assert_eq!(quantize(&[0.0, -0.0]), (vec![0, 0], 0.0));
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let mut q = Quantized::default();
        let x = [1.0, 2.0, 3.0, f32::NAN];
        assert_eq!(q.fill(&x, 2, 2), Err(NonFinite { row: 1, index: 1 }));
        assert_eq!(q.fill(&[f32::NEG_INFINITY], 1, 1), Err(NonFinite { row: 0, index: 0 }));
    }

    #[test]
    fn chunks_have_scales_of_their_own() {
        let mut x = vec![1.0f32; 300];
        x[256..].fill(8.0);
        let mut q = Quantized::default();
        q.fill(&x, 1, 300).expect("finite");
        assert_eq!(q.scale, [1.0 / STEPS, 8.0 / STEPS]);
        assert_eq!(q.chunk(0, 1).high.len(), 44);
        assert_eq!(q.chunk(0, 1).high_sum[..3], [16 * 127, 16 * 127, 12 * 127]);
    }
}
