//! Packed weights times activations: which tile meets which rows, and where the outputs go.
//!
//! For a few groups and a run of rows, chunk after chunk: unpack, then every row against the tiles. Weights are unpacked
//! once for many rows; outputs wait in a small block of their own until the last chunk, get their bias, and are looked at
//! once for what is not finite.

use samebit_numerics::blocks::{Family, Format};
use samebit_numerics::reduce::{CHUNK, chunks};

use super::chains::{PackedBrain, PackedHalf, PackedSingle};
use super::dot::Outputs;
use super::floats::{self, FloatTile};
use super::kernel::{Kernel, together};
use super::tile::{SHAPES, Tile};
use super::unpack::shape;
use crate::packed::{PackedMatrix, chunk_bytes};
use crate::pool::Columns;
use crate::table::{Activations, Unpack};
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

/// One call: the columns of `out`, which begin with a whole group, for all rows of `x`.
pub(crate) struct Call<'a, 'b, R = f32> {
    pub(crate) matrix: &'a PackedMatrix<'a>,
    pub(crate) x: &'a Activations<R>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) out: &'a mut Columns<'b, R>,
    pub(crate) scratch: &'a mut Scratch,
    /// Fills a tile from the bytes of a chunk of a group.
    pub(crate) unpack: Unpack,
}

impl Call<'_, '_> {
    /// The number of the format's shape; none for float formats.
    pub(crate) fn shape(&self) -> Option<usize> {
        let family = self.matrix.format.family();
        let shape = shape(self.matrix.format);
        SHAPES.iter().position(|&s| s == shape).filter(|_| family != Family::Float)
    }
}

/// The product of a shape's weights, `G` groups (`VECS` vectors) at a time; whether all outputs are finite.
#[inline(always)]
pub(crate) fn integers<K: Kernel, const SHAPE: usize, const G: usize, const VECS: usize>(
    v: K::Vector,
    mut call: Call<'_, '_>,
) -> bool {
    let mut finite = true;
    for group in call.groups::<G>() {
        for first in (0..call.x.tokens).step_by(ROWS) {
            let count = ROWS.min(call.x.tokens - first);
            integer_block::<K, SHAPE, G, VECS>(v, &mut call, group, first, count);
            finite &= call.put::<G>(group, first, count);
        }
    }
    finite
}

#[inline(always)]
fn integer_block<K: Kernel, const SHAPE: usize, const G: usize, const VECS: usize>(
    v: K::Vector,
    call: &mut Call<'_, '_>,
    group: usize,
    first: usize,
    count: usize,
) {
    let (per_row, bytes) = (chunks(call.matrix.cols), chunk_bytes(call.matrix.format));
    let rows = &K::chunks(call.x)[first * per_row..(first + count) * per_row];
    let Scratch { tiles, outputs, .. } = &mut *call.scratch;
    let (Some(tiles), outputs) = (tiles.first_chunk_mut::<G>(), cleared::<G>(outputs, count)) else { return };
    for chunk in 0..per_row {
        for (i, tile) in tiles.iter_mut().enumerate() {
            (call.unpack)(call.matrix.chunk(group + i, chunk), tile);
            K::finish::<SHAPE>(v, tile, count);
        }
        let mut at = 0;
        if const { together::<K, SHAPE>(VECS) >= 4 } {
            for y in outputs.as_chunks_mut::<4>().0 {
                let row = &rows[at * per_row + chunk..];
                let x = [&row[0], &row[per_row], &row[2 * per_row], &row[3 * per_row]];
                K::dot::<SHAPE, G, VECS, 4>(v, tiles, x, y, ([&[]; G], 0));
                at += 4;
            }
        } else if const { together::<K, SHAPE>(VECS) >= 2 } {
            for y in outputs.as_chunks_mut::<2>().0 {
                let row = &rows[at * per_row + chunk..];
                K::dot::<SHAPE, G, VECS, 2>(v, tiles, [&row[0], &row[per_row]], y, ([&[]; G], 0));
                at += 2;
            }
        }
        let ahead = ahead::<G>(call.matrix, group, chunk);
        for y in &mut outputs[at..] {
            let x = [&rows[at * per_row + chunk]];
            K::dot::<SHAPE, G, VECS, 1>(v, tiles, x, core::array::from_mut(y), (ahead, bytes));
            at += 1;
        }
    }
}

/// The packed bytes that will be read after a chunk of some groups.
#[inline(always)]
fn ahead<'a, const G: usize>(matrix: &PackedMatrix<'a>, group: usize, chunk: usize) -> [&'a [u8]; G] {
    let (next, chunk) = if chunk + 1 < chunks(matrix.cols) { (group, chunk + 1) } else { (group + G, 0) };
    let mut ahead: [&[u8]; G] = [&[]; G];
    for (i, ahead) in ahead.iter_mut().enumerate() {
        *ahead = matrix.chunk(next + i, chunk);
    }
    ahead
}

/// The product of float weights, `G` groups (`VECS` vectors) at a time, for a single row [`ALONE`] (`WIDE` vectors); whether all
/// outputs are finite.
#[inline(always)]
pub(crate) fn floats<V: Vector, const G: usize, const VECS: usize, const WIDE: usize>(
    v: V,
    mut call: Call<'_, '_>,
) -> bool {
    let mut finite = true;
    if call.x.tokens == 1 {
        for group in call.groups::<ALONE>() {
            let outputs = one_row::<V, WIDE>(v, &call, group);
            finite &= call.put_these(group, 0, &[outputs]);
        }
        return finite;
    }
    for group in call.groups::<G>() {
        for first in (0..call.x.tokens).step_by(ROWS) {
            let count = ROWS.min(call.x.tokens - first);
            float_block::<V, G, VECS>(v, &mut call, group, first, count);
            finite &= call.put::<G>(group, first, count);
        }
    }
    finite
}

