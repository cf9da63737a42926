//! The dot products of quantised weights: a tile (or two, side by side) times a chunk of a few rows of activations.
//!
//! Byte planes: as many rows of activations meet a tile as their sums fit the registers, one plane after the other; a single
//! row's weights are read once for both. What is added in which order is NUMERICS.md, section 5; the integers are exact, so
//! their order is free.

use super::activations::{BytePlanes, Planes, QuantizedChunk};
use super::tile::{SHAPES, Tile};
use crate::vector::{ByteDot, GROUP, Vector};

/// Outputs of one row of activations for `G` groups.
pub(crate) type Outputs<const G: usize> = [[f32; GROUP]; G];
pub(crate) type Chunk = QuantizedChunk<BytePlanes>;

/// Calls `blocks32` or `blocks256` with the constants of a shape. Conditions are constants, so that a shape's own
/// kernel is the only one that is compiled for it.
macro_rules! by_shape {
    ($shape:ident, $v:ty, $g:ident, $vecs:ident, $t:ident, ($($arg:expr),*)) => {{
        const { assert!($vecs == $g * <$v>::PARTS) };
        if const { SHAPES[$shape].is_block32(false) } {
            blocks32::<$v, $g, $vecs, $t, false>($($arg),*);
        } else if const { SHAPES[$shape].is_block32(true) } {
            blocks32::<$v, $g, $vecs, $t, true>($($arg),*);
        } else if const { SHAPES[$shape].is_block256(16, false) } {
            blocks256::<$v, $g, $vecs, $t, 4, false>($($arg),*);
        } else if const { SHAPES[$shape].is_block256(16, true) } {
            blocks256::<$v, $g, $vecs, $t, 4, true>($($arg),*);
        } else if const { SHAPES[$shape].is_block256(32, false) } {
            blocks256::<$v, $g, $vecs, $t, 8, false>($($arg),*);
        } else {
            blocks256::<$v, $g, $vecs, $t, 8, true>($($arg),*);
        }
    }};
}
pub(super) use by_shape;

/// `y = fma(d_a, t, y)` for `T` rows of activations and `G` tiles of `VECS` vectors together.
#[inline(always)]
pub(crate) fn dot<V: PlaneSums, const SHAPE: usize, const G: usize, const VECS: usize, const T: usize>(
    v: V,
    tiles: &[Tile; G],
    x: [&Chunk; T],
    y: &mut [Outputs<G>; T],
    ahead: ([&[u8]; G], usize),
) {
    by_shape!(SHAPE, V, G, VECS, T, (v, tiles, x, y, ahead));
}

/// Ends a chunk: `y = fma(d_a, t, y)`.
#[inline(always)]
pub(super) fn accumulate<V: Vector, const G: usize, const VECS: usize>(
    v: V,
    scale: f32,
    t: [V::F; VECS],
    y: &mut Outputs<G>,
) {
    for (i, t) in t.into_iter().enumerate() {
        let y = &mut y[i / V::PARTS][i % V::PARTS * V::LANES..];
        v.store(v.fma(v.splat(scale), t, v.load(y)), y);
    }
}

/// Calls for part number `part` of `parts` of the weights that come next, while these are worked on: so that memory is never
/// idle where few rows make it the bottleneck. `bytes` is their length in each group; nothing is called for if it is zero.
#[inline(always)]
pub(super) fn fetch<V: Vector, const G: usize>(v: V, ahead: &[&[u8]; G], bytes: usize, part: usize, parts: usize) {
    for ahead in ahead {
        for line in 0..(bytes / parts).div_ceil(64) {
            v.prefetch(ahead, bytes * part / parts + 64 * line);
        }
    }
}

/// Four bytes as they lie.
#[inline(always)]
pub(super) fn four([a, b, c, d]: [i8; 4]) -> i32 {
    i32::from_ne_bytes([a.cast_unsigned(), b.cast_unsigned(), c.cast_unsigned(), d.cast_unsigned()])
}

/// How sums of products are made; what is here will do wherever four bytes are multiplied at once.
pub(crate) trait PlaneSums: ByteDot {
    /// `start` plus the products of `STEPS · 4` elements from `step` on with one plane of each row: h if `HIGH`, else l.
    #[inline(always)]
    fn plane<const G: usize, const VECS: usize, const T: usize, const STEPS: usize, const HIGH: bool>(
        self,
        tiles: &[Tile; G],
        x: &[&Chunk; T],
        step: usize,
        start: [[Self::I; VECS]; T],
    ) -> [[Self::I; VECS]; T] {
        const { assert!(STEPS.is_multiple_of(4)) };
        let mut sums = start;
        for step in (step..step + STEPS).step_by(4) {
            // Unrolled by hand, since the loop's own instructions would take turns with the products.
            plane_step::<Self, G, VECS, T, HIGH>(self, tiles, x, step, &mut sums);
            plane_step::<Self, G, VECS, T, HIGH>(self, tiles, x, step + 1, &mut sums);
            plane_step::<Self, G, VECS, T, HIGH>(self, tiles, x, step + 2, &mut sums);
            plane_step::<Self, G, VECS, T, HIGH>(self, tiles, x, step + 3, &mut sums);
        }
        sums
    }
}

/// One step of [`PlaneSums::plane`]: four elements.
#[inline(always)]
fn plane_step<V: ByteDot, const G: usize, const VECS: usize, const T: usize, const HIGH: bool>(
    v: V,
    tiles: &[Tile; G],
    x: &[&Chunk; T],
    step: usize,
    sums: &mut [[V::I; VECS]; T],
) {
    let weights = weights::<V, G, VECS>(v, tiles, step);
    for (sums, x) in sums.iter_mut().zip(x) {
        let plane = if HIGH { &x.planes.high } else { &x.planes.low };
        let a = v.splat_i(four(plane[step]));
        for (sum, &w) in sums.iter_mut().zip(&weights) {
            *sum = v.dot_bytes(*sum, w, a);
        }
    }
}

