//! Sums of products of 16-bit integers and signed bytes, four at a time: what attention over pages of bytes is made of.
//!
//! Knows two ways, by products of bytes and by products of words; nothing of queries, weights or scales. All is exact, so
//! the order of the sums is free.

use samebit_numerics::reduce::CHUNK;

use super::dot::four;
use super::kernel::ByBytes;
use super::words::ByWords;
use crate::page8::Quads;
use crate::vector::{ByteDot, Vector, WordDot};

/// Sums of a few rows' products with a few vectors of lanes.
pub(crate) type Sums<V, const VECS: usize, const T: usize> = [[<V as Vector>::I; VECS]; T];

/// A way to multiply.
pub(crate) trait Integers {
    /// The vectors that it is written over.
    type Vector: Vector;
    /// Up to 256 integers as it takes them.
    type Row: Clone + Default;

    /// Takes integers within ±32512 (their number a multiple of 32) from index `first` on.
    fn fill(a: &[i32], first: usize, row: &mut Self::Row);

    /// Likewise, integers from 0 to 32512: another form, for [`sums`](Self::sums) with `POSITIVE`.
    fn fill_positive(a: &[i32], first: usize, row: &mut Self::Row);

    /// `sum[row][lane]` = Σ line[k][lane] · row[first + k] over the four bytes of each k, for all the lines; `G` runs of as
    /// many lines, `VECS` vectors. Unless `POSITIVE`, eight lines at most, and `first` is a multiple of eight.
    fn sums<const POSITIVE: bool, const G: usize, const VECS: usize, const T: usize>(
        v: Self::Vector,
        lines: [&[Quads]; G],
        rows: [&Self::Row; T],
        first: usize,
    ) -> Sums<Self::Vector, VECS, T>;
}

/// Two planes of bytes, `a = 256·h + l`. Of positive integers l is unsigned where the unit multiplies unsigned bytes by
/// signed ones; else both are signed.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct ByteRow {
    high: [[i8; 4]; CHUNK / 4],
    low: [[i8; 4]; CHUNK / 4],
    /// Σ a over 32.
    sums: [i32; CHUNK / 32],
}

impl Default for ByteRow {
    fn default() -> Self {
        Self { high: [[0; 4]; CHUNK / 4], low: [[0; 4]; CHUNK / 4], sums: [0; CHUNK / 32] }
    }
}

impl ByteRow {
    #[inline(always)]
    fn planes(&mut self, a: &[i32], first: usize, high: impl Fn(i32) -> i32) {
        for (to, &a) in self.high.as_flattened_mut()[first..].iter_mut().zip(a) {
            *to = high(a) as i8;
        }
        for (to, &a) in self.low.as_flattened_mut()[first..].iter_mut().zip(a) {
            *to = a as i8;
        }
    }
}

impl<V: ByteDot> Integers for ByBytes<V> {
    type Vector = V;
    type Row = ByteRow;

    #[inline(always)]
    fn fill(a: &[i32], first: usize, row: &mut ByteRow) {
        row.planes(a, first, |a| (a + 128) >> 8);
        if !V::SIGNED {
            for (sum, a) in row.sums[first / 32..].iter_mut().zip(a.as_chunks::<32>().0) {
                *sum = a.iter().sum();
            }
        }
    }

    #[inline(always)]
    fn fill_positive(a: &[i32], first: usize, row: &mut ByteRow) {
        if V::SIGNED {
            row.planes(a, first, |a| (a + 128) >> 8);
        } else {
            row.planes(a, first, |a| a >> 8);
        }
    }

