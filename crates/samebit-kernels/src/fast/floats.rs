//! The product of packed float weights: chains over a chunk's columns, sixteen rows of weights to a vector line.

use core::ops::Range;

use samebit_numerics::blocks::Format;
use samebit_numerics::reduce::CHUNK;

use super::chains::chains;
use super::dot::Outputs;
use crate::packed::PackedMatrix;
use crate::vector::{GROUP, Vector};

/// Float weights of a chunk, widened: a column of sixteen rows after the other.
pub(crate) type FloatTile = [[f32; GROUP]; CHUNK];

/// The columns of a group in a range, widened into a tile.
#[inline(always)]
pub(crate) fn widen<V: Vector>(v: V, matrix: &PackedMatrix<'_>, group: usize, columns: Range<usize>, to: &mut FloatTile) {
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
    let mut sums = [[v.splat(0.0); VECS]; T];
    chains::<V, f32, G, VECS, T>(v, x, tiles.each_ref().map(|tile| tile.as_flattened()), GROUP, &mut sums);
    for (y, sums) in y.iter_mut().zip(sums) {
        for (i, sum) in sums.into_iter().enumerate() {
            let y = &mut y[i / V::PARTS][i % V::PARTS * V::LANES..];
            v.store(v.add(v.load(y), sum), y);
        }
    }
}
