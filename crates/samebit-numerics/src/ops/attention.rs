//! Attention of one query head over one chunk of keys, and the merge of chunks. NUMERICS.md, "Attention".
//!
//! Knows no cache: a chunk is 256 absolute positions, of which the caller names the visible ones.

use core::ops::Range;

use crate::arith::Arith;
use crate::reduce::CHUNK;

/// How scores are made of dot products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Multiplies each dot product, usually 1/√(head dimension).
    pub scale: f32,
    /// cap · tanh(score · (1/cap)) where given.
    pub soft_cap: Option<f32>,
}

/// What the chunks seen so far amount to, for one query head.
#[derive(Clone, Copy, Debug)]
pub struct Running<R> {
    /// Largest score; `None` before the first visible key.
    pub max: Option<R>,
    /// Σ exp(score − max).
    pub denominator: R,
    /// A score was not finite: nothing that comes of it is a number.
    pub overflowed: bool,
}

impl<R: Copy + Default> Default for Running<R> {
    fn default() -> Self {
        Self { max: None, denominator: R::default(), overflowed: false }
    }
}

/// One chunk of keys and values of one key/value head.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a, R> {
    /// Keys, element by element: `head_dim × 256`.
    pub keys: &'a [R],
    /// Values, position by position: `256 × head_dim`.
    pub values: &'a [R],
}

/// Attends to the `visible` keys of a chunk and merges the result into `running` and `out` (`head_dim` long).
#[inline(always)]
pub fn attend<A: Arith>(
    query: &[A::R],
    page: Page<'_, A::R>,
    visible: Range<usize>,
    how: Scores,
    running: &mut Running<A::R>,
    out: &mut [A::R],
) {
    if visible.is_empty() {
        return;
    }
    let mut weights = [A::ZERO; CHUNK];
    let weights = &mut weights[visible.clone()];
    products::<A>(query, page.keys, visible.clone(), weights);
    let chunk = soften::<A>(weights, how);
    if running.max.is_none() {
        out.fill(A::ZERO);
        weigh_values::<A>(weights, page.values, visible.start, out);
        *running = Running { overflowed: running.overflowed | chunk.overflowed, ..chunk };
        return;
    }
    // Longer heads exist nowhere; the loader bounds them.
    let mut partial = [A::ZERO; MAX_HEAD_DIM];
    let partial = &mut partial[..out.len()];
    weigh_values::<A>(weights, page.values, visible.start, partial);
    merge::<A>(chunk, partial, running, out);
}

/// From the dot products of a chunk's visible keys to their exponentials; what the chunk amounts to.
#[inline(always)]
pub(super) fn soften<A: Arith>(weights: &mut [A::R], how: Scores) -> Running<A::R> {
    let finite = scores::<A>(weights, how);
    let max = weights.iter().skip(1).fold(weights[0], |m, &s| A::max(m, s));
    let mut denominator = A::ZERO;
    for weight in weights.iter_mut() {
        *weight = A::exp(A::sub(*weight, max));
    }
    for &weight in weights.iter() {
        denominator = A::add(denominator, weight);
    }
    Running { max: Some(max), denominator, overflowed: !finite }
}

/// Merges what a later chunk amounts to, on its own, into what those before it do.
#[inline(always)]
pub fn merge<A: Arith>(chunk: Running<A::R>, partial: &[A::R], running: &mut Running<A::R>, out: &mut [A::R]) {
    running.overflowed |= chunk.overflowed;
    let Some(now) = chunk.max else { return };
    let Some(before) = running.max else {
        out.copy_from_slice(partial);
        (running.max, running.denominator) = (chunk.max, chunk.denominator);
        return;
    };
    let (old, new, max) = rescaling::<A>(before, now);
    for (o, &p) in out.iter_mut().zip(partial) {
        *o = A::fma(p, new, A::mul(*o, old));
    }
    let denominator = A::fma(chunk.denominator, new, A::mul(running.denominator, old));
    (running.max, running.denominator) = (Some(max), denominator);
}

/// Longest head that attention takes.
pub const MAX_HEAD_DIM: usize = 1024;

/// Σ chunk-256 of q·k; lanes run over the keys.
#[inline(always)]
fn products<A: Arith>(query: &[A::R], keys: &[A::R], visible: Range<usize>, out: &mut [A::R]) {
    let mut partial = [A::ZERO; CHUNK];
    let partial = &mut partial[visible.clone()];
    out.fill(A::ZERO);
    for (chunk, elements) in query.chunks(CHUNK).enumerate() {
        partial.fill(A::ZERO);
        for (i, &q) in elements.iter().enumerate() {
            let keys = &keys[(chunk * CHUNK + i) * CHUNK..][visible.clone()];
            for (p, &k) in partial.iter_mut().zip(keys) {
                *p = A::fma(q, k, *p);
            }
        }
        for (o, &p) in out.iter_mut().zip(partial.iter()) {
            *o = A::add(*o, p);
        }
    }
}

/// score[j] = (dot product) · scale, capped where asked. Whether all were finite before the cap, which would hide an
/// overflow.
#[inline(always)]
fn scores<A: Arith>(out: &mut [A::R], how: Scores) -> bool {
    let scale = A::from_f32(how.scale);
    for score in out.iter_mut() {
        *score = A::mul(*score, scale);
    }
    let finite = out.iter().all(|&score| A::is_finite(score));
    if let Some(cap) = how.soft_cap {
        super::elementwise::soft_cap::<A>(out, cap);
    }
    finite
}

/// out[d] = `fma` chain over the keys of weight · value; lanes run over the dimensions.
#[inline(always)]
fn weigh_values<A: Arith>(weights: &[A::R], values: &[A::R], first: usize, out: &mut [A::R]) {
    let dim = out.len();
    for (&weight, row) in weights.iter().zip(values[first * dim..].chunks_exact(dim)) {
        for (o, &v) in out.iter_mut().zip(row) {
            *o = A::fma(weight, v, *o);
        }
    }
}

/// exp(before − max), exp(now − max) and max, the larger of the two.
#[inline(always)]
fn rescaling<A: Arith>(before: A::R, now: A::R) -> (A::R, A::R, A::R) {
    let max = A::max(before, now);
    (A::exp(A::sub(before, max)), A::exp(A::sub(now, max)), max)
}

/// Ends the pass: an attention sink, where the head has one, joins the denominator as a key without a value; then
/// out[d] · (1 / denominator). A query always sees at least itself; one that saw nothing, or whose scores overflowed, gives NaN.
#[inline(always)]
pub fn finish<A: Arith>(running: Running<A::R>, sink: Option<f32>, out: &mut [A::R]) {
    let Some(max) = running.max.filter(|_| !running.overflowed) else {
        out.fill(A::from_f32(f32::NAN));
        return;
    };
    let mut denominator = running.denominator;
    if let Some(sink) = sink {
        let (old, new, _) = rescaling::<A>(max, A::from_f32(sink));
        denominator = A::add(new, A::mul(denominator, old));
        for o in out.iter_mut() {
            *o = A::mul(*o, old);
        }
    }
    let inverse = A::div(A::ONE, denominator);
    for o in out {
        *o = A::mul(*o, inverse);
    }
}
