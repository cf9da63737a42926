//! Checks of what goes element by element: sums, scalings, gates, rotation, half precision.

use samebit_kernels::Table;
use samebit_numerics::ops::elementwise::Gate;
use samebit_numerics::ops::rope::Pairing;

use super::{Input, Subject, length};
use crate::guarded::Guarded;
use crate::outcome::{Failure, Outcome};
use crate::random::Random;

/// Factors, caps: ordinary, extreme, subnormal results.
const FACTORS: [f32; 8] = [0.7, -1.3, 0.125, 1e-3, 3e-39, -0.0, 1e30, 45.254_834];

/// A case of a function that changes one row by another of the same length.
fn by_another(
    subject: &Subject<'_>,
    random: &mut Random,
    detail: &str,
    run: impl Fn(&Table<f32>, &mut [f32], &[f32]),
) -> Result<(), Failure> {
    let n = length(random);
    let [acc, x] = Input::pair(random, n);
    subject.compare(
        || format!("n {n}{detail}, row {}, other {}", acc.fill, x.fill),
        |table| {
            let mut out = acc.buffer.clone();
            run(table, out.get_mut(), x.get());
            Outcome::default().floats("row", &out)
        },
    )
}

pub(super) fn add(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    by_another(subject, random, "", |table, acc, x| (table.add)(acc, x))
}

pub(super) fn add_bias(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    by_another(subject, random, "", |table, acc, x| (table.add_bias)(acc, x))
}

pub(super) fn add_weighted(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let weight = random.pick(&FACTORS);
    by_another(subject, random, &format!(", weight {weight:e}"), |table, acc, x| (table.add_weighted)(acc, weight, x))
}

pub(super) fn gated(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let kind = random.pick(&[Gate::Silu, Gate::GeluTanh, Gate::GeluErf, Gate::ClampedSwiglu]);
    by_another(subject, random, &format!(", {kind:?}"), |table, gate, up| (table.gated)(kind, gate, up))
}

/// A case of a function that changes a row by one number.
fn by_number(
    subject: &Subject<'_>,
    random: &mut Random,
    numbers: &[f32],
    run: impl Fn(&Table<f32>, &mut [f32], f32),
) -> Result<(), Failure> {
    let (n, number) = (length(random), random.pick(numbers));
    let x = Input::new(random, n);
    subject.compare(
        || format!("n {n}, number {number:e}, row {}", x.fill),
        |table| {
            let mut out = x.buffer.clone();
            run(table, out.get_mut(), number);
            Outcome::default().floats("row", &out)
        },
    )
}

pub(super) fn scale(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    by_number(subject, random, &FACTORS, |table, x, factor| (table.scale)(x, factor))
}

pub(super) fn soft_cap(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    by_number(subject, random, &[30.0, 50.0, 2.5, 1e-3, 1e20], |table, x, cap| (table.soft_cap)(x, cap))
}

pub(super) fn rotate(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let pairs = random.pick(&[1, 2, 3, 7, 8, 9, 16, 20, 32, 33, 48, 64, 128]);
    let rest = random.pick(&[0, 0, 1, 16, 40]);
    let pairing = random.pick(&[Pairing::Normal, Pairing::Neox]);
    let head = Input::new(random, 2 * pairs + rest);
    let [cos, sin] = [(); 2].map(|()| Input::new(random, pairs));
    let shape = || format!("{pairing:?}, {pairs} pairs and {rest}, head {}, cos {}", head.fill, cos.fill);
    subject.compare(shape, |table| {
        let mut out = head.buffer.clone();
        (table.rotate)(out.get_mut(), pairing, cos.get(), sin.get());
        Outcome::default().floats("head", &out)
    })
}

pub(super) fn widen(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let n = length(random);
    let halves: Vec<u16> = (0..n).map(|_| random.word() as u16).collect();
    let halves = Guarded::new(&halves, random);
    let stale = Guarded::stale(n, random);
    subject.compare(
        || format!("n {n}"),
        |table| {
            let mut out = stale.clone();
            (table.widen)(halves.get(), out.get_mut());
            Outcome::default().floats("out", &out)
        },
    )
}

pub(super) fn narrow(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let n = length(random);
    let x = Input::new(random, n);
    let stale: Guarded<u16> = Guarded::stale(n, random);
    subject.compare(
        || format!("n {n}, x {}", x.fill),
        |table| {
            let mut out = stale.clone();
            (table.narrow)(x.get(), out.get_mut());
            Outcome::default().words("out", &out)
        },
    )
}
