//! Q2_K to Q6_K: super-blocks of 256 elements whose sub-blocks have small integer scales (and
//! minimums).
//!
//! "Runs" below are those of `bits.rs`: a field of 32 bytes with 2-bit runs holds elements 0..32 in
//! bits 0..2, elements 32..64 in bits 2..4, and so on.

use super::bits::{pack, unpack, unpack_above};
use super::block256::{Block256, LEN, Scales};
use super::fit::{Affine, affine_super, nearest, symmetric_super};
use super::{field, field_mut, half_at};

/// **Q2_K**, 84 bytes; 16 sub-blocks of 16 elements.
///
/// | bytes | |
/// |---|---|
/// | 0..16 | byte j: low nibble scale j, high nibble minimum j |
/// | 16..80 | quants: 2-bit runs of 32 bytes; byte 16+32n+l, bits 2s..2s+2: element 128n+32s+l |
/// | 80..82 | d, f16 |
/// | 82..84 | dmin, f16 |
///
/// Element i = `(d·scale[i/16])·q - (dmin·minimum[i/16])`.
pub(super) struct Q2K;

impl Block256<84> for Q2K {
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn scales(block: &[u8; 84]) -> Scales {
        let packed = field::<16>(block, 0);
        Scales {
            d: half_at(block, 80),
            dmin: half_at(block, 82),
            sub: packed.map(|byte| (byte & 15).cast_signed()),
            min: packed.map(|byte| byte >> 4),
        }
    }

    #[inline(always)]
    fn quants(block: &[u8; 84], q: &mut [i8; LEN]) {
        unpack::<2, 32>(field::<64>(block, 16), q);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 84]) {
        let fit = affine_super::<16>(x, 15.0, 3.0);
        *field_mut(block, 0) = core::array::from_fn::<u8, 16, _>(|j| fit.sub[j] | (fit.min[j] << 4));
        pack::<2, 32>(&fit.q, 0, field_mut::<64>(block, 16));
        *field_mut(block, 80) = fit.d.to_le_bytes();
        *field_mut(block, 82) = fit.dmin.to_le_bytes();
    }
}

/// **Q3_K**, 110 bytes; 16 sub-blocks of 16 elements.
///
/// | bytes | |
/// |---|---|
/// | 0..32 | high bits: 1-bit runs of 32 bytes; byte l, bit s: bit 2 of element 32s+l |
/// | 32..96 | low bits: 2-bit runs of 32 bytes; byte 32+32n+l, bits 2s..2s+2: bits 0..2 of element 128n+32s+l |
/// | 96..104 | byte 96+k: low nibble bits 0..4 of scale k, high nibble of scale 8+k |
/// | 104..108 | byte 104+k, bits 2s..2s+2: bits 4..6 of scale 4s+k |
/// | 108..110 | d, f16 |
///
/// Element i = `(d·(scale[i/16] - 32))·(q - 4)`, the scales six bits, q three.
pub(super) struct Q3K;

impl Block256<110> for Q3K {
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn scales(block: &[u8; 110]) -> Scales {
        let mut sub = [0; 16];
        unpack::<4, 8>(field::<8>(block, 96), &mut sub);
        unpack_above::<2, 4>(field::<4>(block, 104), 4, &mut sub);
        Scales { d: half_at(block, 108), dmin: 0.0, sub: sub.map(|scale| scale - 32), min: [0; 16] }
    }

    #[inline(always)]
    fn quants(block: &[u8; 110], q: &mut [i8; LEN]) {
        unpack::<2, 32>(field::<64>(block, 32), q);
        unpack_above::<1, 32>(field::<32>(block, 0), 2, q);
        q.iter_mut().for_each(|q| *q -= 4);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 110]) {
        let fit = symmetric_super::<16>(x, -32.0, -4.0, |x| nearest(x, -4.0, 3.0));
        let q = fit.q.map(|q| (q + 4).cast_unsigned());
        let sub = fit.sub.map(|scale| (scale + 32).cast_unsigned());
        pack::<1, 32>(&q, 2, field_mut::<32>(block, 0));
        pack::<2, 32>(&q, 0, field_mut::<64>(block, 32));
        pack::<4, 8>(&sub, 0, field_mut::<8>(block, 96));
        pack::<2, 4>(&sub, 4, field_mut::<4>(block, 104));
        *field_mut(block, 108) = fit.d.to_le_bytes();
    }
}

/// **Q4_K**, 144 bytes; 8 sub-blocks of 32 elements.
///
/// | bytes | |
/// |---|---|
/// | 0..2 | d, f16 |
/// | 2..4 | dmin, f16 |
/// | 4..16 | scales and minimums, six bits each: below |
/// | 16..144 | quants: 4-bit runs of 32 bytes; byte 16+32n+l: low nibble element 64n+l, high nibble element 64n+32+l |
///
/// The twelve bytes from 4, for k in 0..4:
///
/// | byte | bits 0..6 (or 0..4) | bits 6..8 (or 4..8) |
/// |---|---|---|
/// | 4+k | scale k | bits 4..6 of scale 4+k |
/// | 8+k | minimum k | bits 4..6 of minimum 4+k |
/// | 12+k | bits 0..4 of scale 4+k | bits 0..4 of minimum 4+k |
///
/// Element i = `(d·scale[i/32])·q - (dmin·minimum[i/32])`.
pub(super) struct Q4K;

impl Block256<144> for Q4K {
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn scales(block: &[u8; 144]) -> Scales {
        six_bit_scales(field(block, 0))
    }

