//! Attention's dot products and weighted values over a page of bytes, by exact integers.
//!
//! What is computed, and in which order, is [`samebit_numerics::ops::attention8`]'s. Bytes and scales of keys that a query does
//! not see may be read, and are left out; of values that it does not see the bytes may be read, and weigh nothing.

use core::marker::PhantomData;
use core::ops::Range;

use samebit_numerics::activations::{SMALLEST, STEPS};
use samebit_numerics::ops::attention8::{BLOCK, blocks};
use samebit_numerics::reduce::CHUNK;

use super::attention::{Merge, Page, merges};
use super::integers::{Integers, Step};
use crate::page8::Page8;
use crate::table::Heads;
use crate::vector::{GROUP, Vector};

/// A page met by the integers of a unit, `G` groups of sixteen lanes (`VECS` vectors) at a time.
pub(super) struct Bytes<'a, I, const G: usize, const VECS: usize> {
    page: Page8<'a>,
    keys: &'a [Step],
    values: &'a [Step],
    by: PhantomData<I>,
}

impl<'a, I, const G: usize, const VECS: usize> Bytes<'a, I, G, VECS> {
    pub(super) fn new(page: Page8<'a>) -> Self {
        let (keys, values) = (page.keys.as_chunks().0, page.values.as_chunks().0);
        Self { page, keys, values, by: PhantomData }
    }
}

impl<I: Integers, const G: usize, const VECS: usize> Page<I::Vector> for Bytes<'_, I, G, VECS> {
    // Six rows' planes of two vectors need most of 32 registers; with several vectors in a group there are more.
    const SIX: bool = <I::Vector as Vector>::LANES == GROUP;

    #[inline(always)]
    fn scores<const T: usize>(
        &self,
        v: I::Vector,
        queries: [&[f32]; T],
        range: Range<usize>,
        out: &mut [[f32; CHUNK]; T],
    ) -> [bool; T] {
        let dim = queries[0].len();
        let mut sound = [true; T];
        let mut rows: [I::Row; T] = core::array::from_fn(|_| I::Row::default());
        let mut scales = [0.0; T];
        for start in (0..dim).step_by(CHUNK) {
            let end = dim.min(start + CHUNK);
            for t in 0..T {
                match query::<I>(&queries[t][start..end], &mut rows[t]) {
                    Some(scale) => scales[t] = scale,
                    None => sound[t] = false,
                }
            }
            for group in (range.start / GROUP / G * G..range.end.div_ceil(GROUP)).step_by(G) {
                let mut t = [[v.splat(0.0); VECS]; T];
                for block in start / BLOCK..end.div_ceil(BLOCK) {
                    self.block(v, blocks(dim), group, block, core::array::from_fn(|i| &rows[i]), &mut t);
                }
                for ((t, out), &scale) in t.into_iter().zip(out.iter_mut()).zip(&scales) {
                    for (i, t) in t.into_iter().enumerate() {
                        let out = &mut out[group * GROUP + i * <I::Vector as Vector>::LANES..];
                        let before = if start == 0 { v.splat(0.0) } else { v.load(out) };
                        v.store(v.fma(v.splat(scale), t, before), out);
                    }
                }
            }
        }
        sound
    }

    #[inline(always)]
    fn weigh<const T: usize>(
        &self,
        v: I::Vector,
        weights: &mut [[f32; CHUNK]; T],
        visible: &[Range<usize>; T],
        chunk: &[(f32, f32); T],
        heads: &mut Heads<'_, '_, f32>,
        first: usize,
    ) {
        let merges = merges::<I::Vector, T>(visible, chunk, heads, first);
        let mut seen = [0u32; CHUNK];
        for (weights, visible) in weights.iter_mut().zip(visible) {
            weights[..visible.start].fill(0.0);
            weights[visible.end..].fill(0.0);
            seen[visible.clone()].fill(u32::MAX);
        }
        let steps = seen.iter().position(|&seen| seen != 0).unwrap_or(0) / BLOCK
            ..seen.iter().rposition(|&seen| seen != 0).map_or(0, |last| last / BLOCK + 1);
        let mut rows: [I::Row; T] = core::array::from_fn(|_| I::Row::default());
        for block in 0..blocks(heads.dim) {
            let mut d = [0.0f32; CHUNK];
            for at in (0..CHUNK).step_by(<I::Vector as Vector>::LANES) {
                v.store(v.load_half(&self.page.value_scales[block * CHUNK + at..]), &mut d[at..]);
            }
            // Where nobody looks there may be anything.
            for (d, seen) in d.iter_mut().zip(&seen) {
                *d = f32::from_bits(d.to_bits() & seen);
            }
            let mut scales = [0.0; T];
            for t in 0..T {
                scales[t] = weigh_in::<I>(&weights[t], &d, &mut rows[t]);
            }
            let rows = core::array::from_fn(|i| &rows[i]);
            self.values(v, block, steps.clone(), rows, &scales, &merges, heads, first);
        }
    }
}

