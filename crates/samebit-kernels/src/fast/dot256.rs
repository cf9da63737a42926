//! The dot products of 256-element formats: sums of sub-blocks, times their integer scales, plane by plane.
//!
//! S_h and S_l are exact integers, so how scales are multiplied in is free: as 32-bit integers; as words, where no sum of a
//! sub-block can be larger; as floats, where no sum of half a chunk leaves what a float holds exactly. The first is always
//! right, and dear on some instruction sets.

use super::activations::{Planes, QuantizedChunk};
use super::dot::{Chunk, Outputs, PlaneSums, accumulate, both, fetch};
use super::tile::Tile;
use crate::vector::{GROUP, Vector};

/// `STEPS` is a quarter of a sub-block's elements.
#[inline(always)]
pub(super) fn blocks256<
    V: PlaneSums,
    const G: usize,
    const VECS: usize,
    const T: usize,
    const STEPS: usize,
    const MINIMUMS: bool,
>(
    v: V,
    tiles: &[Tile; G],
    x: [&Chunk; T],
    y: &mut [Outputs<G>; T],
    (ahead, bytes): ([&[u8]; G], usize),
) {
    let sums = if T == 1 {
        alone256::<V, G, VECS, T, STEPS, MINIMUMS>(v, tiles, x[0], (ahead, bytes))
    } else if V::DEAR_PRODUCTS && tiles.iter().all(|tile| tile.within) {
        fetch(v, &ahead, bytes, 0, 2);
        let high = halves256::<V, G, VECS, T, STEPS, MINIMUMS, true>(v, tiles, &x);
        fetch(v, &ahead, bytes, 1, 2);
        [high, halves256::<V, G, VECS, T, STEPS, MINIMUMS, false>(v, tiles, &x)]
    } else {
        fetch(v, &ahead, bytes, 0, 2);
        let high = plane256::<V, G, VECS, T, STEPS, MINIMUMS, true>(v, tiles, &x);
        fetch(v, &ahead, bytes, 1, 2);
        let low = plane256::<V, G, VECS, T, STEPS, MINIMUMS, false>(v, tiles, &x);
        floats(v, &[high, low])
    };
    finish256::<V, _, G, VECS, T, STEPS, MINIMUMS>(v, tiles, &x, &sums, y);
}

/// To floats, each rounded once.
#[inline(always)]
pub(super) fn floats<V: Vector, const VECS: usize, const T: usize>(
    v: V,
    sums: &[[[V::I; VECS]; T]; 2],
) -> [[[V::F; VECS]; T]; 2] {
    let mut floats = [[[v.splat(0.0); VECS]; T]; 2];
    for (floats, sums) in
        floats.as_flattened_mut().as_flattened_mut().iter_mut().zip(sums.as_flattened().as_flattened())
    {
        *floats = v.to_float(*sums);
    }
    floats
}

/// Both sums of a single row.
#[inline(always)]
fn alone256<
    V: PlaneSums,
    const G: usize,
    const VECS: usize,
    const T: usize,
    const STEPS: usize,
    const MINIMUMS: bool,
>(
    v: V,
    tiles: &[Tile; G],
    x: &Chunk,
    (ahead, bytes): ([&[u8]; G], usize),
) -> [[[V::F; VECS]; T]; 2] {
    let mut sums = [[[v.splat_i(0); VECS]; T]; 2];
    let high = starts256::<STEPS, MINIMUMS>(&tiles[0], &x.high_sums);
    let low = starts256::<STEPS, MINIMUMS>(&tiles[0], &x.low_sums);
    for sub in 0..64 / STEPS {
        fetch(v, &ahead, bytes, sub, 64 / STEPS);
        let parts = both::<V, G, VECS, STEPS>(v, tiles, x, STEPS * sub, [high[sub & 15], low[sub & 15]]);
        for i in 0..VECS {
            let scale = v.load_i(&tiles[i / V::PARTS].sub[sub & 15], i % V::PARTS);
            for (sums, part) in sums.iter_mut().zip(&parts) {
                sums[0][i] = v.add_i(sums[0][i], v.mul_i(part[i], scale));
            }
        }
    }
    floats(v, &sums)
}

/// What sub-blocks' sums begin with, so that they have no bias; formats with minimums have none.
#[inline(always)]
fn starts256<const STEPS: usize, const MINIMUMS: bool>(tile: &Tile, sums: &[i32; 16]) -> [i32; 16] {
    let mut starts = [0; 16];
    if MINIMUMS {
        return starts;
    }
    if STEPS == 4 {
        starts.iter_mut().zip(sums).for_each(|(start, sum)| *start = -tile.bias * sum);
    } else {
        starts.iter_mut().zip(sums.as_chunks::<2>().0).for_each(|(start, [a, b])| *start = -tile.bias * (a + b));
    }
    starts
}

