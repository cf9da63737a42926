//! The integers of one chunk-256 of a quantised row: what the v1 dot product reads. Knows nothing
//! of activations' layout or of any instruction set.

use super::{Family, Format};

/// Elements per chunk: reductions are cut at absolute multiples of this.
pub const CHUNK: usize = 256;

/// One chunk-256 of a quantised row, decoded.
///
/// With activations `a = 256·h + l`, h and l in i8, and all integer sums exact:
///
/// **[`Family::Block32`]**, block b = i/32 of at most 8: element i is `scale[b]·w[i]`, plus
/// `offset[b]` where [`Format::has_offset`]. With `isum_b = Σ w·a` and `asum_b = Σ a` over block b,
/// the chunk's partial t begins at +0 and for each b in order becomes `fma(isum_b, scale[b], t)`,
/// then with offsets `fma(asum_b, offset[b], t)`.
///
/// **[`Family::Block256`]**: element i is `scale[0]·w[i]`, less `offset[0]·min[i/16]` where
/// [`Format::has_offset`]. With `S_h = Σ w·h` and `s = fma(256, S_h, S_l)`, and from the minimums
/// `M_h = Σ min[i/16]·h` and `m = fma(256, M_h, M_l)`, the partial is
/// `fma(-offset[0], m, scale[0]·s)`; without minimums it is `scale[0]·s`, which is also what the
/// first form gives with the zeros that stand here.
///
/// Bounds, with |a| ≤ 32512, |h| ≤ 127 and |l| ≤ 128:
///
/// | | largest \|w\| | largest sum | of |
/// |---|---|---|---|
/// | Block32 | 128 (`Q8_0`) | 32·128·32512 < 2²⁷ | isum_b |
/// | Block32 | | 32·32512 < 2²⁰ | asum_b (exact as f32) |
/// | Block256 | 4096 = 128·32 (`Q6_K`) | 256·4096·128 = 2²⁷ | S of one plane |
/// | Block256 | min ≤ 63 | 256·63·128 < 2²¹ | M of one plane (exact as f32) |
///
/// so that w fits i16 and every sum fits i32 (the sum of both planes, 256·4096·32512 < 2³⁵, does
/// not: hence two planes).
#[derive(Clone, Debug, PartialEq)]
pub struct IntChunk {
    /// Elements in the chunk: 256, or less at the end of a row of 32-element blocks. Everything
    /// beyond is zero.
    pub len: usize,
    /// The stored quants (table formats: the table's entries; offset-binary ones with the offset
    /// removed).
    pub q: [i8; CHUNK],
    /// The integer scale of each 16 elements (formats with one per 32 repeat it); 1 for
    /// [`Family::Block32`].
    pub sub_scale: [i8; 16],
    /// The integer weights `sub_scale[i/16]·q[i]`.
    pub w: [i16; CHUNK],
    /// The float scales: one per 32 elements for [`Family::Block32`], only `scale[0]` for
    /// [`Family::Block256`].
    pub scale: [f32; 8],
    /// [`Family::Block32`]: the float added to each of the 32 elements. [`Family::Block256`]:
    /// `offset[0]`, the float scale of `min`. Zero for formats that have none.
    pub offset: [f32; 8],
    /// [`Family::Block256`]: the integer minimum of each 16 elements (formats with one per 32
    /// repeat it); otherwise zero.
    pub min: [u8; 16],
}

impl IntChunk {
    /// An empty chunk, to decode into.
    #[must_use]
    pub const fn new() -> Self {
        IntChunk {
            len: 0,
            q: [0; CHUNK],
            sub_scale: [0; 16],
            w: [0; CHUNK],
            scale: [0.0; 8],
            offset: [0.0; 8],
            min: [0; 16],
        }
    }

    /// The weights: every quant times its sub-block's scale. At most 128·128 = 2¹⁴ in magnitude, so
    /// no i16 overflows.
    #[inline(always)]
    pub(super) fn multiply(&mut self) {
        let (q, _) = self.q.as_chunks::<16>();
        let (w, _) = self.w.as_chunks_mut::<16>();
        for ((w, q), scale) in w.iter_mut().zip(q).zip(self.sub_scale) {
            for (w, q) in w.iter_mut().zip(q) {
                *w = i16::from(scale) * i16::from(*q);
            }
        }
    }
}

impl Default for IntChunk {
    fn default() -> Self {
        Self::new()
    }
}

/// Decodes chunk number `chunk` (elements `256·chunk ..`) of a row of `row_len` elements that lies
/// in `row_bytes`.
///
/// # Panics
/// If the format is a float one, `row_bytes.len()` is not `format.row_bytes(row_len)`, or the chunk
/// begins at or beyond the row's end.
pub fn decode_chunk(format: Format, row_bytes: &[u8], chunk: usize, row_len: usize, out: &mut IntChunk) {
    format.check_lengths(row_bytes.len(), row_len);
    assert!(format.family() != Family::Float, "{} has no integers to decode", format.name());
    assert!(chunk < row_len.div_ceil(CHUNK), "chunk {chunk} begins beyond a row of {row_len} elements");
    let stride = CHUNK / format.block_len() * format.block_bytes();
    let begin = chunk * stride;
    let end = row_bytes.len().min(begin + stride);
    (format.spec().decode)(&row_bytes[begin..end], out);
}
