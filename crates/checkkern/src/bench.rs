//! How long functions take on ordinary shapes, beside the reference. For those who write kernels; nothing is judged here.

use std::time::{Duration, Instant};

use samebit_kernels::packed::{PackedMatrix, pack, packed_bytes};
use samebit_kernels::{Activations, Grid, Heads, Isa, Numerics, OwnPage8, PageOf, Pool, Table, float_env};
use samebit_numerics::blocks::Format;
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::ops::attention8::blocks;
use samebit_numerics::ops::elementwise::Gate;
use samebit_numerics::ops::matmul::Matrix;

use crate::args::Args;
use crate::fill::Fill;
use crate::random::Random;
use crate::{isas, weights};

/// How long one function is run at least, three times over.
const TIME: Duration = Duration::from_millis(60);

/// A function on one shape: the table's function, and the time of one call.
type Bench = (&'static str, &'static str, fn(&Table<f32>, &mut Random) -> Option<f64>);

const BENCHES: [Bench; 18] = [
    ("rms_norm", "2048", |t, r| Some(row(r, 2048, |x, w, out| (t.rms_norm)(x, w, 1e-5, out)))),
    ("layer_norm", "2048", |t, r| Some(row(r, 2048, |x, w, out| (t.layer_norm)(x, w, w, 1e-5, out)))),
    ("softmax", "2048", |t, r| Some(row(r, 2048, |x, _, out| in_place(x, out, |out| (t.softmax)(out))))),
    ("gated silu", "4096", |t, r| Some(row(r, 4096, |x, up, out| in_place(x, out, |o| (t.gated)(Gate::Silu, o, up))))),
    ("gated gelu", "4096", |t, r| {
        Some(row(r, 4096, |x, up, out| in_place(x, out, |o| (t.gated)(Gate::GeluTanh, o, up))))
    }),
    ("add", "4096", |t, r| Some(row(r, 4096, |x, y, out| in_place(x, out, |o| (t.add)(o, y))))),
    ("matmul F16", "64 × 1024, 1 token", |t, r| Some(matmul(t, r, Format::F16))),
    ("matmul Q4_K", "64 × 1024, 1 token", |t, r| Some(matmul(t, r, Format::Q4K))),
    ("product F16", "1024 × 1024, 1 token", |t, r| product(t, r, Format::F16, 1)),
    ("product Q4_K", "1024 × 1024, 1 token", |t, r| product(t, r, Format::Q4K, 1)),
    ("product Q4_K", "1024 × 1024, 64 tokens", |t, r| product(t, r, Format::Q4K, 64)),
    ("attend F32", "4 heads of 64, 256 keys", |t, r| Some(attend(t, r, 4, Type::Full))),
    ("attend F16", "3 heads of 64, 256 keys", |t, r| Some(attend(t, r, 3, Type::Half))),
    ("attend Q8_0", "3 heads of 64, 256 keys", |t, r| Some(attend(t, r, 3, Type::Bytes))),
    ("attend F16", "7 heads of 64, 256 keys", |t, r| Some(attend(t, r, 7, Type::Half))),
    ("attend Q8_0", "7 heads of 64, 256 keys", |t, r| Some(attend(t, r, 7, Type::Bytes))),
    ("attend F16", "48 heads of 64, 256 keys", |t, r| Some(attend(t, r, 48, Type::Half))),
    ("attend Q8_0", "48 heads of 64, 256 keys", |t, r| Some(attend(t, r, 48, Type::Bytes))),
];

/// Prints a table of times; never fails.
pub(crate) fn run(args: &Args, seed: u64) -> bool {
    let reference = Table::single(Isa::Reference, Numerics::V1);
    println!("{:14} {:26} {:12} {:>12} {:>10}", "function", "shape", "isa", "µs a call", "× faster");
    for (name, shape, bench) in BENCHES.iter().filter(|(name, ..)| name.contains(&args.function)) {
        let time = |table: &Table<f32>| float_env::with_default(|| bench(table, &mut Random::new(seed, name, 0)));
        let slow = time(&reference);
        for isa in isas(args) {
            let Some(fast) = time(&Table::single(isa, Numerics::V1)) else {
                continue;
            };
            let ratio = slow.map_or("-".to_owned(), |slow| format!("{:.1}", slow / fast));
            println!("{name:14} {shape:26} {:12} {:12.2} {ratio:>10}", isa.name(), fast * 1e6);
        }
    }
    true
}

