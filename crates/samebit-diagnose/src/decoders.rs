//! Blocks of quantised weights decoded wrongly, as engines have done it.
//!
//! A mistake edits a block's bytes before they are decoded rightly, or the values after. Layouts: NUMERICS.md, section 15.

use samebit_numerics::blocks::Format;

/// One way to decode a format wrongly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder {
    /// The format.
    pub(crate) format: Format,
    /// Its id, after the format's name.
    pub(crate) id: &'static str,
    /// What it does, after "…: ".
    pub(crate) what: &'static str,
    /// Edits the block's bytes.
    pub(crate) before: fn(&mut [u8]),
    /// Edits the values; also takes the bytes as they were.
    pub(crate) after: fn(&[u8], &mut [f32]),
}

impl Decoder {
    /// Decodes whole blocks.
    pub(crate) fn decode(&self, bytes: &[u8], out: &mut [f32]) {
        let (len, size) = (self.format.block_len(), self.format.block_bytes());
        let mut spoilt = vec![0; size];
        for (block, out) in bytes.chunks_exact(size).zip(out.chunks_exact_mut(len)) {
            spoilt.copy_from_slice(block);
            (self.before)(&mut spoilt);
            self.format.dequantize(&spoilt, out);
            (self.after)(block, out);
        }
    }
}

const NOTHING: fn(&[u8], &mut [f32]) = |_, _| {};
const AS_IT_IS: fn(&mut [u8]) = |_| {};

const fn before(format: Format, id: &'static str, what: &'static str, before: fn(&mut [u8])) -> Decoder {
    Decoder { format, id, what, before, after: NOTHING }
}

const fn after(format: Format, id: &'static str, what: &'static str, after: fn(&[u8], &mut [f32])) -> Decoder {
    Decoder { format, id, what, before: AS_IT_IS, after }
}

const NIBBLES: &str = "low and high nibbles are taken for each other";
const PAIRS: &str = "a byte's nibbles are taken for neighbouring elements";
const HIGH: &str = "the high bits are left out";
const NO_MINIMUM: &str = "the minimum is not applied";
const PLUS_MINIMUM: &str = "the minimum has the wrong sign";
const OFFSET: &str = "the offset of the integers is not taken off";
const NEXT: &str = "each sub-block takes the scale of the next";
const SAME: &str = "two neighbouring sub-blocks share the first one's scale";
const SIX: &str = "the two high bits of the six-bit scales and minimums are left out";
const LOW_BITS: &str = "in sub-blocks 4 to 7 the low bits of scales and minimums are taken for each other";
const EXCHANGED: &str = "d and dmin are taken for each other";
const NEXT_BLOCK: &str = "unsigned bytes are read where signed ones are stored";

