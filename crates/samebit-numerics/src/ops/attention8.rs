//! Attention over keys and values as bytes: Q8_0 blocks, which exact integer products meet. NUMERICS.md, 8.9–8.11.
//!
//! Knows no cache. The query of a head and, block by block, the weights of a chunk's values become 16-bit integers as an
//! activation row does; what is done with scores and with chunks is [`attention`](super::attention)'s.

use core::ops::Range;

use super::attention::{MAX_HEAD_DIM, Running, Scores, merge, soften};
use crate::activations::{quantize_chunk, round_to_i32};
use crate::arith::{Float32, Single};
use crate::half::{f16_to_f32, f32_to_f16};
use crate::reduce::CHUNK;

/// Elements that share a scale, counted from the head's first; the last of a head may be fewer.
pub const BLOCK: usize = 32;

/// Largest magnitude of a byte.
pub const STEPS: f32 = 127.0;

/// Scales of a head of `dim` elements.
#[inline(always)]
pub const fn blocks(dim: usize) -> usize {
    dim.div_ceil(BLOCK)
}

/// One chunk of keys and values of one key/value head, position by position.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Keys, `256 × head_dim`.
    pub keys: &'a [i8],
    /// The scales of their blocks, `256 × blocks(head_dim)`.
    pub key_scales: &'a [f32],
    /// Values, `256 × head_dim`.
    pub values: &'a [i8],
    /// The scales of their blocks.
    pub value_scales: &'a [f32],
}

/// Rounds a head's key or value to bytes `q` and its blocks' binary16 scales `d`. A block of which any element is not finite,
/// or whose scale binary16 cannot hold, gets the scale ∞, for which the caller must look.
///
/// # Panics
/// If `q` is not as long as `x`, or `d` not [`blocks`] of that.
#[inline(always)]
pub fn quantize(x: &[f32], q: &mut [i8], d: &mut [u16]) {
    assert!(q.len() == x.len() && d.len() == blocks(x.len()), "quantize: lengths of bytes and scales");
    for ((x, q), d) in x.chunks(BLOCK).zip(q.chunks_mut(BLOCK)).zip(d) {
        // Magnitudes order as their bits do, and what is not finite is above all others.
        let largest = f32::from_bits(x.iter().fold(0u32, |m, v| m.max(v.to_bits() & 0x7fff_ffff)));
        *d = if largest.is_finite() { f32_to_f16(largest / STEPS) } else { INFINITE };
        let scale = f16_to_f32(*d);
        // The smallest scale is 2⁻²⁴, so a reciprocal is finite; an element is at most 1.5 · 127 steps of a scale rounded down.
        let inverse = if scale == 0.0 || *d == INFINITE { 0.0 } else { 1.0 / scale };
        for (q, &x) in q.iter_mut().zip(x) {
            let x = if *d == INFINITE { 0.0 } else { x };
            *q = round_to_i32(x * inverse).clamp(-127, 127) as i8;
        }
    }
}

/// Binary16's infinity.
pub const INFINITE: u16 = 0x7c00;

/// Attends to the `visible` keys of a chunk and merges the result into `running` and `out` (`head_dim` long).
#[inline(always)]
pub fn attend<F: Float32>(
    query: &[f32],
    page: Page<'_>,
    visible: Range<usize>,
    how: Scores,
    running: &mut Running<f32>,
    out: &mut [f32],
) {
    if visible.is_empty() {
        return;
    }
    let mut weights = [0.0; CHUNK];
    let weights = &mut weights[visible.clone()];
    if !products::<F>(query, page, visible.start, weights) {
        running.overflowed = true;
        return;
    }
    let chunk = soften::<Single<F>>(weights, how);
    if chunk.overflowed {
        running.overflowed = true;
        return;
    }
    // Longer heads exist nowhere; the loader bounds them.
    let mut partial = [0.0; MAX_HEAD_DIM];
    let partial = &mut partial[..out.len()];
    weigh_values(weights, page, visible.start, partial);
    merge::<Single<F>>(chunk, partial, running, out);
}

