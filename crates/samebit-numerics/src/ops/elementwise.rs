//! What is done element by element: sums, scalings, gated activations, soft-caps. NUMERICS.md, "Element by element".

use crate::arith::Arith;

/// The gate of a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// silu(g) · u: SwiGLU, Shazeer 2020.
    Silu,
    /// gelu(g) · u with the tanh form: GeGLU.
    GeluTanh,
    /// gelu(g) · u with the error function.
    GeluErf,
    /// gpt-oss: with g ← min(g, 7) and u ← clamp(u, −7, 7), (g · sigmoid(1.702·g)) · (u + 1).
    ClampedSwiglu,
}

/// `acc[i] = acc[i] + x[i]`.
#[inline(always)]
pub fn add<A: Arith>(acc: &mut [A::R], x: &[A::R]) {
    for (a, &b) in acc.iter_mut().zip(x) {
        *a = A::add(*a, b);
    }
}

/// `acc[i] = acc[i] + bias[i]`.
#[inline(always)]
pub fn add_bias<A: Arith>(acc: &mut [A::R], bias: &[f32]) {
    for (a, &b) in acc.iter_mut().zip(bias) {
        *a = A::add(*a, A::from_f32(b));
    }
}

/// `x[i] = x[i] · factor`.
#[inline(always)]
pub fn scale<A: Arith>(x: &mut [A::R], factor: f32) {
    let factor = A::from_f32(factor);
    for value in x {
        *value = A::mul(*value, factor);
    }
}

/// `acc[i] = fma(weight, x[i], acc[i])`: an expert's share.
#[inline(always)]
pub fn add_weighted<A: Arith>(acc: &mut [A::R], weight: A::R, x: &[A::R]) {
    for (a, &b) in acc.iter_mut().zip(x) {
        *a = A::fma(weight, b, *a);
    }
}

/// `gate[i] = act(gate[i]) · up[i]`.
#[inline(always)]
pub fn gated<A: Arith>(kind: Gate, gate: &mut [A::R], up: &[A::R]) {
    for (g, &u) in gate.iter_mut().zip(up) {
        *g = match kind {
            Gate::Silu => A::mul(A::silu(*g), u),
            Gate::GeluTanh => A::mul(A::gelu_tanh(*g), u),
            Gate::GeluErf => A::mul(A::gelu_erf(*g), u),
            Gate::ClampedSwiglu => clamped_swiglu::<A>(*g, u),
        };
    }
}

#[inline(always)]
fn clamped_swiglu<A: Arith>(gate: A::R, up: A::R) -> A::R {
    let limit = A::from_f32(7.0);
    let lower = |x: A::R| A::neg(A::max(A::neg(x), A::neg(limit)));
    let gate = lower(gate);
    let up = A::max(lower(up), A::neg(limit));
    let sigmoid = A::sigmoid(A::mul(A::from_f32(1.702), gate));
    A::mul(A::mul(gate, sigmoid), A::add(up, A::ONE))
}

/// `cap · tanh(x · (1/cap))`, the reciprocal rounded once. Gemma 2.
#[inline(always)]
pub fn soft_cap<A: Arith>(x: &mut [A::R], cap: f32) {
    let cap = A::from_f32(cap);
    let inverse = A::div(A::ONE, cap);
    for value in x {
        *value = A::mul(cap, A::tanh(A::mul(*value, inverse)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::{Single, Soft};

    #[test]
    fn the_clamped_gate_clamps() {
        let gated_one = |g: f32, u: f32| {
            let mut gate = [g];
            gated::<Single<Soft>>(Gate::ClampedSwiglu, &mut gate, &[u]);
            gate[0]
        };
        assert_eq!(gated_one(100.0, 1.0), gated_one(7.0, 1.0));
        assert_eq!(gated_one(2.0, 50.0), gated_one(2.0, 7.0));
        assert_eq!(gated_one(2.0, -50.0), gated_one(2.0, -7.0));
        assert_ne!(gated_one(-100.0, 1.0), gated_one(-7.0, 1.0), "the gate has no lower limit");
    }

    #[test]
    fn a_soft_cap_bounds_and_passes_small_values() {
        let mut x = [0.0f32, 0.01, 1000.0, -1000.0];
        soft_cap::<Single<Soft>>(&mut x, 30.0);
        assert_eq!((x[0], x[2], x[3]), (0.0, 30.0, -30.0));
        assert!((x[1] - 0.01).abs() < 1e-6);
    }
}
