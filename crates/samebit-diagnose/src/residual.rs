//! How far two tensors are apart, and how much nearer one explanation is than another.

use samebit_numerics::math::double::ln;

/// Sums over a tensor's elements: ours and theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Residual {
    /// Σ (theirs − ours)².
    pub difference: f64,
    /// Σ theirs².
    pub theirs: f64,
    /// Σ ours².
    pub ours: f64,
    /// Elements.
    pub count: usize,
}

impl Residual {
    /// Of some elements.
    pub fn of(theirs: &[f32], ours: &[f32]) -> Self {
        let mut sums = Self { count: theirs.len(), ..Self::default() };
        for (&t, &o) in theirs.iter().zip(ours) {
            let (t, o) = (f64::from(t), f64::from(o));
            sums.difference += (t - o) * (t - o);
            sums.theirs += t * t;
            sums.ours += o * o;
        }
        sums
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            difference: self.difference + other.difference,
            theirs: self.theirs + other.theirs,
            ours: self.ours + other.ours,
            count: self.count + other.count,
        }
    }

    /// ‖theirs − ours‖ / the larger of ‖theirs‖ and ‖ours‖: 0 is equal, about 1 is unrelated, never above 2.
    pub fn distance(&self) -> f64 {
        let size = self.theirs.max(self.ours);
        if !size.is_finite() || !self.difference.is_finite() {
            return 2.0;
        }
        if size == 0.0 { 0.0 } else { (self.difference / size).sqrt() }
    }
}

/// Nats by which `after` is nearer than `before`, distances below `grain` counting as equal.
pub fn gain(before: f64, after: f64, grain: f64) -> f64 {
    let square = |distance: f64| distance * distance + grain * grain;
    0.5 * (ln(square(before)) - ln(square(after)))
}
