//! Rows of weights in every format: random blocks, whose bits may be anything but scales that are not finite, and extreme ones.
//!
//! Knows where a block's float fields lie, and nothing else of the formats: whatever the rest says is a valid weight.

use samebit_numerics::blocks::{Family, Format};

use crate::fill::Fill;
use crate::random::Random;

/// Bytes of `rows` rows of `cols` weights.
///
/// # Panics
/// If the format's blocks do not divide the rows.
pub(crate) fn rows(format: Format, rows: usize, cols: usize, fill: Fill, random: &mut Random) -> Vec<u8> {
    assert!(cols.is_multiple_of(format.block_len()), "whole blocks");
    match format {
        Format::F32 => fill.values(random, rows * cols).into_iter().flat_map(f32::to_le_bytes).collect(),
        Format::F16 | Format::Bf16 => {
            let infinity = if format == Format::F16 { 0x7c00 } else { 0x7f80 };
            (0..rows * cols).flat_map(|_| half(random, infinity, fill).to_le_bytes()).collect()
        }
        _ => (0..rows * cols / format.block_len()).flat_map(|_| block(format, fill, random)).collect(),
    }
}

/// Offsets of a block's binary16 fields.
fn halves(format: Format) -> &'static [usize] {
    match format {
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 | Format::Iq4Nl | Format::Iq4Xs => &[0],
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
        Format::F32 | Format::F16 | Format::Bf16 | Format::Mxfp4 => &[],
    }
}

/// One block: its quants random, or once in four times all the same byte.
fn block(format: Format, fill: Fill, random: &mut Random) -> Vec<u8> {
    let same = random.once_in(4).then(|| random.pick(&[0x00, 0xff, 0x80, 0x7f, 0x11, 0xee]));
    let mut bytes: Vec<u8> = (0..format.block_bytes()).map(|_| same.unwrap_or(random.word() as u8)).collect();
    for &at in halves(format) {
        bytes[at..at + 2].copy_from_slice(&half(random, 0x7c00, fill).to_le_bytes());
    }
    if format == Format::Mxfp4 && (bytes[0] == 0xff || fill == Fill::Normal) {
        // 255 is no number; ordinary weights are small.
        bytes[0] = 118 + random.below(8) as u8;
    }
    bytes
}

/// A finite 16-bit float: an ordinary one (0.001 to 0.1), or whatever bits, of the format whose infinity this is.
fn half(random: &mut Random, infinity: u16, fill: Fill) -> u16 {
    let word = random.word();
    let sign = (word >> 16) as u16 & 0x8000;
    if fill != Fill::Normal {
        let odd = [0, 1, infinity - 1, (infinity & infinity >> 1) | 1, infinity & (infinity << 4)];
        let bits = if random.once_in(3) { random.pick(&odd) } else { word as u16 & 0x7fff };
        return sign | if bits & infinity == infinity { bits & 0x00ff } else { bits };
    }
    // Exponents 2^-10 to 2^-4 of either format.
    let (bias, place) = if infinity == 0x7c00 { (15, 10) } else { (127, 7) };
    let exponent = (bias - 10 + random.below(7) as u16) << place;
    sign | exponent | (word as u16 & ((1 << place) - 1))
}

/// A row length that the format allows: odd where it may be, within a chunk, at its end, beyond.
pub(crate) fn cols(format: Format, random: &mut Random) -> usize {
    match format.family() {
        Family::Float => random.pick(&[1, 2, 16, 31, 200, 255, 256, 257, 300, 512, 599]),
        Family::Block32 => 32 * random.pick(&[1, 2, 3, 7, 8, 9, 16, 17, 18]),
        Family::Block256 => 256 * random.pick(&[1, 2, 3, 4]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_of_every_format_is_finite() {
        for format in Format::ALL {
            for (run, fill) in (0..40).zip(Fill::ALL.into_iter().cycle()) {
                let mut random = Random::new(9, format.name(), run);
                let cols = cols(format, &mut random);
                let bytes = rows(format, 3, cols, fill, &mut random);
                assert_eq!(bytes.len(), 3 * format.row_bytes(cols).unwrap());
                let mut values = vec![0.0; cols];
                format.dequantize(&bytes[..format.row_bytes(cols).unwrap()], &mut values);
                // Products of the largest scales and quants may overflow binary32 nowhere: 65504 · 127 · 255.
                assert!(values.iter().all(|value| value.is_finite()), "{} {fill}: {values:?}", format.name());
            }
        }
    }
}
