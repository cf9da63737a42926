//! Checks of what sums a row: norms, softmax, the router.

use samebit_numerics::ops::router::Router;

use super::{Input, Subject, length};
use crate::guarded::Guarded;
use crate::outcome::{Failure, Outcome};
use crate::random::Random;

const EPSILONS: [f32; 4] = [1e-5, 1e-6, 1e-12, 0.0];

pub(super) fn rms_norm(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let n = length(random);
    let [x, weight] = [(); 2].map(|()| Input::new(random, n));
    let epsilon = random.pick(&EPSILONS);
    let stale = Guarded::stale(n, random);
    let shape = || format!("n {n}, epsilon {epsilon:e}, x {}, weight {}", x.fill, weight.fill);
    subject.compare(shape, |table| {
        let mut out = stale.clone();
        (table.rms_norm)(x.get(), weight.get(), epsilon, out.get_mut());
        Outcome::default().floats("out", &out)
    })
}

pub(super) fn layer_norm(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let n = length(random);
    let [x, weight, bias] = [(); 3].map(|()| Input::new(random, n));
    let epsilon = random.pick(&EPSILONS);
    let stale = Guarded::stale(n, random);
    let shape = || format!("n {n}, epsilon {epsilon:e}, x {}, weight {}, bias {}", x.fill, weight.fill, bias.fill);
    subject.compare(shape, |table| {
        let mut out = stale.clone();
        (table.layer_norm)(x.get(), weight.get(), bias.get(), epsilon, out.get_mut());
        Outcome::default().floats("out", &out)
    })
}

pub(super) fn softmax(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    // An empty row stays empty.
    let n = if random.once_in(50) { 0 } else { length(random) };
    let x = Input::new(random, n);
    subject.compare(
        || format!("n {n}, x {}", x.fill),
        |table| {
            let mut out = x.buffer.clone();
            (table.softmax)(out.get_mut());
            Outcome::default().floats("x", &out)
        },
    )
}

pub(super) fn route(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let experts = random.pick(&[1, 2, 3, 8, 16, 31, 60, 128, 257]);
    let used = 1 + random.below(experts.min(9));
    let kind = random.pick(&[Router::SoftmaxThenNormalise, Router::SoftmaxOfChosen]);
    let mut scores = Input::new(random, experts);
    if random.once_in(2) {
        // Ties, which the lower index wins.
        for _ in 0..experts {
            let (from, to) = (random.below(experts), random.below(experts));
            scores.buffer.get_mut()[to] = scores.get()[from];
        }
    }
    let stale = (Guarded::stale(used, random), Guarded::stale(used, random));
    let shape = || format!("{kind:?}, {used} of {experts}, scores {}", scores.fill);
    subject.compare(shape, |table| {
        let (mut chosen, mut weights): (Guarded<usize>, Guarded<f32>) = stale.clone();
        (table.route)(kind, scores.get(), chosen.get_mut(), weights.get_mut());
        Outcome::default().words("chosen", &chosen).floats("weights", &weights)
    })
}
