//! Checks a file of conformance vectors against what this machine computes, or writes it.
//!
//! Knows the command line; what the vectors are is the library's.

mod generate;

use std::path::Path;
use std::process::ExitCode;

use samebit_conform::{all, differences, operations, parse, render, summary};
use samebit_kernels::{Isa, Numerics, Table};

use generate::Question;

const USAGE: &str = "usage: samebit-conform FILE [--isa NAME] [--operations]
       samebit-conform FILE --bless
       samebit-conform --isas
       samebit-conform --generate MODEL IDS N [SEED]
  --isa NAME     one instruction set; without it, every one that this machine has
  --operations   leave the whole models out
  --bless        write the file anew: what the reference computes
  --isas         the instruction sets that this machine has, slowest first
  --generate     N tokens after the prompt IDS (1,2,3), greedy or sampled by SEED, and the digest of their logits";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Some(Ok(true)) => ExitCode::SUCCESS,
        Some(Ok(false)) => ExitCode::from(1),
        Some(Err(message)) => {
            eprintln!("samebit-conform: {message}");
            ExitCode::from(3)
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What the words ask for; none if they say nothing.
fn run(args: &[&str]) -> Option<Result<bool, String>> {
    match *args {
        ["--isas"] => {
            Isa::supported().for_each(|isa| println!("{isa}"));
            Some(Ok(true))
        }
        ["--generate", model, ids, count] => generate(Question::parse(model, ids, count, None)?),
        ["--generate", model, ids, count, seed] => generate(Question::parse(model, ids, count, Some(seed))?),
        [file, ..] if file.starts_with('-') => None,
        [file] => Some(check(Path::new(file), None, false)),
        [file, "--operations"] => Some(check(Path::new(file), None, true)),
        [file, "--isa", name] => Some(check(Path::new(file), Some(name), false)),
        [file, "--isa", name, "--operations"] => Some(check(Path::new(file), Some(name), true)),
        [file, "--bless"] => Some(bless(Path::new(file))),
        _ => None,
    }
}

fn generate(question: Question<'_>) -> Option<Result<bool, String>> {
    Some(question.answer().map(|line| {
        println!("{line}");
        true
    }))
}

/// What the instruction set of this name (none: every one of this machine) computes, against the file.
fn check(path: &Path, isa: Option<&str>, operations_alone: bool) -> Result<bool, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut expected = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    expected.retain(|vector| !operations_alone || !vector.is_model());
    let isas = match isa {
        Some(name) => vec![Isa::parse(name).map_err(|error| error.to_string())?],
        None => Isa::supported().collect(),
    };
    let mut same = true;
    for isa in isas {
        let found = match operations_alone {
            true => operations(&Table::single(isa, Numerics::V1)),
            false => all(isa).map_err(|error| error.to_string())?,
        };
        let differences = differences(&expected, &found);
        for difference in &differences {
            println!("{isa}: {} is not as in {}", difference.name, path.display());
        }
        println!(
            "{isa}: {} of {} vectors differ, digest {}",
            differences.len(),
            expected.len(),
            summary(&found).to_hex()
        );
        same &= differences.is_empty();
    }
    Ok(same)
}

/// Writes what the reference computes.
fn bless(path: &Path) -> Result<bool, String> {
    let vectors = all(Isa::Reference).map_err(|error| error.to_string())?;
    std::fs::write(path, render(&vectors)).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    println!("{}: {} vectors", path.display(), vectors.len());
    Ok(true)
}
