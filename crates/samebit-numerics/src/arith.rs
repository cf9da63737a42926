//! The arithmetic that every operation is written in: the fused multiply-add, the square root, and the precision.
//!
//! Knows nothing of operations, formats or machines. Two traits:
//! [`Float32`] is what binary32 code may ask of its platform beyond `+ - * /`; [`Soft`] gives it with nothing but `core`,
//! and another crate may give the same bits with the machine's own instructions.
//! [`Arith`] is a whole precision, so that an operation is written once and runs in binary32 ([`Single`]) or,
//! for study, in binary64 ([`Double`]).

use core::marker::PhantomData;

use crate::math;

/// The two operations of IEEE 754-2019 binary32 that `core` lacks. Both round once, to nearest, ties to even.
///
/// An implementation that gives other bits than [`Soft`] (NaN payloads aside) is wrong.
pub trait Float32: Copy + 'static {
    /// `a * b + c`, rounded once. If the result is a NaN its sign and payload are unspecified.
    fn fma(a: f32, b: f32, c: f32) -> f32;
    /// The square root, correctly rounded. `sqrt(-0) = -0`; below zero a NaN of unspecified sign and payload.
    fn sqrt(x: f32) -> f32;
}

/// [`Float32`] from `core` alone: binary64 and integers, no branch in `fma`, so that loops over it vectorise on any machine.
#[derive(Clone, Copy, Debug)]
pub struct Soft;

impl Float32 for Soft {
    /// Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd" (2008).
    ///
    /// The product of two binary32 is exact in binary64. The sum with `c` is rounded *to odd* there, which keeps
    /// enough of the discarded tail for the last rounding, to binary32, to be the only one that counts.
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        let product = f64::from(a) * f64::from(b);
        let addend = f64::from(c);
        let sum = product + addend;
        // Knuth's TwoSum: `error` is exactly what rounding took from `sum`. A NaN where `sum` is not finite.
        let back = sum - product;
        let error = (product - (sum - back)) + (addend - back);
        let inexact = if error.abs() > 0.0 { u64::MAX } else { 0 };
        let bits = sum.to_bits();
        // An even significand steps by one unit toward the exact value; magnitudes order as their bits do.
        let step = !bits & 1 & inexact;
        let shrink = step & ((bits ^ error.to_bits()) >> 63);
        f64::from_bits(bits.wrapping_add(step).wrapping_sub(shrink << 1)) as f32
    }

    #[inline(always)]
    fn sqrt(x: f32) -> f32 {
        // Zeros are their own roots; so are +inf and NaN.
        if x == 0.0 || x == f32::INFINITY || x.is_nan() {
            return x;
        }
        if x < 0.0 {
            return f32::NAN;
        }
        let bits = x.to_bits();
        // x = significand * 2^exponent with 2^23 <= significand < 2^24.
        let (mut significand, mut exponent) = (u64::from(bits & 0x007f_ffff), (bits >> 23) as i32 - 150);
        if exponent == -150 {
            let shift = significand.leading_zeros() as i32 - 40;
            significand <<= shift;
            exponent = -149 - shift;
        } else {
            significand |= 0x0080_0000;
        }
        // An even scale, and a radicand in [2^46, 2^48): its integer root has the 24 bits wanted.
        let shift = 24 - (exponent & 1);
        let radicand = significand << shift;
        let root = radicand.isqrt();
        // (root + 1/2)^2 = root^2 + root + 1/4 is no integer: there are no ties.
        let rounded = root + u64::from(radicand - root * root > root);
        let scale = (exponent - shift) / 2;
        f32::from_bits((((scale + 149) as u32) << 23) + rounded as u32)
    }
}

