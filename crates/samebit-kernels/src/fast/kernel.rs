//! Which kernel multiplies which weights on a vector unit.
//!
//! Knows what a kernel takes of activations and makes of a tile; nothing of how it multiplies, nor of memory and threads.

use core::marker::PhantomData;

use samebit_numerics::blocks::{Family, Format};

use super::MANY;
use super::activations::{BytePlanes, Planes, QuantizedChunk};
use super::dot::{self, Outputs, PlaneSums};
use super::dot256::square;
use super::integers::Integers;
use super::tile::{SHAPES, Shape, Tile};
use crate::table::Activations;
use crate::vector::Vector;

/// A way to multiply tiles of weights by chunks of activations.
pub(crate) trait Kernel {
    /// The vectors that it is written over.
    type Vector: Vector;
    /// What it takes of activations.
    type Planes: Planes;
    /// Which of [`Activations`] that is.
    const TAKES: Takes;
    /// Whether the weights' bytes are signed; else they are unsigned, as far above their values as their format says.
    const SIGNED: bool;

    /// The activations that it takes.
    fn chunks(x: &Activations<f32>) -> &[QuantizedChunk<Self::Planes>];

    /// Sums that are being made together of a row of activations and a vector of weights, in 32-element and 256-element blocks.
    const SUMS: [usize; 2];

    /// Makes what it reads of an unpacked tile that `rows` rows will meet.
    fn finish<const SHAPE: usize>(v: Self::Vector, tile: &mut Tile, rows: usize);

    /// `y = fma(d_a, t, y)` for `T` rows of activations and `G` tiles of `VECS` vectors together; fetches so many packed bytes
    /// that come next in each group.
    fn dot<const SHAPE: usize, const G: usize, const VECS: usize, const T: usize>(
        v: Self::Vector,
        tiles: &[Tile; G],
        x: [&QuantizedChunk<Self::Planes>; T],
        y: &mut [Outputs<G>; T],
        ahead: ([&[u8]; G], usize),
    );
}

/// The kernels of a vector unit.
pub(crate) trait Unit: Vector {
    /// For 32-element formats.
    type Blocks32: Kernel<Vector = Self>;
    /// For 256-element formats whose quants have six bits or fewer.
    type Blocks256: Kernel<Vector = Self>;
    /// For the one whose quants are a table's bytes.
    type Table256: Kernel<Vector = Self>;
    /// For pages of bytes.
    type Integers: Integers<Vector = Self>;
}

/// Which integers of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// [`BytePlanes`].
    Bytes,
    /// [`WordPlanes`](super::activations::WordPlanes).
    Words,
}

/// What a unit's kernel for a format takes; nothing for float formats.
pub(crate) fn takes<U: Unit>(format: Format) -> Option<Takes> {
    match (format.family(), format) {
        (Family::Float, _) => None,
        (Family::Block32, _) => Some(U::Blocks32::TAKES),
        (Family::Block256, Format::Iq4Xs) => Some(U::Table256::TAKES),
        (Family::Block256, _) => Some(U::Blocks256::TAKES),
    }
}

/// How many rows of activations meet `vecs` vectors of weights together, so that the sums that are being made fit the
/// registers beside the weights and two more: sixteen sums at most, which hide the latency of any. 8, 6, 4, 2 or 1.
pub(super) const fn together<K: Kernel, const SHAPE: usize>(vecs: usize) -> usize {
    let sums = match SHAPES[SHAPE] {
        Shape::Block32 { .. } => K::SUMS[0],
        Shape::Block256 { .. } => K::SUMS[1],
    };
    let room = K::Vector::REGISTERS - vecs - 2;
    match if room < 16 { room } else { 16 } / (vecs * sums) {
        0 | 1 => 1,
        2 | 3 => 2,
        4 | 5 => 4,
        6 | 7 => 6,
        _ => 8,
    }
}

/// Dot products of bytes, plane by plane.
pub(crate) struct ByBytes<V>(PhantomData<V>);

impl<V: PlaneSums> Kernel for ByBytes<V> {
    type Vector = V;
    type Planes = BytePlanes;
    const TAKES: Takes = Takes::Bytes;
    const SIGNED: bool = V::SIGNED;
    const SUMS: [usize; 2] = [1, 1];

    #[inline(always)]
    fn chunks(x: &Activations<f32>) -> &[QuantizedChunk<BytePlanes>] {
        &x.bytes
    }

    #[inline(always)]
    fn finish<const SHAPE: usize>(v: V, tile: &mut Tile, rows: usize) {
        // What is found out pays with many rows.
        (tile.within, tile.squares) = (false, [f32::INFINITY; 16]);
        if V::DEAR_PRODUCTS && rows >= MANY {
            match const { SHAPES[SHAPE] } {
                Shape::Block256 { sub, minimums: true } => tile.bound(sub / 4),
                Shape::Block256 { sub: 16, .. } => square(v, tile),
                _ => {}
            }
        }
    }

    #[inline(always)]
    fn dot<const SHAPE: usize, const G: usize, const VECS: usize, const T: usize>(
        v: V,
        tiles: &[Tile; G],
        x: [&QuantizedChunk<BytePlanes>; T],
        y: &mut [Outputs<G>; T],
        ahead: ([&[u8]; G], usize),
    ) {
        dot::dot::<V, SHAPE, G, VECS, T>(v, tiles, x, y, ahead);
    }
}
