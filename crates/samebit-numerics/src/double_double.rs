//! Numbers of twice binary64's precision, as unevaluated sums of two, in plain binary64 operations.
//!
//! Knows nothing but `+ - * /`. Dekker, "A floating-point technique for extending the available precision" (1971);
//! Knuth's TwoSum. Valid where nothing overflows or comes near the subnormals: the callers see to that.

use crate::math::double;

/// `1/n!` from 2! to 28!.
#[rustfmt::skip]
pub(crate) const INVERSE_FACTORIALS: [Pair; 27] = [
    Pair::from_bits(0x3fe0_0000_0000_0000, 0x0000_0000_0000_0000),
    Pair::from_bits(0x3fc5_5555_5555_5555, 0x3c65_5555_5555_5555),
    Pair::from_bits(0x3fa5_5555_5555_5555, 0x3c45_5555_5555_5555),
    Pair::from_bits(0x3f81_1111_1111_1111, 0x3c01_1111_1111_1111),
    Pair::from_bits(0x3f56_c16c_16c1_6c17, 0xbbef_49f4_9f49_f49f),
    Pair::from_bits(0x3f2a_01a0_1a01_a01a, 0x3b6a_01a0_1a01_a01a),
    Pair::from_bits(0x3efa_01a0_1a01_a01a, 0x3b3a_01a0_1a01_a01a),
    Pair::from_bits(0x3ec7_1de3_a556_c734, 0xbb6c_154f_8ddc_6c00),
    Pair::from_bits(0x3e92_7e4f_b778_9f5c, 0x3b3c_bbc0_5b4f_a99a),
    Pair::from_bits(0x3e5a_e645_67f5_44e4, 0xbafc_062e_06d1_f209),
    Pair::from_bits(0x3e21_eed8_eff8_d898, 0xbac2_aec9_59e1_4c06),
    Pair::from_bits(0x3de6_1246_13a8_6d09, 0x3a8f_28e0_cc74_8ebe),
    Pair::from_bits(0x3da9_3974_a8c0_7c9d, 0x3a30_5d6f_8a2e_fd1f),
    Pair::from_bits(0x3d6a_e7f3_e733_b81f, 0x39e1_d865_6b0e_e8cb),
    Pair::from_bits(0x3d2a_e7f3_e733_b81f, 0x39a1_d865_6b0e_e8cb),
    Pair::from_bits(0x3ce9_52c7_7030_ad4a, 0x398a_c981_465d_dc6c),
    Pair::from_bits(0x3ca6_8278_63b9_7d97, 0x394e_ec01_221a_8b0b),
    Pair::from_bits(0x3c62_f49b_4681_4157, 0x38f2_650f_61db_dcb4),
    Pair::from_bits(0x3c1e_542b_a402_0225, 0x387e_a72b_4afe_3c2f),
    Pair::from_bits(0x3bd7_1b8e_f6dc_f572, 0xb87d_043a_e40c_4647),
    Pair::from_bits(0x3b90_ce39_6db7_f853, 0xb83a_ebcd_bd20_331c),
    Pair::from_bits(0x3b47_61b4_1316_381a, 0xb7d3_423c_7d91_404f),
    Pair::from_bits(0x3aff_2cf0_1972_f578, 0xb789_ada5_fcc1_ab14),
    Pair::from_bits(0x3ab3_f3cc_dd16_5fa9, 0xb745_8dda_df34_4487),
    Pair::from_bits(0x3a68_8e85_fc6a_4e5a, 0xb707_1c37_ebd1_6540),
    Pair::from_bits(0x3a1d_1ab1_c2dc_cea3, 0x36a0_54d0_c78a_ea14),
    Pair::from_bits(0x39d0_a18a_2635_085d, 0x366b_9e2e_28e1_aa54),
];
const LOG2_E: f64 = f64::from_bits(0x3ff7_1547_652b_82fe);
const LN2: Pair = Pair::from_bits(0x3fe6_2e42_fefa_39ef, 0x3c7a_bc9e_3b39_803f);
/// 1.5 * 2^52: adding and subtracting it rounds to an integer.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// `high + low`, with `high` the binary64 nearest to the sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl Pair {
    /// A constant from the bits of its parts.
    pub(crate) const fn from_bits(high: u64, low: u64) -> Self {
        Self { high: f64::from_bits(high), low: f64::from_bits(low) }
    }

    /// Relative error below 2^-103.
    pub(crate) fn add(self, other: Self) -> Self {
        let sum = two_sum(self.high, other.high);
        let rest = two_sum(self.low, other.low);
        let first = fast_two_sum(sum.high, sum.low + rest.high);
        fast_two_sum(first.high, first.low + rest.low)
    }

    /// Relative error below 2^-101.
    pub(crate) fn mul(self, other: Self) -> Self {
        let product = two_prod(self.high, other.high);
        fast_two_sum(product.high, product.low + (self.high * other.low + self.low * other.high))
    }

    pub(crate) fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }

    /// `e^self`, relative error below 2^-95; for results that are normal and finite.
    pub(crate) fn exp(self) -> Self {
        let n = (self.high * LOG2_E + ROUNDER) - ROUNDER;
        let r = self.add(LN2.mul(Self::from(-n)));
        let mut q = INVERSE_FACTORIALS[22];
        for factor in INVERSE_FACTORIALS[..22].iter().rev() {
            q = q.mul(r).add(*factor);
        }
        let p = Self::from(1.0).add(r.add(r.mul(r).mul(q)));
        let scale = f64::from_bits(((n as i64 + 1023) as u64) << 52);
        Self { high: p.high * scale, low: p.low * scale }
    }

    /// The natural logarithm of a positive binary64, error below 2^-95 of the larger of 1 and the result; `e^-ln(x)` must be normal.
    pub(crate) fn ln(x: f64) -> Self {
        // One step from the binary64 start: with d = x e^-y - 1, ln(x) = y + d - d^2/2 + ….
        let y = Self::from(double::ln(x));
        let residue = y.neg().exp().mul(Self::from(x)).add(Self::from(-1.0));
        y.add(residue).add(Self::from(-0.5 * residue.high * residue.high))
    }

    /// Rounded to binary32 once, unless the number lies within the pair's own error of the middle of two neighbours.
    pub(crate) fn to_f32(self) -> f32 {
        // Round to odd, as in the fused multiply-add: binary64 keeps 29 bits more than binary32 needs.
        let bits = self.high.to_bits();
        let step = u64::from(self.low != 0.0) & !bits & 1;
        let shrink = step & ((bits ^ self.low.to_bits()) >> 63);
        f64::from_bits(bits.wrapping_add(step).wrapping_sub(shrink << 1)) as f32
    }
}

impl From<f64> for Pair {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

/// `a + b`, exactly.
pub(crate) fn two_sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    let back = high - a;
    Pair { high, low: (a - (high - back)) + (b - back) }
}

/// `a + b`, exactly, if `|a| >= |b|`.
pub(crate) fn fast_two_sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    Pair { high, low: b - (high - a) }
}

/// `a * b`, exactly.
pub(crate) fn two_prod(a: f64, b: f64) -> Pair {
    let high = a * b;
    let ((a1, a0), (b1, b0)) = (split(a), split(b));
    Pair { high, low: ((a1 * b1 - high) + a1 * b0 + a0 * b1) + a0 * b0 }
}

/// Two halves of 26 bits, whose products are exact (Veltkamp).
fn split(a: f64) -> (f64, f64) {
    let c = 134_217_729.0 * a;
    let high = c - (c - a);
    (high, a - high)
}
