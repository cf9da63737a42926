//! What must hold for every weight format whatever the bytes: the integers and the values agree,
//! the bounds that the dot product relies on hold and are reached, the quantiser's error is what
//! the bits allow. Knows the public interface only.

use samebit_numerics::blocks::{CHUNK, Family, Format, IntChunk, decode_chunk};

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// Nearly Gaussian, of unit variance: the sum of twelve uniform numbers.
    fn gaussian(&mut self) -> f32 {
        let sum: f64 = (0..12).map(|_| (self.next() >> 11) as f64 / (1u64 << 53) as f64).sum();
        (sum - 6.0) as f32
    }
}

fn quantised() -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(|format| format.family() != Family::Float)
}

fn row_bytes(format: Format, elements: usize) -> usize {
    format.row_bytes(elements).expect("whole blocks")
}

/// Where the f16 scales lie in a block: d, then the offset or the minimums' scale.
fn scale_places(format: Format) -> &'static [usize] {
    match format {
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
        Format::Mxfp4 => &[],
        _ => &[0],
    }
}

/// Makes every float scale of the row 1.
fn set_unit_scales(format: Format, row: &mut [u8]) {
    for block in row.chunks_exact_mut(format.block_bytes()) {
        for at in scale_places(format) {
            block[*at..at + 2].copy_from_slice(&0x3c00u16.to_le_bytes());
        }
        if format == Format::Mxfp4 {
            block[0] = 128;
        }
    }
}

/// Element i of a chunk by its documentation, as the two parts `scale·w` and `-offset·min` (or the
/// offset): each exact in f64.
fn parts(format: Format, chunk: &IntChunk, i: usize) -> (f64, f64) {
    let w = f64::from(chunk.w[i]);
    match format.family() {
        Family::Block32 => (f64::from(chunk.scale[i / 32]) * w, f64::from(chunk.offset[i / 32])),
        _ => (f64::from(chunk.scale[0]) * w, -f64::from(chunk.offset[0]) * f64::from(chunk.min[i / 16])),
    }
}

#[test]
fn chunks_and_values_agree_on_rows_of_every_length() {
    let mut random = Random(1);
    let mut chunk = IntChunk::new();
    for format in quantised() {
        for blocks in 1..=40 {
            let elements = blocks * format.block_len();
            let row = random.bytes(row_bytes(format, elements));
            let mut values = vec![0.0; elements];
            format.dequantize(&row, &mut values);
            for (number, values) in values.chunks(CHUNK).enumerate() {
                decode_chunk(format, &row, number, elements, &mut chunk);
                assert_eq!(chunk.len, values.len());
                check_values(format, &chunk, values);
                check_invariants(format, &chunk);
                let mut fresh = IntChunk::new();
                decode_chunk(format, &row, number, elements, &mut fresh);
                let (fresh, used) = (format!("{fresh:?}"), format!("{chunk:?}"));
                assert_eq!(fresh, used, "what the chunk held before must not show");
            }
        }
    }
}

/// A value is at most four roundings away from the exact one, each relative to one of the parts.
fn check_values(format: Format, chunk: &IntChunk, values: &[f32]) {
    for (i, value) in values.iter().enumerate() {
        let (product, addend) = parts(format, chunk, i);
        let exact = product + addend;
        if value.is_finite() {
            let tolerance = (product.abs() + addend.abs()) * 4.0 * f64::from(f32::EPSILON) / 2.0;
            let error = (exact - f64::from(*value)).abs();
            assert!(error <= tolerance, "{} element {i}: {exact:e} {value:e}", format.name());
        } else {
            // An infinite or NaN scale, or the overflow of the largest exponents.
            let overflow = format == Format::Mxfp4 && exact.abs() > f64::from(f32::MAX);
            assert!(overflow || !exact.is_finite(), "{} element {i}: {exact:e}", format.name());
            assert!(!value.is_nan() || value.to_bits() == 0x7fc0_0000);
        }
    }
}

fn check_invariants(format: Format, chunk: &IntChunk) {
    assert!(chunk.w[chunk.len..].iter().all(|w| *w == 0));
    assert!(chunk.q[chunk.len..].iter().all(|q| *q == 0));
    for (i, w) in chunk.w.iter().enumerate() {
        assert_eq!(i32::from(*w), i32::from(chunk.sub_scale[i / 16]) * i32::from(chunk.q[i]));
    }
    let scales = if format.family() == Family::Block256 { 1 } else { chunk.len / 32 };
    for beyond in chunk.scale[scales..].iter().chain(&chunk.offset[scales..]) {
        assert_eq!(beyond.to_bits(), 0);
    }
    if format.family() == Family::Block32 || !format.has_offset() {
        assert_eq!(chunk.min, [0; 16]);
    }
    if !format.has_offset() {
        assert_eq!(chunk.offset, [0.0; 8]);
    }
}

