//! Checks a file of conformance vectors against what this machine computes, or writes it.
//!
//! Knows the command line; what the vectors are is the library's.

use std::path::Path;
use std::process::ExitCode;

use samebit_conform::{all, differences, operations, parse, render, summary};
use samebit_kernels::{Isa, Numerics, Table};

const USAGE: &str = "usage: samebit-conform FILE [--isa NAME] [--operations]
       samebit-conform FILE --bless
  --isa NAME     one instruction set; without it, every one that this machine has
  --operations   leave the whole models out
  --bless        write the file anew: what the reference computes";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((path, flags)) = args.split_first().filter(|(path, _)| !path.starts_with('-')) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let path = Path::new(path);
    let outcome = match flags.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => check(path, None, false),
        ["--operations"] => check(path, None, true),
        ["--isa", name] => check(path, Some(name), false),
        ["--isa", name, "--operations"] => check(path, Some(name), true),
        ["--bless"] => bless(path),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            eprintln!("samebit-conform: {message}");
            ExitCode::from(3)
        }
    }
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
