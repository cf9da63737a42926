//! How far one row of logits, or one continuation, is from another.
//!
//! All in binary64. Knows nothing of models.

use samebit_numerics::math::double;

/// Two rows of logits compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Distance {
    /// Kullback–Leibler divergence of the second's softmax from the first's, in nats.
    pub(crate) kl: f64,
    /// Largest difference between two logits of one token.
    pub(crate) logit: f64,
    /// Both have the same highest logit.
    pub(crate) same_top: bool,
}

impl Distance {
    /// `of` against the reference `from`, rows of one length.
    pub(crate) fn between(from: &[f32], of: &[f32]) -> Self {
        assert_eq!(from.len(), of.len(), "rows of logits differ in length");
        let (p_sum, q_sum) = (log_sum_exp(from), log_sum_exp(of));
        let mut kl = 0.0;
        let mut logit = 0.0_f64;
        for (&p, &q) in from.iter().zip(of) {
            let (p, q) = (f64::from(p), f64::from(q));
            let log_p = p - p_sum;
            kl += double::exp(log_p) * (log_p - (q - q_sum));
            logit = logit.max((p - q).abs());
        }
        Self { kl: kl.max(0.0), logit, same_top: argmax(from) == argmax(of) }
    }
}

/// The logarithm of the sum of all exponentials, without overflow.
fn log_sum_exp(row: &[f32]) -> f64 {
    let top = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row.iter().map(|&x| double::exp(f64::from(x) - top)).sum();
    top + double::ln(sum)
}

/// The token with the highest logit; of several, the lowest id.
pub(crate) fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (id, &logit) in row.iter().enumerate() {
        if logit > row[best] {
            best = id;
        }
    }
    best
}

/// Mean, largest and counts of many distances.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// How many.
    pub(crate) count: usize,
    /// Mean divergence.
    pub(crate) kl_mean: f64,
    /// Largest divergence.
    pub(crate) kl_max: f64,
    /// Largest difference of logits.
    pub(crate) logit_max: f64,
    /// How many have the same highest logit.
    pub(crate) same_top: usize,
}

impl Summary {
    /// Of all of them.
    pub(crate) fn of(distances: &[Distance]) -> Self {
        let mut summary = Self { count: distances.len(), ..Self::default() };
        for distance in distances {
            summary.kl_mean += distance.kl / distances.len() as f64;
            summary.kl_max = summary.kl_max.max(distance.kl);
            summary.logit_max = summary.logit_max.max(distance.logit);
            summary.same_top += usize::from(distance.same_top);
        }
        summary
    }
}

/// Where two continuations first differ, or where one ends before the other.
pub(crate) fn first_difference(a: &[u32], b: &[u32]) -> Option<usize> {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (common < a.len().max(b.len())).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn divergence_is_that_of_the_textbook() {
        // Logits ln(1/2), ln(1/2) against ln(1/4), ln(3/4): KL = ln 2 - ln(3)/2, by hand.
        let half = -std::f32::consts::LN_2;
        let (quarter, three_quarters) = (2.0 * half, 2.0 * half + 1.098_612_3);
        let distance = Distance::between(&[half, half], &[quarter, three_quarters]);
        let expected = std::f64::consts::LN_2 - 1.098_612_288_668_11 / 2.0;
        assert!((distance.kl - expected).abs() < 1e-6, "{distance:?}");
        assert!(!distance.same_top);
    }

    #[test]
    fn a_common_shift_of_the_logits_is_no_divergence() {
        let distance = Distance::between(&[1.0, 2.0, -3.0], &[101.0, 102.0, 97.0]);
        assert!(near(distance.kl, 0.0) && near(distance.logit, 100.0) && distance.same_top);
    }

    #[test]
    fn summaries_count_and_average() {
        let near = Distance { kl: 0.0, logit: 0.5, same_top: true };
        let far = Distance { kl: 1.0, logit: 0.25, same_top: false };
        let summary = Summary::of(&[near, far]);
        let expected = Summary { count: 2, kl_mean: 0.5, kl_max: 1.0, logit_max: 0.5, same_top: 1 };
        assert_eq!(summary, expected);
    }

    #[test]
    fn first_differences() {
        assert_eq!(first_difference(&[1, 2, 3], &[1, 2, 3]), None);
        assert_eq!(first_difference(&[1, 2, 3], &[1, 9, 3]), Some(1));
        assert_eq!(first_difference(&[1, 2], &[1, 2, 3]), Some(2));
        assert_eq!(argmax(&[0.0, 3.0, 3.0]), 1);
    }
}