    #[inline(always)]
    fn sums<const POSITIVE: bool, const G: usize, const VECS: usize, const T: usize>(
        v: V,
        lines: [&[Quads]; G],
        rows: [&ByteRow; T],
        first: usize,
    ) -> Sums<V, VECS, T> {
        let steps = lines[0].len();
        let lines = lines.map(|lines| &lines[..steps]);
        let planes = rows.map(|row| [&row.high[first..][..steps], &row.low[first..][..steps]]);
        let none = [[[v.splat_i(0); VECS]; 2]; T];
        let mut sums = none;
        if !V::SIGNED && !POSITIVE {
            // Bytes become unsigned by adding 128 to each.
            for (sums, row) in sums.iter_mut().zip(rows) {
                sums[1] = [v.splat_i(-128 * row.sums[first / 8]); VECS];
            }
        }
        if T > 1 {
            for step in 0..steps {
                planes_step::<V, POSITIVE, G, VECS, T>(v, &lines, &planes, step, &mut sums);
            }
        } else {
            // A single row's sums are made in two halves, so that they need not wait for each other.
            let mut others = none;
            for step in (0..steps / 2 * 2).step_by(2) {
                planes_step::<V, POSITIVE, G, VECS, T>(v, &lines, &planes, step, &mut sums);
                planes_step::<V, POSITIVE, G, VECS, T>(v, &lines, &planes, step + 1, &mut others);
            }
            if steps % 2 == 1 {
                planes_step::<V, POSITIVE, G, VECS, T>(v, &lines, &planes, steps - 1, &mut sums);
            }
            for (sum, other) in
                sums.as_flattened_mut().as_flattened_mut().iter_mut().zip(others.as_flattened().as_flattened())
            {
                *sum = v.add_i(*sum, *other);
            }
        }
        let mut whole = [[v.splat_i(0); VECS]; T];
        for (whole, [high, low]) in whole.iter_mut().zip(sums) {
            for ((whole, high), low) in whole.iter_mut().zip(high).zip(low) {
                *whole = v.add_i(v.shift_i(high), low);
            }
        }
        whole
    }
}

/// One step of [`ByBytes`]' sums: four bytes of each lane with both planes of each row.
#[inline(always)]
fn planes_step<V: ByteDot, const POSITIVE: bool, const G: usize, const VECS: usize, const T: usize>(
    v: V,
    lines: &[&[Quads]; G],
    planes: &[[&[[i8; 4]]; 2]; T],
    step: usize,
    sums: &mut [[[V::I; VECS]; 2]; T],
) {
    let mut bytes = [v.splat_i(0); VECS];
    for (i, bytes) in bytes.iter_mut().enumerate() {
        *bytes = v.load_quads(&lines[i / V::PARTS][step], i % V::PARTS);
        if !V::SIGNED && !POSITIVE {
            *bytes = v.lift(*bytes);
        }
    }
    for (sums, planes) in sums.iter_mut().zip(planes) {
        for (sums, plane) in sums.iter_mut().zip(planes) {
            let a = v.splat_i(four(plane[step]));
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
    pairs: [[i32; 2]; CHUNK / 4],
}

impl Default for WordRow {
    fn default() -> Self {
        Self { pairs: [[0; 2]; CHUNK / 4] }
    }
}

impl<V: WordDot> Integers for ByWords<V> {
    type Vector = V;
    type Row = WordRow;

    #[inline(always)]
    fn fill(a: &[i32], first: usize, row: &mut WordRow) {
        let words = |first: i32, second: i32| (first & 0xffff) | (second << 16);
        for (to, &[a, b, c, d]) in row.pairs[first / 4..].iter_mut().zip(a.as_chunks::<4>().0) {
            *to = [words(a, c), words(b, d)];
        }
    }

    #[inline(always)]
    fn fill_positive(a: &[i32], first: usize, row: &mut WordRow) {
        Self::fill(a, first, row);
    }

    #[inline(always)]
    fn sums<const POSITIVE: bool, const G: usize, const VECS: usize, const T: usize>(
        v: V,
        lines: [&[Quads]; G],
        rows: [&WordRow; T],
        first: usize,
    ) -> Sums<V, VECS, T> {
        let steps = lines[0].len();
        let lines = lines.map(|lines| &lines[..steps]);
        let rows = rows.map(|row| &row.pairs[first..][..steps]);
        let mut sums = [[v.splat_i(0); VECS]; T];
        for step in 0..steps {
            let mut pairs = [[v.splat_i(0); VECS]; 2];
            for i in 0..VECS {
                [pairs[0][i], pairs[1][i]] = v.widen_signed(v.load_quads(&lines[i / V::PARTS][step], i % V::PARTS));
            }
            for (sums, row) in sums.iter_mut().zip(rows) {
                for (pairs, &a) in pairs.iter().zip(&row[step]) {
                    let a = v.splat_i(a);
                    for (sum, &pair) in sums.iter_mut().zip(pairs) {
                        *sum = v.dot_words(*sum, pair, a);
                    }
                }
            }
        }
        sums
    }
}
