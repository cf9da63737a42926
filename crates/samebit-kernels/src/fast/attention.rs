//! Attention of several query heads over one page of keys and values: scores, exponentials and weighted values, with the
//! page read once for all of them.
//!
//! What is computed, and in which order, is [`samebit_numerics::ops::attention`]'s; scores and weighted values are chains
//! like any other. Keys that a query does not see may be read, and are left out; values that it does not see are not read.

use core::ops::Range;

use samebit_numerics::arith::Arith;
use samebit_numerics::arith::Single;
use samebit_numerics::math::exp_nonpositive;
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::ops::elementwise;
use samebit_numerics::reduce::CHUNK;

use super::FREE_ORDER;
use super::attention8::Bytes;
use super::chains::{Lanes, chains};
use super::integers::Integers;
use crate::table::{Heads, PageOf};
use crate::vector::Vector;

/// Vectors of keys, or of a value's elements, that are done together.
const WIDE: usize = 2;

/// A page of some type: what differs between them.
pub(super) trait Page<V: Vector> {
    /// Whether six queries are done together where there are so many, or three.
    const SIX: bool;

    /// Dot products of queries and the keys in a range at least; whether each query is finite, where that shows in nothing
    /// else.
    fn scores<const T: usize>(
        &self,
        v: V,
        queries: [&[f32]; T],
        range: Range<usize>,
        out: &mut [[f32; CHUNK]; T],
    ) -> [bool; T];

    /// Weighted values of all queries, merged into what they have. A chunk is its maximum and denominator; weights of
    /// what a query does not see may be anything.
    fn weigh<const T: usize>(
        &self,
        v: V,
        weights: &mut [[f32; CHUNK]; T],
        visible: &[Range<usize>; T],
        chunk: &[(f32, f32); T],
        heads: &mut Heads<'_, '_, f32>,
        first: usize,
    );
}

/// A page of floats, element by element and position by position.
struct Floats<'a, B: Lanes> {
    keys: &'a [B::Raw],
    values: &'a [B::Raw],
}

/// One page for all `heads`, merged into what they have. Pages of bytes are met by `I`, `G` groups of lanes (`VECS` vectors)
/// at a time.
#[inline(always)]
pub(crate) fn attend<V: Vector, I: Integers<Vector = V>, const G: usize, const VECS: usize>(
    v: V,
    page: PageOf<'_, f32>,
    how: Scores,
    heads: &mut Heads<'_, '_, f32>,
) {
    match page {
        PageOf::Full { keys, values } => over(v, &Floats::<f32> { keys, values }, how, heads),
        PageOf::Half { keys, values } => over(v, &Floats::<u16> { keys, values }, how, heads),
        PageOf::Q8(page) => over(v, &Bytes::<I, G, VECS>::new(page), how, heads),
    }
}

#[inline(always)]
fn over<V: Vector, P: Page<V>>(v: V, page: &P, how: Scores, heads: &mut Heads<'_, '_, f32>) {
    let mut first = 0;
    while P::SIX && heads.count() - first >= 6 {
        tile::<V, P, 6>(v, page, how, heads, first);
        first += 6;
    }
    while heads.count() - first >= 3 {
        tile::<V, P, 3>(v, page, how, heads, first);
        first += 3;
    }
    while first < heads.count() {
        tile::<V, P, 1>(v, page, how, heads, first);
        first += 1;
    }
}

#[inline(always)]
fn tile<V: Vector, P: Page<V>, const T: usize>(
    v: V,
    page: &P,
    how: Scores,
    heads: &mut Heads<'_, '_, f32>,
    first: usize,
) {
    let mut visible = [const { 0..0 }; T];
    let (mut from, mut to) = (CHUNK, 0);
    let mut queries: [&[f32]; T] = [&[]; T];
    for i in 0..T {
        visible[i] = heads.visible(first + i);
        queries[i] = heads.query(first + i);
        if !visible[i].is_empty() {
            (from, to) = (from.min(visible[i].start), to.max(visible[i].end));
        }
    }
    if from >= to {
        return;
    }
    let mut weights = [[0.0f32; CHUNK]; T];
    let sound = page.scores::<T>(v, queries, from..to, &mut weights);
    let mut chunk = [(0.0f32, 0.0f32); T];
    for (i, weights) in weights.iter_mut().enumerate() {
        let weights = &mut weights[visible[i].clone()];
        if !weights.is_empty() {
            let (max, finite) = exponentials::<V>(weights, how);
            chunk[i].0 = max;
            heads.running(first + i).overflowed |= !finite | !sound[i];
        }
    }
    denominators::<T>(&weights, &visible, &mut chunk);
    page.weigh::<T>(v, &mut weights, &visible, &chunk, heads, first);
}

