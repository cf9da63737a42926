//! Prints the measured error of every elementary function over all binary32 arguments (half an hour of one core; all cores are used).
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
        let worst = measure_in_parallel(case, step);
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

fn measure_in_parallel(case: &'static Case, step: usize) -> Worst {
    const PIECES: u64 = 256;
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let next = std::sync::atomic::AtomicU64::new(0);
    let work = || {
        let mut worst = Worst::default();
        loop {
            let piece = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if piece >= PIECES {
                return worst;
            }
            let width = (1 << 32) / PIECES;
            worst.merge(measure(case, piece * width..(piece + 1) * width, step));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut worst = Worst::default();
        for thread in threads {
            // A thread only fails if a measured function panics, and that must be seen.
            worst.merge(thread.join().expect("a measured function panicked"));
        }
        worst
    })
}
