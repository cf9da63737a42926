//! The logistic function and its kin: sigmoid, silu, tanh, and gelu in its tanh form. Knows only arithmetic and `exp`.
//!
//! `exp` below is the normative one. `sat(x)` is `-0x7f7fffff` (the most negative finite number) if `x` is below it, else `x`;
//! it only turns minus infinity into a number, so that the result there is -0.
//!
//! `sigmoid(x) = 1 / (1 + exp(-x))`.
//!
//! `silu(x) = sat(x) / (1 + exp(-x))`.
//!
//! `gelu_tanh(x) = sat(x) / (1 + exp(w))`, `w = x * fma(x * x, 0xbd922279, 0xbfcc422a)`. It is the usual
//! `x/2 (1 + tanh(u))`, `u = sqrt(2/pi) (x + 0.044715 x^3)`, because `(1 + tanh(u))/2 = 1/(1 + exp(-2u))`; `w = -2u`.
//!
//! `tanh(x)`, with `a = |x|`:
//!
//! 1. `s = a * a`; `q = 0xbbc143bb`, then `q = fma(q, s, c)` for `c` = `0x3caa61e1`, `0xbd5c4d5d`, `0x3e0884df`, `0xbeaaaa9f`
//!    in this order; `near = fma(a * s, q, a)`. Minimax for `a <= 0.6`, relative error below 2^-28.4.
//! 2. `far = 1 - 2 / (1 + exp(2 * a))`.
//! 3. The result is `near` if `a < 0x3f19999a` (0.6), else `far`, with the sign of `x`.

use core::hint::select_unpredictable;

use super::exp::exp_sum;
use super::{above_minus_infinity, constants, horner};
use crate::arith::{Float32, canonical};

/// `-2 sqrt(2 / pi)` and that times 0.044715.
const GELU_LINEAR: f32 = f32::from_bits(0xbfcc_422a);
const GELU_CUBIC: f32 = f32::from_bits(0xbd92_2279);
const TANH_NEAR: f32 = f32::from_bits(0x3f19_999a);
const TANH_POLYNOMIAL: [f32; 5] = constants([0xbeaa_aa9f, 0x3e08_84df, 0xbd5c_4d5d, 0x3caa_61e1, 0xbbc1_43bb]);

/// `1 / (1 + e^-x)`.
///
/// Error below 2.5 units of the last place from -88 on; below that, where the result ends as 0, below 3e-39.
#[inline(always)]
#[must_use]
pub fn sigmoid<F: Float32>(x: f32) -> f32 {
    canonical(1.0 / (1.0 + exp_sum::<F>(-x, -0.0)))
}

/// `x sigmoid(x)`, also called swish.
///
/// Error below 2.5 units of the last place from -88 on; below that, where the result ends as -0, below 3e-37.
#[inline(always)]
#[must_use]
pub fn silu<F: Float32>(x: f32) -> f32 {
    canonical(above_minus_infinity(x) / (1.0 + exp_sum::<F>(-x, -0.0)))
}

/// The Gaussian error linear unit, in the approximation by tanh that most models mean by "gelu".
/// Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).
///
/// Error below 2.75 units of the last place from -1 on; below that, below 5e-8: far down the exponential magnifies
/// the rounding of its argument, to 25 units at -5.
#[inline(always)]
#[must_use]
pub fn gelu_tanh<F: Float32>(x: f32) -> f32 {
    let w = x * F::fma(x * x, GELU_CUBIC, GELU_LINEAR);
    canonical(above_minus_infinity(x) / (1.0 + exp_sum::<F>(w, -0.0)))
}

/// The hyperbolic tangent.
///
/// Error below 1.5 units of the last place.
#[inline(always)]
#[must_use]
pub fn tanh<F: Float32>(x: f32) -> f32 {
    let a = x.abs();
    let s = a * a;
    let near = F::fma(a * s, horner::<F, 5>(s, &TANH_POLYNOMIAL), a);
    let far = 1.0 - 2.0 / (1.0 + exp_sum::<F>(2.0 * a, -0.0));
    let magnitude = select_unpredictable(a < TANH_NEAR, near, far);
    canonical(magnitude.copysign(x))
}
