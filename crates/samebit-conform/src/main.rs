//! Checks a file of conformance vectors against what this machine computes, or writes it: `samebit-conform FILE [--bless]`.

use std::path::Path;
use std::process::ExitCode;

use samebit_conform::{all, differences, parse, render, summary};
use samebit_kernels::Isa;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [path] => check(Path::new(path)),
        [path, "--bless"] => bless(Path::new(path)),
        _ => {
            eprintln!("usage: samebit-conform FILE [--bless]");
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

/// Every instruction set of this machine against the file.
fn check(path: &Path) -> Result<bool, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let expected = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut same = true;
    for isa in Isa::supported() {
        let found = all(isa).map_err(|error| error.to_string())?;
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
