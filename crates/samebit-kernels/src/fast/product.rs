//! Packed weights times activations: which tile meets which rows, and where the outputs go.
//!
//! For a pair of groups and a run of rows, chunk after chunk: unpack, then every row against the tile. Weights are unpacked
//! once for many rows; outputs wait in a small block of their own until the last chunk, get their bias, and are looked at
//! once for what is not finite.

use core::ops::Range;

use samebit_numerics::blocks::Format;
use samebit_numerics::reduce::{CHUNK, chunks};

use super::chains::{PackedBrain, PackedHalf, PackedSingle};
use super::dot::Outputs;
use super::floats::{self, FloatTile};
use super::kernel::{Kernel, together};
use super::tile::Tile;
use super::unpack::unpack;
use crate::packed::{PackedMatrix, chunk_bytes};
use crate::pool::Columns;
use crate::table::Activations;
use crate::vector::{GROUP, Vector};

/// Rows of activations for which a tile is unpacked once.
const ROWS: usize = 128;

/// Groups that any vector unit does together, at most.
const GROUPS: usize = 2;

/// Groups of float weights that are done together for a single row of activations: chains enough to hide their latency.
const ALONE: usize = 4;

/// Room that a thread keeps between calls, so that none begins by clearing it.
pub(crate) struct Scratch {
    tiles: [Tile; GROUPS],
    floats: [FloatTile; GROUPS],
    outputs: [Outputs<GROUPS>; ROWS],
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self {
            tiles: [const { Tile::new() }; GROUPS],
            floats: [[[0.0; GROUP]; CHUNK]; GROUPS],
            outputs: [[[0.0; GROUP]; GROUPS]; ROWS],
        }
    }
}

/// The work of one call: which outputs, of which rows.
struct Block<'a, 'b> {
    matrix: &'a PackedMatrix<'a>,
    x: &'a Activations<f32>,
    bias: Option<&'a [f32]>,
    out: &'a mut Columns<'b, f32>,
    finite: bool,
}

/// The columns of `out`, which begin with a whole group, for all rows of `x`; whether all are finite. The matrix is of
/// `Format::ALL[FORMAT]`. `G` groups (`VECS` vectors) are done together, a last odd one alone (`ODD` vectors).
#[inline(always)]
pub(crate) fn integers<K: Kernel, const FORMAT: usize, const G: usize, const VECS: usize, const ODD: usize>(
    v: K::Vector,
    matrix: &PackedMatrix<'_>,
    x: &Activations<f32>,
    bias: Option<&[f32]>,
    out: &mut Columns<'_, f32>,
    scratch: &mut Scratch,
) -> bool {
    const { assert!(G <= GROUPS) };
    let mut block = Block { matrix, x, bias, out, finite: true };
    let Range { start: mut group, end } = block.groups();
    while group < end {
        let odd = end - group < G;
        for first in (0..x.tokens).step_by(ROWS) {
            if const { G > 1 } && odd {
                block.integers::<K, FORMAT, 1, ODD>(v, group, first, scratch);
            } else {
                block.integers::<K, FORMAT, G, VECS>(v, group, first, scratch);
            }
        }
        group += if odd { 1 } else { G };
    }
    block.finite
}

/// The same for float weights; for a single row of activations [`ALONE`] groups (`WIDE` vectors) are done together.
#[inline(always)]
pub(crate) fn floats<V: Vector, const G: usize, const VECS: usize, const ODD: usize, const WIDE: usize>(
    v: V,
    matrix: &PackedMatrix<'_>,
    x: &Activations<f32>,
    bias: Option<&[f32]>,
    out: &mut Columns<'_, f32>,
    scratch: &mut Scratch,
) -> bool {
    const { assert!(G <= GROUPS) };
    let mut block = Block { matrix, x, bias, out, finite: true };
    let Range { start: mut group, end } = block.groups();
    while x.tokens == 1 && end - group >= ALONE {
        block.one_row::<V, WIDE>(v, group);
        group += ALONE;
    }
    while group < end {
        let odd = end - group < G;
        for first in (0..x.tokens).step_by(ROWS) {
            if const { G > 1 } && odd {
                block.floats::<V, 1, ODD>(v, group, first, scratch);
            } else {
                block.floats::<V, G, VECS>(v, group, first, scratch);
            }
        }
        group += if odd { 1 } else { G };
    }
    block.finite
}

impl Block<'_, '_> {
    /// The groups of rows of weights that the outputs belong to.
    #[inline(always)]
    fn groups(&self) -> Range<usize> {
        let Range { start, end } = self.out.range();
        assert!(start.is_multiple_of(GROUP) && end <= self.matrix.rows, "product: columns are not whole groups");
        start / GROUP..end.div_ceil(GROUP)
    }

