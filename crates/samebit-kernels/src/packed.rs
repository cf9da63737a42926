//! Weights packed for the fast kernels: sixteen rows side by side, so that lanes run over outputs.
//!
//! Knows where each field of a format's block goes; nothing of arithmetic, of the vectors that read it, or of who owns the
//! memory. How it gets there is `pack.rs`. A packed matrix holds the file's own bits in another order (K-quants' small scales get a byte each).
//!
//! Rows are taken in groups of [`GROUP`]; a group is its blocks in order; a block of sixteen rows is
//!
//! | field | bytes |
//! |---|---|
//! | float scales (d; then m or dmin) | 16 binary16 each; MXFP4: 16 exponent bytes |
//! | K-quants' scales | 16 bytes per sub-block; Q2_K: per pair of sub-blocks 16 × 2 bytes, scale and minimum in one |
//! | Q4_K's and Q5_K's minimums | per pair of sub-blocks 16 × 2 bytes |
//! | quants, low bits | the file's dwords, each of sixteen rows |
//! | quants, high bits | likewise; Q5_0 and Q5_1: bit s of byte i is that of element 4s + i |
//!
//! and a group of a float format is its columns in order, sixteen elements each.

mod pack;

use samebit_numerics::blocks::Format;
use samebit_numerics::reduce::CHUNK;

pub use pack::pack;

use crate::vector::GROUP;

/// A matrix in packed form; rows beyond the last are zero.
#[derive(Clone, Copy, Debug)]
pub struct PackedMatrix<'a> {
    /// The format that was packed.
    pub format: Format,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// `packed_bytes(format, rows, cols)`.
    pub bytes: &'a [u8],
}

impl<'a> PackedMatrix<'a> {
    /// The bytes of a group of rows, or of the last one where there is none of that number.
    #[inline(always)]
    pub(crate) fn group(&self, group: usize) -> &'a [u8] {
        let len = group_bytes(self.format, self.cols);
        &self.bytes[group.min(self.groups() - 1) * len..][..len]
    }

    /// The bytes of one chunk of a group, or of the last group where there is none of that number.
    #[inline(always)]
    pub(crate) fn chunk(&self, group: usize, chunk: usize) -> &'a [u8] {
        let len = group_bytes(self.format, self.cols);
        let stride = chunk_bytes(self.format);
        let (group, start) = (group.min(self.groups() - 1) * len, chunk * stride);
        self.bytes.get(group + start..group + len.min(start + stride)).unwrap_or(&[])
    }

    /// Groups of rows.
    pub fn groups(&self) -> usize {
        self.rows.div_ceil(GROUP)
    }
}

/// Where the fields of one row's block lie.
struct Fields {
    /// Offsets of binary16 fields.
    halves: &'static [usize],
    /// Bytes of low bits, from and to.
    low: (usize, usize),
    /// Bytes of high bits.
    high: (usize, usize),
}

/// The fields of a block; none for float formats.
#[inline(always)]
const fn fields(format: Format) -> Fields {
    let (halves, low, high): (&[usize], _, _) = match format {
        Format::F32 | Format::F16 | Format::Bf16 => (&[], (0, 0), (0, 0)),
        Format::Q4_0 | Format::Iq4Nl => (&[0], (2, 18), (0, 0)),
        Format::Q4_1 => (&[0, 2], (4, 20), (0, 0)),
        Format::Q5_0 => (&[0], (6, 22), (2, 6)),
        Format::Q5_1 => (&[0, 2], (8, 24), (4, 8)),
        Format::Q8_0 => (&[0], (2, 34), (0, 0)),
        Format::Mxfp4 => (&[], (1, 17), (0, 0)),
        Format::Q2K => (&[80, 82], (16, 80), (0, 0)),
        Format::Q3K => (&[108], (32, 96), (0, 32)),
        Format::Q4K => (&[0, 2], (16, 144), (0, 0)),
        Format::Q5K => (&[0, 2], (48, 176), (16, 48)),
        Format::Q6K => (&[208], (0, 128), (128, 192)),
        Format::Iq4Xs => (&[0], (8, 136), (0, 0)),
    };
    Fields { halves, low, high }
}

/// Bytes that the small scales of sixteen rows take.
#[inline(always)]
pub(crate) const fn scale_bytes(format: Format) -> usize {
    match format {
        Format::Mxfp4 => GROUP,
        Format::Q4K | Format::Q5K => 16 * GROUP,
        Format::Q2K | Format::Q3K | Format::Q6K => 16 * GROUP,
        Format::Iq4Xs => 8 * GROUP,
        _ => 0,
    }
}

/// Bytes of a block of sixteen rows (of a column, for float formats).
#[inline(always)]
pub(crate) const fn block_bytes(format: Format) -> usize {
    let Fields { halves, low, high } = fields(format);
    match format {
        Format::F32 => 4 * GROUP,
        Format::F16 | Format::Bf16 => 2 * GROUP,
        _ => GROUP * (2 * halves.len() + low.1 - low.0 + high.1 - high.0) + scale_bytes(format),
    }
}

/// Bytes of a whole chunk of sixteen rows.
#[inline(always)]
pub(crate) const fn chunk_bytes(format: Format) -> usize {
    let elements = match format {
        Format::F32 | Format::F16 | Format::Bf16 => 1,
        Format::Q2K | Format::Q3K | Format::Q4K | Format::Q5K | Format::Q6K | Format::Iq4Xs => 256,
        _ => 32,
    };
    CHUNK / elements * block_bytes(format)
}

/// Bytes of a group of rows of `cols` elements.
#[inline(always)]
pub fn group_bytes(format: Format, cols: usize) -> usize {
    cols / format.block_len() * block_bytes(format)
}

/// Bytes of a packed matrix.
pub fn packed_bytes(format: Format, rows: usize, cols: usize) -> usize {
    rows.div_ceil(GROUP) * group_bytes(format, cols)
}
