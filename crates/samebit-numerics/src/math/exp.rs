//! The exponential. Knows only arithmetic.
//!
//! `exp(x)`:
//!
//! 1. `x = -104.75` if `x < -104.75`, else `x`; then `x = 89` if `x > 89`, else `x`.
//! 2. `t = fma(x, 0x3fb8aa3b, 0x4b400000)`, `n = t - 0x4b400000`: `n` is `x / ln 2` rounded to an integer.
//! 3. `r = fma(n, 0xbf317218, x)`, then `r = fma(n, 0x3102e308, r)`: `r = x - n ln 2`, of magnitude below 0.3466.
//! 4. `p = 0x3ab51e8a`, then `p = fma(p, r, c)` for `c` = `0x3c091c2c`, `0x3d2aac5f`, `0x3e2aaa4a`, `0x3efffffe`,
//!    `0x3f800000`, `0x3f800000` in this order: a minimax polynomial for `e^r`, relative error below 2^-28.2.
//! 5. The result is `p * 2^n`, rounded once (it can be subnormal, or overflow to infinity; at `n = -151` it is +0).
//!
//! How the last step is done is free, since a product by a power of two has only one correct rounding. Here it is two products:
//! the first, by 2^24 or 2^-24, is exact, and where the result is zero the second is by zero itself. A product that underflows
//! would cost a hundred times as much on many CPUs.

use super::{constants, horner};
use crate::arith::{Float32, canonical};

const LOG2_E: f32 = f32::from_bits(0x3fb8_aa3b);
const MINUS_LN2: f32 = f32::from_bits(0xbf31_7218);
/// What binary32 leaves of `-ln 2` beyond [`MINUS_LN2`].
const MINUS_LN2_REST: f32 = f32::from_bits(0x3102_e308);
/// 1.5 * 2^23: adding it leaves the nearest integer in the low bits of the sum.
const ROUNDER: f32 = f32::from_bits(0x4b40_0000);
/// [`ROUNDER`] + 127 + 24: the low bits of the sum, moved to the exponent, are then 2^(n + 24), and 0 for `n = -151`.
const BIASED_ROUNDER: f32 = f32::from_bits(0x4b40_0097);
/// Here `n` is -151, for which the result is zero whatever `p` is.
const SMALLEST: f32 = -104.75;
const LARGEST: f32 = 89.0;
const POLYNOMIAL: [f32; 7] =
    constants([0x3f80_0000, 0x3f80_0000, 0x3eff_fffe, 0x3e2a_aa4a, 0x3d2a_ac5f, 0x3c09_1c2c, 0x3ab5_1e8a]);

/// [`POLYNOMIAL`] times 2^-24, which every step of its evaluation then is too, exactly.
const SCALED_POLYNOMIAL: [f32; 7] = {
    let mut scaled = POLYNOMIAL;
    let mut k = 0;
    while k < 7 {
        scaled[k] *= 1.0 / 16_777_216.0;
        k += 1;
    }
    scaled
};

/// `e^x`. Below about -103.97 it is +0, above 88.7228 it is infinity; `exp(0) = 1`.
///
/// Error below 0.9 units of the last place.
#[inline(always)]
#[must_use]
pub fn exp<F: Float32>(x: f32) -> f32 {
    canonical(exp_sum::<F>(x, -0.0))
}

/// [`exp`], the same bits, for `x <= 0`: in thirteen operations, for attention's weights.
/// Above 0 the result means nothing; for NaN it is a NaN of unspecified sign and payload.
#[inline(always)]
#[must_use]
pub fn exp_nonpositive<F: Float32>(x: f32) -> f32 {
    let x = if x < SMALLEST { SMALLEST } else { x };
    let (t, r) = reduce::<F>(x, BIASED_ROUNDER);
    horner::<F, 7>(r, &SCALED_POLYNOMIAL) * f32::from_bits(t << 23)
}

/// `e^(x + low)` for a `low` that is tiny beside `x`: it is added to the reduced argument. NaN stays some NaN.
#[inline(always)]
pub(super) fn exp_sum<F: Float32>(x: f32, low: f32) -> f32 {
    let x = if x < SMALLEST { SMALLEST } else { x };
    let x = if x > LARGEST { LARGEST } else { x };
    let (t, r) = reduce::<F>(x, ROUNDER);
    scale(horner::<F, 7>(r + low, &POLYNOMIAL), t, x)
}

/// The bits of `x / ln 2 + rounder`, whose low bits are the integer `n` beyond `rounder`'s, and `x - n ln 2`.
#[inline(always)]
fn reduce<F: Float32>(x: f32, rounder: f32) -> (u32, f32) {
    let t = F::fma(x, LOG2_E, rounder);
    let n = t - rounder;
    let r = F::fma(n, MINUS_LN2, x);
    (t.to_bits(), F::fma(n, MINUS_LN2_REST, r))
}

/// `p * 2^n`, rounded once, for `n` in the low nine bits of `t`, -151 to 0 if the sign of `x` is set, else 0 to 128.
#[inline(always)]
fn scale(p: f32, t: u32, x: f32) -> f32 {
    let negative = (x.to_bits() as i32 >> 31) as u32;
    // 2^24, or 2^-24 if negative; and 2^n less that.
    let first = 0x4b80_0000 ^ (negative & 0x7800_0000);
    let second = (t << 23).wrapping_add((127 - 24) << 23).wrapping_add(negative & (48 << 23));
    p * f32::from_bits(first) * f32::from_bits(second)
}