impl<V: Vector, B: Lanes> Page<V> for Floats<'_, B> {
    const SIX: bool = true;

    #[inline(always)]
    fn scores<const T: usize>(
        &self,
        v: V,
        queries: [&[f32]; T],
        range: Range<usize>,
        out: &mut [[f32; CHUNK]; T],
    ) -> [bool; T] {
        scores::<V, B, T>(v, queries, self.keys, range, out);
        [true; T]
    }

    #[inline(always)]
    fn weigh<const T: usize>(
        &self,
        v: V,
        weights: &mut [[f32; CHUNK]; T],
        visible: &[Range<usize>; T],
        chunk: &[(f32, f32); T],
        heads: &mut Heads<'_, '_, f32>,
        first: usize,
    ) {
        weigh::<V, B, T>(v, weights, visible, self.values, chunk, heads, first);
    }
}

/// Dot products of queries and keys, chunk-256 over the head's elements; lanes run over the keys.
#[inline(always)]
fn scores<V: Vector, B: Lanes, const T: usize>(
    v: V,
    queries: [&[f32]; T],
    keys: &[B::Raw],
    range: Range<usize>,
    out: &mut [[f32; CHUNK]; T],
) {
    let step = WIDE * V::LANES;
    for at in (range.start / step * step..range.end).step_by(step) {
        for (part, start) in (0..queries[0].len()).step_by(CHUNK).enumerate() {
            let end = queries[0].len().min(start + CHUNK);
            let mut sums = [[v.splat(0.0); WIDE]; T];
            let mut elements = queries;
            elements.iter_mut().for_each(|query| *query = &query[start..end]);
            chains::<V, B, 1, WIDE, T>(v, elements, [&keys[start * CHUNK + at..]], CHUNK, &mut sums);
            for (sums, out) in sums.into_iter().zip(out.iter_mut()) {
                for (i, sum) in sums.into_iter().enumerate() {
                    let out = &mut out[at + i * V::LANES..];
                    // A first part is added to +0, which makes a sum of −0 a +0.
                    let before = if part == 0 { v.splat(0.0) } else { v.load(out) };
                    v.store(v.add(before, sum), out);
                }
            }
        }
    }
}

/// Scales and caps the scores, and makes exponentials of them; the largest score, and whether all were finite before the cap.
#[inline(always)]
fn exponentials<V: Vector>(weights: &mut [f32], how: Scores) -> (f32, bool) {
    weights.iter_mut().for_each(|score| *score *= how.scale);
    let mut largest = 0u32;
    for score in weights.iter() {
        largest = largest.max(score.to_bits() & 0x7fff_ffff);
    }
    if let Some(cap) = how.soft_cap {
        elementwise::soft_cap::<Single<V::Scalar>>(weights, cap);
    }
    let max = maximum::<V>(weights);
    for weight in weights.iter_mut() {
        *weight = exp_nonpositive::<V::Scalar>(*weight - max);
    }
    (max, largest < 0x7f80_0000)
}

/// The largest of some numbers; which of two zeros shows in no result.
#[inline(always)]
fn maximum<V: Vector>(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (groups, rest) = x.as_chunks::<16>();
    for group in groups {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane = Single::<V::Scalar>::max(*lane, value);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m })
}

/// Σ of each query's weights, one after the other; the queries' chains run side by side.
#[inline(always)]
fn denominators<const T: usize>(weights: &[[f32; CHUNK]; T], visible: &[Range<usize>; T], out: &mut [(f32, f32); T]) {
    if FREE_ORDER {
        for (i, out) in out.iter_mut().enumerate() {
            out.1 = in_lanes(&weights[i][visible[i].clone()]);
        }
        return;
    }
    let common = common(visible);
    let mut sums = [0.0f32; T];
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = weights[i][visible[i].start..common.start.min(visible[i].end)].iter().fold(0.0, |s, &w| s + w);
    }
    for key in common.clone() {
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum += weights[key];
        }
    }
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = weights[i][common.end.min(visible[i].end)..visible[i].end].iter().fold(*sum, |s, &w| s + w);
        out[i].1 = *sum;
    }
}

/// A sum by lanes: not samebit's order.
#[inline(always)]
fn in_lanes(x: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (groups, rest) = x.as_chunks::<16>();
    for group in groups {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane += value;
        }
    }
    lanes.iter().chain(rest).sum()
}

/// The keys that all queries see; where there is none, an empty range at which each query's own may be cut.
#[inline(always)]
fn common<const T: usize>(visible: &[Range<usize>; T]) -> Range<usize> {
    let start = visible.iter().fold(0, |s, v| s.max(v.start));
    let end = visible.iter().fold(CHUNK, |e, v| e.min(v.end));
    start..end.max(start)
}