    #[inline(always)]
    fn integers<K: Kernel, const FORMAT: usize, const G: usize, const VECS: usize>(
        &mut self,
        v: K::Vector,
        group: usize,
        first: usize,
        scratch: &mut Scratch,
    ) {
        let count = ROWS.min(self.x.tokens - first);
        let per_row = chunks(self.matrix.cols);
        let format = const { Format::ALL[FORMAT] };
        let bytes = const { chunk_bytes(Format::ALL[FORMAT]) };
        let rows = &K::chunks(self.x)[first * per_row..(first + count) * per_row];
        let Scratch { tiles, outputs, .. } = scratch;
        let (Some(tiles), outputs) = (tiles.first_chunk_mut::<G>(), cleared::<G>(outputs, count)) else { return };
        for chunk in 0..per_row {
            for (i, tile) in tiles.iter_mut().enumerate() {
                unpack(v, format, K::SIGNED, self.matrix.chunk(group + i, chunk), tile);
                K::finish::<FORMAT>(v, tile, count);
            }
            let ahead = self.ahead::<G>(group, chunk);
            let row = |row: usize| &rows[row * per_row + chunk];
            let mut at = 0;
            if const { together::<K, FORMAT>(VECS) >= 4 } {
                for y in outputs.as_chunks_mut::<4>().0 {
                    let x = [row(at), row(at + 1), row(at + 2), row(at + 3)];
                    K::dot::<FORMAT, G, VECS, 4>(v, tiles, x, y, ([&[]; G], 0));
                    at += 4;
                }
            }
            if const { together::<K, FORMAT>(VECS) >= 2 } {
                for y in outputs[at..].as_chunks_mut::<2>().0 {
                    K::dot::<FORMAT, G, VECS, 2>(v, tiles, [row(at), row(at + 1)], y, ([&[]; G], 0));
                    at += 2;
                }
            }
            for y in &mut outputs[at..] {
                K::dot::<FORMAT, G, VECS, 1>(v, tiles, [row(at)], core::array::from_mut(y), (ahead, bytes));
                at += 1;
            }
        }
        self.put(group, first, outputs);
    }

    /// The packed bytes that will be read after a chunk of some groups.
    #[inline(always)]
    fn ahead<const G: usize>(&self, group: usize, chunk: usize) -> [&[u8]; G] {
        let (next, chunk) = if chunk + 1 < chunks(self.matrix.cols) { (group, chunk + 1) } else { (group + G, 0) };
        let mut ahead: [&[u8]; G] = [&[]; G];
        for (i, ahead) in ahead.iter_mut().enumerate() {
            *ahead = self.matrix.chunk(next + i, chunk);
        }
        ahead
    }

    #[inline(always)]
    fn floats<V: Vector, const G: usize, const VECS: usize>(
        &mut self,
        v: V,
        group: usize,
        first: usize,
        scratch: &mut Scratch,
    ) {
        let count = ROWS.min(self.x.tokens - first);
        let cols = self.matrix.cols;
        let Scratch { floats, outputs, .. } = scratch;
        let (Some(tiles), outputs) = (floats.first_chunk_mut::<G>(), cleared::<G>(outputs, count)) else { return };
        for chunk in 0..chunks(cols) {
            let columns = chunk * CHUNK..cols.min((chunk + 1) * CHUNK);
            for (i, tile) in tiles.iter_mut().enumerate() {
                floats::widen(v, self.matrix, group + i, columns.clone(), tile);
            }
            let mut at = first;
            let (sixes, rest) = outputs.as_chunks_mut::<6>();
            for y in sixes {
                floats::accumulate::<V, G, VECS, 6>(v, tiles, floats::rows(self.x, at, &columns), y);
                at += 6;
            }
            let (threes, rest) = rest.as_chunks_mut::<3>();
            for y in threes {
                floats::accumulate::<V, G, VECS, 3>(v, tiles, floats::rows(self.x, at, &columns), y);
                at += 3;
            }
            for y in rest {
                let x = floats::rows(self.x, at, &columns);
                floats::accumulate::<V, G, VECS, 1>(v, tiles, x, core::array::from_mut(y));
                at += 1;
            }
        }
        self.put(group, first, outputs);
    }

    /// Float weights for a single row of activations, read where they lie.
    #[inline(always)]
    fn one_row<V: Vector, const WIDE: usize>(&mut self, v: V, group: usize) {
        let mut outputs = [[[0.0; GROUP]; ALONE]];
        for chunk in 0..chunks(self.matrix.cols) {
            let columns = chunk * CHUNK..self.matrix.cols.min((chunk + 1) * CHUNK);
            let mut weights: [&[u8]; ALONE] = [&[]; ALONE];
            for (i, weights) in weights.iter_mut().enumerate() {
                *weights = self.matrix.chunk(group + i, chunk);
            }
            let x = &self.x.values[columns];
            match self.matrix.format {
                Format::F16 => floats::straight::<V, PackedHalf, ALONE, WIDE, 2>(v, weights, x, &mut outputs),
                Format::Bf16 => floats::straight::<V, PackedBrain, ALONE, WIDE, 2>(v, weights, x, &mut outputs),
                _ => floats::straight::<V, PackedSingle, ALONE, WIDE, 4>(v, weights, x, &mut outputs),
            }
        }
        self.put(group, 0, &outputs);
    }

    /// Finished outputs to their columns, with their bias.
    #[inline(always)]
    fn put<const G: usize>(&mut self, group: usize, first: usize, outputs: &[Outputs<G>]) {
        let range = self.out.range();
        let start = group * GROUP;
        let end = range.end.min(start + G * GROUP);
        let mut largest = 0u32;
        for (row, y) in (first..).zip(outputs) {
            let to = &mut self.out.row(row)[start - range.start..end - range.start];
            let y = &y.as_flattened()[..to.len()];
            match self.bias {
                Some(bias) => to.iter_mut().zip(y).zip(&bias[start..end]).for_each(|((to, y), b)| *to = y + b),
                None => to.copy_from_slice(y),
            }
            // Magnitudes order as their bits do, and what is not finite is above all others.
            largest = to.iter().fold(largest, |m, y| m.max(y.to_bits() & 0x7fff_ffff));
        }
        self.finite &= largest < 0x7f80_0000;
    }
}

/// Zeroed outputs for `count` rows of `G` groups.
#[inline(always)]
fn cleared<const G: usize>(outputs: &mut [Outputs<GROUPS>; ROWS], count: usize) -> &mut [Outputs<G>] {
    let (rows, _) = outputs.as_flattened_mut().as_chunks_mut::<G>();
    let rows = &mut rows[..count];
    rows.fill([[0.0; GROUP]; G]);
    rows
}