    #[inline(always)]
    fn quants(block: &[u8; 144], q: &mut [i8; LEN]) {
        unpack::<4, 32>(field::<128>(block, 16), q);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 144]) {
        let fit = affine_super::<32>(x, 63.0, 15.0);
        *field_mut(block, 0) = pack_six_bit_scales(&fit);
        pack::<4, 32>(&fit.q, 0, field_mut::<128>(block, 16));
    }
}

/// **Q5_K**, 176 bytes; 8 sub-blocks of 32 elements.
///
/// | bytes | |
/// |---|---|
/// | 0..16 | d, dmin, scales and minimums as in [`Q4K`] |
/// | 16..48 | high bits: 1-bit runs of 32 bytes; byte 16+l, bit s: bit 4 of element 32s+l |
/// | 48..176 | low bits: 4-bit runs of 32 bytes; byte 48+32n+l: low nibble bits 0..4 of element 64n+l, high nibble of element 64n+32+l |
///
/// Element i = `(d·scale[i/32])·q - (dmin·minimum[i/32])`, q five bits.
pub(super) struct Q5K;

impl Block256<176> for Q5K {
    const HAS_MIN: bool = true;

    #[inline(always)]
    fn scales(block: &[u8; 176]) -> Scales {
        six_bit_scales(field(block, 0))
    }

    #[inline(always)]
    fn quants(block: &[u8; 176], q: &mut [i8; LEN]) {
        unpack::<4, 32>(field::<128>(block, 48), q);
        unpack_above::<1, 32>(field::<32>(block, 16), 4, q);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 176]) {
        let fit = affine_super::<32>(x, 63.0, 31.0);
        *field_mut(block, 0) = pack_six_bit_scales(&fit);
        pack::<1, 32>(&fit.q, 4, field_mut::<32>(block, 16));
        pack::<4, 32>(&fit.q, 0, field_mut::<128>(block, 48));
    }
}

/// **Q6_K**, 210 bytes; 16 sub-blocks of 16 elements.
///
/// | bytes | |
/// |---|---|
/// | 0..128 | low bits: 4-bit runs of 64 bytes; byte 64n+l: low nibble bits 0..4 of element 128n+l, high nibble of element 128n+64+l |
/// | 128..192 | high bits: 2-bit runs of 32 bytes; byte 128+32n+l, bits 2s..2s+2: bits 4..6 of element 128n+32s+l |
/// | 192..208 | byte 192+j: scale j, two's complement |
/// | 208..210 | d, f16 |
///
/// Element i = `(d·scale[i/16])·(q - 32)`, q six bits.
pub(super) struct Q6K;

impl Block256<210> for Q6K {
    const HAS_MIN: bool = false;

    #[inline(always)]
    fn scales(block: &[u8; 210]) -> Scales {
        Scales { d: half_at(block, 208), dmin: 0.0, sub: field::<16>(block, 192).map(u8::cast_signed), min: [0; 16] }
    }

    #[inline(always)]
    fn quants(block: &[u8; 210], q: &mut [i8; LEN]) {
        unpack::<4, 64>(field::<128>(block, 0), q);
        unpack_above::<2, 32>(field::<64>(block, 128), 4, q);
        q.iter_mut().for_each(|q| *q -= 32);
    }

    fn quantize(x: &[f32; LEN], block: &mut [u8; 210]) {
        let fit = symmetric_super::<16>(x, -128.0, -32.0, |x| nearest(x, -32.0, 31.0));
        let q = fit.q.map(|q| (q + 32).cast_unsigned());
        pack::<4, 64>(&q, 0, field_mut::<128>(block, 0));
        pack::<2, 32>(&q, 4, field_mut::<64>(block, 128));
        *field_mut(block, 192) = fit.sub.map(i8::cast_unsigned);
        *field_mut(block, 208) = fit.d.to_le_bytes();
    }
}

/// The first 16 bytes of [`Q4K`] and [`Q5K`].
#[inline(always)]
fn six_bit_scales(head: &[u8; 16]) -> Scales {
    let (a, b, c): (&[u8; 4], &[u8; 4], &[u8; 4]) = (field(head, 4), field(head, 8), field(head, 12));
    let (mut sub, mut min) = ([0; 16], [0; 16]);
    for k in 0..4 {
        // Each scale is for 32 elements, so it stands twice.
        sub[2 * k..2 * k + 2].fill((a[k] & 63).cast_signed());
        min[2 * k..2 * k + 2].fill(b[k] & 63);
        sub[8 + 2 * k..10 + 2 * k].fill(((c[k] & 15) | ((a[k] >> 6) << 4)).cast_signed());
        min[8 + 2 * k..10 + 2 * k].fill((c[k] >> 4) | ((b[k] >> 6) << 4));
    }
    Scales { d: half_at(head, 0), dmin: half_at(head, 2), sub, min }
}

/// The inverse of [`six_bit_scales`].
fn pack_six_bit_scales(fit: &Affine) -> [u8; 16] {
    let mut head = [0; 16];
    *field_mut(&mut head, 0) = fit.d.to_le_bytes();
    *field_mut(&mut head, 2) = fit.dmin.to_le_bytes();
    for k in 0..4 {
        let (sub, min) = (fit.sub[8 + 2 * k], fit.min[8 + 2 * k]);
        head[4 + k] = fit.sub[2 * k] | ((sub >> 4) << 6);
        head[8 + k] = fit.min[2 * k] | ((min >> 4) << 6);
        head[12 + k] = (sub & 15) | ((min & 15) << 4);
    }
    head
}
