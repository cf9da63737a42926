//! A check for each function of the table: one random case, computed by the table under test and by the reference.

mod attention;
mod elementwise;
mod norms;
mod products;

use samebit_kernels::{Pool, Table};

use crate::fill::Fill;
use crate::guarded::Guarded;
use crate::outcome::{Failure, Outcome};
use crate::random::Random;

/// The table that is tested, and the one that is right.
pub(crate) struct Subject<'a> {
    pub(crate) table: Table<f32>,
    pub(crate) reference: Table<f32>,
    /// Of one, two and three threads.
    pub(crate) pools: &'a [Pool],
}

impl Subject<'_> {
    /// Runs the same case with both tables.
    fn compare(&self, shape: impl FnOnce() -> String, run: impl Fn(&Table<f32>) -> Outcome) -> Result<(), Failure> {
        run(&self.reference).compare(&run(&self.table), shape)
    }
}

/// A function of the table.
pub(crate) struct Function {
    /// The table's name for it.
    pub(crate) name: &'static str,
    /// Makes a case of random choices and compares.
    pub(crate) check: fn(&Subject<'_>, &mut Random) -> Result<(), Failure>,
    /// Whether a table has it.
    pub(crate) is_in: fn(&Table<f32>) -> bool,
}

const fn always(name: &'static str, check: fn(&Subject<'_>, &mut Random) -> Result<(), Failure>) -> Function {
    Function { name, check, is_in: |_| true }
}

/// All of them.
pub(crate) const ALL: [Function; 22] = [
    always("rms_norm", norms::rms_norm),
    always("layer_norm", norms::layer_norm),
    always("softmax", norms::softmax),
    always("route", norms::route),
    always("rotate", elementwise::rotate),
    always("gated", elementwise::gated),
    always("soft_cap", elementwise::soft_cap),
    always("add", elementwise::add),
    always("add_bias", elementwise::add_bias),
    always("add_weighted", elementwise::add_weighted),
    always("scale", elementwise::scale),
    always("widen", elementwise::widen),
    always("narrow", elementwise::narrow),
    always("activations", products::activations),
    always("matmul", products::matmul),
    Function { name: "product", check: products::product, is_in: |table| table.fast.is_some() },
    always("attend", attention::attend),
    always("attend_half", attention::attend_half),
    always("attend_bytes", attention::attend_bytes),
    always("quantize8", attention::quantize8),
    always("merge", attention::merge),
    always("finish", attention::finish),
];

/// Numbers in a guarded buffer, and what kind they are.
struct Input {
    fill: Fill,
    buffer: Guarded<f32>,
}

impl Input {
    fn new(random: &mut Random, count: usize) -> Self {
        let fill = Fill::random(random);
        Self::of(fill, random, count)
    }

    /// Two, of one kind half of the time: subnormals and ties are lost among larger numbers.
    fn pair(random: &mut Random, count: usize) -> [Self; 2] {
        let first = Self::new(random, count);
        let fill = if random.once_in(2) { first.fill } else { Fill::random(random) };
        let second = Self::of(fill, random, count);
        [first, second]
    }

    fn of(fill: Fill, random: &mut Random, count: usize) -> Self {
        let values = fill.values(random, count);
        Self { fill, buffer: Guarded::new(&values, random) }
    }

    fn get(&self) -> &[f32] {
        self.buffer.get()
    }
}

/// A row's length: around the ends of vectors and chunks, or any.
fn length(random: &mut Random) -> usize {
    const ENDS: [usize; 20] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 255, 256, 257, 511, 512, 513, 576, 1024];
    match random.below(3) {
        0 => 1 + random.below(1200),
        1 => 1 + random.below(70),
        _ => random.pick(&ENDS),
    }
}
