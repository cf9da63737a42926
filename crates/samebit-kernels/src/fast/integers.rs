//! Sums of products of 16-bit integers and signed bytes, four at a time: what attention over pages of bytes is made of.
//!
//! Knows two ways, by products of bytes and by products of words; nothing of queries, weights or scales. All is exact, so
//! the order of the sums is free.

use samebit_numerics::ops::attention8::BLOCK;
use samebit_numerics::reduce::CHUNK;

use super::dot::four;
use super::kernel::ByBytes;
use super::words::ByWords;
use crate::page8::{QUADS, Quads};
use crate::vector::{ByteDot, Vector, WordDot};

/// Sums of a few rows' products with a few vectors of lanes.
pub(crate) type Sums<V, const VECS: usize, const T: usize> = [[<V as Vector>::I; VECS]; T];

/// Some quads, as they follow each other.
pub(crate) type Step = [Quads; QUADS];

/// A way to multiply.
pub(crate) trait Integers {
    /// The vectors that it is written over.
    type Vector: Vector;
    /// Up to 256 integers as it takes them.
    type Row: Clone + Default;

    /// Takes integers within ±32512, the row's first.
    fn fill<const N: usize>(a: &[i32; N], row: &mut Self::Row);

    /// Takes integers from 0 to 32512: in another form, for [`sums`](Self::sums) with `POSITIVE`.
    fn fill_positive(a: &[i32; CHUNK], row: &mut Self::Row);

    /// `sum[row][lane]` = the products of the steps' bytes of the lane and the row's integers from step `first` on, added up;
    /// `G` runs of as many steps, `VECS` vectors. A single step unless `POSITIVE`.
    fn sums<const POSITIVE: bool, const G: usize, const VECS: usize, const T: usize>(
        v: Self::Vector,
        steps: [&[Step]; G],
        rows: [&Self::Row; T],
        first: usize,
    ) -> Sums<Self::Vector, VECS, T>;
}

/// The fours of a step.
type Fours = [[i8; 4]; QUADS];

/// Two planes of bytes, `a = 256·h + l`. Of positive integers l is unsigned where the unit multiplies unsigned bytes by
/// signed ones; else both are signed.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct ByteRow {
    high: [Fours; CHUNK / BLOCK],
    low: [Fours; CHUNK / BLOCK],
    /// Σ a over a step.
    sums: [i32; CHUNK / BLOCK],
}

impl Default for ByteRow {
    fn default() -> Self {
        let zeros = [[[0; 4]; QUADS]; CHUNK / BLOCK];
        Self { high: zeros, low: zeros, sums: [0; CHUNK / BLOCK] }
    }
}

impl ByteRow {
    #[inline(always)]
    fn planes<const N: usize>(&mut self, a: &[i32; N], high: impl Fn(i32) -> i32) {
        for (to, &a) in self.high.as_flattened_mut().as_flattened_mut().iter_mut().zip(a) {
            *to = high(a) as i8;
        }
        for (to, &a) in self.low.as_flattened_mut().as_flattened_mut().iter_mut().zip(a) {
            *to = a as i8;
        }
    }
}

impl<V: ByteDot> Integers for ByBytes<V> {
    type Vector = V;
    type Row = ByteRow;

    #[inline(always)]
    fn fill<const N: usize>(a: &[i32; N], row: &mut ByteRow) {
        row.planes(a, |a| (a + 128) >> 8);
        if !V::SIGNED {
            for (sum, a) in row.sums.iter_mut().zip(a.as_chunks::<BLOCK>().0) {
                *sum = a.iter().sum();
            }
        }
    }

    #[inline(always)]
    fn fill_positive(a: &[i32; CHUNK], row: &mut ByteRow) {
        if V::SIGNED {
            row.planes(a, |a| (a + 128) >> 8);
        } else {
            row.planes(a, |a| a >> 8);
        }
    }