/// The 16-bit integers of a chunk of floats, and their scale; nothing where a float is not finite.
#[inline(always)]
fn integers(x: &[f32]) -> Option<([i32; CHUNK], f32)> {
    let (mut high, mut low) = ([0; CHUNK], [0; CHUNK]);
    let scale = quantize_chunk(x, &mut high[..x.len()], &mut low[..x.len()])?;
    let mut a = [0; CHUNK];
    for ((a, &h), &l) in a.iter_mut().zip(&high).zip(&low) {
        *a = 256 * i32::from(h) + i32::from(l);
    }
    Some((a, scale))
}

/// The dot product of the query and each visible key; whether the query is finite.
#[inline(always)]
fn products<F: Float32>(query: &[f32], page: Page<'_>, first: usize, out: &mut [f32]) -> bool {
    let dim = query.len();
    out.fill(0.0);
    for (chunk, elements) in query.chunks(CHUNK).enumerate() {
        let Some((a, scale)) = integers(elements) else { return false };
        for (key, y) in (first..).zip(out.iter_mut()) {
            let bytes = &page.keys[key * dim + chunk * CHUNK..][..elements.len()];
            let scales = &page.key_scales[key * blocks(dim) + chunk * CHUNK / BLOCK..];
            let mut t = 0.0;
            for ((bytes, a), &d) in bytes.chunks(BLOCK).zip(a.chunks(BLOCK)).zip(scales) {
                let sum: i32 = bytes.iter().zip(a).map(|(&q, &a)| i32::from(q) * a).sum();
                t = F::fma(sum as f32, d, t);
            }
            *y = F::fma(scale, t, *y);
        }
    }
    true
}

