//! Rotary position embedding of one head: pairs rotated by tabulated sines and cosines. NUMERICS.md, "RoPE".
//!
//! Knows no angle: the tables come from [`angles`](crate::angles). Su et al. 2021.

use crate::arith::Arith;

/// Which elements of a head form a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// (0, 1), (2, 3), …: the paper's, and llama's in GGUF.
    Normal,
    /// (0, n/2), (1, n/2 + 1), …: GPT-NeoX's.
    Neox,
}

/// Rotates the first `2 · cos.len()` elements of `head` in place; the rest passes.
///
/// `a' = fma(a, cos, −(b · sin))`, `b' = fma(a, sin, b · cos)`.
#[inline(always)]
pub fn rotate<A: Arith>(head: &mut [A::R], pairing: Pairing, cos: &[A::R], sin: &[A::R]) {
    let pairs = cos.len();
    for i in 0..pairs {
        let (first, second) = match pairing {
            Pairing::Normal => (2 * i, 2 * i + 1),
            Pairing::Neox => (i, i + pairs),
        };
        let (a, b) = (head[first], head[second]);
        head[first] = A::fma(a, cos[i], A::neg(A::mul(b, sin[i])));
        head[second] = A::fma(a, sin[i], A::mul(b, cos[i]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::{Single, Soft};

    #[test]
    fn the_pairings_differ_and_the_tail_passes() {
        let (cos, sin) = ([0.0f32, 1.0], [1.0f32, 0.0]);
        let mut normal = [1.0f32, 2.0, 3.0, 4.0, 5.0];
        rotate::<Single<Soft>>(&mut normal, Pairing::Normal, &cos, &sin);
        assert_eq!(normal, [-2.0, 1.0, 3.0, 4.0, 5.0]);
        let mut neox = [1.0f32, 2.0, 3.0, 4.0, 5.0];
        rotate::<Single<Soft>>(&mut neox, Pairing::Neox, &cos, &sin);
        assert_eq!(neox, [-3.0, 2.0, 1.0, 4.0, 5.0]);
    }
}