#[inline(always)]
fn float_block<V: Vector, const G: usize, const VECS: usize>(
    v: V,
    call: &mut Call<'_, '_>,
    group: usize,
    first: usize,
    count: usize,
) {
    let cols = call.matrix.cols;
    let Scratch { floats, outputs, .. } = &mut *call.scratch;
    let (Some(tiles), outputs) = (floats.first_chunk_mut::<G>(), cleared::<G>(outputs, count)) else { return };
    for chunk in 0..chunks(cols) {
        let columns = chunk * CHUNK..cols.min((chunk + 1) * CHUNK);
        for (i, tile) in tiles.iter_mut().enumerate() {
            floats::widen(v, call.matrix, group + i, columns.clone(), tile);
        }
        let mut at = first;
        let (sixes, rest) = outputs.as_chunks_mut::<6>();
        for y in sixes {
            floats::accumulate::<V, G, VECS, 6>(v, tiles, floats::rows(call.x, at, &columns), y);
            at += 6;
        }
        for y in rest {
            let x = floats::rows(call.x, at, &columns);
            floats::accumulate::<V, G, VECS, 1>(v, tiles, x, core::array::from_mut(y));
            at += 1;
        }
    }
}

/// Float weights for a single row of activations, read where they lie.
#[inline(always)]
fn one_row<V: Vector, const WIDE: usize>(v: V, call: &Call<'_, '_>, group: usize) -> Outputs<ALONE> {
    let mut outputs = [[[0.0; GROUP]; ALONE]];
    for chunk in 0..chunks(call.matrix.cols) {
        let columns = chunk * CHUNK..call.matrix.cols.min((chunk + 1) * CHUNK);
        let mut weights: [&[u8]; ALONE] = [&[]; ALONE];
        for (i, weights) in weights.iter_mut().enumerate() {
            *weights = call.matrix.chunk(group + i, chunk);
        }
        let x = &call.x.values[columns];
        match call.matrix.format {
            Format::F16 => floats::straight::<V, PackedHalf, ALONE, WIDE, 2>(v, weights, x, &mut outputs),
            Format::Bf16 => floats::straight::<V, PackedBrain, ALONE, WIDE, 2>(v, weights, x, &mut outputs),
            _ => floats::straight::<V, PackedSingle, ALONE, WIDE, 4>(v, weights, x, &mut outputs),
        }
    }
    let [outputs] = outputs;
    outputs
}

impl Call<'_, '_> {
    /// The first groups of the steps in which `G` are done together; those of the last that are not there are done as the
    /// matrix's last group once more, and left out.
    fn groups<const G: usize>(&self) -> impl Iterator<Item = usize> + use<G> {
        let range = self.out.range();
        let whole = range.start.is_multiple_of(GROUP) && range.end <= self.matrix.rows;
        assert!(whole, "product: columns are not whole groups");
        (range.start / GROUP..range.end.div_ceil(GROUP)).step_by(G)
    }

    /// Finished outputs from the scratch to their columns; whether all are finite.
    #[inline(always)]
    fn put<const G: usize>(&mut self, group: usize, first: usize, count: usize) -> bool {
        let (rows, _) = self.scratch.outputs.as_flattened().as_chunks::<G>();
        put(self.out, self.bias, group, first, &rows[..count])
    }

    #[inline(always)]
    fn put_these<const G: usize>(&mut self, group: usize, first: usize, outputs: &[Outputs<G>]) -> bool {
        put(self.out, self.bias, group, first, outputs)
    }
}

/// Finished outputs to their columns, with their bias; whether all are finite.
#[inline(always)]
fn put<const G: usize>(
    out: &mut Columns<'_, f32>,
    bias: Option<&[f32]>,
    group: usize,
    first: usize,
    outputs: &[Outputs<G>],
) -> bool {
    let range = out.range();
    let start = group * GROUP;
    let end = range.end.min(start + G * GROUP);
    let mut largest = 0u32;
    for (row, y) in (first..).zip(outputs) {
        let to = &mut out.row(row)[start - range.start..end - range.start];
        let y = &y.as_flattened()[..to.len()];
        match bias {
            Some(bias) => to.iter_mut().zip(y).zip(&bias[start..end]).for_each(|((to, y), b)| *to = y + b),
            None => to.copy_from_slice(y),
        }
        // Magnitudes order as their bits do, and what is not finite is above all others.
        largest = to.iter().fold(largest, |m, y| m.max(y.to_bits() & 0x7fff_ffff));
    }
    largest < 0x7f80_0000
}

/// Zeroed outputs for `count` rows of `G` groups.
#[inline(always)]
fn cleared<const G: usize>(outputs: &mut [Outputs<GROUPS>; ROWS], count: usize) -> &mut [Outputs<G>] {
    let (rows, _) = outputs.as_flattened_mut().as_chunks_mut::<G>();
    let rows = &mut rows[..count];
    rows.fill([[0.0; GROUP]; G]);
    rows
}
