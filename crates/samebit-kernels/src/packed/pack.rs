//! Packing: from the file's rows to sixteen of them side by side, as fast as memory goes.
//!
//! Knows where a file's blocks have their scales and quants; nothing of who reads the packed form. Everything is done for
//! sixteen rows at once, in loops of constant length that compilers turn into vectors.

use samebit_numerics::blocks::Format;
use samebit_numerics::ops::matmul::Matrix;

use super::{Fields, block_bytes, fields, group_bytes, scale_bytes};
use crate::vector::GROUP;

/// The same piece of sixteen rows: rows of equal length, and where in each the piece begins.
#[derive(Clone, Copy)]
struct Pieces<'a, 'b> {
    rows: &'b [&'a [u8]; GROUP],
    at: usize,
}

/// A dword of each row.
type Dwords = [u32; GROUP];

/// Packs the groups from `first_group` on that fill `out`.
///
/// # Panics
/// If `out` is not whole groups of the matrix.
pub fn pack(matrix: &Matrix<'_>, first_group: usize, out: &mut [u8]) {
    let len = group_bytes(matrix.format, matrix.cols).max(1);
    assert!(out.len().is_multiple_of(len), "pack: not whole groups");
    for (group, out) in (first_group..).zip(out.chunks_exact_mut(len)) {
        let rows = group * GROUP..matrix.rows.min((group + 1) * GROUP);
        // Rows beyond the last are zeros.
        let zeros = if rows.len() < GROUP { vec![0; matrix.bytes.len() / matrix.rows] } else { Vec::new() };
        let mut sixteen = [&zeros[..]; GROUP];
        sixteen.iter_mut().zip(rows).for_each(|(slot, row)| *slot = matrix.row(row));
        match matrix.format {
            Format::F32 => pack_floats::<4>(&sixteen, out),
            Format::F16 | Format::Bf16 => pack_floats::<2>(&sixteen, out),
            format => pack_blocks(format, &sixteen, out),
        }
    }
}

/// Floats of `SIZE` bytes, column by column.
fn pack_floats<const SIZE: usize>(rows: &[&[u8]; GROUP], out: &mut [u8]) {
    let mut at = 0;
    let mut pieces = out.chunks_exact_mut(16 * GROUP);
    for out in &mut pieces {
        let four = Pieces { rows, at }.four_dwords();
        for (out, dwords) in out.chunks_exact_mut(4 * GROUP).zip(&four) {
            match SIZE {
                4 => put_dwords(dwords, out),
                _ => put_words(dwords, out),
            }
        }
        at += 16;
    }
    for out in pieces.into_remainder().chunks_exact_mut(SIZE * GROUP) {
        for (out, row) in out.chunks_exact_mut(SIZE).zip(rows) {
            out.copy_from_slice(&row[at..at + SIZE]);
        }
        at += SIZE;
    }
}

fn pack_blocks(format: Format, rows: &[&[u8]; GROUP], out: &mut [u8]) {
    let size = format.block_bytes();
    let Fields { halves, low, high } = fields(format);
    // Unsigned bytes serve more instructions than signed ones.
    let flip = if format == Format::Q8_0 { 0x8080_8080 } else { 0 };
    for (index, mut rest) in out.chunks_exact_mut(block_bytes(format)).enumerate() {
        let field = |offset| Pieces { rows, at: index * size + offset };
        for &offset in halves {
            let halves = take(&mut rest, 2 * GROUP).as_chunks_mut::<2>().0;
            halves.iter_mut().zip(field(offset).bytes::<2>()).for_each(|(to, half)| *to = half);
        }
        pack_scales(format, field(0), take(&mut rest, scale_bytes(format)));
        pack_quants(field(low.0), flip, take(&mut rest, GROUP * (low.1 - low.0)));
        if high.1 - high.0 == 4 {
            put_dwords(&field(high.0).dwords().map(spread_bits), rest);
        } else {
            pack_quants(field(high.0), 0, rest);
        }
    }
}

/// The next `len` bytes.
#[inline(always)]
fn take<'a>(rest: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let (head, tail) = core::mem::take(rest).split_at_mut(len);
    *rest = tail;
    head
}

/// Dword after dword, each of sixteen rows.
#[inline(always)]
fn pack_quants(from: Pieces<'_, '_>, flip: u32, out: &mut [u8]) {
    for (index, out) in out.chunks_exact_mut(16 * GROUP).enumerate() {
        let four = from.after(16 * index).four_dwords();
        for (out, dwords) in out.chunks_exact_mut(4 * GROUP).zip(&four) {
            put_dwords(&dwords.map(|x| x ^ flip), out);
        }
    }
}

impl Pieces<'_, '_> {
    /// The pieces that begin `offset` bytes further on.
    #[inline(always)]
    fn after(self, offset: usize) -> Self {
        Self { at: self.at + offset, ..self }
    }

