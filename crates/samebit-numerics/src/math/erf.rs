//! The error function, and gelu in its exact form. Knows only arithmetic and the exponential.
//!
//! `tail(a)` for `a >= 0` approximates `e^(a^2 / 2) Phi(-a)`, Phi being the normal distribution's cumulative function;
//! minimax from 0.8 to 15, relative error below 2^-26.9:
//!
//! 1. `d = 1 / (a + 2.75)`; `t = (a - 2.75) * d`.
//! 2. `q = 0xb9d6b16b`, then `q = fma(q, t, c)` for `c` = `0xb9ad7d54`, `0x3b23338e`, `0x3b52f7a8`, `0xbc86b619`,
//!    `0xbc87b6f0`, `0x3e3ab5e0`, `0xbef2de8b`, `0x3f380f78` in this order.
//! 3. `tail = q * d`.
//!
//! `exp_sum(x, low)` is `exp` with one more addition, `r = r + low`, after its step 3, and with no NaN made canonical.
//!
//! `erf(x)`, with `a = |x|`:
//!
//! 1. `s = a * a`; `q = 0x38a3b8ff`, then `q = fma(q, s, c)` for `c` = `0xba51a8af`, `0x3ba9f912`, `0xbcdbfb8d`, `0x3de71673`,
//!    `0xbec0939f`, `0x3e0375d4` in this order; `near = fma(a, q, a)`. Minimax for `a <= 1`, relative error below 2^-29.3.
//! 2. `b = 6` if `a > 6`, else `a`; `far = 1 - (2 * exp(-(b * b))) * tail(b * 0x3fb504f3)`.
//! 3. The result is `near` if `a < 1`, else `far`, with the sign of `x`.
//!
//! `gelu_erf(x) = x Phi(x)`:
//!
//! 1. `a = 15` if `|x| > 15`, else `|x|`; `h = a * a`; `l = fma(a, a, -h)`: `a^2 = h + l` exactly.
//! 2. `g = exp_sum(-0.5 * h, -0.5 * l) * tail(a)`: `Phi(-a)`; `far = g` if `x < 0`, else `1 - g`.
//! 3. `s = x * x`; `q = 0x38cef00a`, then `q = fma(q, s, c)` for `c` = `0xba9a1bd8`, `0x3c2358ff`, `0xbd882bdc`, `0x3ecc4229`
//!    in this order; `near = fma(x, q, 0.5)`. Minimax for `a <= 0.8`, relative error below 2^-28.1.
//! 4. The result is `sat(x) * near` if `a < 0x3f4ccccd` (0.8), else `sat(x) * far`; `sat` as for silu.

use core::hint::select_unpredictable;

use super::exp::exp_sum;
use super::{above_minus_infinity, constants, horner};
use crate::arith::{Float32, canonical};

const SQRT_2: f32 = f32::from_bits(0x3fb5_04f3);
const NEAR: [f32; 7] =
    constants([0x3e03_75d4, 0xbec0_939f, 0x3de7_1673, 0xbcdb_fb8d, 0x3ba9_f912, 0xba51_a8af, 0x38a3_b8ff]);
const MIDDLE_END: f32 = f32::from_bits(0x3f4c_cccd);
const MIDDLE: [f32; 5] = constants([0x3ecc_4229, 0xbd88_2bdc, 0x3c23_58ff, 0xba9a_1bd8, 0x38ce_f00a]);
const TAIL: [f32; 9] = constants([
    0x3f38_0f78,
    0xbef2_de8b,
    0x3e3a_b5e0,
    0xbc87_b6f0,
    0xbc86_b619,
    0x3b52_f7a8,
    0x3b23_338e,
    0xb9ad_7d54,
    0xb9d6_b16b,
]);

/// The error function.
///
/// Error below 1.4 units of the last place.
#[inline(always)]
#[must_use]
pub fn erf<F: Float32>(x: f32) -> f32 {
    let a = x.abs();
    let near = F::fma(a, horner::<F, 7>(a * a, &NEAR), a);
    // erf is 1 to the last bit long before 6, and nothing underflows up to there; NaN passes.
    let b = if a > 6.0 { 6.0 } else { a };
    let far = 1.0 - (2.0 * exp_sum::<F>(-(b * b), -0.0)) * tail::<F>(b * SQRT_2);
    let magnitude = select_unpredictable(a < 1.0, near, far);
    canonical(magnitude.copysign(x))
}

/// The Gaussian error linear unit in its exact form, `x/2 (1 + erf(x / sqrt(2)))`, accurate in the negative tail too.
///
/// Error below 5 units of the last place from -12 on; below that, below 1e-36.
#[inline(always)]
#[must_use]
pub fn gelu_erf<F: Float32>(x: f32) -> f32 {
    let a = x.abs();
    // Phi(-15) underflows; NaN passes.
    let a = if a > 15.0 { 15.0 } else { a };
    let h = a * a;
    let l = F::fma(a, a, -h);
    let g = exp_sum::<F>(-0.5 * h, -0.5 * l) * tail::<F>(a);
    let far = select_unpredictable(x < 0.0, g, 1.0 - g);
    let near = F::fma(x, horner::<F, 5>(x * x, &MIDDLE), 0.5);
    let phi = select_unpredictable(a < MIDDLE_END, near, far);
    canonical(above_minus_infinity(x) * phi)
}

/// `e^(a^2 / 2) Phi(-a)` for `a >= 0`.
#[inline(always)]
fn tail<F: Float32>(a: f32) -> f32 {
    let d = 1.0 / (a + 2.75);
    let t = (a - 2.75) * d;
    horner::<F, 9>(t, &TAIL) * d
}
