//! What the elementary functions are measured against, shared by the example `accuracy` and the tests.
//!
//! The oracle is binary64: the standard library's functions, where it has them, and this crate's own binary64 erf (checked against
//! mpmath in tests/math_double.rs) where it has not. Their relative error, some 1e-15, is 1e-8 of a binary32 unit: nothing beside the errors measured.
//! The standard library is used because an oracle must not share code with what it judges.
#![allow(clippy::disallowed_methods, dead_code, unreachable_pub, missing_docs)]

use samebit_numerics::arith::Soft;
use samebit_numerics::math::{self, double};

/// A function, its oracle, and where its error is bounded in units of the last place and where only absolutely.
pub struct Case {
    pub name: &'static str,
    /// Many at once, so that the software arithmetic vectorises.
    pub ours: fn(&[f32], &mut [f32]),
    pub oracle: fn(f64) -> f64,
    /// Arguments below this have an absolute bound only.
    pub tail: f32,
    /// The bound, in units of the last place, at and above `tail`.
    pub ulps: f64,
    /// The bound on the absolute error below `tail`, as a fraction of `|x|` if `tail_relative_to_x`.
    pub absolute: f64,
}

macro_rules! over {
    ($function:ident) => {
        |x, out| {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = math::$function::<Soft>(x);
            }
        }
    };
}

pub const CASES: [Case; 9] = [
    Case { name: "exp", ours: over!(exp), oracle: f64::exp, tail: f32::NEG_INFINITY, ulps: 0.9, absolute: 0.0 },
    Case { name: "ln", ours: over!(ln), oracle: f64::ln, tail: f32::NEG_INFINITY, ulps: 0.95, absolute: 0.0 },
    Case {
        name: "softplus",
        ours: over!(softplus),
        oracle: softplus,
        tail: f32::NEG_INFINITY,
        ulps: 2.0,
        absolute: 0.0,
    },
    Case {
        name: "sigmoid",
        ours: over!(sigmoid),
        oracle: |x| 1.0 / (1.0 + (-x).exp()),
        tail: -88.0,
        ulps: 2.5,
        absolute: 3e-39,
    },
    Case {
        name: "silu",
        ours: over!(silu),
        oracle: |x| x / (1.0 + (-x).exp()),
        tail: -88.0,
        ulps: 2.5,
        absolute: 3e-37,
    },
    Case { name: "tanh", ours: over!(tanh), oracle: f64::tanh, tail: f32::NEG_INFINITY, ulps: 1.5, absolute: 0.0 },
    Case { name: "gelu_tanh", ours: over!(gelu_tanh), oracle: gelu_tanh, tail: -1.0, ulps: 2.75, absolute: 5e-8 },
    Case { name: "gelu_erf", ours: over!(gelu_erf), oracle: double::gelu_erf, tail: -12.0, ulps: 5.0, absolute: 1e-36 },
    Case { name: "erf", ours: over!(erf), oracle: double::erf, tail: f32::NEG_INFINITY, ulps: 1.4, absolute: 0.0 },
];

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn gelu_tanh(x: f64) -> f64 {
    let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    x / (1.0 + (-2.0 * u).exp())
}

/// The worst found so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worst {
    pub ulps: f64,
    pub ulps_at: f32,
    pub absolute: f64,
    pub absolute_at: f32,
}

impl Worst {
    pub fn merge(&mut self, other: Self) {
        if other.ulps > self.ulps {
            (self.ulps, self.ulps_at) = (other.ulps, other.ulps_at);
        }
        if other.absolute > self.absolute {
            (self.absolute, self.absolute_at) = (other.absolute, other.absolute_at);
        }
    }
}

/// Measures `case` on every `step`th bit pattern of `bits`, finite arguments only.
pub fn measure(case: &Case, bits: std::ops::Range<u64>, step: usize) -> Worst {
    const BATCH: usize = 1024;
    let mut worst = Worst::default();
    let mut arguments = bits.step_by(step).map(|bits| f32::from_bits(bits as u32)).filter(|x| x.is_finite());
    let (mut x, mut ours) = (Vec::with_capacity(BATCH), [0.0; BATCH]);
    loop {
        x.clear();
        x.extend(arguments.by_ref().take(BATCH));
        if x.is_empty() {
            return worst;
        }
        (case.ours)(&x, &mut ours[..x.len()]);
        for (&x, &ours) in x.iter().zip(&ours) {
            let exact = (case.oracle)(f64::from(x));
            if x < case.tail {
                let absolute = (f64::from(ours) - exact).abs();
                worst.merge(Worst { absolute, absolute_at: x, ..Worst::default() });
            } else {
                worst.merge(Worst { ulps: error_in_ulps(ours, exact), ulps_at: x, ..Worst::default() });
            }
        }
    }
}

/// `|ours - exact|` in units of the last place of a binary32 of `exact`'s magnitude; infinite for a wrong infinity or NaN.
pub fn error_in_ulps(ours: f32, exact: f64) -> f64 {
    let nearest = exact as f32;
    if !nearest.is_finite() || !ours.is_finite() {
        let both_nan = nearest.is_nan() && ours.is_nan();
        return if nearest == ours || both_nan { 0.0 } else { f64::INFINITY };
    }
    let exponent = ((exact.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    let ulp = f64::from_bits(((exponent.max(-126) - 23 + 1023) as u64) << 52);
    (f64::from(ours) - exact).abs() / ulp
}
