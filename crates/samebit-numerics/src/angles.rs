//! The angles of rotary position embeddings: frequencies, and correctly rounded sines and cosines.
//!
//! Knows binary64 arithmetic and nothing of models. Tables are made from these once, on the host; no device computes an angle.
//! Su et al., "RoFormer" (2021). All arithmetic is binary64, in the order written, and nothing is fused.

mod trig;

use alloc::vec::Vec;

use crate::arith::CANONICAL_NAN;
use crate::double_double::Pair;
use crate::math::double;
use trig::Reduced;

/// How frequencies are changed for contexts longer than those of the training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// Positions are interpolated: every frequency is divided by the same factor (Chen et al., 2023).
    Linear {
        /// GGUF's `rope.scaling.factor`, or `rope.scale_linear`.
        factor: f32,
    },
    /// High frequencies stay, low ones are interpolated, with a ramp between (Peng et al., "YaRN", 2023).
    Yarn {
        /// GGUF's `rope.scaling.factor`.
        factor: f32,
        /// Tokens of the training's context; GGUF's `rope.scaling.original_context_length`.
        original_context: u32,
        /// How much of the ramp is applied, 1 by default; GGUF's `rope.scaling.yarn_ext_factor`. At 0 this is [`RopeScaling::Linear`].
        extrapolation: f32,
        /// Rotations over the training's context from which a frequency stays, 32 by default; GGUF's `rope.scaling.yarn_beta_fast`.
        beta_fast: f32,
        /// Rotations below which it is interpolated, 1 by default; GGUF's `rope.scaling.yarn_beta_slow`.
        beta_slow: f32,
    },
}

/// The `n_dims / 2` frequencies in radians per position.
///
/// 1. `f_i` is the binary64 nearest to `base^(-2i / n_dims)`.
/// 2. If there are factors, `f_i = f_i / factor_i` (a missing one is 1).
/// 3. Linear: `f_i = f_i * (1 / factor)`.
/// 4. YaRN: `low = f_i * (1 / factor)`, `f_i = low * (1 - mix_i) + f_i * mix_i`, where
///    `mix_i = (1 - min(1, max(0, (i - start) / max(0.001, end - start)))) * extrapolation`,
///    `start = max(0, floor(dim(beta_fast)))`, `end = min(n_dims - 1, ceil(dim(beta_slow)))`,
///    `dim(beta) = n_dims * ln(original_context / (beta * 2 * pi)) / (2 * ln(base))`,
///    with `ln` of [`crate::math::double`] and `pi` the nearest binary64.
///
/// `base` must be a positive finite number, else the frequencies are NaN.
#[must_use]
pub fn frequencies(n_dims: usize, base: f32, scaling: RopeScaling, factors: Option<&[f32]>) -> Vec<f64> {
    let ramp = Ramp::new(n_dims, base, scaling);
    (0..n_dims / 2)
        .map(|i| {
            let own = factors.and_then(|factors| factors.get(i)).map_or(1.0, |&factor| f64::from(factor));
            let frequency = power(base, i, n_dims) / own;
            match scaling {
                RopeScaling::None => frequency,
                RopeScaling::Linear { factor } => frequency * (1.0 / f64::from(factor)),
                RopeScaling::Yarn { factor, .. } => {
                    let low = frequency * (1.0 / f64::from(factor));
                    let mix = ramp.mix(i);
                    low * (1.0 - mix) + frequency * mix
                }
            }
        })
        .collect()
}

/// The factor that YaRN puts on sines and cosines for a context stretched by `factor`:
/// 1 if `factor <= 1`, else `0.1 * multiplier * ln(factor) + 1`, in binary64.
///
/// Plain YaRN has `multiplier` 1. Models with `mscale` and `mscale_all_dim` have the quotient of two of these.
#[must_use]
pub fn yarn_magnitude(factor: f32, multiplier: f32) -> f64 {
    if factor > 1.0 { 0.1 * f64::from(multiplier) * double::ln(f64::from(factor)) + 1.0 } else { 1.0 }
}