#[test]
fn with_unit_scales_the_values_are_the_integers() {
    let mut random = Random(2);
    let mut chunk = IntChunk::new();
    for format in quantised() {
        for _ in 0..50 {
            let mut row = random.bytes(row_bytes(format, CHUNK));
            set_unit_scales(format, &mut row);
            let mut values = [0.0; CHUNK];
            format.dequantize(&row, &mut values);
            decode_chunk(format, &row, 0, CHUNK, &mut chunk);
            for (i, value) in values.into_iter().enumerate() {
                let (product, addend) = parts(format, &chunk, i);
                assert_eq!(f64::from(value), product + addend, "{} element {i}", format.name());
            }
        }
    }
}

/// The smallest and largest integer weight of each format, and its largest minimum: what the
/// documented bounds come from.
fn extremes(format: Format) -> (i16, i16, u8) {
    match format {
        Format::Q4_0 => (-8, 7, 0),
        Format::Q4_1 => (0, 15, 0),
        Format::Q5_0 => (-16, 15, 0),
        Format::Q5_1 => (0, 31, 0),
        Format::Q8_0 => (-128, 127, 0),
        Format::Q2K => (0, 15 * 3, 15),
        Format::Q3K => (-31 * 4, 32 * 4, 0),
        Format::Q4K => (0, 63 * 15, 63),
        Format::Q5K => (0, 63 * 31, 63),
        Format::Q6K => (-127 * 32, 128 * 32, 0),
        Format::Iq4Nl => (-127, 113, 0),
        Format::Iq4Xs => (-31 * 127, 32 * 127, 0),
        Format::Mxfp4 => (-12, 12, 0),
        Format::F32 | Format::F16 | Format::Bf16 => unreachable!("floats have no integers"),
    }
}

#[test]
fn integer_weights_reach_their_bounds_and_never_pass_them() {
    let mut random = Random(3);
    for format in quantised() {
        let (mut low, mut high, mut min) = (0, 0, 0);
        let mut chunk = IntChunk::new();
        for round in 0..3000 {
            // Bytes of few kinds, so that extreme scales and extreme quants meet.
            let kinds = [0x00, 0xff, 0x7f, 0x80, 0x81, random.next() as u8];
            let mut row = random.bytes(row_bytes(format, CHUNK));
            if round % 2 == 0 {
                row.iter_mut().for_each(|byte| *byte = kinds[usize::from(*byte) % kinds.len()]);
            }
            decode_chunk(format, &row, 0, CHUNK, &mut chunk);
            for w in chunk.w {
                (low, high) = (w.min(low), w.max(high));
            }
            min = chunk.min.into_iter().fold(min, u8::max);
        }
        assert_eq!((low, high, min), extremes(format), "{}", format.name());
    }
}

/// With every weight and activation at its extreme, each sum of the dot product stays in i32 (and
/// those said to be exact as f32 in 24 bits).
#[test]
fn no_sum_of_the_dot_product_leaves_i32() {
    for format in quantised() {
        let (low, high, min) = extremes(format);
        let w = i64::from(low).abs().max(i64::from(high));
        assert!(w <= i64::from(i16::MAX));
        let (sum, minimums) = match format.family() {
            Family::Block32 => (32 * w * 32512, 32 * 32512),
            _ => (256 * w * 128, 256 * i64::from(min) * 128),
        };
        assert!(sum <= 1 << 27 && i32::try_from(sum).is_ok(), "{}", format.name());
        assert!(minimums < 1 << 24, "{}", format.name());
    }
}

/// Quantises and dequantises; the root of the mean squared error over that of the mean square.
fn relative_error(format: Format, x: &[f32]) -> f64 {
    let mut bytes = vec![0; row_bytes(format, x.len())];
    let mut back = vec![0.0; x.len()];
    format.quantize(x, &mut bytes);
    format.dequantize(&bytes, &mut back);
    let square = |x: f32| f64::from(x) * f64::from(x);
    let error: f64 = x.iter().zip(&back).map(|(x, y)| square(x - y)).sum();
    (error / x.iter().map(|x| square(*x)).sum::<f64>()).sqrt()
}

#[test]
fn the_quantizers_errors_are_what_the_bits_allow() {
    let mut random = Random(4);
    let x: Vec<f32> = (0..256 * 256).map(|_| random.gaussian() * 0.02).collect();
    let errors = Format::ALL.map(|format| (format.name(), relative_error(format, &x)));
    for ((name, error), (bounded, bound)) in errors.into_iter().zip(ERRORS) {
        assert_eq!(name, bounded);
        assert!(error <= bound, "{name}: {error:.5} > {bound}; all: {errors:.5?}");
    }
}