/// Every way that is tried.
pub(crate) const DECODERS: &[Decoder] = &[
    before(Format::Q4_0, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[2..])),
    before(Format::Q4_0, "nibble-pairs", PAIRS, |b| pair_nibbles(&mut b[2..])),
    after(Format::Q4_0, "offset", OFFSET, |b, v| add(v, 8.0 * half(b, 0))),
    before(Format::Q4_1, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[4..])),
    before(Format::Q4_1, "nibble-pairs", PAIRS, |b| pair_nibbles(&mut b[4..])),
    before(Format::Q4_1, "minimum", NO_MINIMUM, |b| b[2..4].fill(0)),
    before(Format::Q4_1, "minimum-sign", PLUS_MINIMUM, |b| b[3] ^= 0x80),
    before(Format::Q5_0, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[6..])),
    before(Format::Q5_0, "nibble-pairs", PAIRS, |b| pair_nibbles(&mut b[6..])),
    before(Format::Q5_0, "high-bits", HIGH, |b| b[2..6].fill(0)),
    before(Format::Q5_0, "high-bit-order", "the two halves' high bits are taken for each other", |b| {
        b[2..6].rotate_left(2)
    }),
    before(Format::Q5_0, "high-bit-bytes", "the four bytes of high bits are read in reverse order", |b| {
        b[2..6].reverse()
    }),
    after(Format::Q5_0, "offset", OFFSET, |b, v| add(v, 16.0 * half(b, 0))),
    before(Format::Q5_1, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[8..])),
    before(Format::Q5_1, "nibble-pairs", PAIRS, |b| pair_nibbles(&mut b[8..])),
    before(Format::Q5_1, "high-bits", HIGH, |b| b[4..8].fill(0)),
    before(Format::Q5_1, "minimum", NO_MINIMUM, |b| b[2..4].fill(0)),
    after(Format::Q8_0, "unsigned", NEXT_BLOCK, |b, v| unsigned_bytes(half(b, 0), &b[2..], v)),
    before(Format::Iq4Nl, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[2..])),
    before(Format::Iq4Nl, "nibble-pairs", PAIRS, |b| pair_nibbles(&mut b[2..])),
    after(Format::Iq4Nl, "linear", "the integers are taken as they are, not looked up in the table", |b, v| {
        linear_nibbles(half(b, 0), &b[2..], v);
    }),
    before(Format::Mxfp4, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[1..])),
    before(Format::Mxfp4, "nibble-pairs", PAIRS, |b| pair_nibbles(&mut b[1..])),
    after(Format::Mxfp4, "doubled", "the doubled values are used with the full scale", |_, v| scale(v, 2.0)),
    before(Format::Q2K, "scale-index", SAME, |b| share_scales(&mut b[..16])),
    before(Format::Q2K, "minimum", NO_MINIMUM, |b| b[82..84].fill(0)),
    before(Format::Q2K, "nibble-order", "scales and minimums are taken for each other", |b| swap_nibbles(&mut b[..16])),
    before(Format::Q2K, "d-dmin", EXCHANGED, |b| b[80..84].rotate_left(2)),
    before(Format::Q3K, "high-bits", "the high bits are left out: every element is 4 too low or right", |b| {
        b[..32].fill(0)
    }),
    before(Format::Q3K, "high-bits-set", "the high bits' offset of 4 is never taken off", |b| b[..32].fill(0xff)),
    after(Format::Q3K, "scale-index", SAME, |b, v| share_by_unit(Format::Q3K, b, v)),
    after(Format::Q3K, "scale-offset", "the scales' offset of 32 is not taken off", q3_scale_offset),
    before(Format::Q4K, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[16..])),
    before(Format::Q4K, "nibble-pairs", PAIRS, |b| pair_groups(&mut b[16..], 32)),
    before(Format::Q4K, "scale-index", NEXT, |b| edit_six_bits(b, |s| s.rotate_left(1))),
    before(Format::Q4K, "scale-shared", SAME, |b| edit_six_bits(b, share_pairs)),
    before(Format::Q4K, "scale-minimum", LOW_BITS, |b| swap_nibbles(&mut b[12..16])),
    before(Format::Q4K, "scale-high", SIX, |b| mask(&mut b[4..12], 63)),
    before(Format::Q4K, "minimum", NO_MINIMUM, |b| b[2..4].fill(0)),
    before(Format::Q4K, "minimum-sign", PLUS_MINIMUM, |b| b[3] ^= 0x80),
    before(Format::Q4K, "d-dmin", EXCHANGED, |b| b[..4].rotate_left(2)),
    before(Format::Q5K, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[48..])),
    before(Format::Q5K, "nibble-pairs", PAIRS, |b| pair_groups(&mut b[48..], 32)),
    before(Format::Q5K, "high-bits", HIGH, |b| b[16..48].fill(0)),
    before(Format::Q5K, "scale-index", NEXT, |b| edit_six_bits(b, |s| s.rotate_left(1))),
    before(Format::Q5K, "scale-shared", SAME, |b| edit_six_bits(b, share_pairs)),
    before(Format::Q5K, "scale-minimum", LOW_BITS, |b| swap_nibbles(&mut b[12..16])),
    before(Format::Q5K, "scale-high", SIX, |b| mask(&mut b[4..12], 63)),
    before(Format::Q5K, "minimum", NO_MINIMUM, |b| b[2..4].fill(0)),
    before(Format::Q5K, "minimum-sign", PLUS_MINIMUM, |b| b[3] ^= 0x80),
    before(Format::Q5K, "d-dmin", EXCHANGED, |b| b[..4].rotate_left(2)),
    before(Format::Q6K, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[..128])),
    before(Format::Q6K, "nibble-pairs", PAIRS, |b| pair_groups(&mut b[..128], 64)),
    before(Format::Q6K, "high-bits", HIGH, |b| b[128..192].fill(0)),
    before(Format::Q6K, "high-bit-order", "the four pairs of high bits are taken in the wrong order", |b| {
        b[128..192].iter_mut().for_each(|v| *v = v.rotate_left(4));
    }),
    before(Format::Q6K, "high-bit-shift", "each pair of high bits is taken from two bits higher", |b| {
        b[128..192].iter_mut().for_each(|v| *v = v.rotate_right(2));
    }),
    before(Format::Q6K, "scale-half", "the second half of a block takes the scales of the first", |b| {
        b.copy_within(192..200, 200);
    }),
    before(Format::Q6K, "scale-index", NEXT, |b| b[192..208].rotate_left(1)),
    before(Format::Q6K, "scale-shared", SAME, |b| share_scales(&mut b[192..208])),
    after(Format::Q6K, "scale-sign", "signed scales are read as unsigned", unsigned_scales),
    after(Format::Q6K, "offset", OFFSET, q6_offset),
    before(Format::Iq4Xs, "nibble-order", NIBBLES, |b| swap_nibbles(&mut b[8..])),
    before(Format::Iq4Xs, "scale-high", "the two high bits of the scales are left out", |b| b[2..4].fill(0)),
    after(Format::Bf16, "as-f16", "bfloat16 is read as binary16", |b, v| v[0] = half(b, 0)),
    after(Format::F16, "as-bf16", "binary16 is read as bfloat16", |b, v| {
        v[0] = f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16);
    }),
];

