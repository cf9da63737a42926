//! From packed weights to tiles: fields of four bits and fewer spread to bytes, scales widened.
//!
//! Plain loops over arrays of sixteen rows, which the compiler turns into vector instructions; only binary16 and table
//! look-ups ask the vector unit by name.

use samebit_numerics::blocks::Format;
use samebit_numerics::reduce::CHUNK;

use super::tile::{Shape, Tile};
use crate::packed::block_bytes;
use crate::vector::{GROUP, Line, Vector};

/// IQ4_NL's and IQ4_XS's values, 128 above.
const VALUES: [u8; 16] = [1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241];
/// The same as signed bytes.
const SIGNED_VALUES: [u8; 16] = {
    let mut values = VALUES;
    let mut i = 0;
    while i < 16 {
        values[i] ^= 0x80;
        i += 1;
    }
    values
};
/// MXFP4's doubled values, 12 above.
const DOUBLED: [u8; 16] = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];

/// How a format's tiles take part in sums.
#[inline(always)]
pub(crate) const fn shape(format: Format) -> Shape {
    match format {
        Format::Q4_1 | Format::Q5_1 => Shape::Block32 { offset: true },
        Format::Q2K => Shape::Block256 { sub: 16, minimums: true },
        Format::Q4K | Format::Q5K => Shape::Block256 { sub: 32, minimums: true },
        Format::Q3K | Format::Q6K => Shape::Block256 { sub: 16, minimums: false },
        Format::Iq4Xs => Shape::Block256 { sub: 32, minimums: false },
        _ => Shape::Block32 { offset: false },
    }
}

/// Unpacks the bytes of one chunk of a group of sixteen rows, to signed bytes or to unsigned ones. `format` and `signed` are
/// constants of the caller's, so that nothing is chosen inside the loops.
#[inline(always)]
pub(crate) fn unpack<V: Vector>(v: V, format: Format, signed: bool, bytes: &[u8], tile: &mut Tile) {
    let stride = block_bytes(format);
    match shape(format) {
        Shape::Block32 { .. } => {
            tile.blocks = bytes.len() / stride;
            for (block, bytes) in bytes.chunks_exact(stride).enumerate() {
                unpack32(v, (format, signed), bytes, block, tile);
            }
        }
        Shape::Block256 { .. } => {
            tile.blocks = CHUNK / 32;
            unpack256(v, (format, signed), bytes, tile);
        }
    }
}

/// The next `N` bytes.
#[inline(always)]
fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> &'a [u8; N] {
    // Packed blocks are as long as their fields together; an empty array is never read.
    let (head, rest) = bytes.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
    *bytes = rest;
    head
}

/// The next line.
#[inline(always)]
fn line(bytes: &mut &[u8]) -> Line {
    let from = take::<64>(bytes);
    let mut line = [0; 8];
    for (to, from) in line.iter_mut().zip(from.as_chunks::<8>().0) {
        *to = u64::from_ne_bytes(*from);
    }
    line
}

#[inline(always)]
fn unpack32<V: Vector>(v: V, (format, signed): (Format, bool), mut bytes: &[u8], block: usize, tile: &mut Tile) {
    let rest = &mut bytes;
    if format == Format::Mxfp4 {
        tile.scale[block] = take::<16>(rest).map(power);
    } else {
        halves(v, take(rest), &mut tile.scale[block]);
    }
    if matches!(format, Format::Q4_1 | Format::Q5_1) {
        halves(v, take(rest), &mut tile.offset[block]);
    }
    let Some(weights) = tile.weights[block * 8..].first_chunk_mut::<8>() else { return };
    match format {
        Format::Q8_0 => weights.iter_mut().for_each(|weights| *weights = line(rest)),
        _ => nibbles::<4, 4>(rest, weights),
    }
    tile.bias = match format {
        Format::Q4_0 => 8,
        Format::Q5_0 => 16,
        Format::Q8_0 if signed => {
            weights.as_flattened_mut().iter_mut().for_each(|weights| *weights ^= every(0x80));
            0
        }
        Format::Q8_0 => 128,
        Format::Mxfp4 => {
            weights.iter_mut().for_each(|weights| v.look_up(&DOUBLED, weights));
            12
        }
        Format::Iq4Nl => {
            let values = if signed { &SIGNED_VALUES } else { &VALUES };
            weights.iter_mut().for_each(|weights| v.look_up(values, weights));
            if signed { 0 } else { 128 }
        }
        _ => 0,
    };
    if matches!(format, Format::Q5_0 | Format::Q5_1) {
        let high = line(rest);
        for (step, weights) in weights.iter_mut().enumerate() {
            or_bits::<1>(weights, &high, step, 4);
        }
    }
}