    /// The first bytes of each.
    #[inline(always)]
    fn bytes<const N: usize>(self) -> [[u8; N]; GROUP] {
        self.rows.map(|row| row[self.at..self.at + N].as_chunks::<N>().0[0])
    }

    /// The first dword of each.
    #[inline(always)]
    fn dwords(self) -> Dwords {
        self.bytes::<4>().map(u32::from_le_bytes)
    }

    /// The first four dwords of each: the first of all rows, the second of all rows …
    #[inline(always)]
    fn four_dwords(self) -> [Dwords; 4] {
        let mut out = [[0; GROUP]; 4];
        let (pairs, _) = self.rows.as_chunks::<2>();
        for (lane, [even, odd]) in pairs.iter().enumerate() {
            let [even, odd] = [even, odd].map(|row| &row[self.at..self.at + 16]);
            for (k, out) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                // Two dwords of two rows: a square, transposed in registers.
                let qword = |row: &[u8]| u64::from_le_bytes(row.as_chunks::<8>().0[k]);
                let (even, odd) = (qword(even), qword(odd));
                let put = |to: &mut Dwords, x: u64| {
                    to[2 * lane] = x as u32;
                    to[2 * lane + 1] = (x >> 32) as u32;
                };
                put(&mut out[0], even & 0xffff_ffff | odd << 32);
                put(&mut out[1], even >> 32 | odd & !0xffff_ffff);
            }
        }
        out
    }
}

/// A dword of each row.
#[inline(always)]
fn put_dwords(dwords: &Dwords, out: &mut [u8]) {
    let (out, _) = out.as_chunks_mut::<4>();
    out.iter_mut().zip(dwords).for_each(|(out, x)| *out = x.to_le_bytes());
}

/// A dword's first word of each row, then its second.
#[inline(always)]
fn put_words(dwords: &Dwords, out: &mut [u8]) {
    let (out, _) = out.as_chunks_mut::<2>();
    for (word, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        *out = dwords.map(|x| ((x >> (16 * word)) as u16).to_le_bytes());
    }
}

/// A dword's first byte of each row, then its second …
#[inline(always)]
fn put_bytes(dwords: &Dwords, out: &mut [u8]) {
    for (byte, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        *out = dwords.map(|x| (x >> (8 * byte)) as u8);
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

/// The integer scales of sixteen blocks: a byte each, or two that are used together.
///
/// Where they lie in a file's block is told in samebit-numerics' `blocks`; here four are done in a dword.
fn pack_scales(format: Format, block: Pieces<'_, '_>, out: &mut [u8]) {
    match format {
        Format::Mxfp4 => out.copy_from_slice(block.bytes::<1>().as_flattened()),
        Format::Q2K => put_each(&block.four_dwords(), out, put_words),
        Format::Q6K => put_each(&block.after(192).four_dwords(), out, put_bytes),
        Format::Q4K | Format::Q5K => {
            let [_, a, b, c] = block.four_dwords();
            let (scales, minimums) = out.split_at_mut(8 * GROUP);
            put_each(&[a.map(|a| a & SIX), join(&c, 0, &a)], scales, put_bytes);
            put_each(&[b.map(|b| b & SIX), join(&c, 4, &b)], minimums, put_words);
        }
        Format::Q3K => {
            let [a, b, c] = [96, 100, 104].map(|offset| block.after(offset).dwords());
            let high = |shift| c.map(|c| c >> shift << 6);
            put_each(
                &[join(&a, 0, &high(0)), join(&b, 0, &high(2)), join(&a, 4, &high(4)), join(&b, 4, &high(6))],
                out,
                put_bytes,
            );
            out.iter_mut().for_each(|scale| *scale = scale.wrapping_sub(32));
        }
        Format::Iq4Xs => {
            let (high, low) = (block.dwords(), block.after(4).dwords());
            for (j, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
                let scale = |lane: usize| ((low[lane] >> (4 * j)) & 15 | ((high[lane] >> (16 + 2 * j)) & 3) << 4) as u8;
                *out = core::array::from_fn(|lane| scale(lane).wrapping_sub(32));
            }
        }
        _ => {}
    }
}

/// The low six bits of each byte.
const SIX: u32 = 0x3f3f_3f3f;

/// In each byte: four bits of `low`, from `shift` on, and above them the highest two of `high`.
#[inline(always)]
fn join(low: &Dwords, shift: u32, high: &Dwords) -> Dwords {
    core::array::from_fn(|lane| (low[lane] >> shift) & 0x0f0f_0f0f | (high[lane] >> 2) & 0x3030_3030)
}

/// Puts dword after dword, each in its equal part of `out`.
#[inline(always)]
fn put_each(dwords: &[Dwords], out: &mut [u8], put: impl Fn(&Dwords, &mut [u8])) {
    for (dwords, out) in dwords.iter().zip(out.chunks_exact_mut(4 * GROUP)) {
        put(dwords, out);
    }
}
