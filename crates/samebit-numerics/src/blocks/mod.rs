//! Weight formats: how a row of numbers lies in a GGUF file, byte by byte.
//!
//! Each format's bytes are described, offset by offset, at the type of its name in `float.rs`,
//! `simple.rs`, `k.rs`, `iq.rs` or `mxfp4.rs`. Three operations per format: [`Format::dequantize`]
//! (bytes to f32), [`Format::quantize`] (f32 to bytes, simple and deterministic) and
//! [`decode_chunk`] (bytes to the integers that the v1 dot product works on). All multi-byte
//! numbers are little-endian.
//!
//! Knows nothing of files, tensors' names or models; a row is a slice of bytes.

mod bits;
mod block256;
mod block32;
mod chunk;
mod fit;
mod float;
mod iq;
mod k;
mod mxfp4;
mod simple;

pub use chunk::{CHUNK, IntChunk, decode_chunk};

use crate::half::f16_to_f32;

/// A weight format. The names of the variants are GGUF's, in Rust's spelling; [`Format::name`]
/// gives GGUF's own.
///
/// | format | elements | bytes | value of an element |
/// |---|---|---|---|
/// | `F32`, `F16`, `BF16` | 1 | 4, 2, 2 | itself |
/// | `Q4_0`, `Q5_0`, `Q8_0` | 32 | 18, 22, 34 | `d·q`, q signed |
/// | `Q4_1`, `Q5_1` | 32 | 20, 24 | `d·q + m`, q unsigned |
/// | `IQ4_NL`, `MXFP4` | 32 | 18, 17 | `d·table[q]` |
/// | `Q2_K`, `Q4_K`, `Q5_K` | 256 | 84, 144, 176 | `(d·sc)·q - (dmin·min)` |
/// | `Q3_K`, `Q6_K` | 256 | 110, 210 | `(d·sc)·q`, q signed |
/// | `IQ4_XS` | 256 | 136 | `(d·sc)·table[q]` |
///
/// Each operation in the last column is one rounded f32 operation, in the order that the brackets
/// show; nothing is fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16: the upper half of a binary32.
    Bf16,
    /// 4 bits, one scale per 32.
    Q4_0,
    /// 4 bits, scale and minimum per 32.
    Q4_1,
    /// 5 bits, one scale per 32.
    Q5_0,
    /// 5 bits, scale and minimum per 32.
    Q5_1,
    /// 8 bits, one scale per 32.
    Q8_0,
    /// 2 bits, integer scales and minimums per 16, floats per 256.
    Q2K,
    /// 3 bits, integer scales per 16, one float per 256.
    Q3K,
    /// 4 bits, integer scales and minimums per 32, floats per 256.
    Q4K,
    /// 5 bits, integer scales and minimums per 32, floats per 256.
    Q5K,
    /// 6 bits, integer scales per 16, one float per 256.
    Q6K,
    /// 4 bits into a table of 16 unevenly spaced values, one scale per 32.
    Iq4Nl,
    /// The same table, integer scales per 32, one float per 256.
    Iq4Xs,
    /// OCP microscaling: 4-bit floats (E2M1), a power of two per 32.
    Mxfp4,
}

/// How a format takes part in the v1 dot product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Elements are floats: `fma` chains.
    Float,
    /// Blocks of 32 integers with a float scale (and perhaps a float offset) each.
    Block32,
    /// Super-blocks of 256: integer scales inside, one float scale (and perhaps one float for the
    /// minimums) outside.
    Block256,
}

/// What the table knows of a format. `decode` fills an [`IntChunk`] from a chunk's bytes (never
/// called for floats).
struct Spec {
    name: &'static str,
    family: Family,
    block_bytes: usize,
    has_offset: bool,
    dequantize: fn(&[u8], &mut [f32]),
    quantize: fn(&[f32], &mut [u8]),
    decode: fn(&[u8], &mut IntChunk),
    sub_scales: fn(&[u8]) -> SubScales,
}

/// The integer scales and minimums of a 256-element block, in sixteenths (formats with one per 32
/// elements repeat each).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubScales {
    /// Scales, their offset removed.
    pub sub: [i8; 16],
    /// Minimums; 0 without.
    pub min: [u8; 16],
}

/// The small scales of one block: all ones for formats that have none.
///
/// # Panics
/// If `block` is shorter than a block of the format.
pub fn sub_scales(format: Format, block: &[u8]) -> SubScales {
    (format.spec().sub_scales)(block)
}

/// What formats without small scales say.
fn no_sub_scales(_: &[u8]) -> SubScales {
    SubScales { sub: [1; 16], min: [0; 16] }
}

