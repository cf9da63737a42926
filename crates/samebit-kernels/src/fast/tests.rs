//! Every kernel over emulated vectors, in every size that a real unit has, against the reference: all formats, odd shapes,
//! integers at their limits. And with vectors that compute wrongly, which must be found.

use samebit_numerics::blocks::{Family, Format};
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::ops::matmul::Matrix;
use samebit_numerics::reduce::{CHUNK, chunks};

use super::activations::{Planes, QuantizedChunk, quantize_row};
use super::emulated::*;
use super::kernel::{ByBytes, Kernel, Takes};
use super::product::{self, Scratch};
use super::small::BySmall;
use super::words::ByWords;
use crate::packed::{PackedMatrix, pack, packed_bytes};
use crate::pool::Grid;
use crate::table::{Activations, Heads, Numerics, PageOf, Table};
use crate::{Isa, Pool};

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between −8 and 8.
    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 1_048_576.0 - 8.0
    }
}

/// What weights and activations are filled with.
#[derive(Clone, Copy, Debug)]
enum Fill {
    /// Anything.
    Random,
    /// Each bit of every quant and scale set (or none of them), activations of the largest magnitude.
    Extreme(u8),
}

/// The binary16 fields of a block, which must be finite for a comparison to say anything.
fn half_fields(format: Format) -> &'static [usize] {
    match format {
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
        Format::Mxfp4 => &[],
        _ => &[0],
    }
}

fn weights(format: Format, rows: usize, cols: usize, fill: Fill, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; rows * format.row_bytes(cols).expect("whole blocks")];
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        for byte in block.iter_mut() {
            *byte = match fill {
                Fill::Random => (random.next() >> 32) as u8,
                Fill::Extreme(byte) => byte,
            };
        }
        if format == Format::Mxfp4 {
            block[0] = 110 + block[0] % 32;
        }
        for &at in half_fields(format) {
            // Exponents well within the range, any sign and significand.
            let half = (random.next() >> 32) as u16 & 0x8fff | 0x2000;
            block[at..at + 2].copy_from_slice(&half.to_le_bytes());
        }
    }
    bytes
}

fn activations(count: usize, fill: Fill, random: &mut Random) -> Vec<f32> {
    let value = |_| match fill {
        Fill::Random => random.float(),
        // Some rows all of one sign, so that sums are as large as can be.
        Fill::Extreme(byte) => {
            if byte == 0 || random.next() & 1 == 0 {
                -3.0
            } else {
                3.0
            }
        }
    };
    (0..count).map(value).collect()
}

/// The reference's product, row by row of the activations.
fn reference(matrix: &Matrix<'_>, x: &[f32]) -> Vec<f32> {
    let table = Table::single(Isa::Reference, Numerics::V1);
    let (tokens, rows) = (x.len() / matrix.cols, matrix.rows);
    let mut prepared = Activations::default();
    table.activations(x, tokens, matrix.cols, &[matrix.format], &mut prepared).expect("finite");
    let mut out = vec![0.0; rows * tokens];
    (table.matmul)(matrix, 0..rows, &prepared, &mut out);
    (0..rows * tokens).map(|i| out[i % rows * tokens + i / rows]).collect()
}

fn quantized<P: Planes>(x: &[f32], cols: usize) -> Vec<QuantizedChunk<P>> {
    let mut out = vec![QuantizedChunk::default(); x.len() / cols * chunks(cols)];
    for (x, out) in x.chunks_exact(cols).zip(out.chunks_exact_mut(chunks(cols))) {
        quantize_row(x, out).expect("finite");
    }
    out
}

fn packed<'a>(matrix: &Matrix<'_>, bytes: &'a mut Vec<u8>) -> PackedMatrix<'a> {
    let Matrix { format, rows, cols, .. } = *matrix;
    bytes.resize(packed_bytes(format, rows, cols), 0);
    pack(matrix, 0, bytes);
    PackedMatrix { format, rows, cols, bytes }
}

fn differing(a: &[f32], b: &[f32]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a.to_bits() != b.to_bits()).count()
}

