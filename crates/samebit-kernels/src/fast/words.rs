//! Dot products by words, for instruction sets whose widest exact one is that of pairs of words.
//!
//! A 16-bit activation is one word, so that 32-element formats need no planes. 256-element formats have their integer scales
//! multiplied into their weights (at most 4096 in magnitude) and meet both planes. A tile's words are made once where many
//! rows read them, and on the way where a single row does.

use core::marker::PhantomData;

use super::activations::{QuantizedChunk, WordPlanes};
use super::dot::{Outputs, accumulate, by_shape, fetch};
use super::dot256::{finish256, floats};
use super::kernel::{Kernel, Takes};
use super::tile::{SHAPES, Shape, Tile};
use crate::table::Activations;
use crate::vector::{GROUP, WordDot};

type Chunk = QuantizedChunk<WordPlanes>;

/// See the module.
pub(crate) struct ByWords<V>(PhantomData<V>);

impl<V: WordDot> Kernel for ByWords<V> {
    type Vector = V;
    type Planes = WordPlanes;
    const TAKES: Takes = Takes::Words;
    const SIGNED: bool = false;
    const SUMS: [usize; 2] = [1, 2];

    #[inline(always)]
    fn chunks(x: &Activations<f32>) -> &[Chunk] {
        &x.words
    }

    #[inline(always)]
    fn finish<const SHAPE: usize>(v: V, tile: &mut Tile, rows: usize) {
        if rows == 1 {
            return;
        }
        match SHAPES[SHAPE] {
            Shape::Block32 { .. } => widen::<V, 8, false>(v, tile),
            Shape::Block256 { sub: 16, .. } => widen::<V, 4, true>(v, tile),
            Shape::Block256 { .. } => widen::<V, 8, true>(v, tile),
        }
    }

    #[inline(always)]
    fn dot<const SHAPE: usize, const G: usize, const VECS: usize, const T: usize>(
        v: V,
        tiles: &[Tile; G],
        x: [&Chunk; T],
        y: &mut [Outputs<G>; T],
        ahead: ([&[u8]; G], usize),
    ) {
        by_shape!(SHAPE, V, G, VECS, T, (v, tiles, x, y, ahead));
    }
}

/// The bias as pairs of words.
#[inline(always)]
fn bias<V: WordDot>(v: V, tile: &Tile) -> V::I {
    v.splat_i(tile.bias | tile.bias << 16)
}

/// A sub-block's scales as pairs of words.
#[inline(always)]
fn scales<V: WordDot>(v: V, tile: &Tile, sub: usize, part: usize) -> V::I {
    let mut pairs = [0; GROUP];
    for (pair, &scale) in pairs.iter_mut().zip(&tile.sub[sub & 15]) {
        *pair = (scale & 0xffff) | (scale << 16);
    }
    v.load_i(&pairs, part)
}

/// The words of a part of a line; if `SCALED`, less their bias and times their scale.
#[inline(always)]
fn pairs<V: WordDot, const SCALED: bool>(
    v: V,
    tile: &Tile,
    (step, part): (usize, usize),
    bias: V::I,
    scale: V::I,
) -> [V::I; 2] {
    let mut pairs = v.widen_bytes(v.load_bytes(&tile.weights[step], part));
    if SCALED {
        for pair in &mut pairs {
            *pair = v.mul_words(v.sub_words(*pair, bias), scale);
        }
    }
    pairs
}

/// Makes a tile's words. `STEPS` is a quarter of a sub-block's elements.
#[inline(always)]
fn widen<V: WordDot, const STEPS: usize, const SCALED: bool>(v: V, tile: &mut Tile) {
    let bias = bias(v, tile);
    for sub in 0..tile.blocks.min(8) * 8 / STEPS {
        for part in 0..V::PARTS {
            let scale = if SCALED { scales(v, tile, sub, part) } else { bias };
            for step in STEPS * sub..STEPS * (sub + 1) {
                let pairs = pairs::<V, SCALED>(v, tile, (step, part), bias, scale);
                for (pair, to) in pairs.into_iter().zip(&mut tile.words[step]) {
                    v.store_i(pair, to, part);
                }
            }
        }
    }
}

