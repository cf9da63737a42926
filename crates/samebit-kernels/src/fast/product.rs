//! Packed weights times activations: which tile meets which rows, and where the outputs go.
//!
//! For a pair of groups and a run of rows, chunk after chunk: unpack, then every row against the tile. Weights are unpacked
//! once for many rows; outputs wait in a small block of their own until the last chunk, get their bias, and are looked at
//! once for what is not finite.

use samebit_numerics::blocks::{Family, Format};
use samebit_numerics::reduce::{CHUNK, chunks};

use super::dot::Outputs;
use super::floats::{self, FloatTile};
use super::kernel::{Kernel, Unit, together};
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

/// The columns of `out`, which begin with a whole group, for all rows of `x`; whether all are finite. `G` groups (`VECS`
/// vectors) are done together, a last odd one alone (`ODD` vectors).
#[inline(always)]
pub(crate) fn product<V: Unit, const G: usize, const VECS: usize, const ODD: usize>(
    v: V,
    matrix: &PackedMatrix<'_>,
    x: &Activations<f32>,
    bias: Option<&[f32]>,
    out: &mut Columns<'_, f32>,
    scratch: &mut Scratch,
) -> bool {
    const { assert!(G <= GROUPS) };
    let range = out.range();
    assert!(range.start.is_multiple_of(GROUP) && range.end <= matrix.rows, "product: columns are not whole groups");
    let mut block = Block { matrix, x, bias, out, finite: true };
    let (mut group, end) = (range.start / GROUP, range.end.div_ceil(GROUP));
    let float = matrix.format.family() == Family::Float;
    while group < end {
        for first in (0..x.tokens).step_by(ROWS) {
            match (end - group >= G, float) {
                (true, true) => block.floats::<V, G, VECS>(v, group, first, scratch),
                (true, false) => block.quantized::<V, G, VECS>(v, group, first, scratch),
                (false, true) => block.floats::<V, 1, ODD>(v, group, first, scratch),
                (false, false) => block.quantized::<V, 1, ODD>(v, group, first, scratch),
            }
        }
        group += if end - group >= G { G } else { 1 };
    }
    block.finite
}

impl Block<'_, '_> {
    /// Makes a constant of the format.
    #[inline(always)]
    fn quantized<V: Unit, const G: usize, const VECS: usize>(
        &mut self,
        v: V,
        group: usize,
        first: usize,
        scratch: &mut Scratch,
    ) {
        macro_rules! of {
            ($($kernel:ident: $($format:ident)*;)*) => {
                match self.matrix.format {
                    $($(Format::$format => {
                        self.integers::<V::$kernel, { Format::$format as usize }, G, VECS>(v, group, first, scratch);
                    })*)*
                    Format::F32 | Format::F16 | Format::Bf16 => {}
                }
            };
        }
        of!(Blocks32: Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Iq4Nl Mxfp4; Blocks256: Q2K Q3K Q4K Q5K Q6K; Table256: Iq4Xs;);
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
                    let x = core::array::from_fn(|i| row(at + i));
                    K::dot::<FORMAT, G, VECS, 4>(v, tiles, x, y, ([&[]; G], 0));
                    at += 4;
                }
            }
            if const { together::<K, FORMAT>(VECS) >= 2 } {
                for y in outputs[at..].as_chunks_mut::<2>().0 {
                    let x = core::array::from_fn(|i| row(at + i));
                    K::dot::<FORMAT, G, VECS, 2>(v, tiles, x, y, ([&[]; G], 0));
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
        let (next, chunk) =
            if chunk + 1 < chunks(self.matrix.cols) { (group, chunk + 1) } else { (group + G, 0) };
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
            let values = &self.x.values;
            let row = |row: usize| &values[(first + row) * cols..][columns.clone()];
            let (sixes, rest) = outputs.as_chunks_mut::<6>();
            let mut at = 0;
            for y in sixes {
                floats::accumulate::<V, G, VECS, 6>(v, tiles, core::array::from_fn(|i| row(at + i)), y);
                at += 6;
            }
            for y in rest {
                floats::accumulate::<V, G, VECS, 1>(v, tiles, [row(at)], core::array::from_mut(y));
                at += 1;
            }
        }
        self.put(group, first, outputs);
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
