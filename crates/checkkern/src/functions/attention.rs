//! Checks of attention: several heads over several pages, merges, and the end of a pass.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use samebit_kernels::{Grid, Heads, Isa, Numerics, OwnPage8, PageOf, Table};
use samebit_numerics::half::f32_to_f16;
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::ops::attention8::{BLOCK, INFINITE, blocks};
use samebit_numerics::reduce::CHUNK;

use super::{Input, Subject};
use crate::fill::Fill;
use crate::guarded::Guarded;
use crate::outcome::{Failure, Outcome};
use crate::random::Random;

/// Lengths of heads: what models have, and what fits no vector.
const DIMS: [usize; 16] = [1, 3, 8, 15, 16, 17, 24, 32, 33, 48, 64, 80, 96, 128, 256, 320];

pub(super) fn attend(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    Case::new(random).check(subject, Type::Full)
}

pub(super) fn attend_half(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    Case::new(random).check(subject, Type::Half)
}

pub(super) fn attend_bytes(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    Case::new(random).check(subject, Type::Bytes)
}

/// How a page holds its numbers.
#[derive(Clone, Copy)]
enum Type {
    Full,
    Half,
    Bytes,
}

/// Keys and values of one page, and which keys each row sees.
struct CasePage {
    keys: Guarded<f32>,
    values: Guarded<f32>,
    half_keys: Guarded<u16>,
    half_values: Guarded<u16>,
    bytes: OwnPage8,
    visible: Vec<Range<usize>>,
}

/// Rows of query heads over a few pages.
struct Case {
    rows: usize,
    group: usize,
    dim: usize,
    stride: usize,
    queries: Input,
    how: Scores,
    fill: Fill,
    pages: Vec<CasePage>,
    /// Three times as wide as the heads, which are in the middle.
    out: Guarded<f32>,
    sink: Option<f32>,
}

impl Case {
    fn new(random: &mut Random) -> Self {
        let (rows, group, dim) = (1 + random.below(4), 1 + random.below(5), random.pick(&DIMS));
        let stride = group * dim + random.pick(&[0, 0, 1, 5, 64]);
        let fill = Fill::random(random);
        let scale = random.pick(&[0.125, 0.088_388_35, 1.0, 1e-3, -0.5]);
        let soft_cap = random.once_in(4).then(|| random.pick(&[50.0, 30.0, 0.5]));
        let pages = (0..1 + random.below(3)).map(|_| CasePage::new(rows, dim, fill, random)).collect();
        let sink = random.once_in(4).then(|| random.pick(&[0.0, 1.5, -20.0, 90.0]));
        Self {
            rows,
            group,
            dim,
            stride,
            queries: Input::new(random, rows * stride),
            how: Scores { scale, soft_cap },
            fill,
            pages,
            out: Guarded::stale(rows * 3 * group * dim, random),
            sink,
        }
    }

    fn check(&self, subject: &Subject<'_>, of: Type) -> Result<(), Failure> {
        let shape = || {
            let visible: Vec<_> = self.pages.iter().map(|page| &page.visible).collect();
            format!(
                "{} rows of {} heads of {}, stride {}, {:?}, sink {:?}, visible {visible:?}, queries {}, keys and values {}",
                self.rows, self.group, self.dim, self.stride, self.how, self.sink, self.queries.fill, self.fill
            )
        };
        subject.compare(shape, |table| self.run(table, subject, of))
    }

