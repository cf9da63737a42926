//! The dot products of quantised weights: a tile (or two, side by side) times a chunk of a few rows of activations.
//!
//! Byte planes: as many rows of activations meet a tile as their sums fit the registers, one plane after the other; a single
//! row's weights are read once for both. What is added in which order is NUMERICS.md, section 5; the integers are exact, so
//! their order is free.

use super::activations::{BytePlanes, QuantizedChunk};
use super::dot256::blocks256;
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
pub(super) fn both<V: ByteDot, const G: usize, const VECS: usize, const STEPS: usize>(
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