/// Cosine and sine of the exact product `position * frequency`, times `magnitude`, each rounded once to binary32.
///
/// Once: the function is evaluated to 95 bits, and a value nearer than that to the middle of two binary32 is not to be met.
/// A product of 2^50 and more, or not finite, gives canonical NaNs, as does a `magnitude` that is not finite.
#[must_use]
pub fn cos_sin_scaled(position: u32, frequency: f64, magnitude: f64) -> (f32, f32) {
    let Some(reduced) = Reduced::new(position, frequency).filter(|_| magnitude.is_finite()) else {
        return (CANONICAL_NAN, CANONICAL_NAN);
    };
    let (cos, sin) = reduced.cos_sin_fast();
    match (round_safely(cos * magnitude), round_safely(sin * magnitude)) {
        (Some(cos), Some(sin)) => (cos, sin),
        _ => cos_sin_slow(reduced, magnitude),
    }
}

/// [`cos_sin_scaled`] with the magnitude 1.
#[must_use]
pub fn cos_sin(position: u32, frequency: f64) -> (f32, f32) {
    cos_sin_scaled(position, frequency, 1.0)
}

/// Cosine and sine for the study mode: times `magnitude`, in binary64, with an error below one unit of the last place.
#[must_use]
pub fn cos_sin_f64(position: u32, frequency: f64, magnitude: f64) -> (f64, f64) {
    match Reduced::new(position, frequency) {
        Some(reduced) => {
            let (cos, sin) = reduced.cos_sin();
            (cos.high * magnitude, sin.high * magnitude)
        }
        None => (f64::NAN, f64::NAN),
    }
}

/// The way for the rare values that binary64 is too coarse to round.
#[cold]
fn cos_sin_slow(reduced: Reduced, magnitude: f64) -> (f32, f32) {
    let (cos, sin) = reduced.cos_sin();
    let magnitude = Pair::from(magnitude);
    (cos.mul(magnitude).to_f32(), sin.mul(magnitude).to_f32())
}

/// `x` in binary32, if every number within 2^-48 of it (relatively) rounds to the same.
fn round_safely(x: f64) -> Option<f32> {
    let margin = x * (1.0 / 281_474_976_710_656.0);
    let (low, high) = ((x - margin) as f32, (x + margin) as f32);
    (low.to_bits() == high.to_bits()).then_some(low)
}

/// The binary64 nearest to `base^(-2 i / n)`, `i < n / 2`.
fn power(base: f32, i: usize, n: usize) -> f64 {
    if !(base > 0.0 && base.is_finite()) {
        return f64::NAN;
    }
    // The quotient in a pair: what the rounded one leaves is exact enough in binary64.
    let (numerator, denominator) = (2.0 * i as f64, n as f64);
    let quotient = numerator / denominator;
    let product = crate::double_double::two_prod(quotient, denominator);
    let rest = ((numerator - product.high) - product.low) / denominator;
    let exponent = crate::double_double::fast_two_sum(-quotient, -rest);
    Pair::ln(f64::from(base)).mul(exponent).exp().high
}

/// YaRN's ramp between the pairs that stay and those that are interpolated.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    start: f64,
    end: f64,
    extrapolation: f64,
}

impl Ramp {
    fn new(n_dims: usize, base: f32, scaling: RopeScaling) -> Self {
        let RopeScaling::Yarn { original_context, extrapolation, beta_fast, beta_slow, .. } = scaling else {
            return Self { start: 0.0, end: 0.0, extrapolation: 0.0 };
        };
        let n = n_dims as f64;
        let dim = |beta: f32| {
            let rotations = f64::from(original_context) / (f64::from(beta) * 2.0 * core::f64::consts::PI);
            n * double::ln(rotations) / (2.0 * double::ln(f64::from(base)))
        };
        let start = floor(dim(beta_fast)).max(0.0);
        let end = (-floor(-dim(beta_slow))).min(n - 1.0);
        Self { start, end, extrapolation: f64::from(extrapolation) }
    }

    /// The share of the unscaled frequency in pair `i`.
    fn mix(self, i: usize) -> f64 {
        let width = (self.end - self.start).max(0.001);
        let along = ((i as f64 - self.start) / width).clamp(0.0, 1.0);
        (1.0 - along) * self.extrapolation
    }
}

/// The largest integer not above `x`, saturating far beyond any number of dimensions; NaN gives 0.
fn floor(x: f64) -> f64 {
    let whole = x as i64 as f64;
    if whole > x { whole - 1.0 } else { whole }
}