/// S_h if `HIGH`, else S_l, with the scales multiplied in as integers or as words.
#[inline(always)]
fn plane256<
    V: PlaneSums,
    const G: usize,
    const VECS: usize,
    const T: usize,
    const STEPS: usize,
    const MINIMUMS: bool,
    const HIGH: bool,
>(
    v: V,
    tiles: &[Tile; G],
    x: &[&Chunk; T],
) -> [[V::I; VECS]; T] {
    let all = all_starts::<T, STEPS, MINIMUMS, HIGH>(&tiles[0], x);
    let squared = if V::DEAR_PRODUCTS { squared(tiles, x, HIGH) } else { [f32::INFINITY; 16] };
    let mut sums = [[v.splat_i(0); VECS]; T];
    for sub in 0..64 / STEPS {
        let start = starts_of::<V, VECS, T>(v, &all, sub);
        let part = v.plane::<G, VECS, T, STEPS, HIGH>(tiles, x, STEPS * sub, start);
        if squared[sub & 15] <= WORD_SQUARED {
            for i in 0..VECS {
                let scale = v.load_words(&tiles[i / V::PARTS].sub_words[sub & 15], i % V::PARTS);
                for (sums, part) in sums.iter_mut().zip(&part) {
                    sums[i] = v.dot_words(sums[i], part[i], scale);
                }
            }
            continue;
        }
        for i in 0..VECS {
            let scale = v.load_i(&tiles[i / V::PARTS].sub[sub & 15], i % V::PARTS);
            for (sums, part) in sums.iter_mut().zip(&part) {
                sums[i] = v.add_i(sums[i], v.mul_i(part[i], scale));
            }
        }
    }
    sums
}

/// The most that the square of a sum of a sub-block may be for the sum to be a word: less than 32767², so that it does not matter
/// how the bound was rounded.
const WORD_SQUARED: f32 = 1e9;

/// Bounds of the squares of all rows' sums, sub-block by sub-block: the product of both sums of squares.
#[inline(always)]
fn squared<const G: usize, const T: usize>(tiles: &[Tile; G], x: &[&Chunk; T], high: bool) -> [f32; 16] {
    let (mut weights, mut activations) = ([0.0f32; 16], [0.0f32; 16]);
    for tile in tiles {
        weights.iter_mut().zip(&tile.squares).for_each(|(most, &s)| *most = if s > *most { s } else { *most });
    }
    for x in x {
        let squares = &x.squares[usize::from(!high)];
        activations.iter_mut().zip(squares).for_each(|(most, &s)| *most = if s > *most { s } else { *most });
    }
    weights.iter_mut().zip(activations).for_each(|(w, a)| *w *= a);
    weights
}

/// Sets the tile's `squares` and `sub_words`, for sub-blocks of 16 elements of at most seven bits as they are stored.
#[inline(always)]
pub(super) fn square<V: PlaneSums>(v: V, tile: &mut Tile) {
    for sub in 0..16 {
        let mut most = 0.0;
        for part in 0..V::PARTS {
            let (mut squares, mut sum) = (v.splat_i(16 * tile.bias * tile.bias), v.splat_i(0));
            for step in 4 * sub..4 * sub + 4 {
                let w = v.load_bytes(&tile.weights[step], part);
                squares = v.dot_bytes(squares, w, w);
                sum = v.dot_bytes(sum, w, v.splat_i(0x0101_0101));
            }
            let squares = v.add_i(squares, v.mul_i(sum, v.splat_i(-2 * tile.bias)));
            let mut lanes = [0.0; GROUP];
            v.store(v.to_float(squares), &mut lanes);
            most = lanes.into_iter().fold(most, |most: f32, s| if s > most { s } else { most });
        }
        tile.squares[sub] = most;
        for (pair, scale) in tile.sub_words[sub].as_chunks_mut::<2>().0.iter_mut().zip(&tile.sub[sub]) {
            *pair = [*scale as i16, 0];
        }
    }
}

/// The same as a float, with the scales multiplied in as floats: exact within a half of the chunk, so that the sum of both
/// halves rounds once.
#[inline(always)]
fn halves256<
    V: PlaneSums,
    const G: usize,
    const VECS: usize,
    const T: usize,
    const STEPS: usize,
    const MINIMUMS: bool,
    const HIGH: bool,