/// Relative errors on Gaussian data, a few percent above what the quantisers reach. For comparison,
/// the best quantiser with fixed levels (Lloyd-Max) and no scales reaches 0.343 with 2 bits, 0.186
/// with 3, 0.097 with 4, 0.050 with 5, 0.025 with 6.
const ERRORS: [(&str, f64); 16] = [
    ("F32", 0.0),
    ("F16", 0.00022),
    ("BF16", 0.0017),
    ("Q4_0", 0.088),
    ("Q4_1", 0.080),
    ("Q5_0", 0.044),
    ("Q5_1", 0.039),
    ("Q8_0", 0.0055),
    ("Q2_K", 0.275),
    ("Q3_K", 0.147),
    ("Q4_K", 0.073),
    ("Q5_K", 0.037),
    ("Q6_K", 0.017),
    ("IQ4_NL", 0.076),
    ("IQ4_XS", 0.077),
    ("MXFP4", 0.118),
];

#[test]
fn blocks_of_one_value_come_back() {
    for format in Format::ALL {
        for value in [0.0, 1.0, -0.375, 6.1e-3] {
            let x = [value; CHUNK];
            let error = if value == 0.0 { 0.0 } else { relative_error(format, &x) };
            assert!(error < 0.15, "{} {value}: {error}", format.name());
            let mut bytes = vec![0; row_bytes(format, CHUNK)];
            let mut back = [1.0; CHUNK];
            format.quantize(&x, &mut bytes);
            format.dequantize(&bytes, &mut back);
            assert!(value != 0.0 || back.iter().all(|back| *back == 0.0), "{}: zero", format.name());
        }
    }
}

#[test]
fn no_input_makes_the_quantizers_fail() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45, -1e-38, 65520.0, 0.0, -0.0, 1.0];
    let mut random = Random(5);
    for format in Format::ALL {
        let mut bytes = vec![0; row_bytes(format, CHUNK)];
        for _ in 0..200 {
            let x: [f32; CHUNK] = core::array::from_fn(|_| odd[random.next() as usize % odd.len()]);
            format.quantize(&x, &mut bytes);
            let arbitrary: [f32; CHUNK] = core::array::from_fn(|_| f32::from_bits(random.next() as u32));
            format.quantize(&arbitrary, &mut bytes);
        }
    }
}

#[test]
fn names_and_sizes() {
    for (i, format) in Format::ALL.into_iter().enumerate() {
        assert_eq!(format as usize, i, "the table is in the order of the enum");
        assert_eq!(Format::from_name(format.name()), Some(format));
        assert_eq!(Format::from_name(&format.name().to_lowercase()), Some(format));
        let (len, bytes) = (format.block_len(), format.block_bytes());
        assert_eq!(format.row_bytes(0), Some(0));
        assert_eq!(format.row_bytes(7 * len), Some(7 * bytes));
        if len > 1 {
            assert_eq!((format.row_bytes(len - 1), format.row_bytes(len + 1)), (None, None));
        }
        let most = usize::MAX / len * len;
        assert_eq!(format.row_bytes(most), (most / len).checked_mul(bytes));
    }
    assert_eq!(Format::from_name("Q4_2"), None);
    let names = Format::ALL.map(|format| (format.name(), format.block_len(), format.block_bytes()));
    assert_eq!(names[1], ("F16", 1, 2));
    assert_eq!(names[10], ("Q4_K", 256, 144));
    assert_eq!(names[15], ("MXFP4", 32, 17));
}

#[test]
#[should_panic(expected = "33 elements of Q8_0 do not lie in 34 bytes")]
fn dequantize_refuses_part_of_a_block() {
    Format::Q8_0.dequantize(&[0; 34], &mut [0.0; 33]);
}

#[test]
#[should_panic(expected = "256 elements of Q4_K do not lie in 143 bytes")]
fn quantize_refuses_a_short_output() {
    Format::Q4K.quantize(&[0.0; 256], &mut [0; 143]);
}

#[test]
#[should_panic(expected = "chunk 1 begins beyond a row of 256 elements")]
fn decode_chunk_refuses_a_chunk_beyond_the_row() {
    decode_chunk(Format::Q4_0, &[0; 144], 1, 256, &mut IntChunk::new());
}

#[test]
#[should_panic(expected = "F16 has no integers")]
fn decode_chunk_refuses_floats() {
    decode_chunk(Format::F16, &[0; 2], 0, 1, &mut IntChunk::new());
}