#[inline(always)]
fn unpack256<V: Vector>(v: V, (format, signed): (Format, bool), mut bytes: &[u8], tile: &mut Tile) {
    let rest = &mut bytes;
    halves(v, take(rest), &mut tile.scale[0]);
    if matches!(format, Format::Q2K | Format::Q4K | Format::Q5K) {
        halves(v, take(rest), &mut tile.offset[0]);
        tile.offset[0].iter_mut().for_each(|dmin| *dmin = -*dmin);
    }
    (tile.bias, tile.largest) = match format {
        Format::Q2K => (0, 3),
        Format::Q3K => (4, 7),
        Format::Q4K => (0, 15),
        Format::Q5K => (0, 31),
        Format::Q6K => (32, 63),
        _ if signed => (0, 127),
        _ => (128, 255),
    };
    match format {
        Format::Q2K => {
            scales_and_minimums(take::<256>(rest), tile);
            two_bits(rest, &mut tile.weights);
        }
        Format::Q3K => {
            signed_scales(take::<256>(rest), &mut tile.sub);
            two_bits(rest, &mut tile.weights);
            high_bits(rest, 2, &mut tile.weights);
        }
        Format::Q6K => {
            signed_scales(take::<256>(rest), &mut tile.sub);
            six_bits(rest, &mut tile.weights);
        }
        Format::Iq4Xs => {
            signed_scales(take::<128>(rest), &mut tile.sub);
            let values = if signed { &SIGNED_VALUES } else { &VALUES };
            let (blocks, _) = tile.weights.as_chunks_mut::<8>();
            for weights in blocks {
                nibbles::<4, 4>(rest, weights);
                weights.iter_mut().for_each(|weights| v.look_up(values, weights));
            }
        }
        _ => {
            signed_scales(take::<128>(rest), &mut tile.sub);
            minimums(take::<128>(rest), &mut tile.min);
            let (pairs, _) = tile.weights.as_chunks_mut::<16>();
            pairs.iter_mut().for_each(|pair| nibbles::<8, 8>(rest, pair));
            if format == Format::Q5K {
                high_bits(rest, 4, &mut tile.weights);
            }
        }
    }
}

/// Sixteen binary16 numbers.
#[inline(always)]
fn halves<V: Vector>(v: V, bytes: &[u8; 2 * GROUP], to: &mut [f32; GROUP]) {
    let mut halves = [0u16; GROUP];
    for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *half = u16::from_le_bytes(*bytes);
    }
    for (halves, to) in halves.chunks_exact(V::LANES).zip(to.chunks_exact_mut(V::LANES)) {
        v.store(v.load_half(halves), to);
    }
}

/// 2^(e − 128), subnormal for e below 2.
#[inline(always)]
fn power(exponent: u8) -> f32 {
    match exponent {
        0 => f32::from_bits(0x0020_0000),
        1 => f32::from_bits(0x0040_0000),
        e => f32::from_bits((u32::from(e) - 1) << 23),
    }
}

