//! RoPE's tables for a model: the sines and cosines of every position reached so far.
//!
//! Made on the host from correctly rounded functions; no kernel computes an angle. NUMERICS.md, "RoPE".

use samebit_numerics::angles::{RopeScaling, frequencies, yarn_magnitude};

use crate::config::{RopeConfig, RopeScalingConfig};
use crate::forward::Real;
use crate::model::Model;

/// Sines and cosines by position.
#[derive(Debug)]
pub(crate) struct Rope<R> {
    frequencies: Vec<f64>,
    magnitude: f64,
    cos: Vec<R>,
    sin: Vec<R>,
}

/// The tables of full layers and of windowed ones, where those have their own.
#[derive(Debug)]
pub(crate) struct Ropes<R> {
    full: Rope<R>,
    windowed: Option<Rope<R>>,
}

/// The frequency of each rotated pair and the factor on sines and cosines, of full layers or of windowed ones, for contexts of up
/// to `context` positions. NUMERICS.md, 7.1 to 7.3.
pub fn rope_frequencies(model: &Model, windowed: bool, context: usize) -> (Vec<f64>, f64) {
    let ropes = samebit_kernels::float_env::with_default(|| Ropes::<f32>::new(model, context));
    let rope = ropes.of_layer(windowed);
    (rope.frequencies.clone(), rope.magnitude)
}

impl<R: Real> Ropes<R> {
    pub(crate) fn new(model: &Model, context: usize) -> Self {
        let (config, factors) = (model.config(), &model.weights().rope_factors);
        let rope = &config.rope;
        let long = context > rope.original_context;
        let own = if long { &factors.long } else { &factors.short };
        let factors = factors.all.as_ref().or(own.as_ref()).map(Vec::as_slice);
        let full = Rope::new(rope, rope.base, true, factors);
        let windowed = rope.window_base.map(|base| Rope::new(rope, base, rope.window_scaled, None));
        Self { full, windowed }
    }

    /// Makes sure that the tables go up to `position`.
    pub(crate) fn reach(&mut self, position: usize) {
        self.full.reach(position);
        if let Some(rope) = &mut self.windowed {
            rope.reach(position);
        }
    }

    pub(crate) fn of_layer(&self, windowed: bool) -> &Rope<R> {
        match &self.windowed {
            Some(rope) if windowed => rope,
            _ => &self.full,
        }
    }
}

impl<R: Real> Rope<R> {
    fn new(config: &RopeConfig, base: f32, scaled: bool, factors: Option<&[f32]>) -> Self {
        let (scaling, magnitude) = match config.scaling {
            RopeScalingConfig::Linear(factor) if scaled => (RopeScaling::Linear { factor }, 1.0),
            RopeScalingConfig::Yarn { factor, extrapolation, beta_fast, beta_slow } if scaled => {
                let scaling = RopeScaling::Yarn {
                    factor,
                    // Bounded by the configuration.
                    original_context: config.original_context as u32,
                    extrapolation,
                    beta_fast,
                    beta_slow,
                };
                let ramped = extrapolation != 0.0;
                (scaling, if ramped { yarn_magnitude(factor, 1.0) } else { 1.0 })
            }
            _ => (RopeScaling::None, 1.0),
        };
        Self {
            frequencies: frequencies(config.dims, base, scaling, factors),
            magnitude: magnitude * f64::from(config.attention_factor),
            cos: Vec::new(),
            sin: Vec::new(),
        }
    }

    fn reach(&mut self, position: usize) {
        let pairs = self.frequencies.len();
        for position in self.cos.len() / pairs..=position {
            for &frequency in &self.frequencies {
                // Positions are bounded by the context, far below 2³².
                let (cos, sin) = R::cos_sin(position as u32, frequency, self.magnitude);
                self.cos.push(cos);
                self.sin.push(sin);
            }
        }
    }

    /// Cosines and sines of a position that was reached.
    pub(crate) fn at(&self, position: usize) -> (&[R], &[R]) {
        let pairs = self.frequencies.len();
        let row = position * pairs..(position + 1) * pairs;
        (&self.cos[row.clone()], &self.sin[row])
    }
}
