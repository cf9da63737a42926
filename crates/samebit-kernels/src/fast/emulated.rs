//! A vector unit of plain arrays: the test double of every unit, so that each kernel is tested whatever CPU runs the tests.
//!
//! What instructions compute is written out here one lane at a time. A [`Flaw`] makes it compute wrongly, in ways that
//! real instructions do; tests must notice. Nothing is inlined: kernels would take the compiler minutes.

use samebit_numerics::arith::{Float32, Soft};
use samebit_numerics::half::f16_to_f32;

use super::dot::{Chunk, PlaneSums};
use super::pairs::plane_by_pairs;
use super::tile::Tile;
use crate::page8::Quads;
use crate::vector::{ByteDot, GROUP, Line, MatrixDot, SmallDot, Vector, WordDot};

/// What a unit computes wrongly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Nothing.
    #[default]
    None,
    /// Byte products are added in pairs that saturate at 16 bits, as `pmaddubsw` does.
    Saturates,
    /// `fma` rounds twice.
    RoundsTwice,
    /// Products of words lose their highest bits before they are added.
    ShortWords,
    /// The first factors of products of words have 14 bits.
    NarrowWords,
    /// 16-bit sums have 15.
    ShortSums,
    /// Matrices of bytes come out transposed.
    Transposed,
}

/// `L` lanes; signed or unsigned weights; so many registers.
#[derive(Clone, Copy, Default)]
pub(super) struct Emulated<const L: usize, const SIGNED: bool, const REGISTERS: usize>(pub(super) Flaw);

/// Four lanes of signed bytes that also multiply matrices.
#[derive(Clone, Copy, Default)]
pub(super) struct EmulatedMatrix(pub(super) Flaw);

fn bytes(x: i32) -> [u8; 4] {
    x.to_ne_bytes()
}

fn words(x: i32) -> [i16; 2] {
    let [a, b, c, d] = x.to_ne_bytes();
    [i16::from_ne_bytes([a, b]), i16::from_ne_bytes([c, d])]
}

fn of_words([a, b]: [i16; 2]) -> i32 {
    let ([a, b], [c, d]) = (a.to_ne_bytes(), b.to_ne_bytes());
    i32::from_ne_bytes([a, b, c, d])
}

fn weight(byte: u8, signed: bool) -> i32 {
    if signed { i32::from(byte.cast_signed()) } else { i32::from(byte) }
}

fn activation(byte: u8) -> i32 {
    i32::from(byte.cast_signed())
}

fn saturated(x: i32) -> i32 {
    x.clamp(-32768, 32767)
}

/// `a op b` lane by lane.
fn each<T: Copy, const L: usize>(a: [T; L], b: [T; L], op: impl Fn(T, T) -> T) -> [T; L] {
    core::array::from_fn(|i| op(a[i], b[i]))
}

