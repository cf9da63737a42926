//! The two 16-bit float formats, to and from f32: IEEE 754 binary16 ("f16") and bfloat16 ("bf16").
//!
//! Integer arithmetic only, save one exact subtraction: no result depends on the floating-point
//! environment (rounding mode, flushing of subnormals). Knows nothing of blocks or tensors.
//!
//! NaN is one pattern in each format, whatever the payload and sign that came in:
//! `0x7fc0_0000` in f32, `0x7e00` in f16, `0x7fc0` in bf16.

/// The canonical NaN of f32, as bits.
pub const NAN_F32: u32 = 0x7fc0_0000;
/// The canonical NaN of f16, as bits.
pub const NAN_F16: u16 = 0x7e00;
/// The canonical NaN of bf16, as bits.
pub const NAN_BF16: u16 = 0x7fc0;

/// The value of the f16 with these bits: exact for every finite value (subnormals become normal
/// f32) and infinity; every NaN becomes [`NAN_F32`].
#[inline]
#[must_use]
pub const fn f16_to_f32(half: u16) -> f32 {
    let sign = ((half & 0x8000) as u32) << 16;
    let magnitude = (half & 0x7fff) as u32;
    // Rebias the exponent from 15 to 127.
    let normal = (magnitude << 13) + (112 << 23);
    // A subnormal is m·2⁻²⁴, and 2⁻²⁴ is the last place of 0.5: (0.5 + m·2⁻²⁴) - 0.5 is exact and
    // meets no subnormal f32.
    let subnormal = (f32::from_bits((126 << 23) | magnitude) - 0.5).to_bits();
    let finite = if magnitude < 0x0400 { subnormal } else { normal };
    // The sign is masked off because 0.5 - 0.5 is -0 where rounding is downwards.
    let value = if magnitude == 0x7c00 { 0x7f80_0000 } else { finite & 0x7fff_ffff };
    f32::from_bits(if magnitude > 0x7c00 { NAN_F32 } else { sign | value })
}

/// The f16 nearest to `x`, ties to even, as bits. From 65520 upward the nearest is infinity;
/// magnitudes up to 2⁻²⁵ round to zero and keep their sign; every NaN becomes [`NAN_F16`].
#[inline]
#[must_use]
pub const fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return NAN_F16;
    }
    if magnitude >= 0x4780_0000 {
        // 65536 and more; what lies between 65504 and that carries into infinity below.
        return sign | 0x7c00;
    }
    let half = if magnitude >= 0x3880_0000 {
        // Normal: at least 2⁻¹⁴. A carry out of the mantissa steps the exponent, as it should.
        round_off(magnitude - (112 << 23), 13)
    } else if magnitude >= 0x3300_0000 {
        // Subnormal: at least 2⁻²⁵. The significand, implicit bit included, counts units of
        // 2^(exponent - 150).
        let exponent = magnitude >> 23;
        round_off((magnitude & 0x007f_ffff) | 0x0080_0000, 126 - exponent)
    } else {
        0
    };
    sign | half as u16
}

/// The value of the bf16 with these bits: exact; every NaN becomes [`NAN_F32`].
#[inline]
#[must_use]
pub const fn bf16_to_f32(brain: u16) -> f32 {
    canonical_nan(f32::from_bits((brain as u32) << 16))
}

/// The bf16 nearest to `x`, ties to even, as bits. Values beyond the largest finite bf16 by half a
/// unit or more become infinity; every NaN becomes [`NAN_BF16`].
#[inline]
#[must_use]
pub const fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if bits & 0x7fff_ffff > 0x7f80_0000 {
        return NAN_BF16;
    }
    round_off(bits, 16) as u16
}

/// `x`, or the canonical NaN [`NAN_F32`] if `x` is any NaN.
#[inline]
#[must_use]
pub const fn canonical_nan(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { NAN_F32 } else { bits })
}

