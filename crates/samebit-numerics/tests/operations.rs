//! The operations against their definitions in NUMERICS.md, written out once more element by element; and what breaks
//! when an order is broken on purpose.

use samebit_numerics::activations::Quantized;
use samebit_numerics::arith::{Double, Float32, Single, Soft};
use samebit_numerics::blocks::{Family, Format, IntChunk, decode_chunk};
use samebit_numerics::math;
use samebit_numerics::ops::attention::{Page, Running, Scores, attend, finish};
use samebit_numerics::ops::matmul::{Matrix, matmul_float, matmul_quantized};

type S = Single<Soft>;

/// A small generator of test values: no more than that.
struct Values(u64);

impl Values {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 40) as f32 / 8388608.0) - 1.0
    }
    fn row(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

/// Rows of weights of a format that quantise random values.
fn weights(format: Format, rows: usize, cols: usize, seed: u64) -> Vec<u8> {
    let values = Values(seed).row(rows * cols);
    let row_bytes = format.row_bytes(cols).expect("whole blocks");
    let mut bytes = vec![0; rows * row_bytes];
    for (x, out) in values.chunks(cols).zip(bytes.chunks_mut(row_bytes)) {
        format.quantize(x, out);
    }
    bytes
}

/// Section 5.2 and 5.3 from the dequantised side: integers are recovered from values and scales, in binary64, exactly.
fn quantized_oracle(w: &Matrix<'_>, row: usize, x: &[f32]) -> f64 {
    let mut values = vec![0.0f32; w.cols];
    w.format.dequantize(w.row(row), &mut values);
    values.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum()
}

#[test]
fn quantised_products_are_near_the_exact_product() {
    for format in Format::ALL.into_iter().filter(|f| f.family() != Family::Float) {
        let (rows, cols, tokens) = (5, if format.block_len() == 256 { 768 } else { 576 }, 3);
        let bytes = weights(format, rows, cols, 7);
        let w = Matrix::new(format, rows, cols, &bytes).expect("fits");
        let x = Values(11).row(tokens * cols);
        let mut quantized = Quantized::default();
        quantized.fill(&x, tokens, cols).expect("finite");
        let mut out = vec![f32::NAN; rows * tokens];
        matmul_quantized::<Soft>(&w, 0..rows, &quantized, &mut out);
        for row in 0..rows {
            for t in 0..tokens {
                let exact = quantized_oracle(&w, row, &x[t * cols..(t + 1) * cols]);
                let got = f64::from(out[row * tokens + t]);
                assert!((got - exact).abs() < 2e-3, "{}: row {row}, token {t}: {got} {exact}", format.name());
            }
        }
    }
}

#[test]
fn a_product_does_not_depend_on_its_neighbours() {
    for format in Format::ALL {
        let (rows, cols, tokens) = (37, 512, 5);
        let bytes = weights(format, rows, cols, 3);
        let w = Matrix::new(format, rows, cols, &bytes).expect("fits");
        let x = Values(5).row(tokens * cols);
        let product = |rows: std::ops::Range<usize>, x: &[f32]| {
            let tokens = x.len() / cols;
            let mut out = vec![f32::NAN; rows.len() * tokens];
            if format.family() == Family::Float {
                matmul_float::<S>(&w, rows, x, tokens, &mut out);
            } else {
                let mut quantized = Quantized::default();
                quantized.fill(x, tokens, cols).expect("finite");
                matmul_quantized::<Soft>(&w, rows, &quantized, &mut out);
            }
            out
        };
        let together = product(0..rows, &x);
        for row in [0, 15, 16, 36] {
            for t in 0..tokens {
                let alone = product(row..row + 1, &x[t * cols..(t + 1) * cols]);
                assert_eq!(alone[0].to_bits(), together[row * tokens + t].to_bits(), "{}", format.name());
            }
        }
    }
}

/// Sections 4 and 5.2 to 5.4 to the letter, from the values and the format's integers; `join` is how the planes' sums of a
/// super-block become one number.
fn quantised_product(w: &Matrix<'_>, row: usize, x: &[f32], join: fn(f32, f32) -> f32) -> f32 {
    let mut y = 0.0f32;
    for (chunk, x) in x.chunks(256).enumerate() {
        let largest = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let a: Vec<i64> = x.iter().map(|v| (v * (32512.0 / largest)).round_ties_even() as i64).collect();
        let planes: Vec<(i64, i64)> =
            a.iter().map(|a| ((a + 128).div_euclid(256), (a + 128).rem_euclid(256) - 128)).collect();
        let mut ints = IntChunk::default();
        decode_chunk(w.format, w.row(row), chunk, w.cols, &mut ints);
        let mut t = 0.0f32;
        if w.format.family() == Family::Block256 {
            let weight = |i: usize| i64::from(ints.sub_scale[i / 16]) * i64::from(ints.q[i]);
            let sum = |f: &dyn Fn(usize) -> i64| (0..256).map(f).sum::<i64>() as f32;
            let s = join(sum(&|i| weight(i) * planes[i].0), sum(&|i| weight(i) * planes[i].1));
            t = ints.scale[0] * s;
            if w.format.has_offset() {
                let minimum = |i: usize| i64::from(ints.min[i / 16]);
                let m = join(sum(&|i| minimum(i) * planes[i].0), sum(&|i| minimum(i) * planes[i].1));
                t = Soft::fma(-ints.offset[0], m, t);
            }
        } else {
            for (block, a) in a.chunks(32).enumerate() {
                let sum: i64 = a.iter().enumerate().map(|(i, a)| a * i64::from(ints.q[block * 32 + i])).sum();
                t = Soft::fma(sum as f32, ints.scale[block], t);
                if w.format.has_offset() {
                    t = Soft::fma(a.iter().sum::<i64>() as f32, ints.offset[block], t);
                }
            }
        }
        y = Soft::fma(largest / 32512.0, t, y);
    }
    y
}

#[test]
fn quantised_products_are_their_definition_and_no_other() {
    let joined = |h: f32, l: f32| Soft::fma(256.0, h, l);
    let apart = |h: f32, l: f32| l + 255.0 * h + h;
    let mut control_noticed = false;
    for format in Format::ALL.into_iter().filter(|f| f.family() != Family::Float) {
        let (rows, cols) = (24, if format.block_len() == 256 { 768 } else { 608 });
        let bytes = weights(format, rows, cols, 21);
        let w = Matrix::new(format, rows, cols, &bytes).expect("fits");
        let x = Values(23).row(cols);
        let mut quantized = Quantized::default();
        quantized.fill(&x, 1, cols).expect("finite");
        let mut out = vec![f32::NAN; rows];
        matmul_quantized::<Soft>(&w, 0..rows, &quantized, &mut out);
        for (row, got) in out.iter().enumerate() {
            let wanted = quantised_product(&w, row, &x, joined);
            assert_eq!(got.to_bits(), wanted.to_bits(), "{} row {row}: {got} {wanted}", format.name());
            control_noticed |= got.to_bits() != quantised_product(&w, row, &x, apart).to_bits();
        }
    }
    assert!(control_noticed, "planes joined with one rounding more must show");
}

/// Section 5.1 to the letter; `chunk` is 256, and in the negative control something else.
fn float_product(w: &[f32], x: &[f32], chunk: usize) -> f32 {
    let mut y = 0.0f32;
    for (w, x) in w.chunks(chunk).zip(x.chunks(chunk)) {
        let partial = w.iter().zip(x).fold(0.0f32, |p, (&w, &x)| Soft::fma(w, x, p));
        y += partial;
    }
    y
}

#[test]
fn float_products_are_their_definition_and_no_other() {
    let (rows, cols) = (20, 1000);
    let values = Values(1).row(rows * cols);
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let w = Matrix::new(Format::F32, rows, cols, &bytes).expect("fits");
    let x = Values(2).row(cols);
    let mut out = vec![0.0; rows];
    matmul_float::<S>(&w, 0..rows, &x, 1, &mut out);
    let with = |chunk| -> Vec<u32> { values.chunks(cols).map(|row| float_product(row, &x, chunk).to_bits()).collect() };
    let bits: Vec<u32> = out.iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits, with(256));
    assert_ne!(bits, with(128), "another chunk must show");
    assert_ne!(bits, with(1000), "no chunk must show");
}

