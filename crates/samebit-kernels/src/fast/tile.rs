//! A tile: one chunk of sixteen rows of weights, unpacked to bytes (and words) that a dot product takes.
//!
//! Knows nothing of formats; [`unpack`](super::unpack) fills it, a [`Kernel`](super::kernel::Kernel) reads it.

use crate::vector::{GROUP, Line};
use samebit_numerics::reduce::CHUNK;

/// Weights, four elements of each of sixteen rows after the other, and their scales.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Tile {
    /// `[element / 4][row][element mod 4]`, `bias` above their values; unsigned or signed, as the kernel wants them.
    pub(crate) weights: [Line; CHUNK / 4],
    /// What to take from each weight.
    pub(crate) bias: i32,
    /// The largest that a weight of a 256-element format can be, as it is stored.
    pub(crate) largest: usize,
    /// Whether no sum of scale · weight · activation over a half of a 256-element block leaves ±2²⁴, whatever the activations.
    pub(crate) within: bool,
    /// Blocks of 32 elements that are there; the rest of the tile is old.
    pub(crate) blocks: usize,
    /// Float scale of each block, of the chunk for 256-element formats.
    pub(crate) scale: [[f32; GROUP]; CHUNK / 32],
    /// Float offset of each block; for 256-element formats −dmin.
    pub(crate) offset: [[f32; GROUP]; CHUNK / 32],
    /// Integer scales of the sub-blocks, of 16 or of 32 elements.
    pub(crate) sub: [[i32; GROUP]; CHUNK / 16],
    /// The same as words, each below a zero word.
    pub(crate) sub_words: [[i16; 2 * GROUP]; CHUNK / 16],
    /// The largest of any row's sum of squared weights, of each sub-block of 16.
    pub(crate) squares: [f32; CHUNK / 16],
    /// Integer minimums of pairs of sub-blocks.
    pub(crate) min: [[i16; 2 * GROUP]; CHUNK / 32],
    /// Pairs of words that [`words`](super::words) makes of the weights, in 256-element blocks without the bias and times
    /// their scale: `[element / 4]`, first and third element, second and fourth.
    pub(crate) words: [[[i32; GROUP]; 2]; CHUNK / 4],
}

/// Which sum a tile takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// 32-element blocks, with an offset or without.
    Block32 { offset: bool },
    /// 256-element blocks with sub-blocks of 16 or 32 elements, with minimums or without.
    Block256 { sub: usize, minimums: bool },
}

/// All of them: kernels are compiled for each, and formats share them.
pub(crate) const SHAPES: [Shape; 6] = [
    Shape::Block32 { offset: false },
    Shape::Block32 { offset: true },
    Shape::Block256 { sub: 16, minimums: false },
    Shape::Block256 { sub: 16, minimums: true },
    Shape::Block256 { sub: 32, minimums: false },
    Shape::Block256 { sub: 32, minimums: true },
];

impl Shape {
    /// Whether blocks have 32 elements, with an offset or without.
    pub(crate) const fn is_block32(self, with: bool) -> bool {
        matches!(self, Self::Block32 { offset } if offset == with)
    }

    /// Whether blocks have 256 elements, sub-blocks so many, with minimums or without.
    pub(crate) const fn is_block256(self, of: usize, with: bool) -> bool {
        matches!(self, Self::Block256 { sub, minimums } if sub == of && minimums == with)
    }
}

impl Tile {
    /// A tile of zeros.
    pub(crate) const fn new() -> Self {
        Self {
            weights: [[0; 8]; CHUNK / 4],
            bias: 0,
            largest: 0,
            within: false,
            blocks: 0,
            scale: [[0.0; GROUP]; CHUNK / 32],
            offset: [[0.0; GROUP]; CHUNK / 32],
            sub: [[0; GROUP]; CHUNK / 16],
            sub_words: [[0; 2 * GROUP]; CHUNK / 16],
            squares: [f32::INFINITY; CHUNK / 16],
            min: [[0; 2 * GROUP]; CHUNK / 32],
            words: [[[0; GROUP]; 2]; CHUNK / 4],
        }
    }
    /// Sets `within`, for scales and weights that are not negative; `steps` is a quarter of a sub-block's elements.
    #[inline(always)]
    pub(crate) fn bound(&mut self, steps: usize) {
        let mut most = 0;
        for half in 0..2 {
            let mut sums = [0u32; GROUP];
            for sub in half * 32 / steps..(half + 1) * 32 / steps {
                // Two sums of bytes in each dword, of at most 8 · 2 · 255.
                let mut bytes = [0u64; GROUP / 2];
                for line in &self.weights[steps * sub..steps * (sub + 1)] {
                    for (sum, eight) in bytes.iter_mut().zip(line) {
                        *sum += (eight & 0x00ff_00ff_00ff_00ff) + ((eight >> 8) & 0x00ff_00ff_00ff_00ff);
                    }
                }
                let scales = self.sub[sub & 15].as_chunks::<2>().0;
                for ((sums, bytes), scales) in sums.as_chunks_mut::<2>().0.iter_mut().zip(bytes).zip(scales) {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let bytes = (bytes >> (32 * i)) as u32;
                        *sum += ((bytes & 0xffff) + (bytes >> 16)) * scales[i].cast_unsigned();
                    }
                }
            }
            most = sums.into_iter().fold(most, u32::max);
        }
        // An activation's h or l is at most 128 in magnitude.
        self.within = most <= (1 << 24) / 128;
    }
}
