//! Log-probabilities of a raw row, in a stated order. NUMERICS.md, section 12.
//!
//! Knows rows; nothing of settings.

use samebit_kernels::float_env;
use samebit_numerics::arith::{Single, Soft};
use samebit_numerics::math::{exp, ln};
use samebit_numerics::reduce::row_sum;

use super::candidates::Candidates;
use crate::batch::TokenLogprob;

/// The log-probability of `token`, and those of the `top` likeliest tokens: `(l − l₀) − ln S`, S the row sum of `exp(l − l₀)`, l₀ the
/// highest logit. A token that the row does not have has −∞.
pub fn token_logprob(row: &[f32], token: u32, top: usize) -> TokenLogprob {
    float_env::with_default(|| {
        let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = row.iter().map(|&logit| exp::<Soft>(logit - highest)).collect();
        let normaliser = ln::<Soft>(row_sum::<Single<Soft>>(&weights));
        let of = |logit: f32| (logit - highest) - normaliser;
        let mut set = Candidates::default();
        if top > 0 {
            set.fill(row, f32::NEG_INFINITY, top, 0.0);
        }
        let top = set.items().iter().map(|candidate| (candidate.token, of(row[candidate.token as usize]))).collect();
        TokenLogprob { token, logprob: row.get(token as usize).map_or(f32::NEG_INFINITY, |&logit| of(logit)), top }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_and_lie_in_the_sampler_s_order() {
        let row: Vec<f32> = (0..700u32).map(|i| (i * 7919 % 701) as f32 / 60.0).collect();
        let all = token_logprob(&row, 5, row.len());
        assert_eq!(all.top.len(), row.len());
        assert!(all.top.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        let sum: f64 = all.top.iter().map(|&(_, logprob)| f64::from(exp::<Soft>(logprob))).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        let own = all.top.iter().find(|(token, _)| *token == 5).map(|pair| pair.1);
        assert_eq!(own, Some(all.logprob));
        let few = token_logprob(&row, 5, 3);
        assert_eq!(few.top, all.top[..3]);
        assert_eq!(few.logprob.to_bits(), all.logprob.to_bits());
        assert!(token_logprob(&row, 5, 0).top.is_empty());
    }

    #[test]
    fn ties_and_missing_tokens() {
        let flat = token_logprob(&[2.0; 4], 3, 2);
        assert_eq!(flat.top.iter().map(|pair| pair.0).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(flat.logprob, -ln::<Soft>(4.0));
        assert_eq!(token_logprob(&[1.0], 9, 0).logprob, f32::NEG_INFINITY);
    }
}
