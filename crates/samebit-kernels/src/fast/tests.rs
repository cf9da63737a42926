//! Every kernel over emulated vectors, in every size that a real unit has, against the reference: all formats, odd shapes,
//! integers at their limits. And with vectors that compute wrongly, which must be found.

use samebit_numerics::blocks::{Family, Format};
use samebit_numerics::ops::matmul::Matrix;
use samebit_numerics::reduce::{CHUNK, chunks};

use super::activations::{Planes, QuantizedChunk, quantize};
use super::emulated::*;
use super::kernel::{ByBytes, Kernel, Takes};
use super::product::{self, Call, Scratch};
use super::small::BySmall;
use super::unpack::unpack;
use super::words::ByWords;
use crate::packed::{PackedMatrix, pack, packed_bytes};
use crate::pool::Grid;
use crate::table::{Activations, Numerics, Table, Unpack};
use crate::vector::Vector;
use crate::{Isa, Pool};

/// xorshift64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between −8 and 8.
    pub(super) fn float(&mut self) -> f32 {
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
    let tokens = x.len() / cols;
    let mut out = vec![QuantizedChunk::default(); tokens * chunks(cols)];
    for (token, x) in x.chunks_exact(cols).enumerate() {
        for (chunk, x) in x.chunks(CHUNK).enumerate() {
            quantize(x, &mut out[chunk * tokens + token]).expect("finite");
        }
    }
    out
}

fn packed<'a>(matrix: &Matrix<'_>, bytes: &'a mut Vec<u8>) -> PackedMatrix<'a> {
    let Matrix { format, rows, cols, .. } = *matrix;
    bytes.resize(packed_bytes(format, rows, cols), 0);
    pack(matrix, 0, bytes);
    PackedMatrix { format, rows, cols, bytes }
}

pub(super) fn differing(a: &[f32], b: &[f32]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a.to_bits() != b.to_bits()).count()
}

/// What unpacks a format for a kernel.
fn unpacker<K: Kernel<Vector: Default>>(format: Format) -> Unpack {
    macro_rules! of {
        ($($format:ident)*) => {
            match format {
                $(Format::$format => |bytes, tile| {
                    unpack(K::Vector::default(), Format::$format, K::SIGNED, bytes, tile);
                },)*
                Format::F32 | Format::F16 | Format::Bf16 => |_, _| {},
            }
        };
    }
    of!(Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2K Q3K Q4K Q5K Q6K Iq4Nl Iq4Xs Mxfp4)
}

/// The product of whichever shape the format has. Kernels of small quants have no others.
fn integers<K: Kernel<Vector: Default>, const G: usize, const VECS: usize>(v: K::Vector, call: Call<'_, '_>) -> bool {
    match call.shape() {
        Some(0) => product::integers::<K, 0, G, VECS>(v, call),
        Some(1) => product::integers::<K, 1, G, VECS>(v, call),
        Some(2) => product::integers::<K, 2, G, VECS>(v, call),
        Some(3) => product::integers::<K, 3, G, VECS>(v, call),
        Some(4) => product::integers::<K, 4, G, VECS>(v, call),
        _ => product::integers::<K, 5, G, VECS>(v, call),
    }
}

/// The formats for which a kernel differs from the reference in any output, over shapes and fills.
#[inline(never)]
fn wrong<K: Kernel<Vector: Default>, const G: usize, const VECS: usize>(
    v: K::Vector,
    formats: &[Format],
) -> Vec<&'static str> {
    let mut scratch = Box::new(Scratch::new());
    let mut found = Vec::new();
    for &format in formats {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 + format as u64);
        let (wide, narrow) = if format.family() == Family::Block32 { (544, 32) } else { (768, 256) };
        let mut wrong = 0;
        for (rows, cols, tokens) in [(37, wide, 7), (16, narrow, 1), (50, narrow, 2), (1, wide, 3), (17, narrow, 130)] {
            for fill in FILLS {
                let bytes = weights(format, rows, cols, fill, &mut random);
                let matrix = Matrix::new(format, rows, cols, &bytes).expect("whole rows");
                let x = activations(tokens * cols, fill, &mut random);
                let mut ready = Activations { tokens, cols, ..Activations::default() };
                match K::TAKES {
                    Takes::Bytes => ready.bytes = quantized(&x, cols),
                    Takes::Words => ready.words = quantized(&x, cols),
                }
                let (mut room, mut out) = (Vec::new(), vec![0.0; rows * tokens]);
                integers::<K, G, VECS>(
                    v,
                    Call {
                        matrix: &packed(&matrix, &mut room),
                        x: &ready,
                        bias: None,
                        out: &mut Grid::new(&mut out, rows).all(),
                        scratch: &mut scratch,
                        unpack: unpacker::<K>(format),
                    },
                );
                wrong += differing(&out, &reference(&matrix, &x));
            }
        }
        if wrong > 0 {
            found.push(format.name());
        }
    }
    found
}

/// All but float formats.
const INTEGERS: [Format; 13] = [
    Format::Q4_0,
    Format::Q4_1,
    Format::Q5_0,
    Format::Q5_1,
    Format::Q8_0,
    Format::Q2K,
    Format::Q3K,
    Format::Q4K,
    Format::Q5K,
    Format::Q6K,
    Format::Iq4Nl,
    Format::Iq4Xs,
    Format::Mxfp4,
];

/// Those of small quants in blocks of 256.
const SMALL: [Format; 5] = [Format::Q2K, Format::Q3K, Format::Q4K, Format::Q5K, Format::Q6K];

const FILLS: [Fill; 4] = [Fill::Random, Fill::Extreme(0), Fill::Extreme(0xff), Fill::Extreme(0x80)];

