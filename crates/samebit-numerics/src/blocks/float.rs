//! F32, F16 and BF16: a row is its elements, little-endian, with nothing between them.
//!
//! | format | element i |
//! |---|---|
//! | F32 | bytes 4i .. 4i+4, IEEE 754 binary32 |
//! | F16 | bytes 2i .. 2i+2, IEEE 754 binary16 |
//! | BF16 | bytes 2i .. 2i+2, the upper 16 bits of a binary32 |
//!
//! Every NaN becomes the canonical one in both directions. Knows only how single numbers lie in
//! bytes.

use super::{Family, IntChunk, Spec};
use crate::half::{bf16_to_f32, canonical_nan, f16_to_f32, f32_to_bf16, f32_to_f16};

const fn spec(
    name: &'static str,
    block_bytes: usize,
    dequantize: fn(&[u8], &mut [f32]),
    quantize: fn(&[f32], &mut [u8]),
) -> Spec {
    Spec {
        name,
        family: Family::Float,
        block_bytes,
        has_offset: false,
        dequantize,
        quantize,
        decode: no_integers,
        sub_scales: super::no_sub_scales,
    }
}

/// Unreachable: `decode_chunk` refuses floats before it looks here.
fn no_integers(_: &[u8], _: &mut IntChunk) {}

pub(super) const fn f32_spec() -> Spec {
    spec(
        "F32",
        4,
        |bytes, out| decode(bytes, out, |raw| canonical_nan(f32::from_le_bytes(raw))),
        |x, out| encode(x, out, |x| canonical_nan(x).to_le_bytes()),
    )
}

pub(super) const fn f16_spec() -> Spec {
    spec(
        "F16",
        2,
        |bytes, out| decode(bytes, out, |raw| f16_to_f32(u16::from_le_bytes(raw))),
        |x, out| encode(x, out, |x| f32_to_f16(x).to_le_bytes()),
    )
}

pub(super) const fn bf16_spec() -> Spec {
    spec(
        "BF16",
        2,
        |bytes, out| decode(bytes, out, |raw| bf16_to_f32(u16::from_le_bytes(raw))),
        |x, out| encode(x, out, |x| f32_to_bf16(x).to_le_bytes()),
    )
}

#[inline(always)]
fn decode<const N: usize>(bytes: &[u8], out: &mut [f32], one: impl Fn([u8; N]) -> f32) {
    for (out, raw) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = one(*raw);
    }
}

#[inline(always)]
fn encode<const N: usize>(x: &[f32], out: &mut [u8], one: impl Fn(f32) -> [u8; N]) {
    for (raw, x) in out.as_chunks_mut::<N>().0.iter_mut().zip(x) {
        *raw = one(*x);
    }
}
