//! Whether what an operation of theirs *adds* is more than precision explains.
//!
//! No threshold here is a constant alone: each is how far our own operation moves, from the same inputs, when it is done in
//! that precision instead of exactly. Knows values; the passes are `lens.rs`'s.

use samebit_numerics::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use serde::Serialize;

use crate::lens::Lens;
use crate::names::Kind;
use crate::stats::distance;

/// Another order of summation errs as much as ours does, give or take this factor.
pub(crate) const ORDERS: f64 = 8.0;
/// Two roundings (in and out) where a lens makes one, and luck.
pub(crate) const SIZES: f64 = 2.0;
/// A lens reproduces a difference if it leaves less than this part of it.
pub(crate) const LEFT: f64 = 0.25;
/// A few units of the last place, for operations that are done without any error of ours.
pub(crate) const UNITS: f64 = 4.0 / (1u64 << 24) as f64;

/// What is to be said of what an operation adds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "by")]
pub enum Verdict {
    /// The same bits as ours in this precision.
    SameBits(Lens),
    /// Within what binary32 rounds, in whatever order.
    Rounding,
    /// Within what angles held in binary32 err by at such positions.
    Angles,
    /// Our operation in this precision gives their values; little is left of the difference.
    Reproduced(Lens),
    /// No larger than what this precision does, but not the same difference.
    Size(Lens),
    /// More than any precision explains.
    Departs,
    /// Not judged: their inputs are not all known.
    Unknown,
}

impl Verdict {
    /// Nothing explains it.
    pub fn departs(self) -> bool {
        self == Self::Departs
    }
}

/// What an operation adds.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    /// Their distance from what is right for their inputs, relative to it.
    pub relative: f64,
    /// What binary32 may do.
    pub rounding: f64,
    /// For each lens: what it leaves of the difference, and how large its own is.
    pub lenses: Vec<(Lens, f64, f64)>,
    /// What that amounts to.
    pub verdict: Verdict,
    /// The largest difference: position, element, what is right, and theirs.
    pub worst: Option<(usize, usize, f32, f32)>,
}

/// Values of one operation, all of one length.
pub(crate) struct Case<'a> {
    pub(crate) kind: Kind,
    pub(crate) theirs: &'a [f32],
    /// Right for their inputs.
    pub(crate) exact: &'a [f32],
    /// In other precisions.
    pub(crate) others: Vec<(Lens, Vec<f32>)>,
    pub(crate) places: &'a [(usize, usize)],
}

pub(crate) fn judge(case: &Case<'_>) -> Judgement {
    let Case { kind, theirs, exact, others, places } = case;
    let rounded = Stored::of(theirs);
    let mut lenses = Vec::new();
    let mut same = None;
    for (lens, ours) in others {
        let ours: Vec<f32> = ours.iter().map(|&v| rounded.round(*lens, v)).collect();
        if same.is_none() && ours.iter().zip(*theirs).all(|(a, b)| a.to_bits() == b.to_bits()) {
            same = Some(*lens);
        }
        lenses.push((*lens, distance(&ours, theirs, exact), distance(exact, &ours, exact)));
    }
    let relative = distance(exact, theirs, exact);
    let size = |wanted| lenses.iter().find(|(lens, ..)| *lens == wanted).map_or(0.0, |&(_, _, size)| size);
    let rounding = (ORDERS * size(Lens::F32)).max(UNITS);
    let farthest = places.iter().map(|&(position, _)| position).max().unwrap_or(0);
    let angles = farthest as f64 * UNITS;
    let worst = places.iter().zip(theirs.iter().zip(*exact)).max_by(|x, y| gap(x.1).total_cmp(&gap(y.1)));
    let verdict = match same {
        Some(lens) => Verdict::SameBits(lens),
        None if relative <= rounding => Verdict::Rounding,
        None if *kind == Kind::Rope && relative <= rounding + angles => Verdict::Angles,
        None => by_lens(relative, rounding, *kind, &lenses),
    };
    let worst = worst.map(|(&(position, element), (&theirs, &right))| (position, element, right, theirs));
    Judgement { relative, rounding, lenses, verdict, worst }
}

fn gap((a, b): (&f32, &f32)) -> f64 {
    let gap = (f64::from(*a) - f64::from(*b)).abs();
    if gap.is_nan() { f64::INFINITY } else { gap }
}

