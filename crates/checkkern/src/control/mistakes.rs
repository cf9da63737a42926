//! Wrong functions. Each is right in all but one thing, which is its name.

use core::ops::Range;

use samebit_kernels::{Activations, Heads, Isa, Numerics, PageOf, Table};
use samebit_numerics::activations::{NonFinite, STEPS};
use samebit_numerics::arith::{Float32, Soft};
use samebit_numerics::blocks::{Family, Format};
use samebit_numerics::half::{f16_to_f32, f32_to_f16};
use samebit_numerics::math;
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::ops::elementwise::Gate;
use samebit_numerics::ops::matmul::Matrix;
use samebit_numerics::ops::rope::Pairing;
use samebit_numerics::ops::router::Router;

/// The functions that are right.
pub(super) fn right() -> Table<f32> {
    Table::single(Isa::Reference, Numerics::V1)
}

/// RMSNorm from the sum of squares on.
fn norm(sum: f32, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let scale = if sum.is_finite() { 1.0 / Soft::sqrt(sum / x.len() as f32 + epsilon) } else { f32::NAN };
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * weight;
    }
}

pub(super) fn sum_from_left_to_right(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let sum = x.iter().fold(0.0, |sum, &x| Soft::fma(x, x, sum));
    norm(sum, x, weight, epsilon, out);
}

pub(super) fn sum_in_chunks_of_128(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let mut sum = 0.0;
    for chunk in x.chunks(128) {
        let mut lanes = [0.0f32; 16];
        chunk.iter().enumerate().for_each(|(i, &x)| lanes[i % 16] = Soft::fma(x, x, lanes[i % 16]));
        for width in [8, 4, 2, 1] {
            (0..width).for_each(|lane| lanes[lane] += lanes[lane + width]);
        }
        sum += lanes[0];
    }
    norm(sum, x, weight, epsilon, out);
}

/// Where the mean is zero or n a power of two there is nothing to see; elsewhere the last bit.
pub(super) fn mean_by_reciprocal(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let n = x.len() as f32;
    // The right norm of a row whose mean is taken away already differs by how that mean was rounded.
    let mean = x.iter().sum::<f32>() * (1.0 / n);
    let shifted: Vec<f32> = x.iter().map(|x| x - mean).collect();
    (right().layer_norm)(&shifted, weight, bias, epsilon, out);
}

pub(super) fn softmax_in_reverse(x: &mut [f32]) {
    x.reverse();
    (right().softmax)(x);
    x.reverse();
}

pub(super) fn last_of_equals(kind: Router, scores: &[f32], chosen: &mut [usize], weights: &mut [f32]) {
    let reversed: Vec<f32> = scores.iter().rev().copied().collect();
    (right().route)(kind, &reversed, chosen, weights);
    chosen.iter_mut().for_each(|index| *index = scores.len() - 1 - *index);
}

pub(super) fn rotation_not_fused(head: &mut [f32], pairing: Pairing, cos: &[f32], sin: &[f32]) {
    let pairs = cos.len();
    for (i, (cos, sin)) in cos.iter().zip(sin).enumerate() {
        let (first, second) = match pairing {
            Pairing::Normal => (2 * i, 2 * i + 1),
            Pairing::Neox => (i, i + pairs),
        };
        let (a, b) = (head[first], head[second]);
        head[first] = a * cos - b * sin;
        head[second] = a * sin + b * cos;
    }
}

pub(super) fn gate_without_the_last(kind: Gate, gate: &mut [f32], up: &[f32]) {
    let len = gate.len() - 1;
    (right().gated)(kind, &mut gate[..len], &up[..len]);
}

pub(super) fn another_gelu(kind: Gate, gate: &mut [f32], up: &[f32]) {
    let kind = if kind == Gate::GeluErf { Gate::GeluTanh } else { kind };
    (right().gated)(kind, gate, up);
}

pub(super) fn cap_by_division(x: &mut [f32], cap: f32) {
    x.iter_mut().for_each(|x| *x = cap * math::tanh::<Soft>(*x / cap));
}

/// What a processor that flushes subnormals makes of a result.
fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { 0.0 } else { x }
}

pub(super) fn flushed_sum(acc: &mut [f32], x: &[f32]) {
    acc.iter_mut().zip(x).for_each(|(acc, x)| *acc = flushed(*acc + x));
}

pub(super) fn flushed_scaling(x: &mut [f32], factor: f32) {
    x.iter_mut().for_each(|x| *x = flushed(*x * factor));
}

pub(super) fn flushed_halves(from: &[u16], to: &mut [f32]) {
    for (to, &half) in to.iter_mut().zip(from) {
        *to = if half & 0x7c00 == 0 { 0.0 } else { f16_to_f32(half) };
    }
}

/// As one who has no loop for the rest.
pub(super) fn bias_without_the_tail(acc: &mut [f32], bias: &[f32]) {
    let len = acc.len() / 8 * 8;
    (right().add_bias)(&mut acc[..len], &bias[..len]);
}

pub(super) fn share_not_fused(acc: &mut [f32], weight: f32, x: &[f32]) {
    acc.iter_mut().zip(x).for_each(|(acc, x)| *acc += weight * x);
}

pub(super) fn halves_away_from_zero(from: &[f32], to: &mut [u16]) {
    for (to, &x) in to.iter_mut().zip(from) {
        let half = f32_to_f16(x);
        let (rounded, magnitude) = (f16_to_f32(half).abs(), x.abs());
        // At a tie the other neighbour is as far away, and has a binary16.
        let other = magnitude + (magnitude - rounded);
        let tie = rounded < magnitude && f16_to_f32(f32_to_f16(other)) == other;
        *to = if tie { half + 1 } else { half };
    }
}

