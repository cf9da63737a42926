//! A chunk of a quantised row of activations, laid out for the integer dot products of a vector unit.
//!
//! The numbers are those of [`samebit_numerics::activations`]; only where they lie differs.

use samebit_numerics::activations::{SMALLEST, STEPS};
use samebit_numerics::reduce::CHUNK;

/// The integers of a chunk in the form that a dot product takes.
pub(crate) trait Planes: Clone + Default + Send + Sync + 'static {
    /// Takes `a = 256·h + l`; beyond the row's end all are zero.
    fn fill(&mut self, a: &[i32; CHUNK]);
}

/// Both planes as bytes, in fours.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct BytePlanes {
    /// h.
    pub high: [[i8; 4]; CHUNK / 4],
    /// l.
    pub low: [[i8; 4]; CHUNK / 4],
}

/// The integers as words, in pairs: whole, and plane by plane. Of each four elements a pair has the first and the third, the
/// next pair the second and the fourth: so the bytes of weights are widened by a mask and a shift.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct WordPlanes {
    /// a.
    pub whole: [i32; CHUNK / 2],
    /// h.
    pub high: [i32; CHUNK / 2],
    /// l.
    pub low: [i32; CHUNK / 2],
}

/// One chunk of one row.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct QuantizedChunk<P> {
    /// The integers.
    pub planes: P,
    /// d_a.
    pub scale: f32,
    /// Σ a over 32 elements, and the same as floats (exact).
    pub sums: [i32; CHUNK / 32],
    /// See `sums`.
    pub float_sums: [f32; CHUNK / 32],
    /// Σ h over 16 elements.
    pub high_sums: [i32; CHUNK / 16],
    /// Σ l likewise.
    pub low_sums: [i32; CHUNK / 16],
    /// Σ h², then Σ l², over 16 elements.
    pub squares: [[f32; CHUNK / 16]; 2],
    /// The sums of h, then of l, over 16 elements: in pairs of words, as minimums take them.
    pub pairs: [[i32; CHUNK / 32]; 2],
    /// The same over 32 elements.
    pub wide_pairs: [[i32; CHUNK / 64]; 2],
}

impl Default for BytePlanes {
    fn default() -> Self {
        Self { high: [[0; 4]; CHUNK / 4], low: [[0; 4]; CHUNK / 4] }
    }
}

impl Default for WordPlanes {
    fn default() -> Self {
        Self { whole: [0; CHUNK / 2], high: [0; CHUNK / 2], low: [0; CHUNK / 2] }
    }
}

impl<P: Planes> Default for QuantizedChunk<P> {
    fn default() -> Self {
        Self {
            planes: P::default(),
            scale: 0.0,
            sums: [0; 8],
            float_sums: [0.0; 8],
            high_sums: [0; 16],
            low_sums: [0; 16],
            squares: [[0.0; 16]; 2],
            pairs: [[0; 8]; 2],
            wide_pairs: [[0; 4]; 2],
        }
    }
}

/// h of an integer.
#[inline(always)]
fn high(a: i32) -> i32 {
    (a + 128) >> 8
}

impl Planes for BytePlanes {
    #[inline(always)]
    fn fill(&mut self, a: &[i32; CHUNK]) {
        for (to, &a) in self.high.as_flattened_mut().iter_mut().zip(a) {
            *to = high(a) as i8;
        }
        for (to, &a) in self.low.as_flattened_mut().iter_mut().zip(a) {
            // What is left is a's low byte, read as signed.
            *to = a as i8;
        }
    }
}

impl Planes for WordPlanes {
    #[inline(always)]
    fn fill(&mut self, a: &[i32; CHUNK]) {
        for (to, &[a, b, c, d]) in self.whole.as_chunks_mut::<2>().0.iter_mut().zip(a.as_chunks::<4>().0) {
            *to = [words(a, c), words(b, d)];
        }
        for (to, &[a, b, c, d]) in self.high.as_chunks_mut::<2>().0.iter_mut().zip(a.as_chunks::<4>().0) {
            *to = [words(high(a), high(c)), words(high(b), high(d))];
        }
        let low = |a: i32| i32::from(a as i8);
        for (to, &[a, b, c, d]) in self.low.as_chunks_mut::<2>().0.iter_mut().zip(a.as_chunks::<4>().0) {
            *to = [words(low(a), low(c)), words(low(b), low(d))];
        }
    }
}

/// Quantises the values of a chunk, at most 256; `None` where one is infinite or NaN.
#[inline(always)]
pub(crate) fn quantize<P: Planes>(x: &[f32], out: &mut QuantizedChunk<P>) -> Option<()> {
    match <&[f32; CHUNK]>::try_from(x) {
        Ok(whole) => quantize_chunk(whole, out),
        Err(_) => {
            let mut padded = [0.0; CHUNK];
            padded[..x.len()].copy_from_slice(x);
            quantize_chunk(&padded, out)
        }
    }
}

#[inline(always)]
fn quantize_chunk<P: Planes>(x: &[f32; CHUNK], out: &mut QuantizedChunk<P>) -> Option<()> {
    // Magnitudes order as their bits do, and what is not finite is above all others.
    let mut lanes = [0u32; 16];
    for group in x.as_chunks::<16>().0 {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane = (*lane).max(value.to_bits() & 0x7fff_ffff);
        }
    }
    let largest = lanes.into_iter().fold(0, u32::max);
    if largest >= 0x7f80_0000 {
        return None;
    }
    let largest = f32::from_bits(largest);
    let tiny = largest < SMALLEST;
    let inverse = if tiny { 0.0 } else { STEPS / largest };
    out.scale = if tiny { 0.0 } else { largest / STEPS };
    let mut a = [0i32; CHUNK];
    for (a, &x) in a.iter_mut().zip(x) {
        *a = round(x * inverse);
    }
    out.planes.fill(&a);
    for (block, a) in a.as_chunks::<16>().0.iter().enumerate() {
        let whole: i32 = a.iter().sum();
        let low: i32 = a.iter().map(|&a| i32::from(a as i8)).sum();
        out.low_sums[block] = low;
        out.high_sums[block] = (whole - low) >> 8;
        let squares: i32 = a.iter().map(|&a| high(a) * high(a)).sum();
        out.squares[0][block] = squares as f32;
        let squares: i32 = a.iter().map(|&a| i32::from(a as i8) * i32::from(a as i8)).sum();
        out.squares[1][block] = squares as f32;
    }
    for block in 0..CHUNK / 32 {
        let sum = |i: usize| 256 * out.high_sums[i] + out.low_sums[i];
        out.sums[block] = sum(2 * block) + sum(2 * block + 1);
        out.float_sums[block] = out.sums[block] as f32;
    }
    for (plane, sums) in [&out.high_sums, &out.low_sums].into_iter().enumerate() {
        for (pair, sums) in out.pairs[plane].iter_mut().zip(sums.as_chunks::<2>().0) {
            *pair = words(sums[0], sums[1]);
        }
        for (pair, sums) in out.wide_pairs[plane].iter_mut().zip(sums.as_chunks::<4>().0) {
            *pair = words(sums[0] + sums[1], sums[2] + sums[3]);
        }
    }
    Some(())
}

/// Two words in one. The integers are within ±32512, sums over 32 elements of a plane within ±4096.
#[inline(always)]
fn words(first: i32, second: i32) -> i32 {
    (first & 0xffff) | (second << 16)
}

/// To the nearest integer, ties to even, for |x| < 2²²: there the unit in the last place of 1.5·2²³ + x is 1.
#[inline(always)]
fn round(x: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32
}