/// A vector without a flaw.
fn sound<V: Default>() -> V {
    V::default()
}

const NOTHING: [&str; 0] = [];

#[test]
fn byte_kernels_equal_the_reference() {
    assert_eq!(wrong::<ByBytes<Emulated<16, false, 32>>, 2, 2>(sound(), &INTEGERS), NOTHING);
    assert_eq!(wrong::<ByBytes<Emulated<8, false, 16>>, 1, 2>(sound(), &INTEGERS), NOTHING);
    assert_eq!(wrong::<ByBytes<Emulated<4, true, 32>>, 1, 4>(sound(), &INTEGERS), NOTHING);
}

#[test]
fn matrix_kernels_equal_the_reference() {
    assert_eq!(wrong::<ByBytes<EmulatedMatrix>, 1, 4>(sound(), &INTEGERS), NOTHING);
}

#[test]
fn word_kernels_equal_the_reference() {
    assert_eq!(wrong::<ByWords<Emulated<16, false, 32>>, 2, 2>(sound(), &INTEGERS), NOTHING);
    assert_eq!(wrong::<ByWords<Emulated<8, false, 16>>, 1, 2>(sound(), &INTEGERS), NOTHING);
    assert_eq!(wrong::<ByWords<Emulated<4, false, 16>>, 1, 4>(sound(), &INTEGERS), NOTHING);
    assert_eq!(wrong::<ByWords<Emulated<4, false, 32>>, 1, 4>(sound(), &INTEGERS), NOTHING);
}

#[test]
fn small_kernels_equal_the_reference() {
    assert_eq!(wrong::<BySmall<Emulated<16, false, 16>>, 2, 2>(sound(), &SMALL), NOTHING);
    assert_eq!(wrong::<BySmall<Emulated<8, false, 16>>, 1, 2>(sound(), &SMALL), NOTHING);
    assert_eq!(wrong::<BySmall<Emulated<4, false, 32>>, 1, 4>(sound(), &SMALL), NOTHING);
}

#[test]
fn vectors_that_compute_wrongly_are_found() {
    use Format::{Q2K, Q4_0, Q5K, Q6K, Q8_0};
    let found = wrong::<ByBytes<Emulated<8, false, 16>>, 1, 2>(Emulated(Flaw::Saturates), &[Q8_0, Q4_0]);
    assert_eq!(found, ["Q8_0"], "only large quants reach 16 bits");
    let found = wrong::<ByBytes<Emulated<8, false, 16>>, 1, 2>(Emulated(Flaw::RoundsTwice), &[Q8_0, Q6K]);
    assert_eq!(found, ["Q8_0", "Q6_K"]);
    let found = wrong::<ByWords<Emulated<8, false, 16>>, 1, 2>(Emulated(Flaw::ShortWords), &[Q8_0, Q6K]);
    assert_eq!(found, ["Q8_0"], "only whole activations reach so far");
    let found = wrong::<ByBytes<Emulated<8, false, 16>>, 1, 2>(Emulated(Flaw::NarrowWords), &[Q6K, Q2K]);
    assert_eq!(found, ["Q6_K"], "sums of larger quants are multiplied by their scales as whole words");
    let found = wrong::<BySmall<Emulated<8, false, 16>>, 1, 2>(Emulated(Flaw::ShortSums), &[Q6K, Q5K, Q2K]);
    assert_eq!(found, ["Q6_K", "Q5_K"], "sums of the smallest quants have room");
    let found = wrong::<ByBytes<EmulatedMatrix>, 1, 4>(EmulatedMatrix(Flaw::Transposed), &[Q8_0]);
    assert_eq!(found, ["Q8_0"]);
}

/// Float weights, of which some products and sums are subnormal.
#[inline(never)]
fn wrong_floats<V: Vector, const G: usize, const VECS: usize, const WIDE: usize>(v: V) -> Vec<&'static str> {
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
            product::floats::<V, G, VECS, WIDE>(
                v,
                Call {
                    matrix: &packed(&matrix, &mut room),
                    x: &ready,
                    bias: None,
                    out: &mut Grid::new(&mut out, rows).all(),
                    scratch: &mut scratch,
                    unpack: |_, _| {},
                },
            );
            if differing(&out, &reference(&matrix, &x)) > 0 {
                formats.push(format.name());
            }
        }
    }
    formats
}

#[test]
fn float_kernels_equal_the_reference() {
    assert_eq!(wrong_floats::<_, 2, 2, 4>(Emulated::<16, false, 32>(Flaw::None)), NOTHING);
    assert_eq!(wrong_floats::<_, 1, 2, 8>(Emulated::<8, false, 16>(Flaw::None)), NOTHING);
    assert_eq!(wrong_floats::<_, 1, 4, 16>(Emulated::<4, false, 32>(Flaw::None)), NOTHING);
    assert_ne!(wrong_floats::<_, 1, 2, 8>(Emulated::<8, false, 16>(Flaw::RoundsTwice)), NOTHING);
}

/// The same rows and fills through the tables of this machine's own instruction sets.
#[test]
fn every_instruction_set_equals_the_reference() {
    let pool = Pool::new(2);
    let mut random = Random(0x853c_49e6_748f_ea9b);
    for isa in Isa::supported() {
        let Some(fast) = Table::single(isa, Numerics::V1).fast else { continue };
        for format in INTEGERS {
            let cols = if format.family() == Family::Block32 { 544 } else { 768 };
            for (rows, tokens) in [(37, 7), (16, 1), (65, 2), (1, 3), (33, 130)] {
                for fill in FILLS {
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
