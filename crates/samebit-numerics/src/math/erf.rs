//! The error function, and gelu in its exact form. Knows only arithmetic and the exponential.
//!
//! `tail(z)` for `z >= 0` approximates `e^(z^2) erfc(z)`, relative error below 2^-26.9 up to 10.7 (minimax):
//!
//! 1. `d = 1 / (z + 3)`; `t = fma(-6, d, 1)`.
//! 2. `q = 0xb9a39b3e`, then `q = fma(q, t, c)` for `c` = `0xb9f3b079`, `0x3b495680`, `0xbaa2df16`, `0xbcdbdc2a`, `0x3df4ce20`,
//!    `0xbe9ef56a`, `0x3f17192c`, `0xbf622624`, `0x3f89790f` in this order.
//! 3. `tail = q * d`.
//!
//! `exp_sum(x, low)` is `exp` with one more addition, `r = r + low`, after its step 3, and with no NaN made canonical.
//!
//! `erf(x)`, with `a = |x|`:
//!
//! 1. `s = a * a`; `q = 0x38a3b8ff`, then `q = fma(q, s, c)` for `c` = `0xba51a8af`, `0x3ba9f912`, `0xbcdbfb8d`, `0x3de71673`,
//!    `0xbec0939f`, `0x3e0375d4` in this order; `near = fma(a, q, a)`. Minimax for `a <= 1`, relative error below 2^-29.3.
//! 2. `b = a` if `a < 11`, else 11; `h = b * b`; `far = 1 - exp(-h) * tail(b)`.
//! 3. The result is `near` if `a < 1`, else `far`, with the sign of `x`.
//!
//! `gelu_erf(x) = x Phi(x)`, Phi being the normal distribution's cumulative function:
//!
//! 1. `a = |x|` if that is below 15, else 15; `h = a * a`; `l = fma(a, a, -h)`: `a^2 = h + l` exactly.
//! 2. `g = 0.5 * (exp_sum(-0.5 * h, -0.5 * l) * tail(a * 0x3f3504f3))`: `Phi(-a)`.
//! 3. The result is `sat(x) * g` if `x < 0`, else `sat(x) * (1 - g)`; `sat` as for silu.

use super::exp::exp_sum;
use super::{above_minus_infinity, constants, horner};
use crate::arith::{Float32, canonical};

const SQRT_HALF: f32 = f32::from_bits(0x3f35_04f3);
const NEAR: [f32; 7] = constants([
    0x3e03_75d4,
    0xbec0_939f,
    0x3de7_1673,
    0xbcdb_fb8d,
    0x3ba9_f912,
    0xba51_a8af,
    0x38a3_b8ff,
]);
const TAIL: [f32; 10] = constants([
    0x3f89_790f,
    0xbf62_2624,
    0x3f17_192c,
    0xbe9e_f56a,
    0x3df4_ce20,
    0xbcdb_dc2a,
    0xbaa2_df16,
    0x3b49_5680,
    0xb9f3_b079,
    0xb9a3_9b3e,
]);

/// The error function.
#[inline(always)]
#[must_use]
pub fn erf<F: Float32>(x: f32) -> f32 {
    let a = x.abs();
    let near = F::fma(a, horner::<F, 7>(a * a, &NEAR), a);
    // erf is 1 to the last bit long before 11; NaN passes.
    let b = if a > 11.0 { 11.0 } else { a };
    let far = 1.0 - exp_sum::<F>(-(b * b), -0.0) * tail::<F>(b);
    let magnitude = if a < 1.0 { near } else { far };
    canonical(magnitude.copysign(x))
}

/// The Gaussian error linear unit in its exact form, `x/2 (1 + erf(x / sqrt(2)))`, accurate in the negative tail too.
#[inline(always)]
#[must_use]
pub fn gelu_erf<F: Float32>(x: f32) -> f32 {
    let a = x.abs();
    // Phi(-15) underflows; NaN passes.
    let a = if a > 15.0 { 15.0 } else { a };
    let h = a * a;
    let l = F::fma(a, a, -h);
    let g = 0.5 * (exp_sum::<F>(-0.5 * h, -0.5 * l) * tail::<F>(a * SQRT_HALF));
    let phi = if x < 0.0 { g } else { 1.0 - g };
    canonical(above_minus_infinity(x) * phi)
}

/// `e^(z^2) erfc(z)` for `z >= 0`.
#[inline(always)]
fn tail<F: Float32>(z: f32) -> f32 {
    let d = 1.0 / (z + 3.0);
    let t = F::fma(-6.0, d, 1.0);
    horner::<F, 10>(t, &TAIL) * d
}
