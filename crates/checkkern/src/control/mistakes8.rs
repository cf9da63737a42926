//! Wrong functions of pages of bytes. Each is right in all but one thing, which is its name.

use samebit_kernels::{Heads, PageOf};
use samebit_numerics::half::f16_to_f32;
use samebit_numerics::ops::attention::Scores;
use samebit_numerics::ops::attention8::{BLOCK, INFINITE, STEPS};
use samebit_numerics::reduce::CHUNK;

use super::mistakes::right;

/// Each odd block of a value has the scale of the one before.
pub(super) fn attention_by_a_neighbour_s_scale(page: PageOf<'_, f32>, how: Scores, heads: &mut Heads<'_, '_, f32>) {
    let PageOf::Q8(mut page) = page else { return (right().attend)(page, how, heads) };
    let mut scales = page.value_scales.to_vec();
    for pair in scales.chunks_exact_mut(2 * CHUNK) {
        let (even, odd) = pair.split_at_mut(CHUNK);
        odd.copy_from_slice(even);
    }
    page.value_scales = &scales;
    (right().attend)(PageOf::Q8(page), how, heads);
}

/// Queries of 8 bits: the high plane alone, rounded.
pub(super) fn attention_by_one_plane(page: PageOf<'_, f32>, how: Scores, heads: &mut Heads<'_, '_, f32>) {
    let mut queries = heads.queries.to_vec();
    let rows = queries.len().div_ceil(heads.stride);
    for row in 0..rows {
        let width = heads.group * heads.dim;
        for query in queries[row * heads.stride..][..width].chunks_mut(heads.dim) {
            for chunk in query.chunks_mut(CHUNK) {
                let step = chunk.iter().fold(0.0f32, |m, x| m.max(x.abs())) / STEPS;
                chunk.iter_mut().filter(|_| step > 0.0).for_each(|x| *x = (*x / step).trunc() * step);
            }
        }
    }
    let mut changed = Heads {
        queries: &queries,
        stride: heads.stride,
        group: heads.group,
        dim: heads.dim,
        visible: heads.visible,
        running: &mut *heads.running,
        out: &mut *heads.out,
    };
    (right().attend)(page, how, &mut changed);
}

/// Bytes by another rule than the right one, of blocks whose scale is a number above zero.
fn bytes(x: &[f32], q: &mut [i8], d: &mut [u16], byte: impl Fn(f32, f32, f32) -> f32) {
    (right().quantize8)(x, q, d);
    for ((x, q), &d) in x.chunks(BLOCK).zip(q.chunks_mut(BLOCK)).zip(d.iter()) {
        let largest = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        for (q, &x) in q.iter_mut().zip(x).filter(|_| d != 0 && d != INFINITE) {
            *q = byte(x, f16_to_f32(d), largest).clamp(-STEPS, STEPS) as i8;
        }
    }
}

pub(super) fn bytes_away_from_zero(x: &[f32], q: &mut [i8], d: &mut [u16]) {
    bytes(x, q, d, |x, scale, _| {
        let steps = x * (1.0 / scale);
        (steps.abs() + 0.5).trunc().copysign(steps)
    });
}

pub(super) fn bytes_of_another_scale(x: &[f32], q: &mut [i8], d: &mut [u16]) {
    bytes(x, q, d, |x, _, largest| (x * (STEPS / largest)).round_ties_even());
}
