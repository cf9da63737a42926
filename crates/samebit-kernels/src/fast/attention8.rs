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
use super::integers::Integers;
use crate::page8::{Page8, Quads};
use crate::table::Heads;
use crate::vector::{GROUP, Vector};

/// A page met by the integers of a unit, `G` groups of sixteen lanes (`VECS` vectors) at a time.
pub(super) struct Bytes<'a, I, const G: usize, const VECS: usize> {
    page: Page8<'a>,
    by: PhantomData<I>,
}

impl<'a, I, const G: usize, const VECS: usize> Bytes<'a, I, G, VECS> {
    pub(super) fn new(page: Page8<'a>) -> Self {
        Self { page, by: PhantomData }
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
                    self.block(v, dim, group, block, core::array::from_fn(|i| &rows[i]), &mut t);
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
        weights: &[[f32; CHUNK]; T],
        visible: &[Range<usize>; T],
        chunk: &[(f32, f32); T],
        heads: &mut Heads<'_, '_, f32>,
        first: usize,
    ) {
        let merges = merges::<I::Vector, T>(visible, chunk, heads, first);
        let seen = visible.iter().filter(|visible| !visible.is_empty());
        // Whole blocks of positions, so that no vector is cut.
        let start = seen.clone().fold(CHUNK, |s, v| s.min(v.start)) / BLOCK * BLOCK;
        let end = seen.fold(0, |e, v| e.max(v.end)).next_multiple_of(BLOCK);
        let mut rows: [I::Row; T] = core::array::from_fn(|_| I::Row::default());
        let mut scaled = [[0.0f32; CHUNK]; T];
        let mut d = [0.0f32; CHUNK];
        for block in 0..blocks(heads.dim) {
            for at in (start..end).step_by(<I::Vector as Vector>::LANES) {
                v.store(v.load_half(&self.page.value_scales[block * CHUNK + at..]), &mut d[at..]);
            }
            let mut scales = [0.0; T];
            for t in 0..T {
                let keys = visible[t].clone();
                for ((to, &weight), &d) in
                    scaled[t][keys.clone()].iter_mut().zip(&weights[t][keys.clone()]).zip(&d[keys])
                {
                    *to = weight * d;
                }
                scales[t] = weigh_in::<I>(&scaled[t][start..end], start, &mut rows[t]);
            }
            let rows = core::array::from_fn(|i| &rows[i]);
            self.values(v, block, start / 4..end / 4, rows, &scales, &merges, heads, first);
        }
    }
}

impl<I: Integers, const G: usize, const VECS: usize> Bytes<'_, I, G, VECS> {
    /// `t = fma(isum, d, t)` for a block of elements of `G` groups of keys.
    #[inline(always)]
    fn block<const T: usize>(
        &self,
        v: I::Vector,
        dim: usize,
        group: usize,
        block: usize,
        rows: [&I::Row; T],
        t: &mut [[<I::Vector as Vector>::F; VECS]; T],
    ) {
        let (quads, blocks, parts) = (dim.div_ceil(4), blocks(dim), I::Vector::PARTS);
        let first = block * (BLOCK / 4);
        let count = (BLOCK / 4).min(quads - first);
        let mut lines: [&[Quads]; G] = [&[]; G];
        for (i, lines) in lines.iter_mut().enumerate() {
            *lines = &self.page.keys[(group + i) * quads + first..][..count];
        }
        let sums = I::sums::<false, G, VECS, T>(v, lines, rows, first % (CHUNK / 4));
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
        quads: Range<usize>,
        rows: [&I::Row; T],
        scales: &[f32; T],
        merges: &[Merge; T],
        heads: &mut Heads<'_, '_, f32>,
        first: usize,
    ) {
        const STRIPS: usize = BLOCK / GROUP;
        let lanes = I::Vector::LANES;
        for strip in (0..STRIPS).step_by(G) {
            let mut lines: [&[Quads]; G] = [&[]; G];
            for (i, lines) in lines.iter_mut().enumerate() {
                *lines = &self.page.values[(block * STRIPS + strip + i) * (CHUNK / 4)..][quads.clone()];
            }
            let sums = I::sums::<true, G, VECS, T>(v, lines, rows, quads.start);
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
    let mut padded = [0.0f32; CHUNK];
    padded[..x.len()].copy_from_slice(x);
    let padded = &padded[..x.len().next_multiple_of(BLOCK)];
    let largest = largest(padded);
    if largest >= 0x7f80_0000 {
        return None;
    }
    let (inverse, scale) = steps(f32::from_bits(largest));
    let mut a = [0i32; CHUNK];
    for (a, &x) in a.iter_mut().zip(padded) {
        *a = round(x * inverse);
    }
    I::fill(&a[..padded.len()], 0, row);
    Some(scale)
}

/// The integers of weights from position `first` on, and their scale. None is negative; if one is not finite the head's
/// scores overflowed, and nothing comes of them.
#[inline(always)]
fn weigh_in<I: Integers>(x: &[f32], first: usize, row: &mut I::Row) -> f32 {
    let (inverse, scale) = steps(f32::from_bits(largest(x)));
    let mut a = [0i32; CHUNK];
    for (a, &x) in a.iter_mut().zip(x) {
        *a = round(x * inverse);
    }
    I::fill_positive(&a[..x.len()], first, row);
    scale
}

/// The bits of the largest magnitude, which order as magnitudes do; what is not finite is above all others.
#[inline(always)]
fn largest(x: &[f32]) -> u32 {
    let mut lanes = [0u32; GROUP];
    for group in x.as_chunks::<GROUP>().0 {
        for (lane, x) in lanes.iter_mut().zip(group) {
            *lane = (*lane).max(x.to_bits() & 0x7fff_ffff);
        }
    }
    lanes.into_iter().fold(0, u32::max)
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