/// A byte in every byte.
const fn every(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// `N` lines of nibbles: the low ones are the first lines, the high ones lie `APART` lines further.
#[inline(always)]
fn nibbles<const N: usize, const APART: usize>(from: &mut &[u8], to: &mut [Line]) {
    for i in 0..N {
        let packed = line(from);
        field::<4>(&mut to[i], &packed, 0);
        field::<4>(&mut to[i + APART], &packed, 1);
    }
}

/// Field number `field` of `BITS` bits of each byte.
#[inline(always)]
fn field<const BITS: usize>(to: &mut Line, packed: &Line, field: usize) {
    for (to, packed) in to.iter_mut().zip(packed) {
        *to = (packed >> (BITS * field)) & every((1 << BITS) - 1);
    }
}

/// Adds field number `field` of `BITS` bits of each byte, shifted up by `up`.
#[inline(always)]
fn or_bits<const BITS: usize>(to: &mut Line, packed: &Line, field: usize, up: usize) {
    let mask = every(((1 << BITS) - 1) << up);
    let at = BITS * field;
    for (to, packed) in to.iter_mut().zip(packed) {
        *to |= mask & if at > up { packed >> (at - up) } else { packed << (up - at) };
    }
}

/// Q2_K's and Q3_K's low bits: line 8n + t has elements 128n + 32s + 4t … of field s.
#[inline(always)]
fn two_bits(from: &mut &[u8], to: &mut [Line; CHUNK / 4]) {
    for to in to.as_chunks_mut::<32>().0 {
        for t in 0..8 {
            let packed = line(from);
            for s in 0..4 {
                field::<2>(&mut to[8 * s + t], &packed, s);
            }
        }
    }
}

/// One high bit of each element: line t has elements 32s + 4t … of field s.
#[inline(always)]
fn high_bits(from: &mut &[u8], up: usize, to: &mut [Line; CHUNK / 4]) {
    for t in 0..8 {
        let packed = line(from);
        for s in 0..8 {
            or_bits::<1>(&mut to[8 * s + t], &packed, s, up);
        }
    }
}

/// Q6_K: nibble line 16n + t has elements 128n + 4t and, above, 128n + 64 + 4t; line 8n + t of the two-bit fields has
/// elements 128n + 32s + 4t of field s.
#[inline(always)]
fn six_bits(from: &mut &[u8], to: &mut [Line; CHUNK / 4]) {
    let (halves, _) = to.as_chunks_mut::<32>();
    for half in halves.iter_mut() {
        nibbles::<16, 16>(from, half);
    }
    for half in halves {
        for t in 0..8 {
            let packed = line(from);
            for s in 0..4 {
                or_bits::<2>(&mut half[8 * s + t], &packed, s, 4);
            }
        }
    }
}

/// A signed byte per sub-block and row.
#[inline(always)]
fn signed_scales(bytes: &[u8], to: &mut [[i32; GROUP]; 16]) {
    for (to, bytes) in to.iter_mut().zip(bytes.as_chunks::<GROUP>().0) {
        for (to, &byte) in to.iter_mut().zip(bytes) {
            *to = i32::from(byte.cast_signed());
        }
    }
}

/// Q4_K's and Q5_K's minimums, in pairs.
#[inline(always)]
fn minimums(bytes: &[u8; 128], to: &mut [[i16; 2 * GROUP]; 8]) {
    for (to, bytes) in to.iter_mut().zip(bytes.as_chunks::<{ 2 * GROUP }>().0) {
        for (to, &byte) in to.iter_mut().zip(bytes) {
            *to = i16::from(byte);
        }
    }
}

/// Q2_K's scales and minimums: a nibble each, in pairs of sub-blocks.
#[inline(always)]
fn scales_and_minimums(bytes: &[u8; 256], tile: &mut Tile) {
    for (pair, bytes) in bytes.as_chunks::<{ 2 * GROUP }>().0.iter().enumerate() {
        for (to, &byte) in tile.min[pair].iter_mut().zip(bytes) {
            *to = i16::from(byte >> 4);
        }
        for (row, bytes) in bytes.as_chunks::<2>().0.iter().enumerate() {
            tile.sub[2 * pair][row] = i32::from(bytes[0] & 15);
            tile.sub[2 * pair + 1][row] = i32::from(bytes[1] & 15);
        }
    }
}
