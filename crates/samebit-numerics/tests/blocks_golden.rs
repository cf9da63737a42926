//! Weight formats against values that the `gguf` Python package computed.
//!
//! `data/blocks.bin` holds, per format, random blocks and blocks with every extreme scale; it is
//! written, and described, by `tools/blocks_fixture.py`. Knows the formats' public interface only.

use samebit_numerics::blocks::{Family, Format};

/// The CRC-32 of zlib and PNG, bit by bit.
fn crc32(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn bytes_of(values: &[f32]) -> impl Iterator<Item = u8> {
    values.iter().flat_map(|value| value.to_bits().to_le_bytes())
}

/// Takes `count` bytes off the front.
fn take<'a>(data: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (head, rest) = data.split_at(count);
    *data = rest;
    head
}

fn take_u32(data: &mut &[u8]) -> u32 {
    u32::from_le_bytes(take(data, 4).try_into().expect("four bytes"))
}

#[test]
fn crc32_has_its_check_value() {
    assert_eq!(crc32(*b"123456789"), 0xcbf4_3926);
}

#[test]
fn every_block_has_the_packages_values() {
    let mut data: &[u8] = include_bytes!("data/blocks.bin");
    let mut seen = Vec::new();
    while !data.is_empty() {
        let name = String::from_utf8_lossy(take(&mut data, 8));
        let format = Format::from_name(name.trim_end_matches('\0')).expect("a format's name");
        seen.push(format);
        let count = take_u32(&mut data) as usize;
        assert!(count >= 31, "{}: only {count} blocks", format.name());
        let blocks = take(&mut data, count * format.block_bytes());
        let mut values = vec![0.0; format.block_len()];
        let mut first = Vec::new();
        for (i, block) in blocks.chunks_exact(format.block_bytes()).enumerate() {
            format.dequantize(block, &mut values);
            let want = take_u32(&mut data);
            assert_eq!(crc32(bytes_of(&values)), want, "{} block {i}: {block:02x?}", format.name());
            if i == 0 {
                first.clone_from(&values);
            }
        }
        for (i, value) in first.into_iter().enumerate() {
            assert_eq!(value.to_bits(), take_u32(&mut data), "{} block 0, element {i}", format.name());
        }
    }
    let mut want = Format::ALL.to_vec();
    want.retain(|format| format.family() != Family::Float);
    seen.sort_by_key(|format| *format as usize);
    assert_eq!(seen, want);
}

/// The quantiser's bytes are part of what `synth` promises: the same model file everywhere.
#[test]
fn quantizers_give_the_same_bytes_everywhere() {
    // 40 blocks of 256 at magnitudes from 2⁻²⁰ to 2¹⁹, from a 32-bit linear congruential generator.
    let mut state = 1u32;
    let x: Vec<f32> = (0..40 * 256)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let magnitude = f32::from_bits((107 + i / 256) << 23);
            f32::from((state >> 16) as i16) / 32768.0 * magnitude
        })
        .collect();
    let digests = Format::ALL.map(|format| {
        let mut bytes = vec![0; format.row_bytes(x.len()).expect("whole blocks")];
        format.quantize(&x, &mut bytes);
        (format.name(), crc32(bytes))
    });
    assert_eq!(digests, QUANTIZED, "{digests:#010x?}");
}

const QUANTIZED: [(&str, u32); 16] = [
    ("F32", 0xd114_dd2b),
    ("F16", 0x4239_6fd0),
    ("BF16", 0x4ad0_b825),
    ("Q4_0", 0x1edd_2a26),
    ("Q4_1", 0xc73c_35f3),
    ("Q5_0", 0xf71e_ff95),
    ("Q5_1", 0xbcc8_d8e5),
    ("Q8_0", 0xd4d6_9898),
    ("Q2_K", 0x1140_9a5c),
    ("Q3_K", 0x3821_ddbd),
    ("Q4_K", 0x76e2_545f),
    ("Q5_K", 0x4721_ea8d),
    ("Q6_K", 0xd26d_6149),
    ("IQ4_NL", 0x59c0_dbb6),
    ("IQ4_XS", 0x420c_8071),
    ("MXFP4", 0xa62f_b0dc),
];