/// How many outputs of a kernel differ from the reference's, over shapes and fills.
#[inline(never)]
fn wrong<K: Kernel, const FORMAT: usize, const G: usize, const VECS: usize, const ODD: usize>(v: K::Vector) -> usize {
    let format = Format::ALL[FORMAT];
    let mut random = Random(0x9e37_79b9_7f4a_7c15 + FORMAT as u64);
    let (wide, narrow) = if format.family() == Family::Block32 { (544, 32) } else { (768, 256) };
    let mut scratch = Box::new(Scratch::new());
    let mut wrong = 0;
    for (rows, cols, tokens) in [(37, wide, 7), (16, narrow, 1), (50, narrow, 2), (1, wide, 3), (17, narrow, 130)] {
        for fill in [Fill::Random, Fill::Extreme(0), Fill::Extreme(0xff), Fill::Extreme(0x80)] {
            let bytes = weights(format, rows, cols, fill, &mut random);
            let matrix = Matrix::new(format, rows, cols, &bytes).expect("whole rows");
            let x = activations(tokens * cols, fill, &mut random);
            let mut ready = Activations { tokens, cols, ..Activations::default() };
            match K::TAKES {
                Takes::Bytes => ready.bytes = quantized(&x, cols),
                Takes::Words => ready.words = quantized(&x, cols),
            }
            let (mut room, mut out) = (Vec::new(), vec![0.0; rows * tokens]);
            let weights = packed(&matrix, &mut room);
            let mut grid = Grid::new(&mut out, rows);
            let columns = &mut grid.all();
            product::integers::<K, FORMAT, G, VECS, ODD>(v, &weights, &ready, None, columns, &mut scratch);
            wrong += differing(&out, &reference(&matrix, &x));
        }
    }
    wrong
}

/// The formats for which a kernel is wrong anywhere.
macro_rules! wrong {
    ($kernel:ty, $v:expr, [$g:literal, $vecs:literal, $odd:literal], $($format:ident)*) => {{
        let mut formats = Vec::new();
        $(if wrong::<$kernel, { Format::$format as usize }, $g, $vecs, $odd>($v) > 0 {
            formats.push(Format::$format.name());
        })*
        formats
    }};
}

/// Every format.
macro_rules! wrong_of_all {
    ($kernel:ty, $v:expr, $sizes:tt) => {
        wrong!($kernel, $v, $sizes, Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2K Q3K Q4K Q5K Q6K Iq4Nl Iq4Xs Mxfp4)
    };
}

/// One format of each shape, those with the largest integers.
macro_rules! wrong_of_shapes {
    ($kernel:ty, $v:expr, $sizes:tt) => {
        wrong!($kernel, $v, $sizes, Q8_0 Q5_1 Q2K Q6K Q5K Iq4Xs)
    };
}

/// Those of small quants.
macro_rules! wrong_of_small {
    ($kernel:ty, $v:expr, $sizes:tt) => {
        wrong!($kernel, $v, $sizes, Q2K Q3K Q4K Q5K Q6K)
    };
}

const NOTHING: [&str; 0] = [];

#[test]
fn byte_kernels_equal_the_reference() {
    assert_eq!(wrong_of_all!(ByBytes<Emulated<16, false, 32>>, Emulated, [2, 2, 1]), NOTHING);
    assert_eq!(wrong_of_shapes!(ByBytes<Emulated<8, false, 16>>, Emulated, [1, 2, 2]), NOTHING);
    assert_eq!(wrong_of_all!(ByBytes<Emulated<4, true, 32>>, Emulated, [1, 4, 4]), NOTHING);
}

#[test]
fn matrix_kernels_equal_the_reference() {
    assert_eq!(wrong_of_all!(ByBytes<EmulatedMatrix<true>>, EmulatedMatrix, [1, 4, 4]), NOTHING);
}

#[test]
fn word_kernels_equal_the_reference() {
    assert_eq!(wrong_of_shapes!(ByWords<Emulated<16, false, 32>>, Emulated, [2, 2, 1]), NOTHING);
    assert_eq!(wrong_of_all!(ByWords<Emulated<8, false, 16>>, Emulated, [1, 2, 2]), NOTHING);
    assert_eq!(wrong_of_shapes!(ByWords<Emulated<4, false, 16>>, Emulated, [1, 4, 4]), NOTHING);
    assert_eq!(wrong_of_shapes!(ByWords<Emulated<4, false, 32>>, Emulated, [1, 4, 4]), NOTHING);
}