/// A precision: the operations that models are written in, over numbers of type [`Arith::R`].
///
/// Every method rounds once unless it says otherwise; none of them fuses.
pub trait Arith: Copy + 'static {
    /// A number.
    type R: Copy + PartialOrd + Default + core::fmt::Debug + Send + Sync + 'static;
    /// +0.
    const ZERO: Self::R;
    /// 1.
    const ONE: Self::R;
    /// Exact.
    fn from_f32(x: f32) -> Self::R;
    /// Rounded to nearest, ties to even; every NaN becomes `0x7fc00000`.
    fn to_f32(x: Self::R) -> f32;
    /// Rounded to nearest, ties to even.
    fn from_f64(x: f64) -> Self::R;
    /// `a + b`.
    fn add(a: Self::R, b: Self::R) -> Self::R;
    /// `a - b`.
    fn sub(a: Self::R, b: Self::R) -> Self::R;
    /// `a * b`.
    fn mul(a: Self::R, b: Self::R) -> Self::R;
    /// `a / b`.
    fn div(a: Self::R, b: Self::R) -> Self::R;
    /// `x` with its sign flipped.
    fn neg(x: Self::R) -> Self::R;
    /// `x` with its sign cleared.
    fn abs(x: Self::R) -> Self::R;
    /// `a` if `a > b`, else `b`. So `max(+0, -0) = -0`, `max(-0, +0) = +0`, and the result is `b` if either is a NaN.
    fn max(a: Self::R, b: Self::R) -> Self::R;
    /// `a * b + c`, rounded once in [`Single`]; rounded twice in [`Double`].
    fn fma(a: Self::R, b: Self::R, c: Self::R) -> Self::R;
    /// The square root, correctly rounded.
    fn sqrt(x: Self::R) -> Self::R;
    /// Neither an infinity nor a NaN.
    fn is_finite(x: Self::R) -> bool;
    /// `e^x`. See [`crate::math`] for its accuracy.
    fn exp(x: Self::R) -> Self::R;
    /// The natural logarithm. See [`crate::math`] for its accuracy.
    fn ln(x: Self::R) -> Self::R;
    /// The hyperbolic tangent. See [`crate::math`] for its accuracy.
    fn tanh(x: Self::R) -> Self::R;
    /// `1 / (1 + e^-x)`. See [`crate::math`] for its accuracy.
    fn sigmoid(x: Self::R) -> Self::R;
    /// `x sigmoid(x)`. See [`crate::math`] for its accuracy.
    fn silu(x: Self::R) -> Self::R;
    /// Gelu in its approximation by tanh. See [`crate::math`] for its accuracy.
    fn gelu_tanh(x: Self::R) -> Self::R;
    /// Gelu in its exact form. See [`crate::math`] for its accuracy.
    fn gelu_erf(x: Self::R) -> Self::R;
    /// `ln(1 + e^x)`. See [`crate::math`] for its accuracy.
    fn softplus(x: Self::R) -> Self::R;
}

/// Binary32, the arithmetic of numerics v1, with `F`'s fused multiply-add and square root.
#[derive(Clone, Copy, Debug)]
pub struct Single<F: Float32>(PhantomData<F>);

/// Binary64, a mode for study: its `fma` is a multiplication, rounded, and then an addition, rounded,
/// because 53 bits need no such care and a fused binary64 operation in software would be slow.
#[derive(Clone, Copy, Debug)]
pub struct Double;

/// The methods that read the same in both precisions.
macro_rules! plain_arithmetic {
    ($float:ty) => {
        type R = $float;
        const ZERO: $float = 0.0;
        const ONE: $float = 1.0;

        #[inline(always)]
        fn add(a: $float, b: $float) -> $float {
            a + b
        }
        #[inline(always)]
        fn sub(a: $float, b: $float) -> $float {
            a - b
        }
        #[inline(always)]
        fn mul(a: $float, b: $float) -> $float {
            a * b
        }
        #[inline(always)]
        fn div(a: $float, b: $float) -> $float {
            a / b
        }
        #[inline(always)]
        fn neg(x: $float) -> $float {
            -x
        }
        #[inline(always)]
        fn abs(x: $float) -> $float {
            x.abs()
        }
        #[inline(always)]
        fn max(a: $float, b: $float) -> $float {
            if a > b { a } else { b }
        }
        #[inline(always)]
        fn is_finite(x: $float) -> bool {
            x.is_finite()
        }
    };
}