/// The weights of a step, a vector after the other.
#[inline(always)]
fn weights<V: Vector, const G: usize, const VECS: usize>(v: V, tiles: &[Tile; G], step: usize) -> [V::I; VECS] {
    let mut weights = [v.splat_i(0); VECS];
    for (i, w) in weights.iter_mut().enumerate() {
        *w = v.load_bytes(&tiles[i / V::PARTS].weights[step], i % V::PARTS);
    }
    weights
}

/// Both planes of a single row, each weight read once.
#[inline(always)]
fn both<V: ByteDot, const G: usize, const VECS: usize, const STEPS: usize>(
    v: V,
    tiles: &[Tile; G],
    x: &Chunk,
    step: usize,
    start: [i32; 2],
) -> [[V::I; VECS]; 2] {
    let mut sums = [[v.splat_i(start[0]); VECS], [v.splat_i(start[1]); VECS]];
    for step in step..step + STEPS {
        let weights = weights::<V, G, VECS>(v, tiles, step);
        for (sums, plane) in sums.iter_mut().zip([&x.planes.high, &x.planes.low]) {
            let a = v.splat_i(four(plane[step]));
            for (sum, &w) in sums.iter_mut().zip(&weights) {
                *sum = v.dot_bytes(*sum, w, a);
            }
        }
    }
    sums
}

/// isum of a block of 32 elements: of several rows the sums of h become 256 times as much where they are and go on with l,
/// so that rows enough fit the registers; those of a single row are made side by side.
#[inline(always)]
fn block<V: PlaneSums, const G: usize, const VECS: usize, const T: usize, const BIASED: bool>(
    v: V,
    tiles: &[Tile; G],
    x: &[&Chunk; T],
    block: usize,
    start: &[[i32; 8]; T],
) -> [[V::I; VECS]; T] {
    let mut sums = [[v.splat_i(0); VECS]; T];
    if T == 1 {
        let start = if BIASED { start[0][block & 7] } else { 0 };
        let [high, low] = both::<V, G, VECS, 8>(v, tiles, x[0], 8 * block, [0, start]);
        for i in 0..VECS {
            sums[0][i] = v.add_i(v.shift_i(high[i]), low[i]);
        }
        return sums;
    }
    sums = v.plane::<G, VECS, T, 8, true>(tiles, x, 8 * block, sums);
    for (sums, start) in sums.iter_mut().zip(start) {
        for sum in sums {
            *sum = v.shift_i(*sum);
            if BIASED {
                *sum = v.add_i(*sum, v.splat_i(start[block & 7]));
            }
        }
    }
    v.plane::<G, VECS, T, 8, false>(tiles, x, 8 * block, sums)
}

/// Formats with an offset have no bias.
#[inline(always)]
fn blocks32<V: PlaneSums, const G: usize, const VECS: usize, const T: usize, const OFFSET: bool>(
    v: V,
    tiles: &[Tile; G],
    x: [&Chunk; T],
    y: &mut [Outputs<G>; T],
    (ahead, bytes): ([&[u8]; G], usize),
) {
    let mut start = [[0; 8]; T];
    if !OFFSET {
        for (start, x) in start.iter_mut().zip(&x) {
            for (start, sum) in start.iter_mut().zip(&x.sums) {
                *start = -tiles[0].bias * sum;
            }
        }
    }
    let mut t = [[v.splat(0.0); VECS]; T];
    for index in 0..tiles[0].blocks.min(8) {
        fetch(v, &ahead, bytes, index, 8);
        let sums = if OFFSET {
            block::<V, G, VECS, T, false>(v, tiles, &x, index, &start)
        } else {
            block::<V, G, VECS, T, true>(v, tiles, &x, index, &start)
        };
        for i in 0..VECS {
            let (tile, lanes) = (&tiles[i / V::PARTS], i % V::PARTS * V::LANES);
            let scale = v.load(&tile.scale[index][lanes..]);
            for row in 0..T {
                t[row][i] = v.fma(v.to_float(sums[row][i]), scale, t[row][i]);
            }
            if OFFSET {
                let offset = v.load(&tile.offset[index][lanes..]);
                for row in 0..T {
                    t[row][i] = v.fma(v.splat(x[row].float_sums[index]), offset, t[row][i]);
                }
            }
        }
    }
    for ((x, t), y) in x.iter().zip(t).zip(y) {
        accumulate::<V, G, VECS>(v, x.scale, t, y);
    }
}

/// `STEPS` is a quarter of a sub-block's elements.
#[inline(always)]
fn blocks256<
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

/// S_h if `HIGH`, else S_l.
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
    let mut sums = [[v.splat_i(0); VECS]; T];
    for sub in 0..64 / STEPS {
        let start = starts_of::<V, VECS, T>(v, &all, sub);
        let part = v.plane::<G, VECS, T, STEPS, HIGH>(tiles, x, STEPS * sub, start);
        for i in 0..VECS {
            let scale = v.load_i(&tiles[i / V::PARTS].sub[sub & 15], i % V::PARTS);
            for (sums, part) in sums.iter_mut().zip(&part) {
                sums[i] = v.add_i(sums[i], v.mul_i(part[i], scale));
            }
        }
    }
    sums
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
fn starts_of<V: Vector, const VECS: usize, const T: usize>(v: V, all: &[[i32; 16]; T], sub: usize) -> [[V::I; VECS]; T] {
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
