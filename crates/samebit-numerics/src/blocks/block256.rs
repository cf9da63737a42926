//! What the formats of 256-element super-blocks share: float scales outside, integer scales inside,
//! 256 small integers. Knows no format's bytes; each format says how its own lie ([`Block256`]).

use super::{Family, IntChunk, Spec, SubScales};
use crate::half::canonical_nan;

/// Elements per super-block.
pub(super) const LEN: usize = 256;

/// The scales of a super-block, in sixteenths (formats with one integer scale per 32 elements
/// repeat each).
pub(super) struct Scales {
    /// The float scale of the integer scales.
    pub(super) d: f32,
    /// The float scale of the integer minimums; +0 without minimums.
    pub(super) dmin: f32,
    /// Integer scales.
    pub(super) sub: [i8; 16],
    /// Integer minimums; 0 without.
    pub(super) min: [u8; 16],
}

/// How one format of 256-element super-blocks lies in `BYTES` bytes.
pub(super) trait Block256<const BYTES: usize> {
    /// Whether an element is `(d·sc)·q - dmin·min` rather than `(d·sc)·q`.
    const HAS_MIN: bool;
    /// Float and integer scales.
    fn scales(block: &[u8; BYTES]) -> Scales;
    /// The 256 integers.
    fn quants(block: &[u8; BYTES], q: &mut [i8; LEN]);
    /// The super-block that approximates `x`.
    fn quantize(x: &[f32; LEN], block: &mut [u8; BYTES]);
}

pub(super) const fn spec<T: Block256<BYTES>, const BYTES: usize>(name: &'static str) -> Spec {
    Spec {
        name,
        family: Family::Block256,
        block_bytes: BYTES,
        has_offset: T::HAS_MIN,
        dequantize: dequantize::<T, BYTES>,
        quantize: quantize::<T, BYTES>,
        decode: decode::<T, BYTES>,
        sub_scales: sub_scales::<T, BYTES>,
    }
}

fn dequantize<T: Block256<BYTES>, const BYTES: usize>(bytes: &[u8], out: &mut [f32]) {
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    let (rows, _) = out.as_chunks_mut::<LEN>();
    let mut q = [0; LEN];
    for (block, out) in blocks.iter().zip(rows) {
        let scales = T::scales(block);
        T::quants(block, &mut q);
        let (subs, _) = out.as_chunks_mut::<16>();
        let (q, _) = q.as_chunks::<16>();
        for (j, (out, q)) in subs.iter_mut().zip(q).enumerate() {
            let d = scales.d * f32::from(scales.sub[j]);
            let m = scales.dmin * f32::from(scales.min[j]);
            for (out, q) in out.iter_mut().zip(q) {
                let product = d * f32::from(*q);
                *out = if T::HAS_MIN { product - m } else { product };
            }
        }
        // Processors differ in the NaN that they make of 0·∞ and ∞ - ∞.
        if !(scales.d.is_finite() && scales.dmin.is_finite()) {
            out.iter_mut().for_each(|out| *out = canonical_nan(*out));
        }
    }
}

fn quantize<T: Block256<BYTES>, const BYTES: usize>(x: &[f32], out: &mut [u8]) {
    let (rows, _) = x.as_chunks::<LEN>();
    let (blocks, _) = out.as_chunks_mut::<BYTES>();
    for (x, block) in rows.iter().zip(blocks) {
        T::quantize(x, block);
    }
}

fn decode<T: Block256<BYTES>, const BYTES: usize>(bytes: &[u8], out: &mut IntChunk) {
    // A chunk is exactly one super-block.
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    let Scales { d, dmin, sub, min } = T::scales(&blocks[0]);
    out.len = LEN;
    out.sub_scale = sub;
    out.min = min;
    out.scale = [d, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    out.offset = [dmin, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    T::quants(&blocks[0], &mut out.q);
    out.multiply();
}

fn sub_scales<T: Block256<BYTES>, const BYTES: usize>(bytes: &[u8]) -> SubScales {
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    let Scales { sub, min, .. } = T::scales(&blocks[0]);
    SubScales { sub, min }
}
