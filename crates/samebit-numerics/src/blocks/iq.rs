//! IQ4_NL and IQ4_XS: four-bit indices into one table of sixteen unevenly spaced integers, denser
//! near zero.

use super::bits::{pack, unpack};
use super::block32::{self, Block32};
use super::block256::{self, Block256, Scales};
use super::fit::{reciprocal, symmetric, symmetric_super};
use super::{field, field_mut, half_at};
use crate::half::{f16_to_f32, f32_to_f16};

/// The values that the four bits stand for, ascending.
const VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// **IQ4_NL**, 18 bytes.
///
/// | bytes | |
/// |---|---|
/// | 0..2 | d, f16 |
/// | 2..18 | byte 2+i: low nibble element i, high nibble element i+16 |
///
/// Element = `d·VALUES[nibble]`.
pub(super) struct Iq4Nl;

impl Block32<18> for Iq4Nl {
    const HAS_OFFSET: bool = false;

    #[inline(always)]
    fn scales(block: &[u8; 18]) -> (f32, f32) {
        (half_at(block, 0), 0.0)
    }

    #[inline(always)]
    fn quants(block: &[u8; 18], q: &mut [i8; block32::LEN]) {
        unpack::<4, 16>(field::<16>(block, 2), q);
        q.iter_mut().for_each(look_up);
    }

    fn quantize(x: &[f32; block32::LEN], block: &mut [u8; 18]) {
        let d = f32_to_f16(symmetric(x, -127.0, nearest_value));
        let inverse = reciprocal(f16_to_f32(d));
        *field_mut(block, 0) = d.to_le_bytes();
        pack::<4, 16>(&x.map(|x| index(x * inverse)), 0, field_mut::<16>(block, 2));
    }
}

/// **IQ4_XS**, 136 bytes.
///
/// | bytes | |
/// |---|---|
/// | 0..2 | d, f16 |
/// | 2..4 | u16, bits 2j..2j+2: bits 4..6 of scale j |
/// | 4..8 | byte 4+k: low nibble bits 0..4 of scale 2k, high nibble of scale 2k+1 |
/// | 8..136 | byte 8+16j+l: low nibble element 32j+l, high nibble element 32j+16+l |
///
/// Element i = `(d·(scale[i/32] - 32))·VALUES[nibble]`, the scales six bits each.
pub(super) struct Iq4Xs;

impl Block256<136> for Iq4Xs {
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn scales(block: &[u8; 136]) -> Scales {
        let high = u16::from_le_bytes(*field(block, 2));
        let low = u32::from_le_bytes(*field(block, 4));
        let sub = core::array::from_fn(|half| {
            let j = half / 2;
            let scale = ((low >> (4 * j)) & 15) as i8 | (((high >> (2 * j)) & 3) << 4) as i8;
            scale - 32
        });
        Scales { d: half_at(block, 0), dmin: 0.0, sub, min: [0; 16] }
    }

    #[inline(always)]
    fn quants(block: &[u8; 136], q: &mut [i8; block256::LEN]) {
        unpack::<4, 16>(field::<128>(block, 8), q);
        q.iter_mut().for_each(look_up);
    }

    fn quantize(x: &[f32; block256::LEN], block: &mut [u8; 136]) {
        let fit = symmetric_super::<32>(x, -32.0, -127.0, nearest_value);
        let (mut high, mut low) = (0u16, 0u32);
        for j in 0..8 {
            let scale = (fit.sub[2 * j] + 32).cast_unsigned();
            low |= u32::from(scale & 15) << (4 * j);
            high |= u16::from(scale >> 4) << (2 * j);
        }
        *field_mut(block, 0) = fit.d.to_le_bytes();
        *field_mut(block, 2) = high.to_le_bytes();
        *field_mut(block, 4) = low.to_le_bytes();
        // A table value finds its own index.
        pack::<4, 16>(&fit.q.map(|q| index(f32::from(q))), 0, field_mut::<128>(block, 8));
    }
}

#[inline(always)]
fn look_up(q: &mut i8) {
    *q = VALUES[usize::from(q.cast_unsigned() & 15)];
}

/// The index of the table value nearest to `x`; the lower of two equally near; 0 for NaN.
fn index(x: f32) -> u8 {
    steps().filter(|(middle, _)| x > *middle).count() as u8
}

/// The table value nearest to `x`: `VALUES[index(x)]`, as a sum of the steps passed, for this one
/// is in the quantiser's inner loop.
#[inline(always)]
fn nearest_value(x: f32) -> f32 {
    steps().fold(f32::from(VALUES[0]), |value, (middle, step)| value + if x > middle { step } else { 0.0 })
}

/// From each table value to the next: the middle between them and the difference.
#[inline(always)]
fn steps() -> impl Iterator<Item = (f32, f32)> {
    VALUES.windows(2).map(|pair| {
        let (low, high) = (f32::from(pair[0]), f32::from(pair[1]));
        ((low + high) * 0.5, high - low)
    })
}
