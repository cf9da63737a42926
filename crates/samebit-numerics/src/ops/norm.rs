//! RMSNorm and LayerNorm of one row. NUMERICS.md, "Norms".

use crate::arith::Arith;
use crate::reduce::{row_sum, row_sum_of_deviations, row_sum_of_squares};

/// Root mean square norm: `out[i] = (x[i] · r) · w[i]`, r = 1 / √(Σx²/n + ε). Zhang and Sennrich 2019.
///
/// A sum that is not finite gives NaN throughout, which the caller reports.
#[inline(always)]
pub fn rms_norm<A: Arith>(x: &[A::R], weight: &[f32], epsilon: f32, out: &mut [A::R]) {
    let scale = inverse_root::<A>(row_sum_of_squares::<A>(x), x.len(), epsilon);
    for ((o, &value), &w) in out.iter_mut().zip(x).zip(weight) {
        *o = A::mul(A::mul(value, scale), A::from_f32(w));
    }
}

/// Layer norm: `out[i] = fma((x[i] − mean) · r, w[i], b[i])`, r from the deviations' squares. Ba, Kiros, Hinton 2016.
#[inline(always)]
pub fn layer_norm<A: Arith>(x: &[A::R], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [A::R]) {
    let mean = A::div(row_sum::<A>(x), count::<A>(x.len()));
    let scale = inverse_root::<A>(row_sum_of_deviations::<A>(x, mean), x.len(), epsilon);
    for (((o, &value), &w), &b) in out.iter_mut().zip(x).zip(weight).zip(bias) {
        *o = A::fma(A::mul(A::sub(value, mean), scale), A::from_f32(w), A::from_f32(b));
    }
}

#[inline(always)]
fn inverse_root<A: Arith>(sum: A::R, len: usize, epsilon: f32) -> A::R {
    // An overflow would otherwise give a row of zeros, which nobody would notice.
    if !A::is_finite(sum) {
        return A::from_f32(f32::NAN);
    }
    let mean = A::div(sum, count::<A>(len));
    A::div(A::ONE, A::sqrt(A::add(mean, A::from_f32(epsilon))))
}

/// A row length as a number; exact below 2²⁴, which bounds every row.
#[inline(always)]
fn count<A: Arith>(len: usize) -> A::R {
    A::from_f64(len as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::{Double, Single, Soft};

    #[test]
    fn norms_agree_with_double_precision() {
        let x: [f32; 300] = core::array::from_fn(|i| (i as f32 * 0.37 - 40.0) * if i % 3 == 0 { -1.0 } else { 0.5 });
        let wide = x.map(f64::from);
        let weight: [f32; 300] = core::array::from_fn(|i| 0.5 + i as f32 / 300.0);
        let bias = [0.25f32; 300];
        let (mut single, mut double) = ([0.0f32; 300], [0.0f64; 300]);
        rms_norm::<Single<Soft>>(&x, &weight, 1e-5, &mut single);
        rms_norm::<Double>(&wide, &weight, 1e-5, &mut double);
        assert!(single.iter().zip(double).all(|(&s, d)| (f64::from(s) - d).abs() < 1e-6));
        layer_norm::<Single<Soft>>(&x, &weight, &bias, 1e-5, &mut single);
        layer_norm::<Double>(&wide, &weight, &bias, 1e-5, &mut double);
        assert!(single.iter().zip(double).all(|(&s, d)| (f64::from(s) - d).abs() < 2e-6));
        let mean: f64 = double.iter().zip(weight).map(|(d, w)| (d - 0.25) / f64::from(w)).sum();
        assert!(mean.abs() < 1e-9, "a layer norm has mean zero before its weight");
    }
}