/// out[i] = d_w · Σ w·q, for each block of elements with integers of its own for (weight · the block's scale). Finite weights
/// and scales.
#[inline(always)]
fn weigh_values(weights: &[f32], page: Page<'_>, first: usize, out: &mut [f32]) {
    let dim = out.len();
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let mut scaled = [0.0; CHUNK];
        let scaled = &mut scaled[..weights.len()];
        for ((key, scaled), &weight) in (first..).zip(scaled.iter_mut()).zip(weights) {
            *scaled = weight * page.value_scales[key * blocks(dim) + block];
        }
        let Some((w, scale)) = integers(scaled) else { continue };
        for (element, out) in (block * BLOCK..).zip(out) {
            // 256 · 32512 · 127 is below 2³¹.
            let sum: i32 = (first..first + weights.len())
                .zip(&w)
                .map(|(key, &w)| w * i32::from(page.values[key * dim + element]))
                .sum();
            *out = scale * sum as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::arith::Soft;
    use crate::ops::attention::{self, finish};
    use std::vec;
    use std::vec::Vec;

    fn quantized(x: &[f32]) -> (Vec<i8>, Vec<u16>) {
        let (mut q, mut d) = (vec![0; x.len()], vec![0; blocks(x.len())]);
        quantize(x, &mut q, &mut d);
        (q, d)
    }

    #[test]
    fn blocks_have_scales_of_their_own_and_ties_go_to_even() {
        let mut x = vec![0.0; 40];
        // A scale of 1: the steps are the integers.
        (x[0], x[1], x[2], x[3], x[4]) = (127.0, 0.5, 1.5, -2.5, -126.6);
        (x[32], x[39]) = (-254.0, 3.0);
        let (q, d) = quantized(&x);
        assert_eq!(d, [0x3c00, 0x4000]);
        assert_eq!((&q[..6], q[32], q[39]), (&[127, 0, 2, -2, -127, 0][..], -127, 2));
    }

    #[test]
    fn steps_are_those_of_the_scale_that_is_stored() {
        // The scale is rounded down to one unit of binary16's subnormals: what is above 127 of them is cut off there.
        let unit = f16_to_f32(1);
        let (q, d) = quantized(&[127.0 * 1.4 * unit, -100.0 * unit, 0.49 * unit]);
        assert_eq!((q, d), (vec![127, -100, 0], vec![1]));
        assert_eq!(quantized(&[63.0 * unit, 1.0 * unit]), (vec![0, 0], vec![0]), "a scale below half a unit is zero");
    }

    #[test]
    fn what_a_scale_cannot_hold_is_marked() {
        assert_eq!(quantized(&[65504.0 * 127.0]), (vec![127], vec![0x7bff]));
        assert_eq!(quantized(&[65520.0 * 127.0, 1.0]), (vec![0, 0], vec![INFINITE]));
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(quantized(&[1.0, bad]), (vec![0, 0], vec![INFINITE]));
        }
    }

    /// Keys and values as bytes, and as the floats that they mean, element by element and position by position.
    struct Both {
        keys: Vec<i8>,
        values: Vec<i8>,
        scales: [Vec<f32>; 2],
        floats: [Vec<f32>; 2],
    }

    fn both(dim: usize) -> Both {
        let x = |i: usize, odd: usize| ((i * odd % 1013) as f32 - 506.0) / 300.0;
        let mut made = Both {
            keys: vec![0; CHUNK * dim],
            values: vec![0; CHUNK * dim],
            scales: [(); 2].map(|()| vec![0.0; CHUNK * blocks(dim)]),
            floats: [(); 2].map(|()| vec![0.0; CHUNK * dim]),
        };
        for at in 0..CHUNK {
            for (which, odd) in [(0, 7919), (1, 6101)] {
                let row: Vec<f32> = (0..dim).map(|i| x(at * dim + i, odd)).collect();
                let (q, d) = quantized(&row);
                for i in 0..dim {
                    let float = f16_to_f32(d[i / BLOCK]) * f32::from(q[i]);
                    let slot = if which == 0 { i * CHUNK + at } else { at * dim + i };
                    made.floats[which][slot] = float;
                }
                d.iter().enumerate().for_each(|(b, &d)| made.scales[which][at * blocks(dim) + b] = f16_to_f32(d));
                [&mut made.keys, &mut made.values][which][at * dim..(at + 1) * dim].copy_from_slice(&q);
            }
        }
        made
    }

    #[test]
    fn it_is_near_to_attention_over_the_floats_that_the_bytes_mean() {
        let how = Scores { scale: 0.125, soft_cap: None };
        for (dim, visible) in [(64, 0..256), (80, 3..200), (13, 77..78), (320, 0..100)] {
            let made = both(dim);
            let page = Page {
                keys: &made.keys,
                key_scales: &made.scales[0],
                values: &made.values,
                value_scales: &made.scales[1],
            };
            let query: Vec<f32> = (0..dim).map(|i| ((i * 31 % 17) as f32 - 8.0) / 8.0).collect();
            let mut found = (Running::default(), vec![0.0; dim]);
            attend::<Soft>(&query, page, visible.clone(), how, &mut found.0, &mut found.1);
            let mut wanted = (Running::default(), vec![0.0; dim]);
            let floats = attention::Page { keys: &made.floats[0], values: &made.floats[1] };
            attention::attend::<Single<Soft>>(&query, floats, visible, how, &mut wanted.0, &mut wanted.1);
            finish::<Single<Soft>>(found.0, None, &mut found.1);
            finish::<Single<Soft>>(wanted.0, None, &mut wanted.1);
            let error = found.1.iter().zip(&wanted.1).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 2e-4, "{dim}: {error}");
        }
    }

    #[test]
    fn a_query_that_is_no_number_is_an_overflow() {
        let made = both(8);
        let page =
            Page { keys: &made.keys, key_scales: &made.scales[0], values: &made.values, value_scales: &made.scales[1] };
        let how = Scores { scale: 1.0, soft_cap: Some(5.0) };
        let mut query = [1.0; 8];
        query[5] = f32::INFINITY;
        let (mut running, mut out) = (Running::default(), [0.0; 8]);
        attend::<Soft>(&query, page, 0..3, how, &mut running, &mut out);
        assert!(running.overflowed);
    }
}
