//! Prints the measured error of every elementary function over all binary32 arguments (some minutes).
//!
//! `cargo run --release -p samebit-numerics --example accuracy [STEP [NAME]]` looks at every STEPth argument only.

#[path = "../tests/support/oracle.rs"]
mod oracle;

use oracle::{CASES, Case, Worst, measure};

fn main() {
    let mut args = std::env::args().skip(1);
    let step = args.next().and_then(|step| step.parse().ok()).unwrap_or(1);
    let name = args.next();
    println!("| function | largest error, ulp | at | below | largest absolute error there | at |");
    println!("|---|---|---|---|---|---|");
    for case in CASES.iter().filter(|case| name.as_ref().is_none_or(|name| name == case.name)) {
        let worst = measure_in_two(case, step);
        println!(
            "| {} | {:.4} | {:e} (0x{:08x}) | {} | {:.3e} | {:e} |",
            case.name,
            worst.ulps,
            worst.ulps_at,
            worst.ulps_at.to_bits(),
            case.tail,
            worst.absolute,
            worst.absolute_at
        );
    }
}

fn measure_in_two(case: &'static Case, step: usize) -> Worst {
    let negative = std::thread::spawn(move || measure(case, 1 << 31..1 << 32, step));
    let mut worst = measure(case, 0..1 << 31, step);
    // The thread only fails if a measured function panics, and that must be seen.
    worst.merge(negative.join().expect("a measured function panicked"));
    worst
}
