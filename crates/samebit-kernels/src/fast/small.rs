//! 256-element formats of six bits and fewer, for instruction sets that add products of bytes to 16-bit sums.
//!
//! The quants stay unsigned and unscaled, so that a few products fit 16 bits; a sub-block's scale is multiplied in where they
//! are folded into 32 bits. What unsigned quants have too much is taken off at the end: it is their bias times the sum of
//! scale · activations, which is made as minimums are.

use core::marker::PhantomData;

use super::activations::BytePlanes;
use super::dot::{Chunk, Outputs, fetch, four};
use super::dot256::{finish256, floats, minimums};
use super::kernel::{Kernel, Takes};
use super::tile::{SHAPES, Tile};
use crate::table::Activations;
use crate::vector::SmallDot;

/// See the module.
pub(crate) struct BySmall<V>(PhantomData<V>);

impl<V: SmallDot> Kernel for BySmall<V> {
    type Vector = V;
    type Planes = BytePlanes;
    const TAKES: Takes = Takes::Bytes;
    const SIGNED: bool = false;
    /// Four products of a lane take two registers where a sum has but one of them.
    const SUMS: [usize; 2] = [4 / V::PRODUCTS; 2];

    #[inline(always)]
    fn chunks(x: &Activations<f32>) -> &[Chunk] {
        &x.bytes
    }

    #[inline(always)]
    fn finish<const SHAPE: usize>(_: V, tile: &mut Tile, _: usize) {
        if const { biased(SHAPE) } {
            for (pair, sub) in tile.min.iter_mut().zip(tile.sub.as_chunks::<2>().0) {
                for (row, pair) in pair.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    *pair = [sub[0][row] as i16, sub[1][row] as i16];
                }
            }
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
        const { assert!(VECS == G * V::PARTS) };
        let largest = tiles[0].largest;
        if const { SHAPES[SHAPE].is_block256(16, true) } {
            blocks256::<V, SHAPE, G, VECS, T, 4, 4, true>(v, tiles, x, y, ahead);
        } else if const { SHAPES[SHAPE].is_block256(16, false) } {
            if const { fits(63, 4 * V::PRODUCTS) } || fits(largest, 4 * V::PRODUCTS) {
                blocks256::<V, SHAPE, G, VECS, T, 4, 4, false>(v, tiles, x, y, ahead);
            } else {
                blocks256::<V, SHAPE, G, VECS, T, 4, 2, false>(v, tiles, x, y, ahead);
            }
        } else if const { fits(31, 8 * V::PRODUCTS) } || fits(largest, 8 * V::PRODUCTS) {
            blocks256::<V, SHAPE, G, VECS, T, 8, 8, true>(v, tiles, x, y, ahead);
        } else {
            blocks256::<V, SHAPE, G, VECS, T, 8, 4, true>(v, tiles, x, y, ahead);
        }
    }
}

/// Whether the quants of a shape are stored above their values; those have no minimums.
const fn biased(shape: usize) -> bool {
    SHAPES[shape].is_block256(16, false)
}

/// Whether so many products of quants and activations (at most 128 in magnitude) fit a 16-bit sum.
#[inline(always)]
const fn fits(largest: usize, products: usize) -> bool {
    products * largest * 128 <= i16::MAX as usize
}

/// `STEPS` is a quarter of a sub-block's elements; 16-bit sums are folded after `RUN` steps of four.
#[inline(always)]
fn blocks256<
    V: SmallDot,
    const SHAPE: usize,
    const G: usize,
    const VECS: usize,
    const T: usize,
    const STEPS: usize,
    const RUN: usize,
    const MINIMUMS: bool,
>(
    v: V,
    tiles: &[Tile; G],
    x: [&Chunk; T],
    y: &mut [Outputs<G>; T],
    (ahead, bytes): ([&[u8]; G], usize),
) {
    let mut sums = [[[v.splat_i(0); VECS]; T]; 2];
    for sub in 0..64 / STEPS {
        fetch(v, &ahead, bytes, sub, 64 / STEPS);
        for step in (STEPS * sub..STEPS * (sub + 1)).step_by(RUN) {
            let part = products::<V, G, VECS, T, RUN>(v, tiles, &x, step);
            for i in 0..VECS {
                let scale = v.spread(v.load_i(&tiles[i / V::PARTS].sub[sub & 15], i % V::PARTS));
                for (sums, part) in sums.iter_mut().zip(&part) {
                    for (sums, part) in sums.iter_mut().zip(part) {
                        sums[i] = v.fold(sums[i], part[i], scale);
                    }
                }
            }
        }
    }
    if const { biased(SHAPE) } {
        let bias = v.splat_i(-tiles[0].bias);
        for (row, x) in x.iter().enumerate() {
            for i in 0..VECS {
                let over = minimums::<V, _, STEPS>(v, &tiles[i / V::PARTS], i % V::PARTS, x);
                for (sums, over) in sums.iter_mut().zip(over) {
                    sums[row][i] = v.add_i(sums[row][i], v.mul_i(over, bias));
                }
            }
        }
    }
    finish256::<V, _, G, VECS, T, STEPS, MINIMUMS>(v, tiles, &x, &floats(v, &sums), y);
}

/// 16-bit sums of `RUN · 4` elements from `step` on, both planes, for every row and vector.
#[inline(always)]
fn products<V: SmallDot, const G: usize, const VECS: usize, const T: usize, const RUN: usize>(
    v: V,
    tiles: &[Tile; G],
    x: &[&Chunk; T],
    step: usize,
) -> [[[V::Sums; VECS]; T]; 2] {
    let mut sums = [[[v.no_sums(); VECS]; T]; 2];
    for step in step..step + RUN {
        let mut weights = [v.splat_i(0); VECS];
        for (i, w) in weights.iter_mut().enumerate() {
            *w = v.load_bytes(&tiles[i / V::PARTS].weights[step], i % V::PARTS);
        }
        for (t, x) in x.iter().enumerate() {
            let a = v.splat_i(four(x.planes.high[step]));
            for (sum, &w) in sums[0][t].iter_mut().zip(&weights) {
                *sum = v.dot_small(*sum, w, a);
            }
            let a = v.splat_i(four(x.planes.low[step]));
            for (sum, &w) in sums[1][t].iter_mut().zip(&weights) {
                *sum = v.dot_small(*sum, w, a);
            }
        }
    }
    sums
}
