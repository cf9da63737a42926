//! The search: what precision explains, where the passes part, and which known bug brings them together again.
//!
//! Bugs are tried one by one on the pass as it is known so far; then pairs; what is found stays in, and the search goes on from there.

use std::collections::BTreeSet;

use samebit_model::Model;

use crate::baseline::{Baseline, Distances, Setting, distances, find, floor, grain, spread, whole};
use crate::evidence::{Evidence, EvidenceError};
use crate::faults::{self, Fault, Number, Reading, Topic};
use crate::report::{Departure, Diagnosis, Finding, RuledOut, Verdict};
use crate::residual::gain;
use crate::suspect::{How, Suspect, run};

/// Bugs that are looked for together, at most.
const MOST_FINDINGS: usize = 3;
/// Nats that make a bug of what would else be noise: a tensor's distance is halved.
const LEAST_GAIN: f64 = 0.69;
/// Nats of a subtle bug, all tensors together.
const LEAST_SUBTLE: f64 = 0.2;
/// Deviations of the logits by which choices of tokens may lie below the highest, on average, for reasons of precision.
const MOST_CHOICE: f64 = 0.05;
/// Of the single bugs, how many are tried as parts of pairs.
const FIRSTS: usize = 6;
const SECONDS: usize = 40;
/// How many of the best single bugs have their numbers refined.
const REFINED: usize = 3;
/// Two explanations whose scores are this near are told as equal.
const TIE: f64 = 0.02;

/// One bug or pair, tried.
struct Trial {
    faults: Vec<usize>,
    distances: Distances,
    score: f64,
}

struct Search<'a> {
    model: &'a Model,
    evidence: &'a Evidence,
    setting: Setting,
    faults: Vec<Fault>,
    found: Vec<usize>,
    /// Below these, distances are noise.
    grains: Vec<f64>,
    /// Up to these, distances are precision.
    limits: Vec<f64>,
    /// Only bugs of little effect are tried.
    subtle: bool,
    passes: usize,
    expected: usize,
    progress: &'a mut dyn FnMut(usize, usize),
}

