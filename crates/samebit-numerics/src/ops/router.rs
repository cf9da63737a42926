//! The router of a mixture of experts: which experts a token uses, and how much of each. NUMERICS.md, "Router".

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
/// If the lengths of the outputs differ. More experts must not be asked for than there are scores; no score may be NaN.
#[inline(always)]
pub fn route<A: Arith>(kind: Router, scores: &[A::R], chosen: &mut [usize], weights: &mut [A::R]) {
    choose(scores, chosen);
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

/// The largest score not yet chosen, the first of equals, again and again.
#[inline(always)]
fn choose<R: Copy + PartialOrd>(scores: &[R], chosen: &mut [usize]) {
    for rank in 0..chosen.len() {
        let (before, rest) = chosen.split_at_mut(rank);
        let mut free = (0..scores.len()).filter(|index| !before.contains(index));
        // There are at least as many scores as choices.
        let first = free.next().unwrap_or_default();
        rest[0] = free.fold(first, |best, index| if scores[index] > scores[best] { index } else { best });
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