/// One head over `keys` positions, chunks of 256, by the real operations.
fn attention(query: &[f32], keys: &[Vec<f32>], values: &[Vec<f32>], how: Scores, sink: Option<f32>) -> Vec<f32> {
    let dim = query.len();
    let mut out = vec![f32::NAN; dim];
    let mut running = Running::default();
    for (ks, vs) in keys.chunks(256).zip(values.chunks(256)) {
        let mut transposed = vec![f32::NAN; dim * 256];
        let mut rows = vec![f32::NAN; 256 * dim];
        for (j, (k, v)) in ks.iter().zip(vs).enumerate() {
            k.iter().enumerate().for_each(|(i, &k)| transposed[i * 256 + j] = k);
            rows[j * dim..(j + 1) * dim].copy_from_slice(v);
        }
        let page = Page { keys: &transposed, values: &rows };
        attend::<S>(query, page, 0..ks.len(), how, &mut running, &mut out);
    }
    finish::<S>(running, sink, &mut out);
    out
}

/// Sections 8.3 to 8.7 to the letter, with chunks of `chunk` keys.
fn attention_by_definition(
    query: &[f32],
    keys: &[Vec<f32>],
    values: &[Vec<f32>],
    how: Scores,
    sink: Option<f32>,
    chunk: usize,
) -> Vec<f32> {
    let exp = |x: f32| math::exp::<Soft>(x);
    let mut state: Option<(f32, f32, Vec<f32>)> = None;
    for (ks, vs) in keys.chunks(chunk).zip(values.chunks(chunk)) {
        let scores: Vec<f32> = ks
            .iter()
            .map(|k| {
                let score = float_product(query, k, 256) * how.scale;
                how.soft_cap.map_or(score, |cap| cap * math::tanh::<Soft>(score * (1.0 / cap)))
            })
            .collect();
        let m = scores.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
        let e: Vec<f32> = scores.iter().map(|&s| exp(s - m)).collect();
        let l = e.iter().fold(0.0, |l, &e| l + e);
        let o: Vec<f32> =
            (0..query.len()).map(|d| e.iter().zip(vs).fold(0.0, |o, (&e, v)| Soft::fma(e, v[d], o))).collect();
        state = Some(match state {
            None => (m, l, o),
            Some((before, l0, o0)) => {
                let max = if m > before { m } else { before };
                let (alpha, beta) = (exp(before - max), exp(m - max));
                let o = o.iter().zip(&o0).map(|(&o, &o0)| Soft::fma(o, beta, o0 * alpha)).collect();
                (max, Soft::fma(l, beta, l0 * alpha), o)
            }
        });
    }
    let (max, mut l, mut o) = state.expect("some keys");
    if let Some(sink) = sink {
        let top = if sink > max { sink } else { max };
        let (alpha, beta) = (exp(max - top), exp(sink - top));
        l = beta + l * alpha;
        o.iter_mut().for_each(|o| *o *= alpha);
    }
    let inverse = 1.0 / l;
    o.iter().map(|o| o * inverse).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn attention_is_its_definition_and_no_other() {
    let mut random = Values(9);
    for (positions, dim) in [(1, 64), (255, 64), (256, 80), (257, 64), (700, 320)] {
        let query: Vec<f32> = random.row(dim).iter().map(|q| q * 4.0).collect();
        let keys: Vec<_> = (0..positions).map(|_| random.row(dim)).collect();
        let values: Vec<_> = (0..positions).map(|_| random.row(dim)).collect();
        for (soft_cap, sink) in [(None, None), (Some(5.0), None), (None, Some(1.5)), (Some(2.0), Some(-3.0))] {
            let how = Scores { scale: 0.3, soft_cap };
            let got = bits(&attention(&query, &keys, &values, how, sink));
            let wanted = attention_by_definition(&query, &keys, &values, how, sink, 256);
            assert_eq!(got, bits(&wanted), "{positions} positions of {dim}, cap {soft_cap:?}, sink {sink:?}");
            if positions > 256 {
                let other = attention_by_definition(&query, &keys, &values, how, sink, 128);
                assert_ne!(got, bits(&other), "another chunk must show");
            }
        }
    }
}

#[test]
fn attention_agrees_with_a_plain_softmax_in_double() {
    let mut random = Values(4);
    let query = random.row(64);
    let keys: Vec<_> = (0..600).map(|_| random.row(64)).collect();
    let values: Vec<_> = (0..600).map(|_| random.row(64)).collect();
    let got = attention(&query, &keys, &values, Scores { scale: 0.5, soft_cap: None }, Some(0.7));
    let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum() };
    let exp = |x: f64| <Double as samebit_numerics::arith::Arith>::exp(x);
    let e: Vec<f64> = keys.iter().map(|k| exp(dot(&query, k) * 0.5)).collect();
    let sum: f64 = e.iter().sum::<f64>() + exp(f64::from(0.7f32));
    for (d, got) in got.iter().enumerate() {
        let exact = e.iter().zip(&values).map(|(e, v)| e * f64::from(v[d])).sum::<f64>() / sum;
        assert!((f64::from(*got) - exact).abs() < 1e-6, "element {d}: {got} {exact}");
    }
}