/// The lens that explains a difference: the one that reproduces it best, else the finest that is as large.
fn by_lens(relative: f64, rounding: f64, kind: Kind, lenses: &[(Lens, f64, f64)]) -> Verdict {
    // The mode that has 8-bit activations has llama.cpp's gate too, a table in binary16.
    let of_kind = |lens: Lens| match lens {
        Lens::V1 => kind == Kind::Linear,
        Lens::A8 => matches!(kind, Kind::Linear | Kind::Gate),
        _ => true,
    };
    let may = || lenses.iter().filter(|(lens, ..)| *lens != Lens::F32 && of_kind(*lens));
    let best = may().min_by(|a, b| a.1.total_cmp(&b.1));
    if let Some(&(lens, left, _)) = best
        && left <= (LEFT * relative).max(rounding)
    {
        return Verdict::Reproduced(lens);
    }
    let enough = may().filter(|(_, _, size)| relative <= SIZES * size);
    enough.min_by(|a, b| a.2.total_cmp(&b.2)).map_or(Verdict::Departs, |&(lens, ..)| Verdict::Size(lens))
}

/// What their values were stored as, if all of them fit it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stored {
    Single,
    Half,
    Bfloat,
}

impl Stored {
    pub(crate) fn of(values: &[f32]) -> Self {
        if values.iter().all(|&v| bf16_to_f32(f32_to_bf16(v)) == v) {
            Self::Bfloat
        } else if values.iter().all(|&v| f16_to_f32(f32_to_f16(v)) == v) {
            Self::Half
        } else {
            Self::Single
        }
    }

    /// A result of ours as they would have stored it, where the lens is of that precision.
    fn round(self, lens: Lens, x: f32) -> f32 {
        match (self, lens) {
            (Self::Half, Lens::F16 | Lens::Written) => f16_to_f32(f32_to_f16(x)),
            (Self::Bfloat, Lens::Bf16 | Lens::Written) => bf16_to_f32(f32_to_bf16(x)),
            _ => x,
        }
    }

    /// A value moved by as much as storing it changed one on average (a unit's share of 1/√12), up or down by its index.
    pub(crate) fn moved(self, x: f32, index: usize) -> f32 {
        let unit = match self {
            Self::Single => return x,
            Self::Half => 1.0 / 1024.0,
            Self::Bfloat => 1.0 / 128.0,
        };
        // A unit is between this and half of it, relative; the golden ratio's multiples have no pattern.
        let up = (index as u32).wrapping_mul(0x9e37_79b9) >> 31 == 0;
        x * (1.0 + if up { 0.21 } else { -0.21 } * unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(kind: Kind, exact: &[f32], theirs: &[f32], others: Vec<(Lens, Vec<f32>)>) -> Verdict {
        let places: Vec<_> = (0..exact.len()).map(|i| (0, i)).collect();
        judge(&Case { kind, theirs, exact, others, places: &places }).verdict
    }

    #[test]
    fn what_precision_explains_and_what_it_does_not() {
        let exact: Vec<f32> = (1..100).map(|i| (i as f32 * 0.37).fract() - 0.5).collect();
        let noise = |part: f32| -> Vec<f32> {
            exact.iter().enumerate().map(|(i, v)| v + part * (((i * 7919) % 101) as f32 / 50.0 - 1.0)).collect()
        };
        let (single, eight) = (noise(1e-7), noise(4e-3));
        let others = || vec![(Lens::F32, single.clone()), (Lens::A8, eight.clone())];
        let theirs: Vec<f32> = eight.iter().map(|v| v * (1.0 + 1e-7)).collect();
        assert_eq!(verdict(Kind::Linear, &exact, &eight, others()), Verdict::SameBits(Lens::A8));
        assert_eq!(verdict(Kind::Linear, &exact, &theirs, others()), Verdict::Reproduced(Lens::A8));
        assert_eq!(verdict(Kind::Norm, &exact, &theirs, others()), Verdict::Departs, "a norm has no 8-bit activations");
        let other: Vec<f32> = exact.iter().zip(&eight).map(|(x, e)| x - (e - x)).collect();
        assert_eq!(verdict(Kind::Linear, &exact, &other, others()), Verdict::Size(Lens::A8));
        assert_eq!(verdict(Kind::Linear, &exact, &noise(3e-7), others()), Verdict::Rounding);
        assert_eq!(verdict(Kind::Linear, &exact, &noise(0.1), others()), Verdict::Departs);
        let with_nan: Vec<f32> = exact.iter().map(|_| f32::NAN).collect();
        assert_eq!(verdict(Kind::Linear, &exact, &with_nan, others()), Verdict::Departs);
    }

    #[test]
    fn what_was_stored_in_sixteen_bits_is_seen() {
        assert!(Stored::of(&[1.0, 0.5]) == Stored::Bfloat);
        assert!(Stored::of(&[1.0, f16_to_f32(0x3c01)]) == Stored::Half);
        assert!(Stored::of(&[1.0, 0.1]) == Stored::Single);
    }
}
