//! Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: 32 elements, one f16 scale, perhaps one f16 offset.
//!
//! Elements 0..16 lie in the low nibbles of 16 bytes, elements 16..32 in the high ones. The
//! quantisers are the plain ones: Q4_0 and Q5_0 give the element of largest magnitude the most
//! negative quant, Q4_1 and Q5_1 span smallest to largest, Q8_0 gives ±127 to the largest
//! magnitude. All arithmetic is f32, and the scale by which elements are divided is the one before
//! it is rounded to f16.

use super::bits::{pack, unpack};
use super::block32::{Block32, LEN};
use super::fit::{peak, range, reciprocal};
use super::{field, field_mut, half_at};
use crate::half::f32_to_f16;

/// **Q4_0**, 18 bytes.
///
/// | bytes | |
/// |---|---|
/// | 0..2 | d, f16 |
/// | 2..18 | byte 2+i: low nibble element i, high nibble element i+16 |
///
/// Element = `d·(nibble - 8)`.
pub(super) struct Q4_0;

impl Block32<18> for Q4_0 {
    const HAS_OFFSET: bool = false;

    #[inline(always)]
    fn scales(block: &[u8; 18]) -> (f32, f32) {
        (half_at(block, 0), 0.0)
    }

    #[inline(always)]
    fn quants(block: &[u8; 18], q: &mut [i8; LEN]) {
        unpack::<4, 16>(field::<16>(block, 2), q);
        q.iter_mut().for_each(|q| *q -= 8);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 18]) {
        let d = peak(x) / -8.0;
        let inverse = reciprocal(d);
        let q = x.map(|x| up_to(x * inverse + 8.5, 15));
        *field_mut(block, 0) = f32_to_f16(d).to_le_bytes();
        pack::<4, 16>(&q, 0, field_mut::<16>(block, 2));
    }
}

/// **Q4_1**, 20 bytes.
///
/// | bytes | |
/// |---|---|
/// | 0..2 | d, f16 |
/// | 2..4 | m, f16 |
/// | 4..20 | byte 4+i: low nibble element i, high nibble element i+16 |
///
/// Element = `d·nibble + m`.
pub(super) struct Q4_1;

impl Block32<20> for Q4_1 {
    const HAS_OFFSET: bool = true;

    #[inline(always)]
    fn scales(block: &[u8; 20]) -> (f32, f32) {
        (half_at(block, 0), half_at(block, 2))
    }

    #[inline(always)]
    fn quants(block: &[u8; 20], q: &mut [i8; LEN]) {
        unpack::<4, 16>(field::<16>(block, 4), q);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 20]) {
        let (d, m, q) = span(x, 15);
        *field_mut(block, 0) = d.to_le_bytes();
        *field_mut(block, 2) = m.to_le_bytes();
        pack::<4, 16>(&q, 0, field_mut::<16>(block, 4));
    }
}

/// **Q5_0**, 22 bytes.
///
/// | bytes | |
/// |---|---|
/// | 0..2 | d, f16 |
/// | 2..6 | bit b of byte 2+k: bit 4 of element 8k+b |
/// | 6..22 | byte 6+i: low nibble bits 0..4 of element i, high nibble of element i+16 |
///
/// Element = `d·(q - 16)`, q the five bits.
pub(super) struct Q5_0;

impl Block32<22> for Q5_0 {
    const HAS_OFFSET: bool = false;

    #[inline(always)]
    fn scales(block: &[u8; 22]) -> (f32, f32) {
        (half_at(block, 0), 0.0)
    }

    #[inline(always)]
    fn quants(block: &[u8; 22], q: &mut [i8; LEN]) {
        unpack::<4, 16>(field::<16>(block, 6), q);
        add_fifth_bits(field(block, 2), q);
        q.iter_mut().for_each(|q| *q -= 16);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 22]) {
        let d = peak(x) / -16.0;
        let inverse = reciprocal(d);
        let q = x.map(|x| up_to(x * inverse + 16.5, 31));
        *field_mut(block, 0) = f32_to_f16(d).to_le_bytes();
        *field_mut(block, 2) = fifth_bits(&q);
        pack::<4, 16>(&q, 0, field_mut::<16>(block, 6));
    }
}

