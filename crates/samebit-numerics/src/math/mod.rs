//! The elementary functions: our own, so that every machine computes the same bits.
//!
//! Knows arithmetic ([`crate::arith`]) and nothing of operations or models.
//!
//! The binary32 functions are normative: each module documents its constants as bits and its steps in order.
//! A step is one IEEE 754 binary32 operation, rounded to nearest even, or one operation on the 32 bits of a number;
//! `fma(a, b, c)` is `a * b + c` rounded once. There is no table, no branch and no wider type, and all of it is inlined,
//! so that another crate can instantiate the same code inside a function compiled for a larger instruction set
//! and get the same bits, vectorised.
//!
//! Every function maps NaN to the canonical NaN `0x7fc00000`, and none gives a NaN for anything else but
//! [`ln`] below zero.
//!
//! The coefficients come from `tools/minimax.py`, which prints them: minimax fits, rounded to binary32 one after
//! another, lowest order first, refitting what remains. The bounds on the errors are measured over all 2^32 arguments
//! by `examples/accuracy.rs` against a binary64 oracle, and kept by a test that strides through them.
//!
//! [`double`] holds the binary64 twins for the study mode, which promise accuracy and not speed.

pub mod double;
mod erf;
mod exp;
mod ln;
mod logistic;

pub use erf::{erf, gelu_erf};
pub use exp::{exp, exp_nonpositive};
pub use ln::{ln, softplus};
pub use logistic::{gelu_tanh, sigmoid, silu, tanh};

/// `c[0] + c[1] x + … + c[N-1] x^(N-1)` by Horner's rule, from `acc = c[N-1]` downward: `acc = fma(acc, x, c[k])`.
#[inline(always)]
fn horner<F: crate::arith::Float32, const N: usize>(x: f32, c: &[f32; N]) -> f32 {
    let mut acc = c[N - 1];
    let mut k = N - 1;
    while k > 0 {
        k -= 1;
        acc = F::fma(acc, x, c[k]);
    }
    acc
}

/// Binary32 constants from their bits.
const fn constants<const N: usize>(bits: [u32; N]) -> [f32; N] {
    let mut out = [0.0; N];
    let mut k = 0;
    while k < N {
        out[k] = f32::from_bits(bits[k]);
        k += 1;
    }
    out
}

/// `x` kept at or above `-f32::MAX`, so that minus infinity over infinity, or times zero, is -0 and not NaN.
#[inline(always)]
fn above_minus_infinity(x: f32) -> f32 {
    if x < -f32::MAX { -f32::MAX } else { x }
}
