//! Scale searches for the quantisers: least squares over a short, fixed list of candidates, in f32, operation by operation.
//! Decides numbers only; knows no format's bytes.

use super::block256::LEN;
use crate::half::{f16_to_f32, f32_to_f16};

/// Below this magnitude a block counts as zero: f16 scales cannot reach it, and reciprocals would overflow.
const TINY: f32 = 1e-30;

/// `x` to the nearest integer, halves away from zero; saturates; NaN gives 0.
#[inline]
pub(super) fn round(x: f32) -> i32 {
    let whole = x as i32;
    let rest = x - whole as f32;
    whole
        .saturating_add(i32::from(rest >= 0.5))
        .saturating_sub(i32::from(rest <= -0.5))
}

/// `x` to the nearest integer of `low ..= high`, halves away from zero.
#[inline]
pub(super) fn nearest(x: f32, low: i8, high: i8) -> i8 {
    // The clamp leaves a value of i8.
    round(x).clamp(i32::from(low), i32::from(high)) as i8
}

/// `1/x`, or 0 where `x` is 0.
#[inline]
pub(super) fn reciprocal(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

/// The element of largest magnitude, with its sign; the first of equals; 0 if there is none but NaN.
pub(super) fn peak(x: &[f32]) -> f32 {
    x.iter().fold(
        0.0,
        |best: f32, x| if x.abs() > best.abs() { *x } else { best },
    )
}

/// The smallest and the largest element. The slice is not empty.
pub(super) fn range(x: &[f32]) -> (f32, f32) {
    x.iter().fold((x[0], x[0]), |(low, high), &x| {
        (
            if x < low { x } else { low },
            if x > high { x } else { high },
        )
    })
}

/// A scale s for which s·q(x/s) lies near x. `q` gives the nearest quant; `peak_quant` is the quant that the peak gets in the
/// plain choice `s = peak/peak_quant`. 17 scales around that one are tried, each improved by least squares.
pub(super) fn symmetric(x: &[f32], peak_quant: f32, q: impl Fn(f32) -> i8) -> f32 {
    let peak = peak(x);
    if peak.abs() < TINY {
        return 0.0;
    }
    let mut best = (0.0, peak / peak_quant);
    for step in -8..=8_i8 {
        let inverse = peak_quant * (1.0 + f32::from(step) / 40.0) / peak;
        let (mut xq, mut qq) = (0.0, 0.0);
        for x in x {
            let q = f32::from(q(x * inverse));
            xq += x * q;
            qq += q * q;
        }
        // With s = xq/qq the squared error is Σx² - xq²/qq.
        let gain = if qq > 0.0 { xq * xq / qq } else { 0.0 };
        if gain > best.0 {
            best = (gain, xq / qq);
        }
    }
    best.1
}

/// A scale s and a minimum m ≥ 0 for which `s·q - m` with q in `0..=top` lies near x.
/// Begins with the range of x and 0, tries 13 steps around it, each improved by least squares.
pub(super) fn affine(x: &[f32], top: i8) -> (f32, f32) {
    let (low, high) = range(x);
    let low = if low < 0.0 { low } else { 0.0 };
    if high - low < TINY {
        return (0.0, -low);
    }
    let top_f32 = f32::from(top);
    let mut best = (f32::INFINITY, (high - low) / top_f32, -low);
    for step in -6..=6_i8 {
        let inverse = (top_f32 + f32::from(step) * 0.1) / (high - low);
        let (scale, minimum) = line(x, low, inverse, top);
        let inverse = reciprocal(scale);
        let error = x.iter().fold(0.0, |sum: f32, x| {
            let off = scale * f32::from(nearest((x + minimum) * inverse, 0, top)) - minimum - x;
            sum + off * off
        });
        if error < best.0 {
            best = (error, scale, minimum);
        }
    }
    (best.1, best.2)
}

/// The least squares line `s·q - m`, m ≥ 0, through x for the quants `q = (x - low)·inverse`.
fn line(x: &[f32], low: f32, inverse: f32, top: i8) -> (f32, f32) {
    let (mut sx, mut sq, mut sxq, mut sqq) = (0.0, 0.0, 0.0, 0.0);
    for x in x {
        let q = f32::from(nearest((x - low) * inverse, 0, top));
        sx += x;
        sq += q;
        sxq += x * q;
        sqq += q * q;
    }
    let n = x.len() as f32;
    let determinant = n * sqq - sq * sq;
    let (scale, minimum) = if determinant > 0.0 {
        (
            (n * sxq - sx * sq) / determinant,
            (sq * sxq - sqq * sx) / determinant,
        )
    } else {
        (0.0, -low)
    };
    if minimum >= 0.0 {
        (scale, minimum)
    } else {
        (if sqq > 0.0 { sxq / sqq } else { 0.0 }, 0.0)
    }
}

/// A super-block without minimums: `(d·sub[i/16])·q[i]`.
pub(super) struct Symmetric {
    /// d, as the bits of an f16.
    pub(super) d: u16,
    /// Integer scales, in sixteenths.
    pub(super) sub: [i8; 16],
    /// Quants, as `q` gave them.
    pub(super) q: [i8; LEN],
}

/// Fits a super-block without minimums, one integer scale in `low ..= -1-low` for every `SUB` (16 or 32) elements.
pub(super) fn symmetric_super<const SUB: usize>(
    x: &[f32; LEN],
    low: i8,
    peak_quant: f32,
    q: impl Fn(f32) -> i8,
) -> Symmetric {
    let mut scales = [0.0; 16];
    for (scales, x) in scales.chunks_exact_mut(SUB / 16).zip(x.chunks_exact(SUB)) {
        scales.fill(symmetric(x, peak_quant, &q));
    }
    let mut out = Symmetric {
        d: f32_to_f16(peak(&scales) / f32::from(low)),
        sub: [0; 16],
        q: [0; LEN],
    };
    let d = f16_to_f32(out.d);
    for (j, scale) in scales.into_iter().enumerate() {
        out.sub[j] = nearest(scale * reciprocal(d), low, -1 - low);
        let inverse = reciprocal(d * f32::from(out.sub[j]));
        for (to, x) in out.q[16 * j..][..16].iter_mut().zip(&x[16 * j..]) {
            *to = q(x * inverse);
        }
    }
    out
}

/// A super-block with minimums: `(d·sub[i/16])·q[i] - dmin·min[i/16]`.
pub(super) struct Affine {
    /// d, as the bits of an f16.
    pub(super) d: u16,
    /// dmin, as the bits of an f16.
    pub(super) dmin: u16,
    /// Integer scales, in sixteenths.
    pub(super) sub: [u8; 16],
    /// Integer minimums, in sixteenths.
    pub(super) min: [u8; 16],
    /// Quants in `0..=top`.
    pub(super) q: [u8; LEN],
}

/// Fits a super-block with minimums, an integer scale and minimum in `0..=high` for every `SUB` (16 or 32) elements, quants in `0..=top`.
pub(super) fn affine_super<const SUB: usize>(x: &[f32; LEN], high: i8, top: i8) -> Affine {
    let (mut scales, mut minimums) = ([0.0; 16], [0.0; 16]);
    let each = scales
        .chunks_exact_mut(SUB / 16)
        .zip(minimums.chunks_exact_mut(SUB / 16));
    for ((scales, minimums), x) in each.zip(x.chunks_exact(SUB)) {
        let (scale, minimum) = affine(x, top);
        scales.fill(scale);
        minimums.fill(minimum);
    }
    let unit = |values: &[f32]| f32_to_f16(peak(values) / f32::from(high));
    let mut out = Affine {
        d: unit(&scales),
        dmin: unit(&minimums),
        sub: [0; 16],
        min: [0; 16],
        q: [0; LEN],
    };
    let (d, dmin) = (f16_to_f32(out.d), f16_to_f32(out.dmin));
    for j in 0..16 {
        out.sub[j] = nearest(scales[j] * reciprocal(d), 0, high).unsigned_abs();
        out.min[j] = nearest(minimums[j] * reciprocal(dmin), 0, high).unsigned_abs();
        let inverse = reciprocal(d * f32::from(out.sub[j]));
        let minimum = dmin * f32::from(out.min[j]);
        for (to, x) in out.q[16 * j..][..16].iter_mut().zip(&x[16 * j..]) {
            *to = nearest((x + minimum) * inverse, 0, top).unsigned_abs();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_is_to_nearest_with_halves_away_from_zero() {
        let cases = [
            (0.5, 1),
            (-0.5, -1),
            (1.5, 2),
            (2.5, 3),
            (-2.5, -3),
            (0.499_999_97, 0),
            (-0.499_999_97, 0),
            (2.4, 2),
            (-2.6, -3),
        ];
        for (x, want) in cases {
            assert_eq!(round(x), want, "{x}");
        }
        assert_eq!(
            (round(f32::NAN), round(f32::INFINITY), round(-1e30)),
            (0, i32::MAX, i32::MIN)
        );
    }

    #[test]
    fn fits_recover_exact_grids() {
        let x: [f32; 32] = core::array::from_fn(|i| 0.75 * (i as f32 - 16.0));
        assert_eq!(symmetric(&x, -16.0, |x| nearest(x, -16, 15)), 0.75);
        let (scale, minimum) = affine(&x, 31);
        assert!(
            (scale - 0.75).abs() < 1e-6 && (minimum - 12.0).abs() < 1e-4,
            "{scale} {minimum}"
        );
    }
}