/// Seconds of one call: the best of three stretches of many.
fn seconds(mut call: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let (started, mut calls) = (Instant::now(), 0u32);
        while started.elapsed() < TIME {
            call();
            calls += 1;
        }
        best = best.min(started.elapsed().as_secs_f64() / f64::from(calls));
    }
    best
}

fn row(random: &mut Random, len: usize, call: impl Fn(&[f32], &[f32], &mut [f32])) -> f64 {
    let [x, other] = [(); 2].map(|()| Fill::Normal.values(random, len));
    let mut out = vec![0.0; len];
    seconds(|| call(&x, &other, &mut out))
}

/// For functions that change their row: each call begins with the same.
fn in_place(x: &[f32], out: &mut [f32], call: impl Fn(&mut [f32])) {
    out.copy_from_slice(x);
    call(out);
}

fn matmul(table: &Table<f32>, random: &mut Random, format: Format) -> f64 {
    let (rows, cols) = (64, 1024);
    let bytes = weights::rows(format, rows, cols, Fill::Normal, random);
    let matrix = Matrix { format, rows, cols, bytes: &bytes };
    let x = Fill::Normal.values(random, cols);
    let mut made = Activations::default();
    // Normal values are finite; if they were not, the time would be of nothing.
    let _ = table.activations(&x, 1, cols, &[format], &mut made);
    let mut out = vec![0.0; rows];
    seconds(|| (table.matmul)(&matrix, 0..rows, &made, &mut out))
}

fn product(table: &Table<f32>, random: &mut Random, format: Format, tokens: usize) -> Option<f64> {
    let fast = table.fast.as_ref()?;
    let (rows, cols, pool) = (1024, 1024, Pool::new(1));
    let plain = weights::rows(format, rows, cols, Fill::Normal, random);
    let mut bytes = vec![0; packed_bytes(format, rows, cols)];
    pack(&Matrix { format, rows, cols, bytes: &plain }, 0, &mut bytes);
    let matrix = PackedMatrix { format, rows, cols, bytes: &bytes };
    let x = Fill::Normal.values(random, tokens * cols);
    let mut made = Activations::default();
    fast.activations(&pool, &x, cols, &[format], f32::is_finite, &mut made).ok()?;
    let mut out = vec![0.0; tokens * rows];
    Some(seconds(|| {
        fast.product(&matrix, &made, None, &mut Grid::new(&mut out, rows).all());
    }))
}

/// How a page holds its numbers.
enum Type {
    Full,
    Half,
    Bytes,
}

fn attend(table: &Table<f32>, random: &mut Random, group: usize, of: Type) -> f64 {
    let dim = 64;
    let queries = Fill::Normal.values(random, group * dim);
    let [keys, values] = [(); 2].map(|()| Fill::Normal.values(random, dim * 256));
    let [half_keys, half_values] = [&keys, &values].map(|floats| {
        let mut halves = vec![0; floats.len()];
        (table.narrow)(floats, &mut halves);
        halves
    });
    let mut bytes = OwnPage8::new(dim);
    for (at, row) in values.chunks_exact(dim).enumerate() {
        let (mut q, mut d) = (vec![0; dim], vec![0; blocks(dim)]);
        (table.quantize8)(row, &mut q, &mut d);
        bytes.write_key(at, &q, &d);
        bytes.write_value(at, &q, &d);
    }
    let page = match of {
        Type::Full => PageOf::Full { keys: &keys, values: &values },
        Type::Half => PageOf::Half { keys: &half_keys, values: &half_values },
        Type::Bytes => PageOf::Q8(bytes.page()),
    };
    let mut out = vec![0.0; group * dim];
    seconds(|| {
        let mut grid = Grid::new(&mut out, group * dim);
        let visible = 0..256;
        let mut heads = Heads {
            queries: &queries,
            stride: group * dim,
            group,
            dim,
            visible: core::slice::from_ref(&visible),
            running: &mut vec![Running::default(); group],
            out: &mut grid.all(),
        };
        (table.attend)(page, Scores { scale: 0.125, soft_cap: None }, &mut heads);
    })
}