    fn run(&self, table: &Table<f32>, subject: &Subject<'_>, of: Type) -> Outcome {
        let mut out = self.out.clone();
        let running = Mutex::new(vec![Running::default(); self.rows * self.group]);
        let width = self.group * self.dim;
        for page in &self.pages {
            let grid = Grid::new(out.get_mut(), 3 * width);
            subject.pools[0].blocks(grid, width, self.rows, |_, mut columns| {
                if columns.range().start != width {
                    return; // a neighbour's
                }
                let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
                let mut heads = Heads {
                    queries: self.queries.get(),
                    stride: self.stride,
                    group: self.group,
                    dim: self.dim,
                    visible: &page.visible,
                    running: &mut running,
                    out: &mut columns,
                };
                (table.attend)(page.of(of), self.how, &mut heads);
            });
        }
        let mut running = running.into_inner().unwrap_or_else(PoisonError::into_inner);
        let place = |head: usize| {
            let start = head / self.group * 3 * width + width + head % self.group * self.dim;
            start..start + self.dim
        };
        // Whatever else a head holds whose scores overflowed, its end is NaN.
        for (head, running) in running.iter_mut().enumerate().filter(|(_, running)| running.overflowed) {
            *running = Running { overflowed: true, ..Running::default() };
            out.get_mut()[place(head)].fill(f32::NAN);
        }
        let outcome = state(Outcome::default(), &running).floats("out", &out);
        for (head, running) in running.iter().enumerate() {
            (table.finish)(*running, self.sink, &mut out.get_mut()[place(head)]);
        }
        outcome.floats("finished", &out)
    }
}

/// Maximum (or none), denominator and overflow of every head.
///
/// Which zero the largest of two zeros is depends on their order, and nothing depends on which it is: exp(±0) is 1. Adding
/// +0 makes them one.
fn state(outcome: Outcome, running: &[Running<f32>]) -> Outcome {
    let maxima: Vec<f32> = running.iter().filter_map(|running| running.max).map(|max| max + 0.0).collect();
    let denominators: Vec<f32> = running.iter().map(|running| running.denominator).collect();
    outcome
        .bits("has a maximum", running.iter().map(|running| u64::from(running.max.is_some())))
        .bits("overflowed", running.iter().map(|running| u64::from(running.overflowed)))
        .numbers("maximum", &maxima)
        .numbers("denominator", &denominators)
}

impl CasePage {
    fn new(rows: usize, dim: usize, fill: Fill, random: &mut Random) -> Self {
        let visible: Vec<_> = (0..rows).map(|_| range(random)).collect();
        let [mut keys, mut values] = [(); 2].map(|()| fill.values(random, dim * CHUNK));
        // What no row sees has not been written: it may hold anything.
        for key in (0..CHUNK).filter(|key| !visible.iter().any(|visible| visible.contains(key))) {
            keys.iter_mut().skip(key).step_by(CHUNK).for_each(|k| *k = f32::NAN);
            values[key * dim..(key + 1) * dim].fill(f32::NAN);
        }
        let [half_keys, half_values] = [&keys, &values].map(|x| x.iter().map(|&x| finite_half(x)).collect::<Vec<_>>());
        let bytes = bytes(&keys, &values, &visible, dim, random);
        Self {
            keys: Guarded::new(&keys, random),
            values: Guarded::new(&values, random),
            half_keys: Guarded::new(&half_keys, random),
            half_values: Guarded::new(&half_values, random),
            bytes,
            visible,
        }
    }

    fn of(&self, of: Type) -> PageOf<'_, f32> {
        match of {
            Type::Full => PageOf::Full { keys: self.keys.get(), values: self.values.get() },
            Type::Half => PageOf::Half { keys: self.half_keys.get(), values: self.half_values.get() },
            Type::Bytes => PageOf::Q8(self.bytes.page()),
        }
    }
}

/// The page as bytes: as the cache makes them; all alike; at their limits; under any scales.
fn bytes(keys: &[f32], values: &[f32], visible: &[Range<usize>], dim: usize, random: &mut Random) -> OwnPage8 {
    let (extreme, kind) = (random.pick(&[-127, 127, 0, 1]), random.below(6));
    let quantize8 = Table::single(Isa::Reference, Numerics::V1).quantize8;
    let mut page = OwnPage8::new(dim);
    for at in 0..CHUNK {
        let mut rows = [(); 2].map(|()| (vec![0i8; dim], vec![0u16; blocks(dim)]));
        let key: Vec<f32> = keys.iter().skip(at).step_by(CHUNK).copied().collect();
        for ((q, d), floats) in rows.iter_mut().zip([&key[..], &values[at * dim..(at + 1) * dim]]) {
            quantize8(floats, q, d);
            match kind {
                0 => q.fill(extreme),
                1 => q.iter_mut().for_each(|q| *q = if random.once_in(2) { 127 } else { -127 }),
                _ => {}
            }
            // A cache refuses what is not finite; most scales here are of numbers that binary16 would hold, some are not.
            for d in d.iter_mut().filter(|d| **d == INFINITE || kind == 2) {
                *d = random.pick(&[0, 1, 2, 0x03ff, 0x0400, 0x3c00, 0x7bff]);
            }
            if !visible.iter().any(|visible| visible.contains(&at)) {
                d.fill(0x7e00);
            }
        }
        page.write_key(at, &rows[0].0, &rows[0].1);
        page.write_value(at, &rows[1].0, &rows[1].1);
    }
    page
}

