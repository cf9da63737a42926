//! A vector of lanes: the little that an instruction set must say of itself for the fast kernels to be written once.
//!
//! Knows no operation of a model. A value of an implementing type is the proof that the CPU has the instructions, so the
//! methods are safe; they are always inlined into functions compiled for those instructions.
// See `fast`.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

use samebit_numerics::arith::Float32;

use crate::page8::Quads;

/// Rows of weights that are packed side by side: a multiple of every vector's lanes.
pub(crate) const GROUP: usize = 16;

/// Four bytes of each of sixteen rows, eight at a time: integers that wide are shifted in one instruction everywhere.
pub(crate) type Line = [u64; 8];

/// Lanes of binary32 and of 32-bit integers. `part` chooses which `LANES` of [`GROUP`] numbers are meant.
pub(crate) trait Vector: Copy + 'static {
    /// The scalar operations of the same instruction set.
    type Scalar: Float32;
    /// Lanes: 16, 8 or 4.
    const LANES: usize;
    /// Vectors in a group.
    const PARTS: usize = GROUP / Self::LANES;
    /// Vectors that fit in registers.
    const REGISTERS: usize;
    /// Floats.
    type F: Copy;
    /// 32-bit integers, or 4 bytes or 2 words in the place of each.
    type I: Copy;

    /// All lanes the same.
    fn splat(self, x: f32) -> Self::F;
    /// The first lanes of a slice.
    ///
    /// # Panics
    /// If it is shorter.
    fn load(self, x: &[f32]) -> Self::F;
    /// Into the first lanes of a slice.
    ///
    /// # Panics
    /// If it is shorter.
    fn store(self, x: Self::F, to: &mut [f32]);
    /// The first lanes of a slice of binary16, widened.
    ///
    /// # Panics
    /// If it is shorter.
    fn load_half(self, x: &[u16]) -> Self::F;
    /// `a + b`.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b`.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;

    /// All lanes the same.
    fn splat_i(self, x: i32) -> Self::I;
    /// A part of sixteen integers.
    fn load_i(self, x: &[i32; GROUP], part: usize) -> Self::I;
    /// `a + b`.
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// The low 32 bits of `a · b`.
    fn mul_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a · 256`.
    fn shift_i(self, a: Self::I) -> Self::I;
    /// To the nearest float, ties to even.
    fn to_float(self, a: Self::I) -> Self::F;
    /// A part of a line: sixteen quadruples of bytes.
    fn load_bytes(self, w: &Line, part: usize) -> Self::I;
    /// A part of sixteen quadruples of bytes.
    fn load_quads(self, x: &Quads, part: usize) -> Self::I;
    /// A part of sixteen pairs of words.
    fn load_words(self, x: &[i16; 2 * GROUP], part: usize) -> Self::I;
    /// Each lane plus the dot product of two pairs of words.
    fn dot_words(self, acc: Self::I, w: Self::I, x: Self::I) -> Self::I;
    /// Says that the byte at this offset, which may lie beyond the slice, will be read soon.
    fn prefetch(self, bytes: &[u8], at: usize);
    /// Each byte below 16 becomes the table's entry of that index.
    fn look_up(self, table: &[u8; 16], line: &mut Line);
}

/// An instruction set that multiplies bytes and adds four products to a 32-bit integer, exactly.
pub(crate) trait ByteDot: Vector {
    /// Whether the weights' bytes are signed; else they are unsigned, as far above their values as their format says.
    const SIGNED: bool;
    /// Whether a product of integers costs more than making floats of both.
    const DEAR_PRODUCTS: bool = false;
    /// Signed bytes as its weights: unless those are signed, each 128 above its value.
    fn lift(self, x: Self::I) -> Self::I;
    /// Each lane plus the dot product of four weights and four signed activations.
    fn dot_bytes(self, acc: Self::I, w: Self::I, x: Self::I) -> Self::I;
}

/// An instruction set whose widest exact dot product is that of pairs of words.
pub(crate) trait WordDot: Vector {
    /// Into a part of sixteen integers.
    fn store_i(self, x: Self::I, to: &mut [i32; GROUP], part: usize);
    /// Of each quadruple of unsigned bytes the first and the third, and the second and the fourth, as pairs of words.
    fn widen_bytes(self, x: Self::I) -> [Self::I; 2];
    /// The same of signed bytes.
    fn widen_signed(self, x: Self::I) -> [Self::I; 2];
    /// `a - b`, word by word.
    fn sub_words(self, a: Self::I, b: Self::I) -> Self::I;
    /// The low 16 bits of `a · b`, word by word.
    fn mul_words(self, a: Self::I, b: Self::I) -> Self::I;
}

/// An instruction set that multiplies bytes and adds the products to 16-bit sums: exact for small weights, a few at a time.
pub(crate) trait SmallDot: Vector {
    /// 16-bit sums.
    type Sums: Copy;
    /// Products that one step adds to a 16-bit sum.
    const PRODUCTS: usize;
    /// Zeros.
    fn no_sums(self) -> Self::Sums;
    /// The sums plus the products of unsigned weights (at most 63) and signed activations.
    fn dot_small(self, sums: Self::Sums, w: Self::I, x: Self::I) -> Self::Sums;
    /// Scales (signed bytes, widened) as [`fold`](Self::fold) takes them.
    fn spread(self, scale: Self::I) -> Self::I;
    /// Each lane plus its scale times its 16-bit sums.
    fn fold(self, acc: Self::I, sums: Self::Sums, scale: Self::I) -> Self::I;
}

/// An instruction set of four lanes that multiplies matrices of bytes: 2 × 8 by 8 × 2, exactly.
#[cfg(any(test, target_arch = "aarch64"))]
pub(crate) trait MatrixDot: ByteDot {
    /// Two quadruples of weights of each of four rows, as two rows each.
    fn zip(self, first: Self::I, second: Self::I) -> [Self::I; 2];
    /// Eight activations of each of two rows.
    fn pair(self, first: [[i8; 4]; 2], second: [[i8; 4]; 2]) -> Self::I;
    /// The matrix `acc` plus two rows of weights times two rows of activations.
    fn dot_pairs(self, acc: Self::I, w: Self::I, x: Self::I) -> Self::I;
    /// From the matrices of four rows of weights to lanes: the first row of activations, the second.
    fn unzip(self, acc: [Self::I; 2]) -> [Self::I; 2];
}
