//! Measures models in modes, prompt by prompt, short prompts first, and prints a table as soon as it is complete.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;

use crate::golden::{CONTINUATION, Case, Golden};
use crate::mode::{self, Mode, REFERENCE};
use crate::stats::{Distance, Summary, first_difference};
use crate::store::{Measured, Store};
use crate::subject::{Machine, Opened};
use crate::table::{self, AgainstGolden, AgainstReference};
use crate::{Common, Pair};

/// Options of `logits`.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Modes to measure besides f32; again for several
    #[arg(long = "mode", value_parser = mode::parse, default_values = ["v1", "a8", "f64"])]
    modes: Vec<Mode>,
    /// Only prompts of these names
    #[arg(long)]
    case: Vec<String>,
    /// Only prompts of at most this many tokens
    #[arg(long)]
    max_prompt: Option<usize>,
    /// Compare the last N positions of prompts of 2 to 100 tokens, and of the others the last
    #[arg(long, value_name = "N", default_value_t = 12)]
    positions: usize,
    /// Where measurements are kept; one of another build's bits is found out by its shortest prompt and redone
    #[arg(long, default_value = "target/accuracy")]
    cache: PathBuf,
    /// Measure everything anew
    #[arg(long)]
    fresh: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let pairs = options.common.pairs("exact_f32")?;
    let (mut golden_lines, mut mode_lines) = (Vec::new(), Vec::new());
    for pair in &pairs {
        let golden = Golden::read(&pair.golden)?;
        let cases = options.cases(&golden);
        ensure!(!cases.is_empty(), "{}: no case is left to measure", pair.golden.display());
        let opened = Opened::open(&pair.model, golden.ends())?;
        let study = Study { options, pair, opened, cases };

        let reference = study.measure(REFERENCE)?;
        let lines = study.against_golden(&reference);
        print(&table::cases(&pair.name, &lines))?;
        golden_lines.push((pair.name.clone(), lines));
        for &mode in options.modes.iter().filter(|&&mode| mode != REFERENCE) {
            let measured = study.measure(mode)?;
            let line = study.against_reference(mode, &reference, &measured);
            print(&table::modes(std::slice::from_ref(&line)))?;
            mode_lines.push(line);
        }
    }
    print(&table::golden(&golden_lines))?;
    print(&table::modes(&mode_lines))
}

/// A reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

impl Options {
    /// The chosen cases, short prompts first.
    fn cases(&self, golden: &Golden) -> Vec<Case> {
        let chosen = |case: &&Case| {
            (self.case.is_empty() || self.case.contains(&case.name))
                && self.max_prompt.is_none_or(|most| case.ids.len() <= most)
        };
        let mut cases: Vec<Case> = golden.cases.iter().filter(chosen).cloned().collect();
        cases.sort_by_key(|case| case.ids.len());
        cases
    }

    /// The positions of a prompt that are compared.
    fn compared(&self, case: &Case) -> std::ops::Range<usize> {
        let length = case.ids.len();
        let count = if (2..=100).contains(&length) { self.positions.clamp(1, length) } else { 1 };
        length - count..length
    }
}

/// One model under study.
struct Study<'a> {
    options: &'a Options,
    pair: &'a Pair,
    opened: Opened,
    cases: Vec<Case>,
}

