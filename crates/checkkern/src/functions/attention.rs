//! Checks of attention: several heads over several pages, merges, and the end of a pass.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use samebit_kernels::{Grid, Heads, PageOf, Table};
use samebit_numerics::half::f32_to_f16;
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::reduce::CHUNK;

use super::{Input, Subject};
use crate::fill::Fill;
use crate::guarded::Guarded;
use crate::outcome::{Failure, Outcome};
use crate::random::Random;

/// Lengths of heads: what models have, and what fits no vector.
const DIMS: [usize; 16] = [1, 3, 8, 15, 16, 17, 24, 32, 33, 48, 64, 80, 96, 128, 256, 320];

pub(super) fn attend(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    Case::new(random).check(subject, false)
}

pub(super) fn attend_half(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    Case::new(random).check(subject, true)
}

/// Keys and values of one page, and which keys each row sees.
struct CasePage {
    keys: Guarded<f32>,
    values: Guarded<f32>,
    half_keys: Guarded<u16>,
    half_values: Guarded<u16>,
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

    fn check(&self, subject: &Subject<'_>, half: bool) -> Result<(), Failure> {
        let shape = || {
            let visible: Vec<_> = self.pages.iter().map(|page| &page.visible).collect();
            format!(
                "{} rows of {} heads of {}, stride {}, {:?}, sink {:?}, visible {visible:?}, queries {}, keys and values {}",
                self.rows, self.group, self.dim, self.stride, self.how, self.sink, self.queries.fill, self.fill
            )
        };
        subject.compare(shape, |table| self.run(table, subject, half))
    }

    fn run(&self, table: &Table<f32>, subject: &Subject<'_>, half: bool) -> Outcome {
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
                (table.attend)(page.of(half), self.how, &mut heads);
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
        Self {
            keys: Guarded::new(&keys, random),
            values: Guarded::new(&values, random),
            half_keys: Guarded::new(&half_keys, random),
            half_values: Guarded::new(&half_values, random),
            visible,
        }
    }

    fn of(&self, half: bool) -> PageOf<'_, f32> {
        match half {
            true => PageOf::Half { keys: self.half_keys.get(), values: self.half_values.get() },
            false => PageOf::Full { keys: self.keys.get(), values: self.values.get() },
        }
    }
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