/// In the order of the enum.
const TABLE: [Spec; 16] = [
    float::f32_spec(),
    float::f16_spec(),
    float::bf16_spec(),
    block32::spec::<simple::Q4_0, _>("Q4_0"),
    block32::spec::<simple::Q4_1, _>("Q4_1"),
    block32::spec::<simple::Q5_0, _>("Q5_0"),
    block32::spec::<simple::Q5_1, _>("Q5_1"),
    block32::spec::<simple::Q8_0, _>("Q8_0"),
    block256::spec::<k::Q2K, _>("Q2_K"),
    block256::spec::<k::Q3K, _>("Q3_K"),
    block256::spec::<k::Q4K, _>("Q4_K"),
    block256::spec::<k::Q5K, _>("Q5_K"),
    block256::spec::<k::Q6K, _>("Q6_K"),
    block32::spec::<iq::Iq4Nl, _>("IQ4_NL"),
    block256::spec::<iq::Iq4Xs, _>("IQ4_XS"),
    block32::spec::<mxfp4::Mxfp4, _>("MXFP4"),
];

impl Format {
    /// Every format, in the order of the enum.
    pub const ALL: [Format; 16] = [
        Format::F32,
        Format::F16,
        Format::Bf16,
        Format::Q4_0,
        Format::Q4_1,
        Format::Q5_0,
        Format::Q5_1,
        Format::Q8_0,
        Format::Q2K,
        Format::Q3K,
        Format::Q4K,
        Format::Q5K,
        Format::Q6K,
        Format::Iq4Nl,
        Format::Iq4Xs,
        Format::Mxfp4,
    ];

    fn spec(self) -> &'static Spec {
        static SPECS: [Spec; 16] = TABLE;
        &SPECS[self as usize]
    }

    /// GGUF's spelling, for example `"Q4_K"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The format of this name ([`Format::name`]; ASCII case does not matter).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// The family, which decides the form of the dot product.
    #[must_use]
    pub fn family(self) -> Family {
        self.spec().family
    }

    /// Elements per block: 1, 32 or 256.
    #[must_use]
    pub fn block_len(self) -> usize {
        match self.family() {
            Family::Float => 1,
            Family::Block32 => block32::LEN,
            Family::Block256 => block256::LEN,
        }
    }

    /// Bytes per block.
    #[must_use]
    pub fn block_bytes(self) -> usize {
        self.spec().block_bytes
    }

    /// Whether an element's value has an additive part: the offset `m` of `Q4_1` and `Q5_1`, the
    /// minimums of `Q2_K`, `Q4_K` and `Q5_K`.
    #[must_use]
    pub fn has_offset(self) -> bool {
        self.spec().has_offset
    }

    /// Bytes of a row of `elements` elements; `None` unless that is a whole number of blocks (or if
    /// the bytes overflow `usize`).
    #[must_use]
    pub fn row_bytes(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_len()) {
            return None;
        }
        (elements / self.block_len()).checked_mul(self.block_bytes())
    }

    /// The values of the blocks in `bytes`, in order, into `out`.
    ///
    /// Each float operation is rounded once, to nearest even, in the order that the format's
    /// description gives. A NaN (from a NaN in the bytes, or from an infinite scale times zero) is
    /// always the canonical one, [`NAN_F32`](crate::half::NAN_F32); integers and finite scales
    /// never make a NaN or, `MXFP4` aside, an infinity.
    ///
    /// # Panics
    /// Unless `bytes.len()` is exactly `row_bytes(out.len())`.
    pub fn dequantize(self, bytes: &[u8], out: &mut [f32]) {
        self.check_lengths(bytes.len(), out.len());
        (self.spec().dequantize)(bytes, out);
    }

    /// Blocks that approximate `x`, into `out`: the simple, deterministic quantiser (the same bytes
    /// everywhere, f32 arithmetic rounded operation by operation). For synthetic models and tests;
    /// no rival to a quantiser that weighs by importance.
    ///
    /// Values should be finite and small enough for the format's f16 scale; others give some valid
    /// block, the same everywhere.
    ///
    /// # Panics
    /// Unless `out.len()` is exactly `row_bytes(x.len())`.
    pub fn quantize(self, x: &[f32], out: &mut [u8]) {
        self.check_lengths(out.len(), x.len());
        (self.spec().quantize)(x, out);
    }

    fn check_lengths(self, bytes: usize, elements: usize) {
        assert!(
            self.row_bytes(elements) == Some(bytes),
            "{elements} elements of {} do not lie in {bytes} bytes",
            self.name()
        );
    }
}

/// `N` bytes of a block from a fixed offset. Both are constants of the format, so that the bounds
/// check folds away.
#[inline(always)]
fn field<const N: usize>(block: &[u8], at: usize) -> &[u8; N] {
    let (head, _) = block[at..].as_chunks::<N>();
    &head[0]
}

/// The mutable twin of [`field`].
#[inline(always)]
fn field_mut<const N: usize>(block: &mut [u8], at: usize) -> &mut [u8; N] {
    let (head, _) = block[at..].as_chunks_mut::<N>();
    &mut head[0]
}

/// The f16 at a fixed offset of a block, as f32.
#[inline(always)]
fn half_at(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes(*field(block, at)))
}
