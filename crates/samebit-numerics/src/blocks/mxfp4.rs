//! MXFP4: the OCP microscaling format (specification v1.0), a shared power of two and 32 floats of
//! four bits.

use super::bits::{pack, unpack};
use super::block32::{Block32, LEN};
use super::fit::peak;
use super::{field, field_mut};

/// **MXFP4**, 17 bytes.
///
/// | bytes | |
/// |---|---|
/// | 0 | e, E8M0: the shared scale is 2^(e-127) |
/// | 1..17 | byte 1+i: low nibble element i, high nibble element i+16 |
///
/// A nibble is an E2M1 float: sign in bit 3, magnitudes 0, ½, 1, 1½, 2, 3, 4, 6. The integers here
/// are twice that ([`DOUBLED`]) and the scale is half, `d = 2^(e-128)`; element =
/// `d·DOUBLED[nibble]`.
///
/// The doubled minus zero is the integer 0, so an element is never -0. d is a subnormal f32 for e =
/// 0 and 1 and exact for every e. The specification calls e = 255 NaN; here, as wherever GGUF is
/// read, it is 2¹²⁷ like any other. With e ≥ 253 the largest magnitudes overflow to infinity.
pub(super) struct Mxfp4;

/// Twice the values of E2M1.
const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

impl Block32<17> for Mxfp4 {
    const HAS_OFFSET: bool = false;

    #[inline(always)]
    fn scales(block: &[u8; 17]) -> (f32, f32) {
        (half_scale(block[0]), 0.0)
    }

    #[inline(always)]
    fn quants(block: &[u8; 17], q: &mut [i8; LEN]) {
        unpack::<4, 16>(field::<16>(block, 1), q);
        q.iter_mut().for_each(|q| *q = DOUBLED[usize::from(q.cast_unsigned() & 15)]);
    }

    /// The specification's conversion: the scale takes the largest element's exponent to that of 4,
    /// the largest power of two in E2M1; elements go to the nearest value, ties to the smaller
    /// magnitude, and beyond 6 to 6.
    fn quantize(x: &[f32; LEN], block: &mut [u8; 17]) {
        let exponent = (peak(x).abs().to_bits() >> 23) as u8;
        block[0] = exponent.saturating_sub(2);
        let d = half_scale(block[0]);
        let q = x.map(|x| {
            let magnitude = x.abs();
            let steps = DOUBLED[..8].windows(2).filter(|pair| {
                // d times 1.5 and the like is exact, save where it overflows: there no finite
                // magnitude exceeds it.
                magnitude > d * (f32::from(pair[0] + pair[1]) * 0.5)
            });
            let code = steps.count() as u8;
            if x < 0.0 && code > 0 { code | 8 } else { code }
        });
        pack::<4, 16>(&q, 0, field_mut::<16>(block, 1));
    }
}

/// Half the shared scale: 2^(e-128).
#[inline(always)]
fn half_scale(e: u8) -> f32 {
    f32::from_bits(match e {
        0 => 0x0020_0000,
        1 => 0x0040_0000,
        e => (u32::from(e) - 1) << 23,
    })
}