#[inline(always)]
fn blocks32<V: WordDot, const G: usize, const VECS: usize, const T: usize, const OFFSET: bool>(
    v: V,
    tiles: &[Tile; G],
    x: [&Chunk; T],
    y: &mut [Outputs<G>; T],
    (ahead, bytes): ([&[u8]; G], usize),
) {
    let none = v.splat_i(0);
    let mut t = [[v.splat(0.0); VECS]; T];
    for block in 0..tiles[0].blocks.min(8) {
        fetch(v, &ahead, bytes, block, 8);
        let mut sums = [[v.splat_i(0); VECS]; T];
        for (x, sums) in x.iter().zip(&mut sums) {
            *sums = [v.splat_i(-tiles[0].bias * x.sums[block]); VECS];
        }
        for step in 8 * block..8 * block + 8 {
            let mut weights = [[v.splat_i(0); VECS]; 2];
            for i in 0..VECS {
                let (tile, part) = (&tiles[i / V::PARTS], i % V::PARTS);
                let pair = if T == 1 {
                    pairs::<V, false>(v, tile, (step, part), none, none)
                } else {
                    [v.load_i(&tile.words[step][0], part), v.load_i(&tile.words[step][1], part)]
                };
                weights[0][i] = pair[0];
                weights[1][i] = pair[1];
            }
            for (x, sums) in x.iter().zip(&mut sums) {
                for (half, weights) in weights.iter().enumerate() {
                    let a = v.splat_i(x.planes.whole[2 * step + half]);
                    for (sum, &w) in sums.iter_mut().zip(weights) {
                        *sum = v.dot_words(*sum, w, a);
                    }
                }
            }
        }
        for row in 0..T {
            for i in 0..VECS {
                let (tile, lanes) = (&tiles[i / V::PARTS], i % V::PARTS * V::LANES);
                let scale = v.load(&tile.scale[block][lanes..]);
                t[row][i] = v.fma(v.to_float(sums[row][i]), scale, t[row][i]);
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
    V: WordDot,
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
    let bias = bias(v, &tiles[0]);
    let mut sums = [[[v.splat_i(0); VECS]; T]; 2];
    for sub in 0..64 / STEPS {
        let mut scale = [bias; VECS];
        fetch(v, &ahead, bytes, sub, 64 / STEPS);
        if T == 1 {
            for (i, scale) in scale.iter_mut().enumerate() {
                *scale = scales(v, &tiles[i / V::PARTS], sub, i % V::PARTS);
            }
        }
        for step in STEPS * sub..STEPS * (sub + 1) {
            let mut weights = [[v.splat_i(0); VECS]; 2];
            for i in 0..VECS {
                let (tile, part) = (&tiles[i / V::PARTS], i % V::PARTS);
                let pair = if T == 1 {
                    pairs::<V, true>(v, tile, (step, part), bias, scale[i])
                } else {
                    [v.load_i(&tile.words[step][0], part), v.load_i(&tile.words[step][1], part)]
                };
                weights[0][i] = pair[0];
                weights[1][i] = pair[1];
            }
            for (row, x) in x.iter().enumerate() {
                for (half, weights) in weights.iter().enumerate() {
                    let a = v.splat_i(x.planes.high[2 * step + half]);
                    for (sum, &w) in sums[0][row].iter_mut().zip(weights) {
                        *sum = v.dot_words(*sum, w, a);
                    }
                    let a = v.splat_i(x.planes.low[2 * step + half]);
                    for (sum, &w) in sums[1][row].iter_mut().zip(weights) {
                        *sum = v.dot_words(*sum, w, a);
                    }
                }
            }
        }
    }
    finish256::<V, _, G, VECS, T, STEPS, MINIMUMS>(v, tiles, &x, &floats(v, &sums), y);
}
