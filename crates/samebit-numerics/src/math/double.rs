//! The binary64 twins, for the study mode that asks what precision is worth.
//!
//! Knows only arithmetic. These promise accuracy, about 1e-15 relative, and the same bits everywhere (they are made of
//! `+ - * /` alone), but they are not part of numerics v1. NaN stays some NaN.

use crate::double_double::{INVERSE_FACTORIALS, two_prod};

const LOG2_E: f64 = f64::from_bits(0x3ff7_1547_652b_82fe);
/// `ln 2` to 33 bits, so that small multiples are exact, and the rest.
const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fef0_0000);
const LN2_LOW: f64 = f64::from_bits(0x3dd4_73de_6af2_78ed);
const LN2: f64 = f64::from_bits(0x3fe6_2e42_fefa_39ef);
const SQRT_HALF: f64 = f64::from_bits(0x3fe6_a09e_667f_3bcd);
const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
const TWO_OVER_SQRT_PI: f64 = f64::from_bits(0x3ff2_0dd7_5042_9b6d);
const ONE_OVER_SQRT_PI: f64 = f64::from_bits(0x3fe2_0dd7_5042_9b6d);
/// `2 sqrt(2 / pi)`.
const GELU_SCALE: f64 = f64::from_bits(0x3ff9_8845_33d4_3651);
/// 1.5 * 2^52: adding and subtracting it rounds to an integer.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
const TWO_54: f64 = 18_014_398_509_481_984.0;

/// The exponential.
#[must_use]
pub fn exp(x: f64) -> f64 {
    if x > 710.0 {
        return f64::INFINITY;
    }
    if x < -746.0 {
        return 0.0;
    }
    let n = (x * LOG2_E + ROUNDER) - ROUNDER;
    let high = x - n * LN2_HIGH;
    let low = n * LN2_LOW;
    let r = high - low;
    let lost = (high - r) - low;
    // Taylor's series: the 15th order is below 2^-62 for |r| < 0.35.
    let mut q = 0.0;
    for factor in INVERSE_FACTORIALS[..13].iter().rev() {
        q = factor.high + q * r;
    }
    let p = 1.0 + (r + (lost + r * r * q));
    // Two factors, because 2^n itself may be subnormal or infinite. A NaN for `n` casts to 0.
    let whole = n as i64;
    let half = whole / 2;
    p * power_of_two(half) * power_of_two(whole - half)
}

/// `2^n` for normal results.
fn power_of_two(n: i64) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

/// The natural logarithm.
#[must_use]
pub fn ln(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == f64::INFINITY {
        return x;
    }
    let (bits, k0) = if x < f64::MIN_POSITIVE { ((x * TWO_54).to_bits(), -54) } else { (x.to_bits(), 0) };
    let shifted = bits.wrapping_sub(SQRT_HALF_BITS);
    let k = ((shifted as i64 >> 52) + k0) as f64;
    let f = f64::from_bits((shifted & ((1 << 52) - 1)) + SQRT_HALF_BITS) - 1.0;
    k * LN2_HIGH + (log_1p(f) + k * LN2_LOW)
}

/// `ln(1 + f)` for `sqrt(1/2) <= 1 + f <= sqrt(2)`.
fn log_1p(f: f64) -> f64 {
    // ln(1+f) = 2 artanh(s), s = f / (2 + f), arranged so that f itself is added last, unrounded.
    let s = f / (2.0 + f);
    let s2 = s * s;
    let mut rest = 0.0;
    for k in (1..13).rev() {
        rest = s2 * (2.0 / f64::from(2 * k + 1) + rest);
    }
    let half_square = 0.5 * f * f;
    f - (half_square - s * (half_square + rest))
}

/// `ln(1 + e^x)`, without overflow.
#[must_use]
pub fn softplus(x: f64) -> f64 {
    let e = exp(-x.abs());
    let y = if e > 0.414 { log_1p((e - 1.0) * 0.5) + LN2 } else { log_1p(e) };
    if x > 0.0 { x + y } else { y }
}

/// `1 / (1 + e^-x)`.
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// `x sigmoid(x)`.
#[must_use]
pub fn silu(x: f64) -> f64 {
    above_minus_infinity(x) / (1.0 + exp(-x))
}

/// Gelu in its approximation by tanh.
#[must_use]
pub fn gelu_tanh(x: f64) -> f64 {
    above_minus_infinity(x) / (1.0 + exp(-GELU_SCALE * x * (1.0 + 0.044715 * (x * x))))
}

/// Gelu in its exact form.
#[must_use]
pub fn gelu_erf(x: f64) -> f64 {
    let a = x.abs();
    let z = a * SQRT_HALF;
    let tail = if z < 1.0 { 0.5 - 0.5 * erf(z) } else { 0.5 * exp_minus_square(a, 0.5) * erfc_scaled(z) };
    above_minus_infinity(x) * if x < 0.0 { tail } else { 1.0 - tail }
}

/// The hyperbolic tangent.
#[must_use]
pub fn tanh(x: f64) -> f64 {
    let y = 2.0 * x.abs();
    let magnitude = if y < 1.0 {
        // Taylor's series of e^y - 1.
        let mut q = 1.0;
        for k in (2..22).rev() {
            q = 1.0 + q * y / f64::from(k);
        }
        y * q / (y * q + 2.0)
    } else {
        1.0 - 2.0 / (1.0 + exp(y))
    };
    magnitude.copysign(x)
}

/// The error function.
#[must_use]
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    let magnitude = if a < 1.0 {
        // erf(a) = 2/sqrt(pi) a e^(-a^2) sum (2 a^2)^n / (2n+1)!!, all terms positive.
        let (mut term, mut sum) = (1.0, 1.0);
        for n in 1..30 {
            term *= 2.0 * a * a / f64::from(2 * n + 1);
            sum += term;
            if term < sum * 1e-18 {
                break;
            }
        }
        TWO_OVER_SQRT_PI * a * exp(-a * a) * sum
    } else {
        1.0 - exp_minus_square(a, 1.0) * erfc_scaled(a)
    };
    magnitude.copysign(x)
}

/// `e^(-scale a^2)` for `a >= 0` and a power of two `scale`: the square in two parts, so that the exponential does not magnify its rounding.
fn exp_minus_square(a: f64, scale: f64) -> f64 {
    // Beyond 40 the result is zero; the square of more could overflow.
    let a = if a > 40.0 { 40.0 } else { a };
    let square = two_prod(a, a);
    exp(-scale * square.high) * (1.0 - scale * square.low)
}

/// `e^(z^2) erfc(z)` for `z >= 1`, by Laplace's continued fraction, from its far end.
fn erfc_scaled(z: f64) -> f64 {
    let terms = 25 + (250.0 / (z * z)) as u32;
    let mut denominator = z;
    for k in (1..=terms).rev() {
        denominator = z + f64::from(k) * 0.5 / denominator;
    }
    ONE_OVER_SQRT_PI / denominator
}

/// `x` kept at or above `-f64::MAX`.
fn above_minus_infinity(x: f64) -> f64 {
    if x < -f64::MAX { -f64::MAX } else { x }
}