/// Bytes and scales of one head, of lengths that fill no block too.
pub(super) fn quantize8(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let dim = random.pick(&DIMS);
    let mut input = Input::new(random, dim);
    for block in input.buffer.get_mut().chunks_mut(BLOCK) {
        match random.below(8) {
            // A scale of 1, so that halves are ties.
            0 => {
                block.iter_mut().for_each(|x| *x = random.below(254) as f32 - 127.0 + 0.5);
                block[0] = 127.0;
            }
            // Around the scales that binary16 does not hold, or as zero, or one unit.
            1 => block.iter_mut().for_each(|x| *x = random.pick(&[65519.0, 65520.0, -65504.0]) * 127.0),
            2 => block.iter_mut().for_each(|x| *x = (random.below(800) as f32 - 400.0) * 2.980_232_2e-8),
            3 if random.once_in(4) => block[0] = random.pick(&[f32::NAN, f32::INFINITY]),
            _ => {}
        }
    }
    let shape = || format!("{dim} elements {}", input.fill);
    subject.compare(shape, |table| {
        let (mut q, mut d) = (vec![99; dim], vec![99; blocks(dim)]);
        (table.quantize8)(input.get(), &mut q, &mut d);
        Outcome::default()
            .bits("bytes", q.into_iter().map(|q| u64::from(q.cast_unsigned())))
            .bits("scales", d.into_iter().map(u64::from))
    })
}

/// Keys that a row sees: all, one, none, or some.
fn range(random: &mut Random) -> Range<usize> {
    match random.below(6) {
        0 => 0..CHUNK,
        1 => {
            let key = random.below(CHUNK);
            key..key + 1
        }
        2 if random.once_in(2) => 0..0,
        3 => 0..1 + random.below(CHUNK),
        _ => {
            let first = random.below(CHUNK);
            first..first + 1 + random.below(CHUNK - first)
        }
    }
}

/// As the cache would hold it, but for infinities, which it refuses.
fn finite_half(x: f32) -> u16 {
    let half = f32_to_f16(x);
    if half & 0x7fff == 0x7c00 { half - 1 } else { half }
}

/// What a chunk may amount to.
fn running(random: &mut Random) -> Running<f32> {
    let max = (!random.once_in(6)).then(|| Fill::random(random).values(random, 1)[0]);
    let denominator = 1.0 + random.below(4096) as f32 / 16.0;
    Running { max, denominator, overflowed: random.once_in(20) }
}

pub(super) fn merge(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let dim = random.pick(&DIMS);
    let (chunk, before) = (running(random), running(random));
    let [partial, out] = [(); 2].map(|()| Input::new(random, dim));
    let shape = || format!("{dim} elements, {chunk:?} into {before:?}, {} into {}", partial.fill, out.fill);
    subject.compare(shape, |table| {
        let (mut running, mut out) = (before, out.buffer.clone());
        (table.merge)(chunk, partial.get(), &mut running, out.get_mut());
        state(Outcome::default(), &[running]).floats("out", &out)
    })
}

pub(super) fn finish(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let dim = random.pick(&DIMS);
    let running = running(random);
    let sink = random.once_in(2).then(|| Fill::random(random).values(random, 1)[0]);
    let out = Input::new(random, dim);
    let shape = || format!("{dim} elements {}, {running:?}, sink {sink:?}", out.fill);
    subject.compare(shape, |table| {
        let mut out = out.buffer.clone();
        (table.finish)(running, sink, out.get_mut());
        Outcome::default().floats("out", &out)
    })
}
