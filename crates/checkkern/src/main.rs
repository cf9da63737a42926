//! Checks every function of every instruction set against the reference, bit for bit, on random and adversarial inputs.
//!
//! Knows the kernels' table and the numerics; nothing of models.

mod args;
mod bench;
mod control;
mod fill;
mod functions;
mod guarded;
mod outcome;
mod random;
mod weights;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use samebit_kernels::{Isa, Numerics, Pool, Table, float_env};

use args::{Args, Mode};
use functions::{Function, Subject};
use random::Random;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(problem) => {
            eprintln!("checkkern: {problem}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let seed = args.seed.unwrap_or_else(clock);
    println!("seed {seed}");
    let same = match args.mode {
        Mode::Check => check(&args, seed),
        Mode::Bench => bench::run(&args, seed),
        Mode::Control => control::run(seed),
    };
    if same { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// A seed that no earlier run had.
fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}

/// The instruction sets that are asked for.
fn isas(args: &Args) -> Vec<Isa> {
    args.isa.map_or_else(|| Isa::supported().collect(), |isa| vec![isa])
}

/// Pools that cases choose from.
fn pools() -> Vec<Pool> {
    [1, 2, 3].map(Pool::new).into()
}

/// Every function of every instruction set; whether all are the reference's.
fn check(args: &Args, seed: u64) -> bool {
    let runs = args.runs.unwrap_or(300);
    let pools = pools();
    let mut all_same = true;
    for isa in isas(args) {
        let reference = Table::single(Isa::Reference, Numerics::V1);
        let subject = Subject { table: Table::single(isa, Numerics::V1), reference, pools: &pools };
        let chosen = |function: &&Function| function.name.contains(&args.function) && (function.is_in)(&subject.table);
        let (mut count, mut wrong) = (0, 0);
        for function in functions::ALL.iter().filter(chosen) {
            count += 1;
            if let Some((run, failure)) = first_failure(function, &subject, seed, runs) {
                println!("{isa} {} seed {seed} run {run}: {failure}", function.name);
                wrong += 1;
            }
        }
        println!("{isa}: {wrong} of {count} functions differ in {runs} cases each");
        all_same &= wrong == 0;
    }
    all_same
}

/// The first case in which a function is not the reference's, and how.
fn first_failure(function: &Function, subject: &Subject<'_>, seed: u64, runs: u32) -> Option<(u32, String)> {
    (0..runs).find_map(|run| {
        let mut random = Random::new(seed, function.name, run);
        let case = || float_env::with_default(|| (function.check)(subject, &mut random));
        match std::panic::catch_unwind(AssertUnwindSafe(case)) {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some((run, failure.to_string())),
            Err(_) => Some((run, "it panicked".to_owned())),
        }
    })
}
