//! Weights packed for the fast kernels: sixteen rows side by side, so that lanes run over outputs.
//!
//! Knows where each field of a format's block goes; nothing of arithmetic, of the vectors that read it, or of who owns the
//! memory. A packed matrix holds the file's own bits in another order (K-quants' small scales get a byte each).
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

use core::ops::Range;

use samebit_numerics::blocks::{Family, Format, sub_scales};
use samebit_numerics::ops::matmul::Matrix;
use samebit_numerics::reduce::CHUNK;

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

/// Packs the groups from `first_group` on that fill `out`.
///
/// # Panics
/// If `out` is not whole groups of the matrix.
pub fn pack(matrix: &Matrix<'_>, first_group: usize, out: &mut [u8]) {
    let len = group_bytes(matrix.format, matrix.cols).max(1);
    assert!(out.len().is_multiple_of(len), "pack: not whole groups");
    for (group, out) in (first_group..).zip(out.chunks_exact_mut(len)) {
        let rows = group * GROUP..matrix.rows.min((group + 1) * GROUP);
        if rows.len() < GROUP {
            out.fill(0);
        }
        if matrix.format.family() == Family::Float {
            pack_floats(matrix, rows, out);
        } else {
            pack_blocks(matrix, rows, out);
        }
    }
}

fn pack_floats(matrix: &Matrix<'_>, rows: Range<usize>, out: &mut [u8]) {
    let size = matrix.format.block_bytes();
    for (lane, row) in rows.enumerate() {
        for (to, from) in out.chunks_exact_mut(GROUP * size).zip(matrix.row(row).chunks_exact(size)) {
            to[lane * size..(lane + 1) * size].copy_from_slice(from);
        }
    }
}

fn pack_blocks(matrix: &Matrix<'_>, rows: Range<usize>, out: &mut [u8]) {
    let (format, size) = (matrix.format, matrix.format.block_bytes());
    let Fields { halves, low, high } = fields(format);
    let (low, high) = (low.0..low.1, high.0..high.1);
    for (index, out) in out.chunks_exact_mut(block_bytes(format)).enumerate() {
        for (lane, row) in rows.clone().enumerate() {
            let block = &matrix.row(row)[index * size..(index + 1) * size];
            let mut rest = &mut out[..];
            for &at in halves {
                take(&mut rest, 2 * GROUP)[2 * lane..2 * lane + 2].copy_from_slice(&block[at..at + 2]);
            }
            pack_scales(format, block, lane, take(&mut rest, scale_bytes(format)));
            let to = take(&mut rest, GROUP * low.len());
            if format == Format::Q8_0 {
                pack_dwords(&block[low.clone()], lane, to, |x| x ^ 0x8080_8080);
            } else {
                pack_dwords(&block[low.clone()], lane, to, |x| x);
            }
            if high.len() == 4 {
                pack_dwords(&block[high.clone()], lane, rest, spread_bits);
            } else {
                pack_dwords(&block[high.clone()], lane, rest, |x| x);
            }
        }
    }
}

/// The next `len` bytes.
fn take<'a>(rest: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let (head, tail) = core::mem::take(rest).split_at_mut(len);
    *rest = tail;
    head
}

/// A row's dwords to every sixteenth place.
#[inline(always)]
fn pack_dwords(from: &[u8], lane: usize, to: &mut [u8], change: impl Fn(u32) -> u32) {
    let (from, _) = from.as_chunks::<4>();
    let (to, _) = to.as_chunks_mut::<4>();
    let (to, _) = to.as_chunks_mut::<GROUP>();
    // Eight at a time where there are so many, so that the loop has a constant length.
    let (whole, rest) = from.as_chunks::<8>();
    let (whole_to, _) = to.as_chunks_mut::<8>();
    for (to, from) in whole_to.iter_mut().zip(whole) {
        for (to, &from) in to.iter_mut().zip(from) {
            to[lane % GROUP] = change(u32::from_le_bytes(from)).to_le_bytes();
        }
    }
    for (to, &from) in to[8 * whole.len()..].iter_mut().zip(rest) {
        to[lane % GROUP] = change(u32::from_le_bytes(from)).to_le_bytes();
    }
}

/// Bit 4s + i goes to bit s of byte i.
#[inline(always)]
fn spread_bits(x: u32) -> u32 {
    let byte = |i: u32| {
        let x = (x >> i) & 0x1111_1111;
        let x = (x | x >> 3) & 0x0303_0303;
        let x = (x | x >> 6) & 0x000f_000f;
        ((x | x >> 12) & 0xff) << (8 * i)
    };
    byte(0) | byte(1) | byte(2) | byte(3)
}

fn pack_scales(format: Format, block: &[u8], lane: usize, out: &mut [u8]) {
    match format {
        Format::Mxfp4 => out[lane] = block[0],
        Format::Q2K => {
            for (sub, &byte) in block[..16].iter().enumerate() {
                out[sub / 2 * 2 * GROUP + 2 * lane + sub % 2] = byte;
            }
        }
        Format::Q3K | Format::Q6K => {
            let scales = sub_scales(format, block);
            scales.sub.iter().enumerate().for_each(|(sub, &s)| out[sub * GROUP + lane] = s.cast_unsigned());
        }
        Format::Iq4Xs => {
            let scales = sub_scales(format, block);
            (0..8).for_each(|sub| out[sub * GROUP + lane] = scales.sub[2 * sub].cast_unsigned());
        }
        Format::Q4K | Format::Q5K => {
            let scales = sub_scales(format, block);
            for sub in 0..8 {
                out[sub * GROUP + lane] = scales.sub[2 * sub].cast_unsigned();
                out[8 * GROUP + sub / 2 * 2 * GROUP + 2 * lane + sub % 2] = scales.min[2 * sub];
            }
        }
        _ => {}
    }
}
