//! The order of every sum: chunk-256, and the sixteen lanes inside a chunk of a row sum.
//!
//! Knows nothing of what is summed for. NUMERICS.md, "Reductions".

use crate::arith::Arith;

/// Every reduction is cut at absolute multiples of this many elements.
pub const CHUNK: usize = 256;

/// Lanes of a row sum inside one chunk: lane = index mod 16.
pub const LANES: usize = 16;

/// Number of chunks that an index range of `len` elements starting at zero touches.
#[inline(always)]
pub const fn chunks(len: usize) -> usize {
    len.div_ceil(CHUNK)
}

/// Folds sixteen lanes into one: halves are added, upper half onto lower, four times.
#[inline(always)]
pub fn fold_lanes<A: Arith>(mut lanes: [A::R; LANES]) -> A::R {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = A::add(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Row sum of `step(accumulator, element)` over `x`: sixteen lanes and their fold inside each chunk, then the chunks in order.
#[inline(always)]
fn row_sum_by<A: Arith>(x: &[A::R], step: impl Fn(A::R, A::R) -> A::R) -> A::R {
    let mut total = A::ZERO;
    for chunk in x.chunks(CHUNK) {
        let mut lanes = [A::ZERO; LANES];
        for group in chunk.chunks(LANES) {
            for (lane, &value) in lanes.iter_mut().zip(group) {
                *lane = step(*lane, value);
            }
        }
        total = A::add(total, fold_lanes::<A>(lanes));
    }
    total
}

/// Σ x, a row sum.
#[inline(always)]
pub fn row_sum<A: Arith>(x: &[A::R]) -> A::R {
    row_sum_by::<A>(x, A::add)
}

/// Σ x², a row sum with `fma(x, x, lane)`.
#[inline(always)]
pub fn row_sum_of_squares<A: Arith>(x: &[A::R]) -> A::R {
    row_sum_by::<A>(x, |lane, value| A::fma(value, value, lane))
}

/// Σ (x − mean)², a row sum with `fma(e, e, lane)`, e = x − mean.
#[inline(always)]
pub fn row_sum_of_deviations<A: Arith>(x: &[A::R], mean: A::R) -> A::R {
    row_sum_by::<A>(x, |lane, value| {
        let deviation = A::sub(value, mean);
        A::fma(deviation, deviation, lane)
    })
}

/// The largest element; comparison-based, so exact in any order. `None` for an empty row.
#[inline(always)]
pub fn row_max<A: Arith>(x: &[A::R]) -> Option<A::R> {
    let (&first, rest) = x.split_first()?;
    Some(rest.iter().fold(first, |best, &value| A::max(best, value)))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::arith::{Single, Soft};
    use std::vec::Vec;

    type S = Single<Soft>;

    fn row(len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 % 1013) as f32 - 506.0) / 37.0).collect()
    }

    /// The definition again, element by element, with the lane computed from the absolute index.
    fn literal(x: &[f32]) -> f32 {
        let mut total = 0.0f32;
        for start in (0..x.len()).step_by(CHUNK) {
            let mut lanes = [0.0f32; LANES];
            for i in start..x.len().min(start + CHUNK) {
                lanes[i % LANES] += x[i];
            }
            for width in [8, 4, 2, 1] {
                for lane in 0..width {
                    lanes[lane] += lanes[lane + width];
                }
            }
            total += lanes[0];
        }
        total
    }

    #[test]
    fn a_row_sum_is_its_definition() {
        for len in [0, 1, 15, 16, 17, 255, 256, 257, 576, 1000] {
            assert_eq!(row_sum::<S>(&row(len)).to_bits(), literal(&row(len)).to_bits(), "length {len}");
        }
    }

    #[test]
    fn another_order_gives_other_bits() {
        let x = row(576);
        let sequential: f32 = x.iter().sum();
        assert_ne!(row_sum::<S>(&x).to_bits(), sequential.to_bits());
    }
}
