//! The router of a mixture of experts: which experts a token uses, and how much of each. NUMERICS.md, "Router".

use alloc::vec::Vec;

use super::softmax::softmax;
use crate::arith::Arith;

/// How scores become weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Router {
    /// Softmax over all experts; the chosen ones' weights divided by their sum. Mixtral, Qwen3.
    SoftmaxThenNormalise,
    /// Softmax over the chosen experts' scores alone. gpt-oss.
    SoftmaxOfChosen,
}

/// Smallest sum that weights are divided by: the smallest normal binary16, 2⁻¹⁴.
const SMALLEST_SUM: f32 = f32::from_bits((127 - 14) << 23);

/// Chooses `chosen.len()` experts in order of (score descending, index ascending) and gives their weights.
///
/// # Panics
/// If more experts are asked for than there are scores, or the lengths of the outputs differ.
#[inline(always)]
pub fn route<A: Arith>(kind: Router, scores: &[A::R], chosen: &mut [usize], weights: &mut [A::R]) {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Stable, so equal scores stay in order of their index.
    order.sort_by(|&a, &b| {
        scores[b]
            .partial_cmp(&scores[a])
            .unwrap_or(core::cmp::Ordering::Equal)
    });
    chosen.copy_from_slice(&order[..chosen.len()]);
    match kind {
        Router::SoftmaxOfChosen => {
            pick(scores, chosen, weights);
            softmax::<A>(weights);
        }
        Router::SoftmaxThenNormalise => {
            let mut all = scores.to_vec();
            softmax::<A>(&mut all);
            pick(&all, chosen, weights);
            let sum = weights.iter().fold(A::ZERO, |sum, &w| A::add(sum, w));
            let sum = A::max(sum, A::from_f32(SMALLEST_SUM));
            for weight in weights.iter_mut() {
                *weight = A::div(*weight, sum);
            }
        }
    }
}

#[inline(always)]
fn pick<R: Copy>(from: &[R], chosen: &[usize], into: &mut [R]) {
    for (to, &index) in into.iter_mut().zip(chosen) {
        *to = from[index];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::{Single, Soft};

    #[test]
    fn ties_go_to_the_lower_index_and_weights_sum_to_one() {
        for kind in [Router::SoftmaxThenNormalise, Router::SoftmaxOfChosen] {
            let (mut chosen, mut weights) = ([0; 3], [0.0f32; 3]);
            route::<Single<Soft>>(kind, &[1.0, 3.0, 2.0, 3.0, 2.0], &mut chosen, &mut weights);
            assert_eq!(chosen, [1, 3, 2]);
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert_eq!(weights[0], weights[1]);
        }
    }
}
