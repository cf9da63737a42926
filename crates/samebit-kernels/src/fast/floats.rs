//! The product of packed float weights: chains over a chunk's columns, sixteen rows of weights to a vector line.

use core::ops::Range;

use samebit_numerics::blocks::Format;
use samebit_numerics::reduce::CHUNK;

use super::FREE_ORDER;
use super::chains::{Lanes, chains};
use super::dot::Outputs;
use crate::packed::PackedMatrix;
use crate::table::Activations;
use crate::vector::{GROUP, Vector};

/// Float weights of a chunk, widened: a column of sixteen rows after the other.
pub(crate) type FloatTile = [[f32; GROUP]; CHUNK];

/// The columns of a group in a range, widened into a tile.
#[inline(always)]
pub(crate) fn widen<V: Vector>(
    v: V,
    matrix: &PackedMatrix<'_>,
    group: usize,
    columns: Range<usize>,
    to: &mut FloatTile,
) {
    let bytes = matrix.group(group);
    match matrix.format {
        Format::F16 => {
            let (halves, _) = bytes.as_chunks::<2>();
            let (lines, _) = halves.as_chunks::<GROUP>();
            for (to, line) in to.iter_mut().zip(&lines[columns]) {
                let line = line.map(u16::from_le_bytes);
                for (to, line) in to.chunks_exact_mut(V::LANES).zip(line.chunks_exact(V::LANES)) {
                    v.store(v.load_half(line), to);
                }
            }
        }
        Format::Bf16 => {
            let (halves, _) = bytes.as_chunks::<2>();
            let (lines, _) = halves.as_chunks::<GROUP>();
            for (to, line) in to.iter_mut().zip(&lines[columns]) {
                *to = line.map(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16));
            }
        }
        _ => {
            let (floats, _) = bytes.as_chunks::<4>();
            let (lines, _) = floats.as_chunks::<GROUP>();
            for (to, line) in to.iter_mut().zip(&lines[columns]) {
                *to = line.map(f32::from_le_bytes);
            }
        }
    }
}

/// `y = y + chain` over a chunk, for `T` rows of activations and `G` tiles of `VECS` vectors together.
#[inline(always)]
pub(crate) fn accumulate<V: Vector, const G: usize, const VECS: usize, const T: usize>(
    v: V,
    tiles: &[FloatTile; G],
    x: [&[f32]; T],
    y: &mut [Outputs<G>; T],
) {
    let mut b: [&[f32]; G] = [&[]; G];
    for (b, tile) in b.iter_mut().zip(tiles) {
        *b = tile.as_flattened();
    }
    let mut sums = [[v.splat(0.0); VECS]; T];
    if FREE_ORDER {
        // One chain through the whole row.
        for (sums, y) in sums.iter_mut().zip(y.iter()) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = v.load(&y[i / V::PARTS][i % V::PARTS * V::LANES..]);
            }
        }
        y.fill([[0.0; GROUP]; G]);
    }
    chains::<V, f32, G, VECS, T>(v, x, b, GROUP, &mut sums);
    add::<V, G, VECS, T>(v, &sums, y);
}

/// The same for a single row, from a chunk of `G` groups as it lies, `BYTES` to a number.
#[inline(always)]
pub(crate) fn straight<
    V: Vector,
    B: Lanes<Raw = [u8; BYTES]>,
    const G: usize,
    const VECS: usize,
    const BYTES: usize,
>(
    v: V,
    weights: [&[u8]; G],
    x: &[f32],
    y: &mut [Outputs<G>; 1],
) {
    let mut b: [&[[u8; BYTES]]; G] = [&[]; G];
    for (b, weights) in b.iter_mut().zip(weights) {
        *b = weights.as_chunks().0;
    }
    let mut sums = [[v.splat(0.0); VECS]; 1];
    chains::<V, B, G, VECS, 1>(v, [x], b, GROUP, &mut sums);
    add::<V, G, VECS, 1>(v, &sums, y);
}

/// `y = y + sum`.
#[inline(always)]
fn add<V: Vector, const G: usize, const VECS: usize, const T: usize>(
    v: V,
    sums: &[[V::F; VECS]; T],
    y: &mut [Outputs<G>; T],
) {
    for (y, sums) in y.iter_mut().zip(sums) {
        for (i, &sum) in sums.iter().enumerate() {
            let y = &mut y[i / V::PARTS][i % V::PARTS * V::LANES..];
            v.store(v.add(v.load(y), sum), y);
        }
    }
}

/// A chunk's columns of `T` rows of activations.
#[inline(always)]
pub(crate) fn rows<'a, const T: usize>(
    x: &'a Activations<f32>,
    first: usize,
    columns: &Range<usize>,
) -> [&'a [f32]; T] {
    let mut rows: [&[f32]; T] = [&[]; T];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = &x.values[(first + i) * x.cols..][columns.clone()];
    }
    rows
}
