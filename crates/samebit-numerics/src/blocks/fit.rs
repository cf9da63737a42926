//! Scale searches for the quantisers: least squares over a short, fixed list of candidates, in f32,
//! operation by operation. Decides numbers only; knows no format's bytes.

use super::block256::LEN;
use crate::half::{f16_to_f32, f32_to_f16};

/// Below this magnitude a block counts as zero: f16 scales cannot reach it, and reciprocals would
/// overflow.
const TINY: f32 = 1e-30;

/// `x` to the nearest integer of `low ..= high`, ties to even; NaN gives `low`. The bounds are
/// integers below 2²².
#[inline(always)]
pub(super) fn nearest(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > low { x } else { low };
    let x = if x < high { x } else { high };
    // From 2²³ upward the last place of an f32 is one, so the addition rounds.
    const SHIFT: f32 = 1.5 * (1 << 23) as f32;
    (x + SHIFT) - SHIFT
}

/// `1/x`, or 0 where `x` is 0.
#[inline]
pub(super) fn reciprocal(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

/// The element of largest magnitude, with its sign; the first of equals; 0 if there is none but
/// NaN.
pub(super) fn peak(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |best: f32, x| if x.abs() > best.abs() { *x } else { best })
}

/// The smallest and the largest element. The slice is not empty.
pub(super) fn range(x: &[f32]) -> (f32, f32) {
    x.iter().fold((x[0], x[0]), |(low, high), &x| (if x < low { x } else { low }, if x > high { x } else { high }))
}

/// The sum of N (a power of two) numbers: upper half onto lower half until one is left.
#[inline(always)]
fn sum<const N: usize>(mut x: [f32; N]) -> f32 {
    let mut n = N / 2;
    while n > 0 {
        let (low, high) = x.split_at_mut(n);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        n /= 2;
    }
    x[0]
}

/// The sum of the products of N (a power of two) pairs.
#[inline(always)]
fn dot<const N: usize>(mut x: [f32; N], y: &[f32; N]) -> f32 {
    x.iter_mut().zip(y).for_each(|(x, y)| *x *= y);
    sum(x)
}

/// A scale s for which `s·q(x/s)` lies near x. `q` gives the nearest quant; `peak_quant` is the
/// quant that the peak gets in the plain choice `s = peak/peak_quant`. 17 scales around that one
/// are tried, each improved by least squares.
pub(super) fn symmetric<const N: usize>(x: &[f32; N], peak_quant: f32, q: impl Fn(f32) -> f32) -> f32 {
    let peak = peak(x);
    if peak.abs() < TINY {
        return 0.0;
    }
    let mut best = (0.0, peak / peak_quant);
    for step in -8..=8_i8 {
        let inverse = peak_quant * (1.0 + f32::from(step) / 40.0) / peak;
        let q = x.map(|x| q(x * inverse));
        let (xq, qq) = (dot(q, x), dot(q, &q));
        // With s = xq/qq the squared error is Σx² - xq²/qq.
        let gain = if qq > 0.0 { xq * xq / qq } else { 0.0 };
        if gain > best.0 {
            best = (gain, xq / qq);
        }
    }
    best.1
}

/// A scale s and a minimum m ≥ 0 for which `s·q - m` with q in `0..=top` lies near x. Begins with
/// the range of x and 0, tries 13 steps around it, each improved by least squares.
pub(super) fn affine<const N: usize>(x: &[f32; N], top: f32) -> (f32, f32) {
    let (low, high) = range(x);
    let low = if low < 0.0 { low } else { 0.0 };
    if high - low < TINY {
        return (0.0, -low);
    }
    let mut best = (f32::INFINITY, (high - low) / top, -low);
    for step in -6..=6_i8 {
        let inverse = (top + f32::from(step) * 0.1) / (high - low);
        let (scale, minimum) = line(x, &x.map(|x| nearest((x - low) * inverse, 0.0, top)));
        let inverse = reciprocal(scale);
        let off = x.map(|x| scale * nearest((x + minimum) * inverse, 0.0, top) - minimum - x);
        let error = dot(off, &off);
        if error < best.0 {
            best = (error, scale, minimum);
        }
    }
    (best.1, best.2)
}

