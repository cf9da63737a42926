//! Weight formats on the command line: standard input to standard output, or a measurement.
//!
//! ```text
//! blocks dequantize Q4_K  < blocks > f32, little-endian
//! blocks quantize   Q4_K  < f32, little-endian > blocks
//! blocks bench            elements per second of every format
//! ```

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Instant;

use samebit_numerics::blocks::{CHUNK, Family, Format, IntChunk, decode_chunk};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["dequantize", name] => convert(name, dequantize),
        ["quantize", name] => convert(name, quantize),
        ["bench"] => bench(),
        _ => Err("usage: blocks dequantize FORMAT | quantize FORMAT | bench".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("blocks: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn convert(name: &str, how: fn(Format, &[u8]) -> Option<Vec<u8>>) -> Outcome<()> {
    let format = Format::from_name(name).ok_or_else(|| format!("no format is called {name}"))?;
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let output = how(format, &input).ok_or_else(|| format!("{} bytes are not whole blocks of {name}", input.len()))?;
    io::stdout().write_all(&output)?;
    Ok(())
}

fn dequantize(format: Format, blocks: &[u8]) -> Option<Vec<u8>> {
    if !blocks.len().is_multiple_of(format.block_bytes()) {
        return None;
    }
    let mut out = vec![0.0; blocks.len() / format.block_bytes() * format.block_len()];
    format.dequantize(blocks, &mut out);
    Some(out.into_iter().flat_map(f32::to_le_bytes).collect())
}

fn quantize(format: Format, floats: &[u8]) -> Option<Vec<u8>> {
    let (floats, rest) = floats.as_chunks::<4>();
    let x: Vec<f32> = floats.iter().map(|raw| f32::from_le_bytes(*raw)).collect();
    let bytes = format.row_bytes(x.len()).filter(|_| rest.is_empty())?;
    let mut out = vec![0; bytes];
    format.quantize(&x, &mut out);
    Some(out)
}

/// One row of 16384 elements, from cache, over and over.
fn bench() -> Outcome<()> {
    let x: Vec<f32> = (0..16384u32).map(|i| f32::from((i.wrapping_mul(0x9e37_79b1) >> 16) as i16) / 32768.0).collect();
    println!("million elements per second\n{:8}{:>12}{:>14}{:>10}", "", "dequantize", "decode_chunk", "quantize");
    for format in Format::ALL {
        let mut bytes = vec![0; format.row_bytes(x.len()).ok_or("whole blocks")?];
        let quantize = rate(x.len(), || format.quantize(black_box(&x), &mut bytes));
        let mut out = vec![0.0; x.len()];
        let dequantize = rate(x.len(), || format.dequantize(black_box(&bytes), black_box(&mut out)));
        let mut chunk = IntChunk::new();
        let decode = rate(x.len(), || {
            for i in 0..x.len() / CHUNK * usize::from(format.family() != Family::Float) {
                decode_chunk(format, black_box(&bytes), i, x.len(), black_box(&mut chunk));
            }
        });
        let decode = if format.family() == Family::Float { String::from("-") } else { format!("{decode:.0}") };
        println!("{:8}{dequantize:12.0}{decode:>14}{quantize:10.0}", format.name());
    }
    Ok(())
}

/// Millions of elements per second, the best of ten fifths of a tenth of a second.
fn rate(elements: usize, mut work: impl FnMut()) -> f64 {
    let mut best = 0.0f64;
    for _ in 0..10 {
        let (start, mut rounds) = (Instant::now(), 0.0);
        while start.elapsed().as_secs_f64() < 0.02 {
            work();
            rounds += 1.0;
        }
        best = best.max(rounds * elements as f64 / start.elapsed().as_secs_f64() / 1e6);
    }
    best
}
