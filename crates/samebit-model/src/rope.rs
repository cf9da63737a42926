//! RoPE's tables for a model: the sines and cosines of every position reached so far.
//!
//! Made on the host from correctly rounded functions; no kernel computes an angle. NUMERICS.md, "RoPE".

use crate::config::Config;
use crate::forward::Real;
use crate::model::Model;

/// Sines and cosines by position.
#[derive(Debug)]
pub(crate) struct Rope<R> {
    frequencies: Vec<f64>,
    cos: Vec<R>,
    sin: Vec<R>,
}

/// The tables of full layers and of windowed ones, where those have their own.
#[derive(Debug)]
pub(crate) struct Ropes<R> {
    full: Rope<R>,
    windowed: Option<Rope<R>>,
}

impl<R: Real> Ropes<R> {
    pub(crate) fn new(model: &Model, context: usize) -> Self {
        let (config, factors) = (model.config(), &model.weights().rope_factors);
        let rope = &config.rope;
        let long = context > rope.original_context;
        let own = if long { &factors.long } else { &factors.short };
        let factors = factors.all.as_ref().or(own.as_ref()).map(Vec::as_slice);
        let full = Rope::new(config, rope.base, true, factors);
        let windowed = rope
            .window_base
            .map(|base| Rope::new(config, base, rope.window_scaled, None));
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

#[allow(clippy::disallowed_methods)]
impl<R: Real> Rope<R> {
    fn new(config: &Config, base: f32, _scaled: bool, factors: Option<&[f32]>) -> Self {
        let d = config.rope.dims;
        let frequencies = (0..d / 2)
            .map(|i| {
                f64::from(base).powf(-2.0 * i as f64 / d as f64)
                    / factors.map_or(1.0, |f| f64::from(f[i]))
            })
            .collect();
        Self {
            frequencies,
            cos: Vec::new(),
            sin: Vec::new(),
        }
    }
    fn reach(&mut self, position: usize) {
        let pairs = self.frequencies.len();
        for p in self.cos.len() / pairs..=position {
            for &f in &self.frequencies {
                let angle = p as f64 * f;
                self.cos.push(R::from_f64(angle.cos()));
                self.sin.push(R::from_f64(angle.sin()));
            }
        }
    }
    pub(crate) fn at(&self, position: usize) -> (&[R], &[R]) {
        let pairs = self.frequencies.len();
        let row = position * pairs..(position + 1) * pairs;
        (&self.cos[row.clone()], &self.sin[row])
    }
}