#[test]
fn small_kernels_equal_the_reference() {
    assert_eq!(wrong_of_small!(BySmall<Emulated<8, false, 16>>, Emulated, [1, 2, 2]), NOTHING);
    assert_eq!(wrong_of_small!(BySmall<Emulated<16, false, 16>>, Emulated, [2, 2, 1]), NOTHING);
    assert_eq!(wrong_of_small!(BySmall<Emulated<4, false, 32>>, Emulated, [1, 4, 4]), NOTHING);
}

#[test]
fn vectors_that_compute_wrongly_are_found() {
    let found = wrong!(ByBytes<Emulated<8, false, 16, SATURATES>>, Emulated, [1, 2, 2], Q8_0 Q4_0);
    assert_eq!(found, ["Q8_0"], "only large quants reach 16 bits");
    let found = wrong!(ByBytes<Emulated<8, false, 16, ROUNDS_TWICE>>, Emulated, [1, 2, 2], Q8_0 Q6K);
    assert_eq!(found, ["Q8_0", "Q6_K"]);
    let found = wrong!(ByWords<Emulated<8, false, 16, SHORT_WORDS>>, Emulated, [1, 2, 2], Q8_0 Q6K);
    assert_eq!(found, ["Q8_0"], "only whole activations reach so far");
    let found = wrong!(BySmall<Emulated<8, false, 16, CROWDED>>, Emulated, [1, 2, 2], Q6K Q5K Q2K);
    assert_eq!(found, ["Q6_K", "Q5_K"], "sums of the smallest quants have room");
    let found = wrong!(ByBytes<EmulatedMatrix<true, TRANSPOSED>>, EmulatedMatrix, [1, 4, 4], Q8_0);
    assert_eq!(found, ["Q8_0"]);
}

/// Float weights, of which some products and sums are subnormal.
#[inline(never)]
fn wrong_floats<V: crate::vector::Vector, const G: usize, const VECS: usize, const ODD: usize, const WIDE: usize>(
    v: V,
) -> Vec<&'static str> {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    let mut scratch = Box::new(Scratch::new());
    let mut formats = Vec::new();
    for format in [Format::F32, Format::F16, Format::Bf16] {
        for (rows, cols, tokens) in [(37, 599, 7), (80, 256, 1), (50, 3, 10), (17, 300, 1), (1, 256, 130)] {
            let values: Vec<f32> = (0..cols * rows).map(|_| random.float() * 1e-6).collect();
            let mut bytes = vec![0; rows * format.row_bytes(cols).expect("any length")];
            format.quantize(&values, &mut bytes);
            let matrix = Matrix::new(format, rows, cols, &bytes).expect("whole rows");
            let scale = if tokens == 7 { 1e-35 } else { 1.0 };
            let x: Vec<f32> = (0..tokens * cols).map(|_| random.float() * scale).collect();
            let ready = Activations { tokens, cols, values: x.clone(), ..Activations::default() };
            let (mut room, mut out) = (Vec::new(), vec![0.0; rows * tokens]);
            let weights = packed(&matrix, &mut room);
            let mut grid = Grid::new(&mut out, rows);
            product::floats::<V, G, VECS, ODD, WIDE>(v, &weights, &ready, None, &mut grid.all(), &mut scratch);
            if differing(&out, &reference(&matrix, &x)) > 0 {
                formats.push(format.name());
            }
        }
    }
    formats
}

#[test]
fn float_kernels_equal_the_reference() {
    assert_eq!(wrong_floats::<_, 2, 2, 1, 4>(Emulated::<16, false, 32>), NOTHING);
    assert_eq!(wrong_floats::<_, 1, 2, 2, 8>(Emulated::<8, false, 16>), NOTHING);
    assert_eq!(wrong_floats::<_, 1, 4, 4, 16>(Emulated::<4, false, 32>), NOTHING);
    assert_ne!(wrong_floats::<_, 1, 2, 2, 8>(Emulated::<8, false, 16, ROUNDS_TWICE>), NOTHING);
}