impl Study<'_> {
    /// All cases in one mode, from the store where it has them.
    fn measure(&self, mode: Mode) -> Result<Vec<Measured>> {
        let store = Store::new(&self.options.cache, &self.pair.name, mode.name);
        if self.options.fresh || !self.still_true(&store, mode)? {
            store.clear()?;
        }
        let mut all = Vec::new();
        for case in &self.cases {
            let positions: Vec<usize> = self.options.compared(case).collect();
            let kept = store.load(&case.name).filter(|kept| kept.positions == positions);
            let measured = match kept {
                Some(measured) => measured,
                None => {
                    let measured = self.one(mode, case)?;
                    store.save(&case.name, &measured)?;
                    measured
                }
            };
            self.progress(mode, case, &measured);
            all.push(measured);
        }
        Ok(all)
    }

    /// Whether the stored measurement of the shortest prompt has the bits of this build.
    fn still_true(&self, store: &Store, mode: Mode) -> Result<bool> {
        let Some((case, stored)) = self.cases.iter().find_map(|case| Some((case, store.load(&case.name)?))) else {
            return Ok(true);
        };
        let last = case.ids.len() - 1;
        let machine = self.options.common.machine()?;
        let (rows, _) = self.opened.answer(mode, machine, &case.ids, last, (&[], 0))?;
        let bits = |row: &[f32]| row.iter().map(|logit| logit.to_bits()).collect::<Vec<_>>();
        let same = rows.iter().all(|row| bits(row) == bits(stored.last_row()));
        if !same {
            eprintln!("{} {}: kept measurements have other bits; redoing them", self.pair.name, mode.name);
        }
        Ok(same)
    }

    fn one(&self, mode: Mode, case: &Case) -> Result<Measured> {
        let started = Instant::now();
        let positions: Vec<usize> = self.options.compared(case).collect();
        let first = positions.first().copied().unwrap_or(0);
        let machine: Machine = self.options.common.machine()?;
        let expected = (&case.greedy_ids[..], CONTINUATION);
        let (rows, continuation) = self.opened.answer(mode, machine, &case.ids, first, expected)?;
        Ok(Measured {
            vocab: rows.first().map_or(0, Vec::len),
            prompt: case.ids.len(),
            positions,
            greedy: continuation.tokens,
            margin: continuation.margin,
            seconds: started.elapsed().as_secs_f64(),
            rows,
        })
    }

    fn progress(&self, mode: Mode, case: &Case, measured: &Measured) {
        let same = match first_difference(&measured.greedy, &case.greedy_ids) {
            None => "continuation as golden".to_owned(),
            Some(step) => format!("continuation leaves the golden one at {step}"),
        };
        let delta = top_difference(case, measured.last_row());
        eprintln!(
            "{} {} {}: {} tokens, {:.1} s, top-20 within {delta:.1e}, {same}",
            self.pair.name, mode.name, case.name, measured.prompt, measured.seconds
        );
    }

    fn against_golden(&self, measured: &[Measured]) -> Vec<AgainstGolden> {
        let line = |(case, measured): (&Case, &Measured)| AgainstGolden {
            case: case.name.clone(),
            prompt: case.ids.len(),
            top: top_difference(case, measured.last_row()),
            continuation: case.greedy_ids.len(),
            differs_at: first_difference(&measured.greedy, &case.greedy_ids),
            margin: measured.margin,
        };
        self.cases.iter().zip(measured).map(line).collect()
    }

    fn against_reference(&self, mode: Mode, from: &[Measured], of: &[Measured]) -> AgainstReference {
        let (mut last, mut forced) = (Vec::new(), Vec::new());
        let (mut same, mut same_golden) = (0, 0);
        for ((case, from), of) in self.cases.iter().zip(from).zip(of) {
            last.push(Distance::between(from.last_row(), of.last_row()));
            if (2..=100).contains(&case.ids.len()) {
                let rows = from.rows.iter().zip(&of.rows);
                forced.extend(rows.map(|(from, of)| Distance::between(from, of)));
            }
            same += usize::from(from.greedy == of.greedy);
            same_golden += usize::from(case.greedy_ids == of.greedy);
        }
        AgainstReference {
            model: self.pair.name.clone(),
            mode: mode.name,
            cases: self.cases.len(),
            last: Summary::of(&last),
            forced: Summary::of(&forced),
            same,
            same_golden,
        }
    }
}

/// The largest difference between a golden top logit and ours of the same token.
fn top_difference(case: &Case, row: &[f32]) -> f64 {
    let difference = |&(id, logit): &(u32, f32)| match row.get(id as usize) {
        Some(&ours) => (f64::from(logit) - f64::from(ours)).abs(),
        None => f64::INFINITY,
    };
    case.top20.iter().map(difference).fold(0.0, f64::max)
}

/// Where the models of this name lie.
pub(crate) fn model_path(models: &Path, name: &str) -> PathBuf {
    models.join(format!("{name}.gguf"))
}