/// The methods of [`Vector`] for `L` lanes.
macro_rules! lanes {
    ($l:expr, $registers:expr) => {
        type Scalar = Soft;
        const LANES: usize = $l;
        const REGISTERS: usize = $registers;
        type F = [f32; $l];
        type I = [i32; $l];

        #[inline(never)]
        fn splat(self, x: f32) -> Self::F {
            [x; $l]
        }
        #[inline(never)]
        fn load(self, x: &[f32]) -> Self::F {
            core::array::from_fn(|i| x[i])
        }
        #[inline(never)]
        fn store(self, x: Self::F, to: &mut [f32]) {
            to[..$l].copy_from_slice(&x);
        }
        #[inline(never)]
        fn load_half(self, x: &[u16]) -> Self::F {
            core::array::from_fn(|i| f16_to_f32(x[i]))
        }
        #[inline(never)]
        fn add(self, a: Self::F, b: Self::F) -> Self::F {
            each(a, b, |a, b| a + b)
        }
        #[inline(never)]
        fn mul(self, a: Self::F, b: Self::F) -> Self::F {
            each(a, b, |a, b| a * b)
        }
        #[inline(never)]
        fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
            core::array::from_fn(|i| match self.0 {
                Flaw::RoundsTwice => a[i] * b[i] + c[i],
                _ => Soft::fma(a[i], b[i], c[i]),
            })
        }
        #[inline(never)]
        fn splat_i(self, x: i32) -> Self::I {
            [x; $l]
        }
        #[inline(never)]
        fn load_i(self, x: &[i32; GROUP], part: usize) -> Self::I {
            core::array::from_fn(|i| x[part * $l + i])
        }
        #[inline(never)]
        fn add_i(self, a: Self::I, b: Self::I) -> Self::I {
            each(a, b, i32::wrapping_add)
        }
        #[inline(never)]
        fn mul_i(self, a: Self::I, b: Self::I) -> Self::I {
            each(a, b, i32::wrapping_mul)
        }
        #[inline(never)]
        fn shift_i(self, a: Self::I) -> Self::I {
            a.map(|a| a << 8)
        }
        #[inline(never)]
        fn to_float(self, a: Self::I) -> Self::F {
            a.map(|a| a as f32)
        }
        #[inline(never)]
        fn load_bytes(self, w: &Line, part: usize) -> Self::I {
            core::array::from_fn(|i| {
                let (row, mut bytes) = (part * $l + i, [0; 4]);
                bytes.copy_from_slice(&w[row / 2].to_ne_bytes()[row % 2 * 4..][..4]);
                i32::from_ne_bytes(bytes)
            })
        }
        #[inline(never)]
        fn load_quads(self, x: &Quads, part: usize) -> Self::I {
            core::array::from_fn(|i| i32::from_ne_bytes(x.0[part * $l + i].map(i8::cast_unsigned)))
        }
        #[inline(never)]
        fn load_words(self, x: &[i16; 2 * GROUP], part: usize) -> Self::I {
            core::array::from_fn(|i| of_words([x[2 * (part * $l + i)], x[2 * (part * $l + i) + 1]]))
        }
        #[inline(never)]
        fn dot_words(self, acc: Self::I, w: Self::I, x: Self::I) -> Self::I {
            core::array::from_fn(|i| {
                let ([a, b], [c, d]) = (words(w[i]).map(i32::from), words(x[i]).map(i32::from));
                let narrow = |x: i32| if self.0 == Flaw::NarrowWords { x << 18 >> 18 } else { x };
                let sum = narrow(a) * c + narrow(b) * d;
                acc[i].wrapping_add(if self.0 == Flaw::ShortWords { sum << 9 >> 9 } else { sum })
            })
        }
        #[inline(never)]
        fn prefetch(self, _: &[u8], _: usize) {}
        #[inline(never)]
        fn look_up(self, table: &[u8; 16], line: &mut Line) {
            for quads in line {
                *quads = u64::from_ne_bytes(quads.to_ne_bytes().map(|index| table[usize::from(index)]));
            }
        }
    };
}

fn dot_bytes(acc: i32, w: i32, x: i32, signed: bool, flaw: Flaw) -> i32 {
    let (w, x) = (bytes(w).map(|w| weight(w, signed)), bytes(x).map(activation));
    let pairs = [w[0] * x[0] + w[1] * x[1], w[2] * x[2] + w[3] * x[3]];
    let pairs = if flaw == Flaw::Saturates { pairs.map(saturated) } else { pairs };
    acc.wrapping_add(pairs[0]).wrapping_add(pairs[1])
}

impl<const L: usize, const SIGNED: bool, const R: usize> Vector for Emulated<L, SIGNED, R> {
    lanes!(L, R);
}

impl Vector for EmulatedMatrix {
    lanes!(4, 32);
}

impl<const L: usize, const SIGNED: bool, const R: usize> ByteDot for Emulated<L, SIGNED, R> {
    const SIGNED: bool = SIGNED;
    const DEAR_PRODUCTS: bool = !SIGNED;

    #[inline(never)]
    fn lift(self, x: [i32; L]) -> [i32; L] {
        x.map(|x| if SIGNED { x } else { i32::from_ne_bytes(bytes(x).map(|x| x.wrapping_add(128))) })
    }
    #[inline(never)]
    fn dot_bytes(self, acc: [i32; L], w: [i32; L], x: [i32; L]) -> [i32; L] {
        core::array::from_fn(|i| dot_bytes(acc[i], w[i], x[i], SIGNED, self.0))
    }
}

impl<const L: usize, const SIGNED: bool, const R: usize> PlaneSums for Emulated<L, SIGNED, R> {}