pub(super) fn steps_away_from_zero(a: &mut Activations<f32>, formats: &[Format]) -> Result<(), NonFinite> {
    (right().prepare)(a, formats)?;
    let (cols, q) = (a.cols, &mut a.quantized);
    for (i, x) in a.values.iter().enumerate().filter(|_| !q.scale.is_empty()) {
        let chunk = i / cols * cols.div_ceil(256) + i % cols / 256;
        let row = &a.values[i / cols * cols..][..cols];
        let of_chunk = &row[i % cols / 256 * 256..][..(cols - i % cols / 256 * 256).min(256)];
        let largest = of_chunk.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        let steps = x * (STEPS / largest);
        if q.scale[chunk] != 0.0 && (steps.abs() - steps.abs().trunc()) == 0.5 {
            let away = (steps.abs() + 0.5).trunc().copysign(steps) as i32;
            q.high[i] = ((away + 128) >> 8) as i16;
            q.low[i] = (away - (((away + 128) >> 8) << 8)) as i16;
        }
    }
    Ok(())
}

pub(super) fn steps_without_the_last(a: &mut Activations<f32>, formats: &[Format]) -> Result<(), NonFinite> {
    (right().prepare)(a, formats)?;
    if let Some(last) = a.quantized.low.last_mut() {
        *last = 0;
    }
    Ok(())
}

/// The float product with a chain of its own; quantised weights are multiplied rightly.
fn float_product(
    w: &Matrix<'_>,
    rows: Range<usize>,
    x: &Activations<f32>,
    out: &mut [f32],
    dot: impl Fn(&[f32], &[f32]) -> f32,
) {
    if w.format.family() != Family::Float {
        return (right().matmul)(w, rows, x, out);
    }
    let mut weights = vec![0.0; w.cols];
    for (row, out) in rows.zip(out.chunks_exact_mut(x.tokens)) {
        w.format.dequantize(w.row(row), &mut weights);
        for (x, out) in x.values.chunks_exact(w.cols).zip(out) {
            *out = dot(&weights, x);
        }
    }
}

/// Chunks of `len`, each a chain from +0.
fn dot_in_chunks(w: &[f32], x: &[f32], len: usize, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let partial = |(w, x): (&[f32], &[f32])| w.iter().zip(x).fold(0.0, |sum, (&w, &x)| fma(w, x, sum));
    w.chunks(len).zip(x.chunks(len)).map(partial).fold(0.0, |sum, partial| sum + partial)
}

pub(super) fn chains_in_reverse(w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]) {
    float_product(w, rows, x, out, |w, x| {
        let backwards = |x: &[f32]| x.chunks(256).flat_map(|chunk| chunk.iter().rev().copied()).collect::<Vec<_>>();
        dot_in_chunks(&backwards(w), &backwards(x), 256, Soft::fma)
    });
}

pub(super) fn chains_of_128(w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]) {
    float_product(w, rows, x, out, |w, x| dot_in_chunks(w, x, 128, Soft::fma));
}

pub(super) fn chains_not_fused(w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]) {
    float_product(w, rows, x, out, |w, x| dot_in_chunks(w, x, 256, |w, x, sum| w * x + sum));
}

/// Attention to other keys than those that are visible.
fn attend_to(
    page: PageOf<'_, f32>,
    how: Scores,
    heads: &mut Heads<'_, '_, f32>,
    keys: impl Fn(&Range<usize>) -> Range<usize>,
) {
    let visible: Vec<Range<usize>> = heads.visible.iter().map(keys).collect();
    let mut changed = Heads {
        queries: heads.queries,
        stride: heads.stride,
        group: heads.group,
        dim: heads.dim,
        visible: &visible,
        running: &mut *heads.running,
        out: &mut *heads.out,
    };
    (right().attend)(page, how, &mut changed);
}

pub(super) fn attention_in_chunks_of_128(page: PageOf<'_, f32>, how: Scores, heads: &mut Heads<'_, '_, f32>) {
    attend_to(page, how, heads, |visible| visible.start.min(128)..visible.end.min(128));
    attend_to(page, how, heads, |visible| visible.start.max(128)..visible.end.max(128));
}

pub(super) fn attention_to_a_key_too_many(page: PageOf<'_, f32>, how: Scores, heads: &mut Heads<'_, '_, f32>) {
    attend_to(page, how, heads, |visible| visible.start..(visible.end + 1).min(256));
}

pub(super) fn attention_without_the_first_key(page: PageOf<'_, f32>, how: Scores, heads: &mut Heads<'_, '_, f32>) {
    attend_to(page, how, heads, |visible| (visible.start + 1).min(visible.end)..visible.end);
}

pub(super) fn merged_the_other_way_round(
    chunk: Running<f32>,
    partial: &[f32],
    running: &mut Running<f32>,
    out: &mut [f32],
) {
    let (mut first, mut values) = (chunk, partial.to_vec());
    (right().merge)(*running, out, &mut first, &mut values);
    out.copy_from_slice(&values);
    *running = first;
}

pub(super) fn finished_by_division(running: Running<f32>, sink: Option<f32>, out: &mut [f32]) {
    match (running.max, sink, running.overflowed) {
        (Some(_), None, false) => out.iter_mut().for_each(|x| *x /= running.denominator),
        _ => (right().finish)(running, sink, out),
    }
}

pub(super) fn finished_without_the_sink(running: Running<f32>, _: Option<f32>, out: &mut [f32]) {
    (right().finish)(running, None, out);
}