fn half(block: &[u8], at: usize) -> f32 {
    samebit_numerics::half::f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
}

fn add(values: &mut [f32], offset: f32) {
    values.iter_mut().for_each(|v| *v += offset);
}

fn scale(values: &mut [f32], factor: f32) {
    values.iter_mut().for_each(|v| *v *= factor);
}

fn mask(bytes: &mut [u8], mask: u8) {
    bytes.iter_mut().for_each(|b| *b &= mask);
}

fn swap_nibbles(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|b| *b = b.rotate_left(4));
}

/// As if the low nibble were element 2l and the high one 2l + 1.
fn pair_nibbles(bytes: &mut [u8]) {
    let read: Vec<u8> = bytes.iter().flat_map(|b| [b & 15, b >> 4]).collect();
    let (low, high) = read.split_at(bytes.len());
    for ((byte, l), h) in bytes.iter_mut().zip(low).zip(high) {
        *byte = l | (h << 4);
    }
}

fn pair_groups(bytes: &mut [u8], group: usize) {
    bytes.chunks_exact_mut(group).for_each(pair_nibbles);
}

/// Odd scales become the even ones before them.
fn share_scales(scales: &mut [u8]) {
    scales.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair[1] = pair[0]);
}

fn share_pairs(scales: &mut [u8]) {
    share_scales(scales);
}

/// Edits the eight scales and the eight minimums of Q4_K and Q5_K.
fn edit_six_bits(block: &mut [u8], edit: fn(&mut [u8])) {
    let (mut scales, mut minimums) = ([0u8; 8], [0u8; 8]);
    for k in 0..4 {
        scales[k] = block[4 + k] & 63;
        minimums[k] = block[8 + k] & 63;
        scales[4 + k] = (block[12 + k] & 15) | ((block[4 + k] >> 6) << 4);
        minimums[4 + k] = (block[12 + k] >> 4) | ((block[8 + k] >> 6) << 4);
    }
    edit(&mut scales);
    edit(&mut minimums);
    for k in 0..4 {
        block[4 + k] = scales[k] | ((scales[4 + k] >> 4) << 6);
        block[8 + k] = minimums[k] | ((minimums[4 + k] >> 4) << 6);
        block[12 + k] = (scales[4 + k] & 15) | ((minimums[4 + k] & 15) << 4);
    }
}

fn unsigned_bytes(d: f32, bytes: &[u8], values: &mut [f32]) {
    for (value, &byte) in values.iter_mut().zip(bytes) {
        *value = d * f32::from(byte);
    }
}

fn linear_nibbles(d: f32, bytes: &[u8], values: &mut [f32]) {
    for (l, &byte) in bytes.iter().enumerate() {
        values[l] = d * (f32::from(byte & 15) - 8.0);
        values[l + 16] = d * (f32::from(byte >> 4) - 8.0);
    }
}

/// Q3_K: the odd sub-blocks of 16 with their neighbours' scales.
fn share_by_unit(format: Format, block: &[u8], values: &mut [f32]) {
    let sub = samebit_numerics::blocks::sub_scales(format, block).sub;
    for (index, values) in values.chunks_exact_mut(16).enumerate().filter(|(index, _)| index % 2 == 1) {
        let (own, other) = (f32::from(sub[index]), f32::from(sub[index - 1]));
        if own != 0.0 {
            scale(values, other / own);
        }
    }
}

fn q3_scale_offset(block: &[u8], values: &mut [f32]) {
    let sub = samebit_numerics::blocks::sub_scales(Format::Q3K, block).sub;
    for (values, sub) in values.chunks_exact_mut(16).zip(sub) {
        if sub != 0 {
            scale(values, (f32::from(sub) + 32.0) / f32::from(sub));
        }
    }
}

fn unsigned_scales(block: &[u8], values: &mut [f32]) {
    for (values, &byte) in values.chunks_exact_mut(16).zip(&block[192..208]) {
        let signed = byte.cast_signed();
        if signed < 0 {
            scale(values, f32::from(byte) / f32::from(signed));
        }
    }
}

fn q6_offset(block: &[u8], values: &mut [f32]) {
    let d = half(block, 208);
    for (values, &byte) in values.chunks_exact_mut(16).zip(&block[192..208]) {
        add(values, 32.0 * d * f32::from(byte.cast_signed()));
    }
}
