//! AArch64: vectors of NEON, with the dot product of bytes (dotprod), with products of matrices of bytes (i8mm).

mod bytes;
mod neon;

use crate::fast::dot::{Chunk, PlaneSums};
use crate::fast::kernel::{ByBytes, Unit};
use crate::fast::pairs::plane_by_pairs;
use crate::fast::small::BySmall;
use crate::fast::tile::Tile;
use crate::fast::words::ByWords;
use crate::vector::Vector;

pub(crate) use neon::{DotProd, I8mm, Neon};

impl Unit for Neon {
    type Blocks32 = ByWords<Self>;
    type Blocks256 = BySmall<Self>;
    type Table256 = ByWords<Self>;
    type Integers = ByWords<Self>;
}

impl PlaneSums for DotProd {}

impl Unit for DotProd {
    type Blocks32 = ByBytes<Self>;
    type Blocks256 = ByBytes<Self>;
    type Table256 = ByBytes<Self>;
    type Integers = ByBytes<Self>;
}

impl PlaneSums for I8mm {
    #[inline(always)]
    fn plane<const G: usize, const VECS: usize, const T: usize, const STEPS: usize, const HIGH: bool>(
        self,
        tiles: &[Tile; G],
        x: &[&Chunk; T],
        step: usize,
        start: [[<Self as Vector>::I; VECS]; T],
    ) -> [[<Self as Vector>::I; VECS]; T] {
        plane_by_pairs::<Self, G, VECS, T, STEPS, HIGH>(self, tiles, x, step, start)
    }
}

impl Unit for I8mm {
    type Blocks32 = ByBytes<Self>;
    type Blocks256 = ByBytes<Self>;
    type Table256 = ByBytes<Self>;
    type Integers = ByBytes<Self>;
}
