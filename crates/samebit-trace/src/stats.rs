//! How far two lists of numbers are apart, in the measures that a reader of traces asks for. Knows no tensors.

use serde::Serialize;

/// Upper ends of the ulp histogram's classes; the last class has none.
pub const ULP_CLASSES: [u32; 7] = [0, 1, 2, 4, 16, 256, 65536];

/// How far `b` is from `a`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Values that were compared.
    pub count: usize,
    /// ‖b − a‖ / ‖a‖.
    pub relative: f64,
    /// Largest |b − a|.
    pub max_abs: f64,
    /// Cosine of the angle between them.
    pub cosine: f64,
    /// RMS of b over RMS of a.
    pub rms_ratio: f64,
    /// Values per class of distance in units of the last place: 0, 1, 2, up to 4, 16, 256, 65536, and more.
    pub ulps: [usize; 8],
    /// Where the largest difference is, as an index into the lists.
    pub worst: usize,
    /// The first index whose bits differ.
    pub first_different: Option<usize>,
}

/// Compares two lists of the same length. Differences of up to `slack` count as none.
pub fn stats(a: &[f32], b: &[f32], slack: f32) -> Stats {
    let mut out = Stats { count: a.len(), ..Stats::default() };
    let (mut aa, mut bb, mut ab, mut dd) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
    for (index, (&x, &y)) in a.iter().zip(b).enumerate() {
        let difference = (f64::from(y) - f64::from(x)).abs() - f64::from(slack);
        let difference = if difference > 0.0 || difference.is_nan() { difference } else { 0.0 };
        let (x64, y64) = (f64::from(x), f64::from(y));
        aa += x64 * x64;
        bb += y64 * y64;
        ab += x64 * y64;
        dd += difference * difference;
        if difference > out.max_abs || (difference.is_nan() && !out.max_abs.is_nan()) {
            (out.max_abs, out.worst) = (difference, index);
        }
        let apart = if slack > 0.0 && difference == 0.0 { 0 } else { ulps(x, y) };
        out.ulps[ULP_CLASSES.iter().position(|&end| apart <= end).unwrap_or(ULP_CLASSES.len())] += 1;
        if apart != 0 && out.first_different.is_none() {
            out.first_different = Some(index);
        }
    }
    out.relative = ratio(dd.sqrt(), aa.sqrt());
    out.cosine = if aa == 0.0 && bb == 0.0 { 1.0 } else { (ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0) };
    out.rms_ratio = if aa == 0.0 && bb == 0.0 { 1.0 } else { (bb / aa).sqrt() };
    out
}

/// a / b, where nothing over nothing is nothing.
fn ratio(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a / b }
}

/// Floats between two floats, 0 for the same bits; both zeros are one apart.
pub fn ulps(a: f32, b: f32) -> u32 {
    if a.to_bits() == b.to_bits() {
        return 0;
    }
    if a.is_nan() || b.is_nan() {
        return u32::MAX;
    }
    let place = |x: f32| {
        let bits = i64::from(x.to_bits() & 0x7fff_ffff);
        if x.is_sign_negative() { -1 - bits } else { bits }
    };
    u32::try_from((place(a) - place(b)).abs()).unwrap_or(u32::MAX)
}

/// Distance of two lists relative to the length of a third: ‖b − a‖ / ‖of‖.
pub fn distance(a: &[f32], b: &[f32], of: &[f32]) -> f64 {
    let mut sums = (0.0f64, 0.0f64);
    for ((&x, &y), &z) in a.iter().zip(b).zip(of) {
        let difference = f64::from(y) - f64::from(x);
        sums = (sums.0 + difference * difference, sums.1 + f64::from(z) * f64::from(z));
    }
    ratio(sums.0.sqrt(), sums.1.sqrt())
}

/// The binary logarithm, near enough for a picture: exponent plus mantissa. Below 2⁻⁶⁰ it stays.
pub fn rough_log2(x: f64) -> f64 {
    let bits = x.abs().to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as f64 - 1023.0;
    let mantissa = (bits & ((1 << 52) - 1)) as f64 / (1u64 << 52) as f64;
    (exponent + mantissa).max(-60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures() {
        let s = stats(&[3.0, 4.0], &[3.0, 4.5], 0.0);
        assert_eq!((s.relative, s.max_abs, s.worst, s.first_different), (0.1, 0.5, 1, Some(1)));
        assert_eq!(s.ulps[0], 1);
        assert_eq!(stats(&[3.0, 4.0], &[3.0, 4.5], 0.5).relative, 0.0);
        let same = stats(&[0.0, 1.0], &[0.0, 1.0], 0.0);
        assert_eq!((same.relative, same.cosine, same.rms_ratio, same.first_different), (0.0, 1.0, 1.0, None));
        assert!(stats(&[1.0, 2.0], &[1.0, f32::NAN], 0.0).max_abs.is_nan());
        assert!((stats(&[1.0, 2.0], &[2.0, 4.0], 0.0).rms_ratio - 2.0).abs() < 1e-12);
    }

    #[test]
    fn units_of_the_last_place() {
        assert_eq!(ulps(1.0, 1.0f32.next_up()), 1);
        assert_eq!(ulps(0.0, -0.0), 1);
        assert_eq!(ulps(f32::from_bits(1), -f32::from_bits(1)), 3);
        assert_eq!(ulps(1.0, f32::NAN), u32::MAX);
    }

    #[test]
    fn logarithms() {
        assert_eq!((rough_log2(1.0), rough_log2(0.25), rough_log2(0.0)), (0.0, -2.0, -60.0));
    }
}