/// Says which known bugs explain what another engine computed. `readings` are other prompts that mistakes lead to; `progress` is
/// told how many passes of about how many are done.
///
/// # Errors
/// Evidence that is not of this model, holds nothing to compare, or holds values that are not finite.
pub fn diagnose(
    model: &Model,
    evidence: &Evidence,
    readings: &[Reading],
    setting: Setting,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Diagnosis, EvidenceError> {
    crate::check::check(model, evidence)?;
    let faults = faults::all(model, evidence, readings);
    let limits = spread(model, evidence, setting);
    let limit =
        |(index, spread): (usize, &Option<f64>)| 2.5 * spread.unwrap_or(0.02) + 4.0 * grain(evidence, index) + 1e-5;
    let mut limits: Vec<f64> = limits.iter().enumerate().map(limit).collect();
    // Tokens stay the other engine's in every pass, so these cannot show how far precision moves a choice.
    limits[evidence.tensors().len()] = MOST_CHOICE;
    let grains = (0..=evidence.tensors().len()).map(|index| grain(evidence, index)).collect();
    let expected = faults.len() + 12;
    let mut search = Search {
        model,
        evidence,
        setting,
        faults,
        found: Vec::new(),
        grains,
        limits,
        subtle: false,
        passes: 0,
        expected,
        progress,
    };
    Ok(search.go())
}

impl Search<'_> {
    fn go(&mut self) -> Diagnosis {
        let Some(innocent) = self.baseline() else {
            return Diagnosis::stuck(self.evidence);
        };
        self.settle_noise(&innocent);
        let mut now = innocent.clone();
        let mut findings = Vec::new();
        let mut ruled_out = Vec::new();
        while findings.len() < MOST_FINDINGS {
            let departure = self.departure(&now.distances);
            // Where nothing seems to be left, only what is near to nothing is looked for.
            self.subtle = departure.is_none() && self.equal(&now.distances);
            let mut trials = self.singles(&now, departure);
            let mut best = self.accepted(&trials, &now, departure);
            let mut partial = false;
            if best.is_none() && departure.is_some() {
                let pairs = self.pairs(&now, departure, &trials);
                let singles = trials.len();
                best = self.accepted(&pairs, &now, departure).map(|pair| singles + pair);
                trials.extend(pairs);
                partial = best.is_none();
                best = best.or_else(|| self.partly(&trials[..singles], &now, departure));
            }
            if findings.is_empty() {
                ruled_out = self.ruled_out(&trials, best, departure);
            }
            let Some(best) = best else { break };
            let finding = self.settle(&trials, best, &now, departure);
            let Some(next) = self.baseline() else { break };
            let after = departure.map_or(finding.after, |index| self.worst(&next.distances, Some(index)));
            findings.push(Finding { after, partial, ..finding });
            now = next;
        }
        self.report(&innocent, &now, findings, ruled_out)
    }

    fn step(&mut self) {
        self.passes += 1;
        (self.progress)(self.passes, self.expected.max(self.passes));
    }

    /// Noise of a trace of this type in this precision.
    fn settle_noise(&mut self, baseline: &Baseline) {
        let floor = floor(self.model, self.evidence, baseline.precision, self.setting);
        // All but the choices, which a mirror has from the other engine.
        let tensors = self.evidence.tensors().len();
        for (index, floor) in floor.into_iter().enumerate().take(tensors) {
            let floor = floor.unwrap_or(0.0);
            self.grains[index] = self.grains[index].max(floor);
            // Sums whose large terms cancel leave more of a narrow type's roundings than one result has.
            self.limits[index] = self.limits[index].max(3.0 * floor);
        }
        self.step();
    }

    /// The precision that fits best, with the bugs found so far.
    fn baseline(&mut self) -> Option<Baseline> {
        let mut count = 0;
        let (faults, found, model) = (&self.faults, &self.found, self.model);
        let guilty = |suspect: &mut Suspect| {
            found.iter().for_each(|&index| {
                (faults[index].make)(suspect, model);
            });
        };
        let baseline = find(model, self.evidence, self.setting, &guilty, &mut || count += 1);
        (0..count).for_each(|_| self.step());
        baseline
    }

    /// The first tensor that departs further than the precisions do from one another.
    fn departure(&self, distances: &Distances) -> Option<usize> {
        let beyond = |index: &usize| distances[*index].is_some_and(|d| d > self.limits[*index]);
        let order = self.order();
        order.into_iter().find(beyond)
    }

    /// Indices of the tensors in the order of the pass, the choices last.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..=self.evidence.tensors().len()).collect();
        order.sort_by_key(|&index| match self.evidence.tensors().get(index) {
            Some(seen) => crate::check::place(&seen.name, seen.layer),
            None => (usize::MAX, usize::MAX),
        });
        order
    }

    /// How far a pass has to go to show what happens at a tensor.
    fn how(&self, departure: Option<usize>) -> How {
        let all = self.model.config().layers;
        let layers = match departure.and_then(|index| self.evidence.tensors().get(index)) {
            Some(seen) if !seen.name.starts_with("result_") => seen.layer.map_or(1, |layer| layer + 2),
            Some(_) => all,
            // Nothing departs, so what is left is subtle, and shows in every layer.
            None if departure.is_none() && self.evidence.tensors().iter().any(|seen| seen.layer.is_some()) => {
                let last = self.evidence.tensors().iter().filter_map(|seen| seen.layer).min().unwrap_or(0);
                last + 4
            }
            None => all,
        };
        How { layers: layers.min(all), ..whole(self.model, self.setting) }
    }

    /// The pass as it is known so far.
    fn suspect(&self, now: &Baseline) -> Suspect {
        let mut suspect = Suspect::innocent(self.model, self.evidence, self.setting.isa, now.precision);
        self.found.iter().for_each(|&index| {
            (self.faults[index].make)(&mut suspect, self.model);
        });
        suspect
    }

    fn attempt(&mut self, indices: &[usize], now: &Baseline, how: How) -> Option<Trial> {
        let mut suspect = self.suspect(now);
        if !indices.iter().all(|&index| (self.faults[index].make)(&mut suspect, self.model)) {
            return None;
        }
        let outcome = run(self.model, suspect, self.evidence, how).ok();
        self.step();
        let distances = distances(self.evidence, &outcome?);
        Some(Trial { faults: indices.to_vec(), score: self.score(&now.distances, &distances), distances })
    }

    /// Nats by which a trial is nearer than the pass so far, over all tensors that it reached.
    fn score(&self, before: &Distances, after: &Distances) -> f64 {
        let each =
            |(index, (b, a)): (usize, (&Option<f64>, &Option<f64>))| Some(gain((*b)?, (*a)?, self.grains[index]));
        before.iter().zip(after).enumerate().filter_map(each).sum()
    }

    /// Every bug on its own: first those that can show at the departure, then the slow ones among them, then all others.
    fn singles(&mut self, now: &Baseline, departure: Option<usize>) -> Vec<Trial> {
        let how = self.how(departure);
        let topics = self.topics(departure);
        let mut trials: Vec<Trial> = Vec::new();
        let count = self.faults.len();
        for (fitting, slow) in [(true, false), (true, true), (false, false)] {
            if !trials.is_empty() && self.accepted(&trials, now, departure).is_some() {
                break;
            }
            for index in 0..count {
                let again = self.found.contains(&index) || self.same_series(index);
                let fault = &self.faults[index];
                // Other tokens show anywhere, since they bring rows that the trace does not have; other layers, where they stand.
                let anywhere = matches!(fault.topic, Topic::Tokens | Topic::Layers);
                let fits = departure.is_none() || anywhere || topics.contains(&fault.topic);
                if self.subtle && !fault.is_subtle() {
                    continue;
                }
                if fault.slow == slow && fits == fitting && !again {
                    trials.extend(self.attempt(&[index], now, how));
                }
            }
            self.refine(&mut trials, now, how, departure);
        }
        trials.sort_by(|a, b| b.score.total_cmp(&a.score));
        trials
    }

    /// A number of which one value was found already.
    fn same_series(&self, index: usize) -> bool {
        let series = |index: usize| self.faults[index].number.as_ref().map(|number| number.series);
        series(index).is_some() && self.found.iter().any(|&found| series(found) == series(index))
    }

    /// Better guesses of the number that the best trial of each promising series has.
    fn refine(&mut self, trials: &mut Vec<Trial>, now: &Baseline, how: How, departure: Option<usize>) {
        if let Some(best) = self.accepted(trials, now, departure)
            && self.explained(&trials[best], departure)
        {
            return;
        }
        let mut seen = Vec::new();
        let mut order: Vec<usize> = (0..trials.len()).collect();
        order.sort_by(|&a, &b| trials[b].score.total_cmp(&trials[a].score));
        for at in order.into_iter().take(REFINED) {
            let Some(number) = self.faults[trials[at].faults[0]].number.clone() else { continue };
            let Some(make) = number.refine.filter(|_| trials[at].score > 0.0) else { continue };
            if seen.contains(&number.series) {
                continue;
            }
            seen.push(number.series);
            self.narrow(trials, at, make, now, (how, departure));
        }
        let topics = self.topics(departure);
        for at in 0..self.faults.len() {
            let fault = &self.faults[at];
            let Some(Number { series, right, refine: Some(make), .. }) = fault.number.clone() else { continue };
            if departure.is_some() && topics.contains(&fault.topic) && right != 0.0 && !seen.contains(&series) {
                seen.push(series);
                self.beside(trials, right, make, now, (how, departure));
            }
        }
    }

    /// Where every guess is further than what is right: a number near to that.
    fn beside(
        &mut self,
        trials: &mut Vec<Trial>,
        right: f64,
        make: fn(&Model, f64) -> Fault,
        now: &Baseline,
        (how, departure): (How, Option<usize>),
    ) {
        for guess in [right * 1.01, right / 1.01] {
            self.faults.push(make(self.model, guess));
            let Some(trial) = self.attempt(&[self.faults.len() - 1], now, how) else { continue };
            if trial.score > 0.0 {
                trials.push(trial);
                return self.narrow(trials, trials.len() - 1, make, now, (how, departure));
            }
        }
    }

    /// Steps outward and then inward from a guess, by ratios.
    fn narrow(
        &mut self,
        trials: &mut Vec<Trial>,
        from: usize,
        make: fn(&Model, f64) -> Fault,
        now: &Baseline,
        (how, departure): (How, Option<usize>),
    ) {
        let mut best = from;
        let mut ratio = 2.0f64;
        for _ in 0..MOST_STEPS {
            let Some(Number { guess, right, .. }) = self.faults[trials[best].faults[0]].number.clone() else { return };
            if guess == 0.0 || self.explained(&trials[best], departure) || ratio < 1.0005 {
                return;
            }
            let mut moved = false;
            for next in [guess * ratio, guess / ratio] {
                if (next / right - 1.0).abs() < 1e-4 {
                    continue;
                }
                self.faults.push(make(self.model, next));
                let Some(trial) = self.attempt(&[self.faults.len() - 1], now, how) else { continue };
                if trial.score > trials[best].score + 1e-3 {
                    trials.push(trial);
                    best = trials.len() - 1;
                    moved = true;
                    break;
                }
            }
            if !moved {
                ratio = ratio.sqrt();
            }
        }
    }

    /// Whether nothing departs that the trial reached, and nothing is left to explain where something did.
    fn explained(&self, trial: &Trial, departure: Option<usize>) -> bool {
        let near = |index: usize| trial.distances[index].is_none_or(|d| d < 3.0 * self.grains[index] + 1e-5);
        self.departure(&trial.distances).is_none() && self.equal(&trial.distances) && departure.is_none_or(near)
    }

    /// Whether all tensors are equal, as far as noise can tell; a few may be off by chance.
    fn equal(&self, distances: &Distances) -> bool {
        let all = distances.iter().flatten().count();
        let near = |(index, d): (usize, &Option<f64>)| d.is_some_and(|d| d < 3.0 * self.grains[index] + 1e-5);
        distances.iter().enumerate().filter(|&each| near(each)).count() * 20 >= all * 19
    }

    /// The best trial that explains the departure, or, where nothing departs, that halves a distance.
    fn accepted(&self, trials: &[Trial], now: &Baseline, departure: Option<usize>) -> Option<usize> {
        let explains = |trial: &Trial| match departure {
            Some(index) => {
                let (before, after) = (now.distances[index], trial.distances[index]);
                let later = self.departure(&trial.distances).is_none_or(|next| self.rank(next) > self.rank(index));
                later && trial.score > LEAST_GAIN && self.gained(before, after, index) > 0.3
            }
            None => trial.score > LEAST_SUBTLE && self.consistent(trial, now),
        };
        let candidates = trials.iter().enumerate().filter(|(_, trial)| explains(trial));
        candidates.max_by(|(_, a), (_, b)| a.score.total_cmp(&b.score)).map(|(index, _)| index)
    }

    fn gained(&self, before: Option<f64>, after: Option<f64>, index: usize) -> f64 {
        before.zip(after).map_or(0.0, |(b, a)| gain(b, a, self.grains[index]))
    }

    /// A subtle bug: some tensors are twice as near or more, or as near as can be, and hardly any is further.
    fn consistent(&self, trial: &Trial, now: &Baseline) -> bool {
        let gains: Vec<(usize, f64)> = (0..trial.distances.len())
            .map(|index| (index, self.gained(now.distances[index], trial.distances[index], index)))
            .filter(|(_, gain)| gain.abs() > 0.02)
            .collect();
        let better = gains.iter().filter(|(_, gain)| *gain > 0.0).count();
        let clear = |&(index, gain): &(usize, f64)| {
            let noise = trial.distances[index].is_some_and(|d| d < 1.3 * self.grains[index]);
            gain > LEAST_GAIN || (gain > 0.1 && noise)
        };
        gains.iter().any(clear) && better * 10 >= gains.len() * 9
    }

    /// Failing all else: what at least halves the first departure and helps on the whole, for another to explain the rest.
    fn partly(&self, trials: &[Trial], now: &Baseline, departure: Option<usize>) -> Option<usize> {
        let index = departure?;
        let halves = |trial: &Trial| {
            trial.faults.len() == 1
                && self.gained(now.distances[index], trial.distances[index], index) > 1.4
                && trial.score > 1.4
        };
        let candidates = trials.iter().enumerate().filter(|(_, trial)| halves(trial));
        candidates.max_by(|(_, a), (_, b)| a.score.total_cmp(&b.score)).map(|(index, _)| index)
    }

    fn rank(&self, index: usize) -> (usize, usize) {
        match self.evidence.tensors().get(index) {
            Some(seen) => crate::check::place(&seen.name, seen.layer),
            None => (usize::MAX, usize::MAX),
        }
    }

    /// Two bugs at once: the best ones with the next best, and bugs of one subject with each other.
    fn pairs(&mut self, now: &Baseline, departure: Option<usize>, singles: &[Trial]) -> Vec<Trial> {
        let how = self.how(departure);
        let order: Vec<usize> = singles.iter().map(|trial| trial.faults[0]).collect();
        let mut pairs: Vec<[usize; 2]> = Vec::new();
        for (i, &a) in order.iter().take(FIRSTS).enumerate() {
            pairs.extend(order.iter().take(SECONDS).skip(i + 1).map(|&b| [a, b]));
        }
        if departure.is_some() {
            let topics = self.topics(departure);
            let concerned: Vec<usize> =
                order.iter().copied().filter(|&f| topics.contains(&self.faults[f].topic)).take(24).collect();
            for (i, &a) in concerned.iter().enumerate() {
                pairs.extend(concerned[i + 1..].iter().map(|&b| [a, b]));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs.retain(|&[a, b]| !self.one_number(a, b));
        self.expected += pairs.len();
        let mut trials: Vec<Trial> = pairs.iter().filter_map(|pair| self.attempt(pair, now, how)).collect();
        trials.sort_by(|a, b| b.score.total_cmp(&a.score));
        trials
    }

    fn one_number(&self, a: usize, b: usize) -> bool {
        let series = |index: usize| self.faults[index].number.as_ref().map(|number| number.series);
        series(a).is_some() && series(a) == series(b)
    }

    /// What the bugs that can show at a departure are about; empty where there is none.
    fn topics(&self, departure: Option<usize>) -> BTreeSet<Topic> {
        match departure.map(|index| self.evidence.tensors().get(index)) {
            Some(Some(seen)) => crate::check::topics(self.model, self.evidence, &seen.name, seen.layer),
            Some(None) => crate::check::topics(self.model, self.evidence, "result_output", None),
            None => BTreeSet::new(),
        }
    }

    /// Keeps the best trial's bugs, and tells them with those that cannot be told from them.
    fn settle(&mut self, trials: &[Trial], best: usize, now: &Baseline, departure: Option<usize>) -> Finding {
        let trial = &trials[best];
        let near = |other: &&Trial| {
            let different = other.faults != trial.faults && other.faults.len() == trial.faults.len();
            let series = !self.one_number(other.faults[0], trial.faults[0]);
            different
                && series
                && other.score > trial.score - TIE.max(TIE * trial.score)
                && same(&other.distances, &trial.distances)
        };
        // Where nothing departs, the tensor that gains most shows it best.
        let gained = |&index: &usize| self.gained(now.distances[index], trial.distances[index], index);
        let most = (0..trial.distances.len()).max_by(|a, b| gained(a).total_cmp(&gained(b)));
        let shown = departure.or(most);
        let ties = trials.iter().filter(near).map(|other| self.names(&other.faults)).collect();
        self.found.extend(&trial.faults);
        let faults: Vec<&Fault> = trial.faults.iter().map(|&index| &self.faults[index]).collect();
        Finding {
            ids: self.names(&trial.faults),
            findings: faults.iter().map(|fault| fault.finding.clone()).collect(),
            references: faults.iter().map(|fault| fault.reference).collect(),
            number: faults[0].number.as_ref().map(|number| number.guess),
            tensor: self.label(shown),
            before: self.worst(&now.distances, shown),
            after: self.worst(&trial.distances, shown),
            nats: trial.score,
            partial: false,
            cannot_be_told_from: ties,
        }
    }

    fn names(&self, indices: &[usize]) -> Vec<String> {
        indices.iter().map(|&index| self.faults[index].id.clone()).collect()
    }

    fn label(&self, index: Option<usize>) -> String {
        match index.map(|index| self.evidence.tensors().get(index)) {
            Some(Some(seen)) => seen.label(),
            Some(None) => "generated tokens".into(),
            None => "all tensors".into(),
        }
    }

    /// The distance of the departing tensor; without one, the mean of all.
    fn worst(&self, distances: &Distances, departure: Option<usize>) -> f64 {
        match departure {
            Some(index) => distances[index].unwrap_or(f64::NAN),
            None => {
                let all: Vec<f64> = distances.iter().flatten().copied().collect();
                all.iter().sum::<f64>() / all.len().max(1) as f64
            }
        }
    }

    /// What was tried and does not explain, the nearest first, one of each series.
    fn ruled_out(&self, trials: &[Trial], best: Option<usize>, departure: Option<usize>) -> Vec<RuledOut> {
        let mut seen: Vec<String> = best.map(|best| self.names(&trials[best].faults)).unwrap_or_default();
        let mut out = Vec::new();
        for trial in trials.iter().filter(|trial| trial.faults.len() == 1) {
            let id = self.faults[trial.faults[0]].id.clone();
            if !seen.contains(&id) {
                let distance = self.worst(&trial.distances, departure);
                out.push(RuledOut { id: id.clone(), distance, nats: trial.score });
                seen.push(id);
            }
        }
        out
    }

    fn report(
        &self,
        innocent: &Baseline,
        now: &Baseline,
        findings: Vec<Finding>,
        ruled_out: Vec<RuledOut>,
    ) -> Diagnosis {
        let departure = self.departure(&now.distances).map(|index| Departure {
            tensor: self.label(Some(index)),
            distance: now.distances[index].unwrap_or(f64::NAN),
            explained_by_precision: self.limits[index],
            partly_right: crate::stale::look(self.model, self.evidence, index, self.suspect(now), self.setting),
        });
        let mut findings = findings;
        for finding in &mut findings {
            // What a later bug brought to an end is explained by both.
            finding.partial &= departure.as_ref().is_some_and(|departure| departure.tensor == finding.tensor);
        }
        let verdict = match (findings.first().is_none_or(|first| first.partial), &departure) {
            (false, _) => Verdict::Bug,
            (true, Some(_)) => Verdict::Unexplained,
            (true, None) => Verdict::NoBug,
        };
        let quantised =
            self.model.weights().matrices().iter().any(|w| w.format() != samebit_numerics::blocks::Format::F32);
        Diagnosis {
            verdict,
            precision: crate::report::precision(now.precision, quantised),
            exact_distance: self.worst(&innocent.exact, None),
            clean_distance: self.worst(&innocent.distances, None),
            distance: self.worst(&now.distances, None),
            findings,
            departure,
            ruled_out,
            tensors: self.evidence.tensors().len(),
            tokens: self.evidence.tokens.len(),
            passes: self.passes,
        }
    }
}

/// Steps of a refinement.
const MOST_STEPS: usize = 28;

/// Whether two passes are equally far everywhere.
fn same(a: &Distances, b: &Distances) -> bool {
    a.iter().zip(b).all(|(a, b)| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 0.05 * a.max(*b) + 1e-5,
        (a, b) => a.is_none() == b.is_none(),
    })
}