/// **Q5_1**, 24 bytes.
///
/// | bytes | |
/// |---|---|
/// | 0..2 | d, f16 |
/// | 2..4 | m, f16 |
/// | 4..8 | bit b of byte 4+k: bit 4 of element 8k+b |
/// | 8..24 | byte 8+i: low nibble bits 0..4 of element i, high nibble of element i+16 |
///
/// Element = `d·q + m`, q the five bits.
pub(super) struct Q5_1;

impl Block32<24> for Q5_1 {
    const HAS_OFFSET: bool = true;

    #[inline(always)]
    fn scales(block: &[u8; 24]) -> (f32, f32) {
        (half_at(block, 0), half_at(block, 2))
    }

    #[inline(always)]
    fn quants(block: &[u8; 24], q: &mut [i8; LEN]) {
        unpack::<4, 16>(field::<16>(block, 8), q);
        add_fifth_bits(field(block, 4), q);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 24]) {
        let (d, m, q) = span(x, 31);
        *field_mut(block, 0) = d.to_le_bytes();
        *field_mut(block, 2) = m.to_le_bytes();
        *field_mut(block, 4) = fifth_bits(&q);
        pack::<4, 16>(&q, 0, field_mut::<16>(block, 8));
    }
}

/// **Q8_0**, 34 bytes.
///
/// | bytes | |
/// |---|---|
/// | 0..2 | d, f16 |
/// | 2..34 | byte 2+i: element i, two's complement |
///
/// Element = `d·q`.
pub(super) struct Q8_0;

impl Block32<34> for Q8_0 {
    const HAS_OFFSET: bool = false;

    #[inline(always)]
    fn scales(block: &[u8; 34]) -> (f32, f32) {
        (half_at(block, 0), 0.0)
    }

    #[inline(always)]
    fn quants(block: &[u8; 34], q: &mut [i8; LEN]) {
        *q = field::<32>(block, 2).map(u8::cast_signed);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 34]) {
        let d = peak(x).abs() / 127.0;
        let inverse = reciprocal(d);
        *field_mut(block, 0) = f32_to_f16(d).to_le_bytes();
        *field_mut(block, 2) = x.map(|x| round_away(x * inverse).cast_unsigned());
    }
}

/// `x`, no more than a little over 127 in magnitude, to the nearest integer, halves away from zero.
/// NaN gives 0.
fn round_away(x: f32) -> i8 {
    let whole = x as i8;
    let rest = x - f32::from(whole);
    whole.saturating_add(i8::from(rest >= 0.5)).saturating_sub(i8::from(rest <= -0.5))
}

/// The whole part of `x`, no more than `top`; negative and NaN give 0.
fn up_to(x: f32, top: u8) -> u8 {
    (x as u8).min(top)
}

/// Scale, offset (both as f16) and quants in `0..=top` that span the block from its smallest to its
/// largest element.
fn span(x: &[f32; LEN], top: u8) -> (u16, u16, [u8; LEN]) {
    let (low, high) = range(x);
    let d = (high - low) / f32::from(top);
    let inverse = reciprocal(d);
    (f32_to_f16(d), f32_to_f16(low), x.map(|x| up_to((x - low) * inverse + 0.5, top)))
}

/// Adds 16 to the elements whose bit is set.
#[inline(always)]
fn add_fifth_bits(bits: &[u8; 4], q: &mut [i8; LEN]) {
    let (eights, _) = q.as_chunks_mut::<8>();
    for (q, bits) in eights.iter_mut().zip(bits) {
        // Bit b of all eight copies, kept in byte b alone; then any bit there becomes 0x80, and
        // that 0x10. No byte carries into the next.
        let single = (u64::from(*bits) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
        let sixteen = ((single + 0x7f7f_7f7f_7f7f_7f7f) & 0x8080_8080_8080_8080) >> 3;
        for (q, high) in q.iter_mut().zip(sixteen.to_le_bytes()) {
            *q |= high.cast_signed();
        }
    }
}

/// The fifth bits of 32 quants, as [`add_fifth_bits`] reads them.
fn fifth_bits(q: &[u8; LEN]) -> [u8; 4] {
    let bits = q.iter().rev().fold(0u32, |bits, q| (bits << 1) | u32::from(q >> 4));
    bits.to_le_bytes()
}