impl<I: Integers, const G: usize, const VECS: usize> Bytes<'_, I, G, VECS> {
    /// `t = fma(isum, d, t)` for a block of elements of `G` groups of keys.
    #[inline(always)]
    fn block<const T: usize>(
        &self,
        v: I::Vector,
        blocks: usize,
        group: usize,
        block: usize,
        rows: [&I::Row; T],
        t: &mut [[<I::Vector as Vector>::F; VECS]; T],
    ) {
        let parts = I::Vector::PARTS;
        let mut steps: [&[Step]; G] = [&[]; G];
        for (i, steps) in steps.iter_mut().enumerate() {
            *steps = &self.keys[(group + i) * blocks + block..][..1];
        }
        let sums = I::sums::<false, G, VECS, T>(v, steps, rows, block % (CHUNK / BLOCK));
        for i in 0..VECS {
            let at = ((group + i / parts) * blocks + block) * GROUP + i % parts * I::Vector::LANES;
            let scale = v.load_half(&self.page.key_scales[at..]);
            for (t, sums) in t.iter_mut().zip(&sums) {
                t[i] = v.fma(v.to_float(sums[i]), scale, t[i]);
            }
        }
    }

    /// A block of the weighted values' elements, merged into what the heads have.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)] // one loop nest, cut where its registers end
    fn values<const T: usize>(
        &self,
        v: I::Vector,
        block: usize,
        steps: Range<usize>,
        rows: [&I::Row; T],
        scales: &[f32; T],
        merges: &[Merge; T],
        heads: &mut Heads<'_, '_, f32>,
        first: usize,
    ) {
        const STRIPS: usize = BLOCK / GROUP;
        let lanes = I::Vector::LANES;
        for strip in (0..STRIPS).step_by(G) {
            let mut strips: [&[Step]; G] = [&[]; G];
            for (i, to) in strips.iter_mut().enumerate() {
                *to = &self.values[(block * STRIPS + strip + i) * (CHUNK / BLOCK)..][steps.clone()];
            }
            let sums = I::sums::<true, G, VECS, T>(v, strips, rows, steps.start);
            let at = block * BLOCK + strip * GROUP;
            for (t, sums) in sums.into_iter().enumerate() {
                let out = heads.out(first + t);
                for (i, sum) in sums.into_iter().enumerate() {
                    let Some(out) = out.get_mut(at + i * lanes..) else { break };
                    let sum = v.mul(v.splat(scales[t]), v.to_float(sum));
                    if out.len() >= lanes {
                        merges[t].store(v, sum, out);
                    } else {
                        // Elements that fill no vector.
                        let mut rest = [0.0; GROUP];
                        v.store(sum, &mut rest);
                        for (out, &sum) in out.iter_mut().zip(&rest) {
                            *out = merges[t].apply::<I::Vector>(sum, *out);
                        }
                    }
                }
            }
        }
    }
}

/// The integers of a chunk of a query and their scale; nothing where an element is not finite.
#[inline(always)]
fn query<I: Integers>(x: &[f32], row: &mut I::Row) -> Option<f32> {
    match x.len() {
        ..=64 => query_of::<I, 64>(x, row),
        65..=128 => query_of::<I, 128>(x, row),
        _ => query_of::<I, CHUNK>(x, row),
    }
}

/// Likewise, of up to `N` elements.
#[inline(always)]
fn query_of<I: Integers, const N: usize>(x: &[f32], row: &mut I::Row) -> Option<f32> {
    let mut padded = [0.0f32; N];
    padded[..x.len()].copy_from_slice(x);
    let largest = largest(&padded);
    if largest >= 0x7f80_0000 {
        return None;
    }
    let (inverse, scale) = steps(f32::from_bits(largest));
    let mut a = [0; N];
    for (a, x) in a.iter_mut().zip(padded) {
        *a = round(x * inverse);
    }
    I::fill(&a, row);
    Some(scale)
}

/// The integers of weights times their values' scales, and the integers' own scale. None is negative; where one is not
/// finite the head's scores overflowed, and nothing comes of them.
#[inline(always)]
fn weigh_in<I: Integers>(weights: &[f32; CHUNK], scales: &[f32; CHUNK], row: &mut I::Row) -> f32 {
    let mut x = *scales;
    for (x, weight) in x.iter_mut().zip(weights) {
        *x *= weight;
    }
    let (inverse, scale) = steps(f32::from_bits(largest(&x)));
    let mut a = [0; CHUNK];
    for (a, x) in a.iter_mut().zip(x) {
        *a = round(x * inverse);
    }
    I::fill_positive(&a, row);
    scale
}

/// The bits of the largest magnitude, which order as magnitudes do; what is not finite is above all others.
#[inline(always)]
fn largest<const N: usize>(x: &[f32; N]) -> u32 {
    x.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff))
}

/// What a float is multiplied by to become an integer, and what undoes it.
#[inline(always)]
fn steps(largest: f32) -> (f32, f32) {
    if largest < SMALLEST { (0.0, 0.0) } else { (STEPS / largest, largest / STEPS) }
}

/// To the nearest integer, ties to even, for |x| < 2²²: there the unit in the last place of 1.5·2²³ + x is 1.
#[inline(always)]
fn round(x: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    ((x + MAGIC).to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32)
}