impl<const L: usize, const SIGNED: bool, const R: usize> WordDot for Emulated<L, SIGNED, R> {
    #[inline(never)]
    fn store_i(self, x: [i32; L], to: &mut [i32; GROUP], part: usize) {
        to[part * L..][..L].copy_from_slice(&x);
    }
    #[inline(never)]
    fn widen_bytes(self, x: [i32; L]) -> [[i32; L]; 2] {
        let pair = |first: usize| x.map(|x| of_words([bytes(x)[first], bytes(x)[first + 2]].map(i16::from)));
        [pair(0), pair(1)]
    }
    #[inline(never)]
    fn widen_signed(self, x: [i32; L]) -> [[i32; L]; 2] {
        let pair = |first: usize| {
            x.map(|x| of_words([bytes(x)[first], bytes(x)[first + 2]].map(|byte| i16::from(byte.cast_signed()))))
        };
        [pair(0), pair(1)]
    }
    #[inline(never)]
    fn sub_words(self, a: [i32; L], b: [i32; L]) -> [i32; L] {
        each(a, b, |a, b| of_words(each(words(a), words(b), i16::wrapping_sub)))
    }
    #[inline(never)]
    fn mul_words(self, a: [i32; L], b: [i32; L]) -> [i32; L] {
        each(a, b, |a, b| of_words(each(words(a), words(b), i16::wrapping_mul)))
    }
}

/// 16-bit sums: of each lane two, of two products each. Units with 32 registers add one product to each of four.
impl<const L: usize, const SIGNED: bool, const R: usize> SmallDot for Emulated<L, SIGNED, R> {
    type Sums = [[i16; 4]; L];
    const PRODUCTS: usize = if R == 32 { 1 } else { 2 };

    #[inline(never)]
    fn no_sums(self) -> [[i16; 4]; L] {
        [[0; 4]; L]
    }
    #[inline(never)]
    fn dot_small(self, mut sums: [[i16; 4]; L], w: [i32; L], x: [i32; L]) -> [[i16; 4]; L] {
        for (i, sums) in sums.iter_mut().enumerate() {
            let (w, x) = (bytes(w[i]).map(|w| weight(w, false)), bytes(x[i]).map(activation));
            for k in 0..4 {
                let to = if R == 32 { k } else { k / 2 };
                let sum = sums[to].wrapping_add((w[k] * x[k]) as i16);
                sums[to] = if self.0 == Flaw::ShortSums { sum << 1 >> 1 } else { sum };
            }
        }
        sums
    }
    #[inline(never)]
    fn spread(self, scale: [i32; L]) -> [i32; L] {
        scale
    }
    #[inline(never)]
    fn fold(self, acc: [i32; L], sums: [[i16; 4]; L], scale: [i32; L]) -> [i32; L] {
        core::array::from_fn(|i| acc[i] + scale[i] * sums[i].map(i32::from).iter().sum::<i32>())
    }
}

impl ByteDot for EmulatedMatrix {
    const SIGNED: bool = true;

    #[inline(never)]
    fn lift(self, x: [i32; 4]) -> [i32; 4] {
        x
    }
    #[inline(never)]
    fn dot_bytes(self, acc: [i32; 4], w: [i32; 4], x: [i32; 4]) -> [i32; 4] {
        core::array::from_fn(|i| dot_bytes(acc[i], w[i], x[i], true, self.0))
    }
}

impl PlaneSums for EmulatedMatrix {
    fn plane<const G: usize, const VECS: usize, const T: usize, const STEPS: usize, const HIGH: bool>(
        self,
        tiles: &[Tile; G],
        x: &[&Chunk; T],
        step: usize,
        start: [[Self::I; VECS]; T],
    ) -> [[Self::I; VECS]; T] {
        plane_by_pairs::<Self, G, VECS, T, STEPS, HIGH>(self, tiles, x, step, start)
    }
}

impl MatrixDot for EmulatedMatrix {
    #[inline(never)]
    fn zip(self, a: [i32; 4], b: [i32; 4]) -> [[i32; 4]; 2] {
        [[a[0], b[0], a[1], b[1]], [a[2], b[2], a[3], b[3]]]
    }
    #[inline(never)]
    fn pair(self, first: [[i8; 4]; 2], second: [[i8; 4]; 2]) -> [i32; 4] {
        [first[0], first[1], second[0], second[1]].map(|bytes| i32::from_ne_bytes(bytes.map(i8::cast_unsigned)))
    }
    #[inline(never)]
    fn dot_pairs(self, acc: [i32; 4], w: [i32; 4], x: [i32; 4]) -> [i32; 4] {
        core::array::from_fn(|i| {
            let (row, token) = if self.0 == Flaw::Transposed { (i % 2, i / 2) } else { (i / 2, i % 2) };
            let sum = dot_bytes(acc[i], w[2 * row], x[2 * token], true, self.0);
            dot_bytes(sum, w[2 * row + 1], x[2 * token + 1], true, self.0)
        })
    }
    #[inline(never)]
    fn unzip(self, acc: [[i32; 4]; 2]) -> [[i32; 4]; 2] {
        [[acc[0][0], acc[0][2], acc[1][0], acc[1][2]], [acc[0][1], acc[0][3], acc[1][1], acc[1][3]]]
    }
}