/// Two pages for all heads of some rows, by vectors and by the reference: maxima, denominators and values.
#[inline(never)]
fn wrong_attention<V: crate::vector::Vector>(v: V) -> usize {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let table = Table::single(Isa::Reference, Numerics::V1);
    let mut wrong = 0;
    for (dim, group, seen) in
        [(64, 3, [0..256, 100..256, 7..8]), (80, 2, [0..1, 3..3, 0..255]), (13, 7, [5..9, 6..10, 9..20])]
    {
        let mut floats = |count: usize| (0..count).map(|_| random.float()).collect::<Vec<_>>();
        let queries = floats(3 * group * dim);
        for how in [Scores { scale: 0.11, soft_cap: None }, Scores { scale: 0.05, soft_cap: Some(30.0) }] {
            let mut states = [(); 2].map(|()| (vec![Running::default(); 3 * group], vec![0.0f32; 3 * group * dim]));
            for _ in 0..2 {
                let (keys, values) = (floats(dim * CHUNK), floats(dim * CHUNK));
                let mut halves = [vec![0; dim * CHUNK], vec![0; dim * CHUNK]];
                (table.narrow)(&keys, &mut halves[0]);
                (table.narrow)(&values, &mut halves[1]);
                let pages = [
                    PageOf::Full { keys: &keys, values: &values },
                    PageOf::Half { keys: &halves[0], values: &halves[1] },
                ];
                for page in pages {
                    for (fast, (running, out)) in [true, false].into_iter().zip(&mut states) {
                        let mut grid = Grid::new(out, group * dim);
                        let out = &mut grid.all();
                        let mut heads =
                            Heads { queries: &queries, stride: group * dim, group, dim, visible: &seen, running, out };
                        if fast {
                            super::attention::attend(v, page, how, &mut heads);
                        } else {
                            (table.attend)(page, how, &mut heads);
                        }
                    }
                }
            }
            let [(fast, out), (slow, expected)] = &states;
            wrong += differing(out, expected);
            let numbers = |r: &Running<f32>| (r.max.map(f32::to_bits), r.denominator.to_bits(), r.overflowed);
            wrong += fast.iter().zip(slow).filter(|(a, b)| numbers(a) != numbers(b)).count();
        }
    }
    wrong
}

#[test]
fn attention_equals_the_reference() {
    assert_eq!(wrong_attention(Emulated::<16, false, 32>), 0);
    assert_eq!(wrong_attention(Emulated::<8, false, 16>), 0);
    assert_eq!(wrong_attention(Emulated::<4, false, 32>), 0);
    assert_ne!(wrong_attention(Emulated::<8, false, 16, ROUNDS_TWICE>), 0);
}

/// The same rows and fills through the tables of this machine's own instruction sets.
#[test]
fn every_instruction_set_equals_the_reference() {
    let pool = Pool::new(2);
    let mut random = Random(0x853c_49e6_748f_ea9b);
    for isa in Isa::supported() {
        let Some(fast) = Table::single(isa, Numerics::V1).fast else { continue };
        for format in Format::ALL.into_iter().filter(|format| format.family() != Family::Float) {
            let cols = if format.family() == Family::Block32 { 544 } else { 768 };
            for (rows, tokens) in [(37, 7), (16, 1), (65, 2), (1, 3), (33, 130)] {
                for fill in [Fill::Random, Fill::Extreme(0), Fill::Extreme(0xff), Fill::Extreme(0x80)] {
                    let bytes = weights(format, rows, cols, fill, &mut random);
                    let matrix = Matrix::new(format, rows, cols, &bytes).expect("whole rows");
                    let x = activations(tokens * cols, fill, &mut random);
                    let mut ready = Activations::default();
                    fast.activations(&pool, &x, cols, &[format], f32::is_finite, &mut ready).expect("finite");
                    let (mut room, mut out) = (Vec::new(), vec![0.0; rows * tokens]);
                    let weights = packed(&matrix, &mut room);
                    pool.columns([Grid::new(&mut out, rows)], 16, |_, mut columns| {
                        fast.product(&weights, &ready, None, &mut columns);
                    });
                    let wrong = differing(&out, &reference(&matrix, &x));
                    assert_eq!(wrong, 0, "{isa}, {} {rows} × {cols}, {tokens} rows, {fill:?}", format.name());
                }
            }
        }
    }
}