/// `bits / 2^shift` to the nearest integer, ties to even; 0 < shift < 32, and
/// `bits + 2^(shift-1)` does not overflow.
const fn round_off(bits: u32, shift: u32) -> u32 {
    let odd = (bits >> shift) & 1;
    // Half a unit less one, plus one if the quotient is odd: carries exactly when it should.
    (bits + ((1 << (shift - 1)) - 1) + odd) >> shift
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of an f16 by its definition, in f64 (every f16 is exact there).
    fn f16_oracle(half: u16) -> f64 {
        let sign = if half & 0x8000 != 0 { -1.0 } else { 1.0 };
        let exponent = i32::from((half >> 10) & 31);
        let mantissa = f64::from(half & 0x3ff);
        let power = |e: i32| f64::from_bits(((1023 + e) as u64) << 52);
        match exponent {
            0 => sign * mantissa * power(-24),
            31 if mantissa == 0.0 => sign * f64::INFINITY,
            31 => f64::NAN,
            e => sign * (1024.0 + mantissa) * power(e - 25),
        }
    }

    /// Nearest f16 by search among all neighbours: independent of any bit trick. `x` is not NaN.
    fn nearest_f16(x: f32) -> u16 {
        let sign = if x.is_sign_negative() { 0x8000 } else { 0 };
        let target = f64::from(x.abs());
        // The values above the largest finite one round as if 65536 were next.
        let value = |h: u16| if h == 0x7c00 { 65536.0 } else { f16_oracle(h) };
        let (mut low, mut high) = (0u16, 0x7c00u16);
        if target >= 65536.0 {
            return sign | 0x7c00;
        }
        while high - low > 1 {
            let middle = u16::midpoint(low, high);
            if value(middle) <= target { low = middle } else { high = middle }
        }
        let (below, above) = (target - value(low), value(high) - target);
        let up = above < below || (above == below && high % 2 == 0);
        sign | if up { high } else { low }
    }

    #[test]
    fn every_f16_has_its_value() {
        for half in 0..=u16::MAX {
            let (got, want) = (f16_to_f32(half), f16_oracle(half));
            if want.is_nan() {
                assert_eq!(got.to_bits(), NAN_F32, "{half:#06x}");
            } else {
                assert_eq!(f64::from(got).to_bits(), want.to_bits(), "{half:#06x}");
                assert_eq!(f32_to_f16(got), half, "{half:#06x} back");
            }
        }
    }

    #[test]
    fn f32_to_f16_is_nearest_even_around_every_f16_and_midpoint() {
        for half in 0..=0x7c00u16 {
            let value = if half == 0x7c00 { 65536.0 } else { f16_oracle(half) };
            let next = if half >= 0x7bff { 65536.0 } else { f16_oracle(half + 1) };
            for centre in [value as f32, ((value + next) / 2.0) as f32] {
                let bits = centre.to_bits();
                for near in [bits.saturating_sub(1), bits, bits + 1] {
                    for x in [f32::from_bits(near), -f32::from_bits(near)] {
                        assert_eq!(f32_to_f16(x), nearest_f16(x), "{x:e} {:#x}", x.to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn f32_to_f16_at_the_edges() {
        let below = |x: f32| f32::from_bits(x.to_bits() - 1);
        let above = |x: f32| f32::from_bits(x.to_bits() + 1);
        assert_eq!(f32_to_f16(below(65520.0)), 0x7bff);
        assert_eq!(f32_to_f16(65520.0), 0x7c00);
        assert_eq!(f32_to_f16(f32::MAX), 0x7c00);
        assert_eq!(f32_to_f16(f32::NEG_INFINITY), 0xfc00);
        let tie = f32::from_bits((127 - 25) << 23); // 2⁻²⁵, halfway between 0 and the smallest f16
        assert_eq!((f32_to_f16(tie), f32_to_f16(above(tie))), (0, 1));
        assert_eq!((f32_to_f16(-tie), f32_to_f16(-0.0)), (0x8000, 0x8000));
        assert_eq!(f32_to_f16(f32::from_bits(1)), 0);
        for nan in [0x7f80_0001, 0xff80_0001, 0x7fff_ffff, 0xffff_ffff] {
            assert_eq!(f32_to_f16(f32::from_bits(nan)), NAN_F16);
        }
    }

    #[test]
    fn f32_to_f16_agrees_with_the_search_on_a_sweep_of_all_exponents() {
        // A stride coprime to 2³² visits every exponent and a spread of mantissas.
        let mut bits = 0u32;
        for _ in 0..500_000 {
            bits = bits.wrapping_add(0x9e37_79b1);
            let x = f32::from_bits(bits);
            if !x.is_nan() {
                assert_eq!(f32_to_f16(x), nearest_f16(x), "{bits:#x}");
            }
        }
    }

    #[test]
    fn every_bf16_has_its_value_and_comes_back() {
        for brain in 0..=u16::MAX {
            let got = bf16_to_f32(brain);
            if brain & 0x7fff > 0x7f80 {
                assert_eq!((got.to_bits(), f32_to_bf16(got)), (NAN_F32, NAN_BF16));
            } else {
                assert_eq!(got.to_bits(), u32::from(brain) << 16);
                assert_eq!(f32_to_bf16(got), brain);
            }
        }
    }

    #[test]
    fn f32_to_bf16_is_nearest_even() {
        for brain in 0..0x7f80u16 {
            let low = u32::from(brain) << 16;
            let up_if_odd = brain + (brain & 1);
            for (offset, want) in
                [(1, brain), (0x7fff, brain), (0x8000, up_if_odd), (0x8001, brain + 1), (0xffff, brain + 1)]
            {
                assert_eq!(f32_to_bf16(f32::from_bits(low + offset)), want);
                assert_eq!(f32_to_bf16(-f32::from_bits(low + offset)), want | 0x8000);
            }
        }
        assert_eq!(f32_to_bf16(f32::from_bits(0xff80_0001)), NAN_BF16);
    }
}