>(
    v: V,
    tiles: &[Tile; G],
    x: &[&Chunk; T],
) -> [[V::F; VECS]; T] {
    let all = all_starts::<T, STEPS, MINIMUMS, HIGH>(&tiles[0], x);
    let mut whole = [[v.splat(0.0); VECS]; T];
    for half in 0..2 {
        let mut sums = [[v.splat(0.0); VECS]; T];
        for sub in half * 32 / STEPS..(half + 1) * 32 / STEPS {
            let start = starts_of::<V, VECS, T>(v, &all, sub);
            let part = v.plane::<G, VECS, T, STEPS, HIGH>(tiles, x, STEPS * sub, start);
            for i in 0..VECS {
                let scale = v.to_float(v.load_i(&tiles[i / V::PARTS].sub[sub & 15], i % V::PARTS));
                for (sums, part) in sums.iter_mut().zip(&part) {
                    sums[i] = v.fma(v.to_float(part[i]), scale, sums[i]);
                }
            }
        }
        if half == 0 {
            whole = sums;
            continue;
        }
        for (whole, sums) in whole.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            *whole = v.add(*whole, *sums);
        }
    }
    whole
}

/// What the sums of each row begin with, sub-block by sub-block.
#[inline(always)]
fn all_starts<const T: usize, const STEPS: usize, const MINIMUMS: bool, const HIGH: bool>(
    tile: &Tile,
    x: &[&Chunk; T],
) -> [[i32; 16]; T] {
    let mut all = [[0; 16]; T];
    if !MINIMUMS {
        for (all, x) in all.iter_mut().zip(x) {
            *all = starts256::<STEPS, MINIMUMS>(tile, if HIGH { &x.high_sums } else { &x.low_sums });
        }
        // Else the compiler gathers them from all rows, for each sub-block anew.
        core::hint::black_box(&mut all);
    }
    all
}

/// The starts of one sub-block.
#[inline(always)]
fn starts_of<V: Vector, const VECS: usize, const T: usize>(
    v: V,
    all: &[[i32; 16]; T],
    sub: usize,
) -> [[V::I; VECS]; T] {
    let mut vectors = [[v.splat_i(0); VECS]; T];
    for (vectors, all) in vectors.iter_mut().zip(all) {
        *vectors = [v.splat_i(all[sub & 15]); VECS];
    }
    vectors
}

/// Ends a chunk of a 256-element format, given S_h and S_l as floats.
#[inline(always)]
pub(super) fn finish256<
    V: Vector,
    P: Planes,
    const G: usize,
    const VECS: usize,
    const T: usize,
    const STEPS: usize,
    const MINIMUMS: bool,
>(
    v: V,
    tiles: &[Tile; G],
    x: &[&QuantizedChunk<P>; T],
    sums: &[[[V::F; VECS]; T]; 2],
    y: &mut [Outputs<G>; T],
) {
    for row in 0..T {
        let mut t = [v.splat(0.0); VECS];
        for (i, t) in t.iter_mut().enumerate() {
            let (tile, lanes) = (&tiles[i / V::PARTS], i % V::PARTS * V::LANES);
            let s = v.fma(v.splat(256.0), sums[0][row][i], sums[1][row][i]);
            *t = v.mul(v.load(&tile.scale[0][lanes..]), s);
            if MINIMUMS {
                let [high, low] = minimums::<V, _, STEPS>(v, tile, i % V::PARTS, x[row]);
                let m = v.fma(v.splat(256.0), v.to_float(high), v.to_float(low));
                *t = v.fma(v.load(&tile.offset[0][lanes..]), m, *t);
            }
        }
        accumulate::<V, G, VECS>(v, x[row].scale, t, &mut y[row]);
    }
}

/// Σ mn·h and Σ mn·l over the chunk.
#[inline(always)]
pub(super) fn minimums<V: Vector, P: Planes, const STEPS: usize>(
    v: V,
    tile: &Tile,
    part: usize,
    x: &QuantizedChunk<P>,
) -> [V::I; 2] {
    let mut sums = [v.splat_i(0); 2];
    for pair in 0..32 / STEPS {
        let min = v.load_words(&tile.min[pair & 7], part);
        for (plane, sum) in sums.iter_mut().enumerate() {
            let x = if STEPS == 4 { x.pairs[plane][pair & 7] } else { x.wide_pairs[plane][pair & 3] };
            *sum = v.dot_words(*sum, min, v.splat_i(x));
        }
    }
    sums
}
