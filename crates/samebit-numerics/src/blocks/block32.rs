//! What the formats of 32-element blocks share: a float scale, perhaps a float offset, 32 small
//! integers. Knows no format's bytes; each format says how its own lie ([`Block32`]).

use super::{Family, IntChunk, Spec};
use crate::half::canonical_nan;

/// Elements per block.
pub(super) const LEN: usize = 32;

/// How one format of 32-element blocks lies in `BYTES` bytes.
pub(super) trait Block32<const BYTES: usize> {
    /// Whether an element is `d·q + m` rather than `d·q`.
    const HAS_OFFSET: bool;
    /// The scale `d` and the offset `m` (+0 without one).
    fn scales(block: &[u8; BYTES]) -> (f32, f32);
    /// The 32 integers.
    fn quants(block: &[u8; BYTES], q: &mut [i8; LEN]);
    /// The block that approximates `x`.
    fn quantize(x: &[f32; LEN], block: &mut [u8; BYTES]);
}

pub(super) const fn spec<T: Block32<BYTES>, const BYTES: usize>(name: &'static str) -> Spec {
    Spec {
        name,
        family: Family::Block32,
        block_bytes: BYTES,
        has_offset: T::HAS_OFFSET,
        dequantize: dequantize::<T, BYTES>,
        quantize: quantize::<T, BYTES>,
        decode: decode::<T, BYTES>,
        sub_scales: super::no_sub_scales,
    }
}

fn dequantize<T: Block32<BYTES>, const BYTES: usize>(bytes: &[u8], out: &mut [f32]) {
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    let (rows, _) = out.as_chunks_mut::<LEN>();
    for (block, out) in blocks.iter().zip(rows) {
        let (d, m) = T::scales(block);
        let mut q = [0; LEN];
        T::quants(block, &mut q);
        for (out, q) in out.iter_mut().zip(q) {
            let product = d * f32::from(q);
            *out = if T::HAS_OFFSET { product + m } else { product };
        }
        // Processors differ in the NaN that they make of 0·∞ and ∞ - ∞.
        if !(d.is_finite() && m.is_finite()) {
            out.iter_mut().for_each(|out| *out = canonical_nan(*out));
        }
    }
}

fn quantize<T: Block32<BYTES>, const BYTES: usize>(x: &[f32], out: &mut [u8]) {
    let (rows, _) = x.as_chunks::<LEN>();
    let (blocks, _) = out.as_chunks_mut::<BYTES>();
    for (x, block) in rows.iter().zip(blocks) {
        T::quantize(x, block);
    }
}

fn decode<T: Block32<BYTES>, const BYTES: usize>(bytes: &[u8], out: &mut IntChunk) {
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    if blocks.len() < out.scale.len() {
        *out = IntChunk::new();
    }
    out.len = blocks.len() * LEN;
    out.sub_scale = [1; 16];
    out.min = [0; 16];
    let (q, _) = out.q.as_chunks_mut::<LEN>();
    for (((block, q), scale), offset) in blocks.iter().zip(q).zip(&mut out.scale).zip(&mut out.offset) {
        (*scale, *offset) = T::scales(block);
        T::quants(block, q);
    }
    out.multiply();
}