    #[inline(always)]
    fn sums<const POSITIVE: bool, const G: usize, const VECS: usize, const T: usize>(
        v: V,
        steps: [&[Step]; G],
        rows: [&ByteRow; T],
        first: usize,
    ) -> Sums<V, VECS, T> {
        let none = [[[v.splat_i(0); VECS]; 2]; T];
        // A single row's sums are made in two halves, so that they need not wait for each other.
        let (mut sums, mut others) = (none, none);
        if !V::SIGNED && !POSITIVE {
            // Bytes become unsigned by adding 128 to each.
            for (sums, row) in sums.iter_mut().zip(rows) {
                sums[1] = [v.splat_i(-128 * row.sums[first]); VECS];
            }
        }
        for step in 0..steps[0].len() {
            let bytes = steps.map(|steps| &steps[step]);
            let planes = rows.map(|row| [&row.high[first + step], &row.low[first + step]]);
            for pair in 0..QUADS / 2 {
                quads_and_planes::<V, POSITIVE, G, VECS, T>(v, bytes, &planes, 2 * pair, &mut sums);
                let sums = if T == 1 { &mut others } else { &mut sums };
                quads_and_planes::<V, POSITIVE, G, VECS, T>(v, bytes, &planes, 2 * pair + 1, sums);
            }
        }
        let mut whole = [[v.splat_i(0); VECS]; T];
        for t in 0..T {
            for i in 0..VECS {
                let [mut high, mut low] = [sums[t][0][i], sums[t][1][i]];
                if T == 1 {
                    (high, low) = (v.add_i(high, others[t][0][i]), v.add_i(low, others[t][1][i]));
                }
                whole[t][i] = v.add_i(v.shift_i(high), low);
            }
        }
        whole
    }
}

/// Four bytes of each lane with both planes of each row.
#[inline(always)]
fn quads_and_planes<V: ByteDot, const POSITIVE: bool, const G: usize, const VECS: usize, const T: usize>(
    v: V,
    steps: [&Step; G],
    planes: &[[&Fours; 2]; T],
    quad: usize,
    sums: &mut [[[V::I; VECS]; 2]; T],
) {
    let mut bytes = [v.splat_i(0); VECS];
    for (i, bytes) in bytes.iter_mut().enumerate() {
        *bytes = v.load_quads(&steps[i / V::PARTS][quad], i % V::PARTS);
        if !V::SIGNED && !POSITIVE {
            *bytes = v.lift(*bytes);
        }
    }
    for (sums, planes) in sums.iter_mut().zip(planes) {
        for (sums, plane) in sums.iter_mut().zip(planes) {
            let a = v.splat_i(four(plane[quad]));
            for (sum, &bytes) in sums.iter_mut().zip(&bytes) {
                *sum = if !V::SIGNED && POSITIVE {
                    // The unsigned bytes are the row's own.
                    v.dot_bytes(*sum, a, bytes)
                } else {
                    v.dot_bytes(*sum, bytes, a)
                };
            }
        }
    }
}

/// Pairs of words: of each four integers the first and the third, then the second and the fourth.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct WordRow {
    pairs: [[[i32; 2]; QUADS]; CHUNK / BLOCK],
}

impl Default for WordRow {
    fn default() -> Self {
        Self { pairs: [[[0; 2]; QUADS]; CHUNK / BLOCK] }
    }
}

impl<V: WordDot> Integers for ByWords<V> {
    type Vector = V;
    type Row = WordRow;

    #[inline(always)]
    fn fill<const N: usize>(a: &[i32; N], row: &mut WordRow) {
        let words = |first: i32, second: i32| (first & 0xffff) | (second << 16);
        for (to, &[a, b, c, d]) in row.pairs.as_flattened_mut().iter_mut().zip(a.as_chunks::<4>().0) {
            *to = [words(a, c), words(b, d)];
        }
    }

    #[inline(always)]
    fn fill_positive(a: &[i32; CHUNK], row: &mut WordRow) {
        Self::fill(a, row);
    }

    #[inline(always)]
    fn sums<const POSITIVE: bool, const G: usize, const VECS: usize, const T: usize>(
        v: V,
        steps: [&[Step]; G],
        rows: [&WordRow; T],
        first: usize,
    ) -> Sums<V, VECS, T> {
        let mut sums = [[v.splat_i(0); VECS]; T];
        for step in 0..steps[0].len() {
            let bytes = steps.map(|steps| &steps[step]);
            let rows = rows.map(|row| &row.pairs[first + step]);
            for quad in 0..QUADS {
                let mut pairs = [[v.splat_i(0); VECS]; 2];
                for i in 0..VECS {
                    [pairs[0][i], pairs[1][i]] = v.widen_signed(v.load_quads(&bytes[i / V::PARTS][quad], i % V::PARTS));
                }
                for (sums, row) in sums.iter_mut().zip(rows) {
                    for (pairs, &a) in pairs.iter().zip(&row[quad]) {
                        let a = v.splat_i(a);
                        for (sum, &pair) in sums.iter_mut().zip(pairs) {
                            *sum = v.dot_words(*sum, pair, a);
                        }
                    }
                }
            }
        }
        sums
    }
}
