//! Sine and cosine of an exact angle, in pairs of binary64. Knows arithmetic alone.

use crate::double_double::{INVERSE_FACTORIALS, Pair, fast_two_sum, two_prod, two_sum};

const TWO_OVER_PI: f64 = f64::from_bits(0x3fe4_5f30_6dc9_c883);
/// `pi / 2` in four parts, 213 bits.
const HALF_PI: [f64; 4] = [
    f64::from_bits(0x3ff9_21fb_5444_2d18),
    f64::from_bits(0x3c91_a626_3314_5c07),
    f64::from_bits(0xb91f_1976_b7ed_8fbc),
    f64::from_bits(0x35b4_cf98_e804_177d),
];
/// 1.5 * 2^52: adding and subtracting it rounds to an integer.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// Angles from here on are refused: the reduction below would lose its exactness.
const LIMIT: f64 = 1_125_899_906_842_624.0;

/// An angle less the nearest multiple of `pi / 2`, and which multiple, modulo 4.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reduced {
    /// Of magnitude at most a little over `pi / 4`, with an absolute error below 2^-150 and a relative one below 2^-100.
    rest: Pair,
    quadrant: i64,
}

impl Reduced {
    /// Reduces the exact product of a position and a frequency. `None` from 2^50 on, and for what is not finite.
    pub(super) fn new(position: u32, frequency: f64) -> Option<Self> {
        let angle = two_prod(f64::from(position), frequency);
        if angle.high.is_nan() || angle.high.abs() >= LIMIT {
            return None;
        }
        let multiple = (angle.high * TWO_OVER_PI + ROUNDER) - ROUNDER;
        let rest = if multiple == 0.0 {
            angle
        } else {
            let [a, b, c] = [HALF_PI[0], HALF_PI[1], HALF_PI[2]].map(|part| two_prod(-multiple, part));
            let small = -multiple * HALF_PI[3];
            sum([small, c.low, c.high, b.low, b.high, angle.low, a.low, a.high, angle.high])
        };
        Some(Self { rest, quadrant: multiple as i64 & 3 })
    }

    /// Cosine and sine by `functions`, which gives both of a pair within `pi / 4` of zero.
    fn turn<T: Copy>(self, functions: impl Fn(Pair) -> (T, T), negate: impl Fn(T) -> T) -> (T, T) {
        let (cos, sin) = functions(self.rest);
        match self.quadrant {
            0 => (cos, sin),
            1 => (negate(sin), cos),
            2 => (negate(cos), negate(sin)),
            _ => (sin, negate(cos)),
        }
    }

    /// Cosine and sine with a relative error below 2^-49.
    pub(super) fn cos_sin_fast(self) -> (f64, f64) {
        self.turn(cos_sin_fast, |x| -x)
    }

    /// Cosine and sine with a relative error below 2^-95.
    pub(super) fn cos_sin(self) -> (Pair, Pair) {
        self.turn(cos_sin, Pair::neg)
    }
}

/// The sum of numbers, the largest last, however much of it cancels: Ogita, Rump and Oishi,
/// "Accurate sum and dot product" (2005), with as many passes as `pi / 2` has parts.
fn sum<const N: usize>(mut terms: [f64; N]) -> Pair {
    for _ in 0..HALF_PI.len() {
        for i in 1..N {
            let pair = two_sum(terms[i], terms[i - 1]);
            (terms[i], terms[i - 1]) = (pair.high, pair.low);
        }
    }
    let rest: f64 = terms[..N - 1].iter().sum();
    fast_two_sum(terms[N - 1], rest)
}

/// Taylor's series in binary64; what the pair's low part adds, to first order.
fn cos_sin_fast(x: Pair) -> (f64, f64) {
    let r = x.high;
    let s = r * r;
    let (mut c, mut d) = (0.0, 0.0);
    // INVERSE_FACTORIALS starts at 2!: 1/n! is its element n - 2.
    for n in (2..9).rev() {
        c = INVERSE_FACTORIALS[2 * n - 2].high - s * c;
        d = INVERSE_FACTORIALS[2 * n - 1].high - s * d;
    }
    // cos = 1 - s/2 + s^2 c, sin = r - r s (1/6 - s d).
    let sin = r - r * s * (INVERSE_FACTORIALS[1].high - s * d);
    let half = 0.5 * s;
    let cos = 1.0 - half;
    // What `1 - half` lost, so that cosine's error is that of its last addition.
    let lost = (1.0 - cos) - half;
    let cos_total = cos + (lost + s * s * c - x.low * r);
    (cos_total, sin + x.low * cos_total)
}

/// Taylor's series in pairs, to the 28th order: the next term is below 2^-109 of the result.
fn cos_sin(r: Pair) -> (Pair, Pair) {
    let s = r.mul(r).neg();
    let mut cos = INVERSE_FACTORIALS[26];
    for n in (1..14).rev() {
        cos = cos.mul(s).add(INVERSE_FACTORIALS[2 * n - 2]);
    }
    let mut sin = INVERSE_FACTORIALS[25];
    for n in (1..13).rev() {
        sin = sin.mul(s).add(INVERSE_FACTORIALS[2 * n - 1]);
    }
    let one = Pair { high: 1.0, low: 0.0 };
    (one.add(cos.mul(s)), r.add(r.mul(sin.mul(s))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The margin that rounding from the fast way relies on, and that it is not empty.
    #[test]
    fn fast_way_is_within_its_bound() {
        let mut worst = 0.0f64;
        for step in 0..200_000u32 {
            let position = step.wrapping_mul(2_654_435_761) >> (step % 31);
            let reduced = Reduced::new(position, 1.0 / f64::from(1 + step % 977)).unwrap();
            let ((fast_cos, fast_sin), (cos, sin)) = (reduced.cos_sin_fast(), reduced.cos_sin());
            for (fast, exact) in [(fast_cos, cos), (fast_sin, sin)] {
                if exact.high != 0.0 {
                    worst = worst.max((((fast - exact.high) - exact.low) / exact.high).abs());
                }
            }
        }
        assert!(worst < 1.0 / 562_949_953_421_312.0, "{worst:e}");
        assert!(worst > 1e-17, "{worst:e}");
    }
}
