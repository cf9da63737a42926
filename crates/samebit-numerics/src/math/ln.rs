//! The natural logarithm, and softplus. Knows only arithmetic and the exponential.
//!
//! `ln(x)` for finite `x > 0`:
//!
//! 1. If `x < 2^-126`: `x = x * 2^23` and `k0 = -23`; else `k0 = 0`.
//! 2. `b = bits(x) - 0x3f3504f3` (modulo 2^32); `k = k0 + (b >> 23, arithmetically)`;
//!    `f = float((b & 0x007fffff) + 0x3f3504f3) - 1`, exact, from sqrt(1/2) - 1 to sqrt(2) - 1.
//! 3. `y = log_1p(f)` below.
//! 4. The result is `fma((float)k, 0x3f317218, y)`.
//!
//! `log_1p(f)`: `q = 0xbd9c2873`, then `q = fma(q, f, c)` for `c` = `0x3e043ed1`, `0xbe07a659`, `0x3e113599`, `0xbe2a1211`,
//! `0x3e4cd214`, `0xbe80021c`, `0x3eaaaaa8`, `0xbefffffc` in this order; then `fma(q * f, f, f)`.
//! Minimax on that interval, relative error below 2^-27.8.
//!
//! `ln(+-0)` = -infinity, `ln(infinity)` = infinity, `ln` of anything below zero is the canonical NaN.
//!
//! `softplus(x)`:
//!
//! 1. `e = exp(-|x|)`.
//! 2. If `e > 0x3ed413cd` (sqrt(2) - 1): `f = (e - 1) * 0.5` and `k = 1`; else `f = e` and `k = 0`.
//! 3. `y = fma(k, 0x3f317218, log_1p(f))`.
//! 4. The result is `max(x, +0) + y`, where `max(x, +0)` is `x` if `x > 0`, else +0.

use super::exp::exp_sum;
use super::{constants, horner};
use crate::arith::{CANONICAL_NAN, Float32, canonical};

const LN2: f32 = f32::from_bits(0x3f31_7218);
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
const SQRT_2_LESS_1: f32 = f32::from_bits(0x3ed4_13cd);
const TWO_23: f32 = 8_388_608.0;
const POLYNOMIAL: [f32; 9] = constants([
    0xbeff_fffc,
    0x3eaa_aaa8,
    0xbe80_021c,
    0x3e4c_d214,
    0xbe2a_1211,
    0x3e11_3599,
    0xbe07_a659,
    0x3e04_3ed1,
    0xbd9c_2873,
]);

/// The natural logarithm.
///
/// Error below 0.95 units of the last place.
#[inline(always)]
#[must_use]
pub fn ln<F: Float32>(x: f32) -> f32 {
    let subnormal = x < f32::MIN_POSITIVE;
    let bits = if subnormal { x * TWO_23 } else { x }.to_bits();
    let shifted = bits.wrapping_sub(SQRT_HALF_BITS);
    let k = (shifted as i32 >> 23) + if subnormal { -23 } else { 0 };
    let f = f32::from_bits((shifted & 0x007f_ffff) + SQRT_HALF_BITS) - 1.0;
    let y = F::fma(k as f32, LN2, log_1p::<F>(f));
    let y = if x == f32::INFINITY { x } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { CANONICAL_NAN }
}

/// `ln(1 + e^x)`, without overflow.
///
/// Error below 2 units of the last place.
#[inline(always)]
#[must_use]
pub fn softplus<F: Float32>(x: f32) -> f32 {
    let e = exp_sum::<F>(-x.abs(), -0.0);
    let halve = e > SQRT_2_LESS_1;
    let f = if halve { (e - 1.0) * 0.5 } else { e };
    let k = if halve { 1.0 } else { 0.0 };
    let y = F::fma(k, LN2, log_1p::<F>(f));
    canonical(if x > 0.0 { x } else { 0.0 } + y)
}

/// `ln(1 + f)` for `sqrt(1/2) <= 1 + f <= sqrt(2)`.
#[inline(always)]
fn log_1p<F: Float32>(f: f32) -> f32 {
    F::fma(horner::<F, 9>(f, &POLYNOMIAL) * f, f, f)
}
