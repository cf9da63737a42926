//! Packed weights times activations: which tile meets which rows, and where the outputs go.
//!
//! For a panel of groups and a block of rows, chunk after chunk: unpack a tile, then every row against it. Weights are unpacked
//! once for many rows; a chunk of the rows stays in a near cache for the whole panel; outputs wait in a block of their own
//! until the last chunk, get their bias, and are looked at once for what is not finite.

use core::ops::Range;

use samebit_numerics::blocks::{Family, Format};
use samebit_numerics::reduce::{CHUNK, chunks};

use super::MANY;
use super::activations::QuantizedChunk;
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

/// Rows of activations for which a tile is unpacked once, at most; a multiple of all that meet it together.
const ROWS: usize = 264;

/// Steps of groups for which a chunk of activations is read once.
pub(crate) const PANEL: usize = 8;

/// Groups that any vector unit does together, at most.
pub(crate) const GROUPS: usize = 2;

/// Groups of float weights that are done together for a single row of activations: chains enough to hide their latency.
const ALONE: usize = 4;

/// Room that a thread keeps between calls, so that none begins by clearing it.
pub(crate) struct Scratch {
    tiles: [Tile; GROUPS],
    floats: [FloatTile; GROUPS],
    outputs: [Outputs<GROUPS>; PANEL * ROWS],
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self {
            tiles: [const { Tile::new() }; GROUPS],
            floats: [[[0.0; GROUP]; CHUNK]; GROUPS],
            outputs: [[[0.0; GROUP]; GROUPS]; PANEL * ROWS],
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
    let (panel, rows) = blocking(call.x.tokens);
    for groups in call.panels::<G>(panel) {
        for first in (0..call.x.tokens).step_by(rows) {
            let rows = first..call.x.tokens.min(first + rows);
            integer_block::<K, SHAPE, G, VECS>(v, &mut call, &groups, rows.clone());
            finite &= call.put_panel::<G>(&groups, rows);
        }
    }
    finite
}

/// Steps of a panel, and rows of a block: equal ones, so that none is left with a few.
#[inline(always)]
fn blocking(tokens: usize) -> (usize, usize) {
    let rows = tokens.div_ceil(tokens.div_ceil(ROWS).max(1)).next_multiple_of(24);
    (if tokens < MANY { 1 } else { PANEL }, rows)
}

#[inline(always)]
fn integer_block<K: Kernel, const SHAPE: usize, const G: usize, const VECS: usize>(
    v: K::Vector,
    call: &mut Call<'_, '_>,
    groups: &Range<usize>,
    rows: Range<usize>,
) {
    let (tokens, bytes) = (call.x.tokens, chunk_bytes(call.matrix.format));
    let Scratch { tiles, outputs, .. } = &mut *call.scratch;
    let Some(tiles) = tiles.first_chunk_mut::<G>() else { return };
    let outputs = cleared::<G>(outputs, groups, rows.len());
    for chunk in 0..chunks(call.matrix.cols) {
        let x = &K::chunks(call.x)[chunk * tokens..][rows.clone()];
        for (group, y) in groups.clone().step_by(G).zip(outputs.chunks_exact_mut(rows.len())) {
            for (i, tile) in tiles.iter_mut().enumerate() {
                (call.unpack)(call.matrix.chunk(group + i, chunk), tile);
                K::finish::<SHAPE>(v, tile, rows.len());
            }
            let next = following::<G>(groups, group, chunk, chunks(call.matrix.cols));
            let mut ahead = ([&[] as &[u8]; G], bytes);
            for (i, ahead) in ahead.0.iter_mut().enumerate() {
                *ahead = call.matrix.chunk(next.0 + i, next.1);
            }
            let mut rest = (x, y);
            match const { together::<K, SHAPE>(VECS) } {
                8 => several::<K, SHAPE, G, VECS, 8>(v, tiles, &mut rest, &mut ahead),
                6 => several::<K, SHAPE, G, VECS, 6>(v, tiles, &mut rest, &mut ahead),
                4 => several::<K, SHAPE, G, VECS, 4>(v, tiles, &mut rest, &mut ahead),
                _ => {}
            }
            if const { together::<K, SHAPE>(VECS) > 1 } {
                several::<K, SHAPE, G, VECS, 2>(v, tiles, &mut rest, &mut ahead);
            }
            several::<K, SHAPE, G, VECS, 1>(v, tiles, &mut rest, &mut ahead);
        }
    }
}

/// Which group's chunk is fetched while this one is worked on: that of the panel's next group, else its first group's next.
/// Where a panel is one step, a few rows are through with a chunk before memory has answered: it is the next but one.
#[inline(always)]
fn following<const G: usize>(groups: &Range<usize>, group: usize, chunk: usize, chunks: usize) -> (usize, usize) {
    if groups.len() <= G {
        let at = chunk + 2;
        return (group + at / chunks * G, at % chunks);
    }
    match (group + G < groups.end, chunk + 1 < chunks) {
        (true, _) => (group + G, chunk),
        (false, true) => (groups.start, chunk + 1),
        (false, false) => (group + G, 0),
    }
}

/// The packed bytes of some groups that come next, and how many of each are to be fetched.
type Ahead<'a, const G: usize> = ([&'a [u8]; G], usize);