/// Weighted values of all queries, merged into what they have; lanes run over a value's elements.
#[inline(always)]
fn weigh<V: Vector, B: Lanes, const T: usize>(
    v: V,
    weights: &[[f32; CHUNK]; T],
    visible: &[Range<usize>; T],
    values: &[B::Raw],
    chunk: &[(f32, f32); T],
    heads: &mut Heads<'_, '_, f32>,
    first: usize,
) {
    let dim = heads.dim;
    let merges = merges::<V, T>(visible, chunk, heads, first);
    let step = WIDE * V::LANES;
    let mut at = 0;
    while dim - at >= step {
        strip::<V, B, WIDE, T>(v, weights, visible, &values[at..], dim, &merges, heads, (first, at));
        at += step;
    }
    while dim - at >= V::LANES {
        strip::<V, B, 1, T>(v, weights, visible, &values[at..], dim, &merges, heads, (first, at));
        at += V::LANES;
    }
    for (i, visible) in visible.iter().enumerate() {
        // Elements that fill no vector.
        for element in at..dim {
            let mut sum = 0.0;
            for key in visible.clone() {
                sum = Single::<V::Scalar>::fma(weights[i][key], B::widen(values[key * dim + element]), sum);
            }
            let out = &mut heads.out(first + i)[element];
            *out = merges[i].apply::<V>(sum, *out);
        }
    }
}

/// Merges maxima and denominators of all queries.
#[inline(always)]
pub(super) fn merges<V: Vector, const T: usize>(
    visible: &[Range<usize>; T],
    chunk: &[(f32, f32); T],
    heads: &mut Heads<'_, '_, f32>,
    first: usize,
) -> [Merge; T] {
    let mut merges = [Merge::Keep; T];
    for i in 0..T {
        merges[i] = merge::<V>(heads.running(first + i), &visible[i], chunk[i]);
    }
    merges
}

/// How a chunk's weighted values join what came before.
#[derive(Clone, Copy)]
pub(super) enum Merge {
    /// Nothing was seen.
    Keep,
    /// The first that was seen.
    Take,
    /// `fma(partial, new, out · old)`.
    Scale { old: f32, new: f32 },
}

impl Merge {
    /// One element.
    #[inline(always)]
    pub(super) fn apply<V: Vector>(self, partial: f32, out: f32) -> f32 {
        match self {
            Self::Keep => out,
            Self::Take => partial,
            Self::Scale { old, new } => Single::<V::Scalar>::fma(partial, new, out * old),
        }
    }

    /// The first elements of `out`, a vector of them.
    #[inline(always)]
    pub(super) fn store<V: Vector>(self, v: V, partial: V::F, out: &mut [f32]) {
        match self {
            Self::Keep => {}
            Self::Take => v.store(partial, out),
            Self::Scale { old, new } => {
                let kept = v.mul(v.load(out), v.splat(old));
                v.store(v.fma(partial, v.splat(new), kept), out);
            }
        }
    }
}

/// Merges maximum and denominator.
#[inline(always)]
fn merge<V: Vector>(running: &mut Running<f32>, visible: &Range<usize>, (max, denominator): (f32, f32)) -> Merge {
    if visible.is_empty() {
        return Merge::Keep;
    }
    let Some(before) = running.max else {
        (running.max, running.denominator) = (Some(max), denominator);
        return Merge::Take;
    };
    let together = Single::<V::Scalar>::max(before, max);
    let old = Single::<V::Scalar>::exp(before - together);
    let new = Single::<V::Scalar>::exp(max - together);
    running.max = Some(together);
    running.denominator = Single::<V::Scalar>::fma(denominator, new, running.denominator * old);
    Merge::Scale { old, new }
}

/// Some vectors of the weighted values: the keys that all queries see together, and what one sees besides, before and after.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // one loop nest, cut where its registers end
fn strip<V: Vector, B: Lanes, const VECS: usize, const T: usize>(
    v: V,
    weights: &[[f32; CHUNK]; T],
    visible: &[Range<usize>; T],
    values: &[B::Raw],
    dim: usize,
    merges: &[Merge; T],
    heads: &mut Heads<'_, '_, f32>,
    (first, at): (usize, usize),
) {
    let common = common(visible);
    let mut sums = [[v.splat(0.0); VECS]; T];
    for i in 0..T {
        let keys = visible[i].start..common.start.min(visible[i].end);
        alone::<V, B, VECS>(v, &weights[i], keys, values, dim, &mut sums[i]);
    }
    if !common.is_empty() {
        let mut rows: [&[f32]; T] = [&[]; T];
        for i in 0..T {
            rows[i] = &weights[i][common.clone()];
        }
        chains::<V, B, 1, VECS, T>(v, rows, [&values[common.start * dim..]], dim, &mut sums);
    }
    for i in 0..T {
        let keys = common.end.max(visible[i].start)..visible[i].end;
        alone::<V, B, VECS>(v, &weights[i], keys, values, dim, &mut sums[i]);
        let out = &mut heads.out(first + i)[at..];
        for (part, &sum) in sums[i].iter().enumerate() {
            merges[i].store(v, sum, &mut out[part * V::LANES..]);
        }
    }
}

/// One query's chains over keys that it does not share with the others.
#[inline(always)]
fn alone<V: Vector, B: Lanes, const VECS: usize>(
    v: V,
    weights: &[f32; CHUNK],
    keys: Range<usize>,
    values: &[B::Raw],
    dim: usize,
    sums: &mut [V::F; VECS],
) {
    if !keys.is_empty() {
        let from = &values[keys.start * dim..];
        chains::<V, B, 1, VECS, 1>(v, [&weights[keys]], [from], dim, core::array::from_mut(sums));
    }
}