impl<F: Float32> Arith for Single<F> {
    plain_arithmetic!(f32);

    #[inline(always)]
    fn from_f32(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn to_f32(x: f32) -> f32 {
        canonical(x)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        F::fma(a, b, c)
    }
    #[inline(always)]
    fn sqrt(x: f32) -> f32 {
        F::sqrt(x)
    }
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        math::exp::<F>(x)
    }
    #[inline(always)]
    fn ln(x: f32) -> f32 {
        math::ln::<F>(x)
    }
    #[inline(always)]
    fn tanh(x: f32) -> f32 {
        math::tanh::<F>(x)
    }
    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        math::sigmoid::<F>(x)
    }
    #[inline(always)]
    fn silu(x: f32) -> f32 {
        math::silu::<F>(x)
    }
    #[inline(always)]
    fn gelu_tanh(x: f32) -> f32 {
        math::gelu_tanh::<F>(x)
    }
    #[inline(always)]
    fn gelu_erf(x: f32) -> f32 {
        math::gelu_erf::<F>(x)
    }
    #[inline(always)]
    fn softplus(x: f32) -> f32 {
        math::softplus::<F>(x)
    }
}

impl Arith for Double {
    plain_arithmetic!(f64);

    #[inline(always)]
    fn from_f32(x: f32) -> f64 {
        f64::from(x)
    }
    #[inline(always)]
    fn to_f32(x: f64) -> f32 {
        canonical(x as f32)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f64 {
        x
    }
    #[inline(always)]
    fn fma(a: f64, b: f64, c: f64) -> f64 {
        a * b + c
    }
    #[inline(always)]
    fn sqrt(x: f64) -> f64 {
        sqrt_f64(x)
    }
    #[inline(always)]
    fn exp(x: f64) -> f64 {
        math::double::exp(x)
    }
    #[inline(always)]
    fn ln(x: f64) -> f64 {
        math::double::ln(x)
    }
    #[inline(always)]
    fn tanh(x: f64) -> f64 {
        math::double::tanh(x)
    }
    #[inline(always)]
    fn sigmoid(x: f64) -> f64 {
        math::double::sigmoid(x)
    }
    #[inline(always)]
    fn silu(x: f64) -> f64 {
        math::double::silu(x)
    }
    #[inline(always)]
    fn gelu_tanh(x: f64) -> f64 {
        math::double::gelu_tanh(x)
    }
    #[inline(always)]
    fn gelu_erf(x: f64) -> f64 {
        math::double::gelu_erf(x)
    }
    #[inline(always)]
    fn softplus(x: f64) -> f64 {
        math::double::softplus(x)
    }
}

/// `x`, or the canonical NaN `0x7fc00000` for any NaN.
#[inline(always)]
#[must_use]
pub fn canonical(x: f32) -> f32 {
    if x.is_nan() { CANONICAL_NAN } else { x }
}

/// The one NaN that results carry: positive, quiet, payload zero.
pub const CANONICAL_NAN: f32 = f32::from_bits(0x7fc0_0000);

/// The square root in binary64, correctly rounded, by an integer root as in [`Soft`].
fn sqrt_f64(x: f64) -> f64 {
    if x == 0.0 || x == f64::INFINITY || x.is_nan() {
        return x;
    }
    if x < 0.0 {
        return f64::NAN;
    }
    let bits = x.to_bits();
    let (mut significand, mut exponent) = (bits & ((1 << 52) - 1), (bits >> 52) as i32 - 1075);
    if exponent == -1075 {
        let shift = significand.leading_zeros() as i32 - 11;
        significand <<= shift;
        exponent = -1074 - shift;
    } else {
        significand |= 1 << 52;
    }
    // An even scale, and a radicand in [2^104, 2^106).
    let shift = 52 + (exponent & 1);
    let radicand = u128::from(significand) << shift;
    let root = radicand.isqrt();
    let rounded = root + u128::from(radicand - root * root > root);
    let scale = (exponent - shift) / 2;
    f64::from_bits((((scale + 1074) as u64) << 52) + rounded as u64)
}