/// Rows of activations and their outputs.
type Rows<'a, K, const G: usize> = (&'a [QuantizedChunk<<K as Kernel>::Planes>], &'a mut [Outputs<G>]);

/// Takes from the `rest` of the rows as many as there are `T` together; the first of them fetch what comes next.
#[inline(always)]
fn several<K: Kernel, const SHAPE: usize, const G: usize, const VECS: usize, const T: usize>(
    v: K::Vector,
    tiles: &[Tile; G],
    rest: &mut Rows<'_, K, G>,
    ahead: &mut Ahead<'_, G>,
) {
    let (x, others) = rest.0.as_chunks::<T>();
    let (y, other_outputs) = core::mem::take(&mut rest.1).as_chunks_mut::<T>();
    *rest = (others, other_outputs);
    for (x, y) in x.iter().zip(y) {
        K::dot::<SHAPE, G, VECS, T>(v, tiles, x.each_ref(), y, *ahead);
        ahead.1 = 0;
    }
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
    let (panel, rows) = blocking(call.x.tokens);
    for groups in call.panels::<G>(panel) {
        for first in (0..call.x.tokens).step_by(rows) {
            let rows = first..call.x.tokens.min(first + rows);
            float_block::<V, G, VECS>(v, &mut call, &groups, rows.clone());
            finite &= call.put_panel::<G>(&groups, rows);
        }
    }
    finite
}

#[inline(always)]
fn float_block<V: Vector, const G: usize, const VECS: usize>(
    v: V,
    call: &mut Call<'_, '_>,
    groups: &Range<usize>,
    rows: Range<usize>,
) {
    let cols = call.matrix.cols;
    let Scratch { floats, outputs, .. } = &mut *call.scratch;
    let Some(tiles) = floats.first_chunk_mut::<G>() else { return };
    let outputs = cleared::<G>(outputs, groups, rows.len());
    for chunk in 0..chunks(cols) {
        let columns = chunk * CHUNK..cols.min((chunk + 1) * CHUNK);
        for (group, y) in groups.clone().step_by(G).zip(outputs.chunks_exact_mut(rows.len())) {
            for (i, tile) in tiles.iter_mut().enumerate() {
                floats::widen(v, call.matrix, group + i, columns.clone(), tile);
            }
            let mut at = rows.start;
            let (sixes, rest) = y.as_chunks_mut::<6>();
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

    /// The same, `panel` steps together: from the first group of the first step to that of the last, and one more.
    fn panels<const G: usize>(&self, panel: usize) -> impl Iterator<Item = Range<usize>> + use<G> {
        let (steps, end) = (self.groups::<G>(), self.out.range().end.div_ceil(GROUP));
        steps.step_by(panel).map(move |first| first..end.min(first + panel * G))
    }

    /// Finished outputs from the scratch to their columns; whether all are finite.
    #[inline(always)]
    fn put_panel<const G: usize>(&mut self, groups: &Range<usize>, rows: Range<usize>) -> bool {
        let (outputs, _) = self.scratch.outputs.as_flattened().as_chunks::<G>();
        let mut finite = true;
        for (group, outputs) in groups.clone().step_by(G).zip(outputs.chunks_exact(rows.len())) {
            finite &= put(self.out, self.bias, group, rows.start, outputs);
        }
        finite
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

/// Zeroed outputs of some groups for `rows` rows, step after step.
#[inline(always)]
fn cleared<'a, const G: usize>(
    outputs: &'a mut [Outputs<GROUPS>],
    groups: &Range<usize>,
    rows: usize,
) -> &'a mut [Outputs<G>] {
    let (outputs, _) = outputs.as_flattened_mut().as_chunks_mut::<G>();
    let outputs = &mut outputs[..groups.len().div_ceil(G) * rows];
    outputs.fill([[0.0; GROUP]; G]);
    outputs
}
