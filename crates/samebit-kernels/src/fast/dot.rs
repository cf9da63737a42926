//! The dot products of quantised weights: a tile (or two, side by side) times a chunk of a few rows of activations.
//!
//! Byte planes: each weight is read once and meets both planes of every row; sums stay in registers for the whole chunk.
//! What is added in which order is NUMERICS.md, section 5; the integers are exact, so their order is free.

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

/// Calls for part number `part` of `parts` of the next chunk, while this one is worked on: so that memory is never idle
/// where a single row makes it the bottleneck. `bytes` is the chunk's length.
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

/// How the sums of both planes are made; what is here will do wherever four bytes are multiplied at once.
pub(crate) trait PlaneSums: ByteDot {
    /// Sums of `STEPS · 4` elements from `step` on, for every row and vector: from `start` for each plane.
    #[inline(always)]
    fn planes<const G: usize, const VECS: usize, const T: usize, const STEPS: usize>(
        self,
        tiles: &[Tile; G],
        x: &[&Chunk; T],
        step: usize,
        start: [[i32; T]; 2],
    ) -> [[[Self::I; VECS]; T]; 2] {
        planes::<Self, G, VECS, T, STEPS>(self, tiles, x, step, start)
    }
}

/// See [`PlaneSums::planes`].
#[inline(always)]
pub(super) fn planes<V: ByteDot, const G: usize, const VECS: usize, const T: usize, const STEPS: usize>(
    v: V,
    tiles: &[Tile; G],
    x: &[&Chunk; T],
    step: usize,
    start: [[i32; T]; 2],
) -> [[[V::I; VECS]; T]; 2] {
    let mut high = [[v.splat_i(0); VECS]; T];
    let mut low = high;
    for t in 0..T {
        high[t] = [v.splat_i(start[0][t]); VECS];
        low[t] = [v.splat_i(start[1][t]); VECS];
    }
    for step in step..step + STEPS {
        let mut weights = [v.splat_i(0); VECS];
        for (i, w) in weights.iter_mut().enumerate() {
            *w = v.load_bytes(&tiles[i / V::PARTS].weights[step], i % V::PARTS);
        }
        for (t, x) in x.iter().enumerate() {
            let a = v.splat_i(four(x.planes.high[step]));
            for (sum, &w) in high[t].iter_mut().zip(&weights) {
                *sum = v.dot_bytes(*sum, w, a);
            }
            let a = v.splat_i(four(x.planes.low[step]));
            for (sum, &w) in low[t].iter_mut().zip(&weights) {
                *sum = v.dot_bytes(*sum, w, a);
            }
        }
    }
    [high, low]
}

#[inline(always)]
fn blocks32<V: PlaneSums, const G: usize, const VECS: usize, const T: usize, const OFFSET: bool>(
    v: V,
    tiles: &[Tile; G],
    x: [&Chunk; T],
    y: &mut [Outputs<G>; T],
    (ahead, bytes): ([&[u8]; G], usize),
) {
    let bias = tiles[0].bias;
    let mut starts = [[0; T]; 8];
    for (block, starts) in starts.iter_mut().enumerate() {
        for (start, x) in starts.iter_mut().zip(&x) {
            *start = -bias * x.sums[block];
        }
    }
    let mut t = [[v.splat(0.0); VECS]; T];
    for (block, &start) in starts.iter().enumerate().take(tiles[0].blocks) {
        if T == 1 {
            fetch(v, &ahead, bytes, block, 8);
        }
        let start = [[0; T], start];
        let [high, low] = v.planes::<G, VECS, T, 8>(tiles, &x, 8 * block, start);
        for row in 0..T {
            for i in 0..VECS {
                let (tile, lanes) = (&tiles[i / V::PARTS], i % V::PARTS * V::LANES);
                let sum = v.to_float(v.add_i(v.shift_i(high[row][i]), low[row][i]));
                t[row][i] = v.fma(sum, v.load(&tile.scale[block][lanes..]), t[row][i]);
                if OFFSET {
                    let sum = v.splat(x[row].float_sums[block]);
                    t[row][i] = v.fma(sum, v.load(&tile.offset[block][lanes..]), t[row][i]);
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
    let bias = tiles[0].bias;
    let mut starts = [[[0; T]; 2]; 16];
    for sub in 0..64 / STEPS {
        for (t, x) in x.iter().enumerate() {
            for (plane, sums) in [&x.high_sums, &x.low_sums].into_iter().enumerate() {
                let sum = if STEPS == 4 { sums[sub & 15] } else { sums[(2 * sub) & 15] + sums[(2 * sub + 1) & 15] };
                starts[sub & 15][plane][t] = -bias * sum;
            }
        }
    }
    let mut sums = [[[v.splat_i(0); VECS]; T]; 2];
    for sub in 0..64 / STEPS {
        if T == 1 {
            fetch(v, &ahead, bytes, sub, 64 / STEPS);
        }
        let part = v.planes::<G, VECS, T, STEPS>(tiles, &x, STEPS * sub, starts[sub & 15]);
        for i in 0..VECS {
            let scale = v.load_i(&tiles[i / V::PARTS].sub[sub & 15], i % V::PARTS);
            for (sums, part) in sums.iter_mut().zip(&part) {
                for (sums, part) in sums.iter_mut().zip(part) {
                    sums[i] = v.add_i(sums[i], v.mul_i(part[i], scale));
                }
            }
        }
    }
    finish256::<V, _, G, VECS, T, STEPS, MINIMUMS>(v, tiles, &x, &sums, y);
}

/// Ends a chunk of a 256-element format, given S_h and S_l.
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
    sums: &[[[V::I; VECS]; T]; 2],
    y: &mut [Outputs<G>; T],
) {
    for row in 0..T {
        let mut t = [v.splat(0.0); VECS];
        for (i, t) in t.iter_mut().enumerate() {
            let (tile, lanes) = (&tiles[i / V::PARTS], i % V::PARTS * V::LANES);
            let s = join(v, sums[0][row][i], sums[1][row][i]);
            *t = v.mul(v.load(&tile.scale[0][lanes..]), s);
            if MINIMUMS {
                let [high, low] = minimums::<V, _, STEPS>(v, tile, i % V::PARTS, x[row]);
                *t = v.fma(v.load(&tile.offset[0][lanes..]), join(v, high, low), *t);
            }
        }
        accumulate::<V, G, VECS>(v, x[row].scale, t, &mut y[row]);
    }
}

/// `fma(256, (float) high, (float) low)`.
#[inline(always)]
fn join<V: Vector>(v: V, high: V::I, low: V::I) -> V::F {
    v.fma(v.splat(256.0), v.to_float(high), v.to_float(low))
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