/// The least squares line `s·q - m` with m ≥ 0 through the points (q, x).
#[inline(always)]
fn line<const N: usize>(x: &[f32; N], q: &[f32; N]) -> (f32, f32) {
    let (sx, sq, sxq, sqq) = (sum(*x), sum(*q), dot(*x, q), dot(*q, q));
    let n = N as f32;
    let determinant = n * sqq - sq * sq;
    let minimum = (sq * sxq - sqq * sx) / determinant;
    if determinant > 0.0 && minimum >= 0.0 {
        ((n * sxq - sx * sq) / determinant, minimum)
    } else {
        // The line through the origin. All quants are 0 only if all x are: not here.
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

/// Fits a super-block without minimums, one integer scale in `low ..= -1-low` for every `SUB` (16
/// or 32) elements. `q` and `peak_quant` are those of [`symmetric`].
pub(super) fn symmetric_super<const SUB: usize>(
    x: &[f32; LEN],
    low: f32,
    peak_quant: f32,
    q: impl Fn(f32) -> f32,
) -> Symmetric {
    let mut scales = [0.0; 16];
    for (scales, x) in scales.chunks_exact_mut(SUB / 16).zip(x.as_chunks::<SUB>().0) {
        scales.fill(symmetric(x, peak_quant, &q));
    }
    let mut out = Symmetric { d: f32_to_f16(peak(&scales) / low), sub: [0; 16], q: [0; LEN] };
    let d = f16_to_f32(out.d);
    let sixteenths = out.q.as_chunks_mut::<16>().0.iter_mut().zip(x.as_chunks::<16>().0);
    for ((scale, sub), (quants, x)) in scales.into_iter().zip(&mut out.sub).zip(sixteenths) {
        *sub = nearest(scale * reciprocal(d), low, -1.0 - low) as i8;
        let inverse = reciprocal(d * f32::from(*sub));
        *quants = x.map(|x| q(x * inverse) as i8);
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

/// Fits a super-block with minimums, an integer scale and minimum in `0..=high` for every `SUB` (16
/// or 32) elements, quants in `0..=top`.
pub(super) fn affine_super<const SUB: usize>(x: &[f32; LEN], high: f32, top: f32) -> Affine {
    let (mut scales, mut minimums) = ([0.0; 16], [0.0; 16]);
    let each = scales.chunks_exact_mut(SUB / 16).zip(minimums.chunks_exact_mut(SUB / 16));
    for ((scales, minimums), x) in each.zip(x.as_chunks::<SUB>().0) {
        let (scale, minimum) = affine(x, top);
        scales.fill(scale);
        minimums.fill(minimum);
    }
    let unit = |values: &[f32]| f32_to_f16(peak(values) / high);
    let (d, dmin) = (unit(&scales), unit(&minimums));
    let mut out = Affine { d, dmin, sub: [0; 16], min: [0; 16], q: [0; LEN] };
    let (d, dmin) = (f16_to_f32(d), f16_to_f32(dmin));
    let sixteenths = out.q.as_chunks_mut::<16>().0.iter_mut().zip(x.as_chunks::<16>().0);
    for (j, (quants, x)) in sixteenths.enumerate() {
        let sub = nearest(scales[j] * reciprocal(d), 0.0, high);
        let min = nearest(minimums[j] * reciprocal(dmin), 0.0, high);
        (out.sub[j], out.min[j]) = (sub as u8, min as u8);
        let (inverse, minimum) = (reciprocal(d * sub), dmin * min);
        *quants = x.map(|x| nearest((x + minimum) * inverse, 0.0, top) as u8);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_to_even_within_its_bounds() {
        let cases = [(0.5, 0.0), (1.5, 2.0), (2.5, 2.0), (-0.5, 0.0), (-2.5, -2.0), (2.6, 3.0)];
        for (x, want) in cases {
            assert_eq!(nearest(x, -8.0, 7.0), want, "{x}");
        }
        assert_eq!((nearest(1e30, -8.0, 7.0), nearest(f32::NEG_INFINITY, -8.0, 7.0)), (7.0, -8.0));
        assert_eq!(nearest(f32::NAN, -8.0, 7.0), -8.0);
    }

    #[test]
    fn sums_take_every_element_once() {
        assert_eq!(sum(core::array::from_fn::<f32, 32, _>(|i| (i * i) as f32)), 10416.0);
        assert_eq!(dot([1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]), 70.0);
    }

    #[test]
    fn fits_recover_exact_grids() {
        let x: [f32; 32] = core::array::from_fn(|i| 0.75 * (i as f32 - 16.0));
        assert_eq!(symmetric(&x, -16.0, |x| nearest(x, -16.0, 15.0)), 0.75);
        let (scale, minimum) = affine(&x, 31.0);
        assert!((scale - 0.75).abs() < 1e-6 && (minimum - 12.0).abs() < 1e-4, "{scale} {minimum}");
        let (scale, minimum) = affine(&[3.0; 16], 3.0);
        assert_eq!((3.0 / scale % 1.0, minimum), (0.0, 0.0), "any whole multiple will do: {scale}");
    }
}
