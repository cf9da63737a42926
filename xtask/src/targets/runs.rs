//! Programs under emulators: as many at a time as there are cores, and whether each said what it must.

use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// One program on one machine.
pub(super) struct Run {
    name: String,
    command: Command,
    best: &'static str,
}

impl Run {
    /// A program that must exit with 0 and whose last line must begin with the instruction set `best` and a colon.
    pub(super) fn new(name: String, command: Command, best: &'static str) -> Self {
        Self { name, command, best }
    }
}

/// Runs all and prints each one's output when it ends; how many failed.
pub(super) fn all(runs: Vec<Run>) -> usize {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(runs.len());
    let runs = Mutex::new(runs.into_iter());
    let failed = AtomicUsize::new(0);
    // A thread that panicked while it held the lock left the iterator whole.
    let next = || runs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(run) = next() {
                    failed.fetch_add(usize::from(!one(run)), Ordering::Relaxed);
                }
            });
        }
    });
    failed.into_inner()
}

fn one(mut run: Run) -> bool {
    let started = Instant::now();
    let answer = match run.command.output() {
        Err(error) => Err(format!("cannot start {:?}: {error}", run.command.get_program())),
        Ok(output) => judge(&output, run.best),
    };
    let (verdict, text) = match &answer {
        Ok(text) => ("right", text),
        Err(text) => ("WRONG", text),
    };
    let lines: String = text.lines().map(|line| format!("\n    {line}")).collect();
    println!("{}: {verdict} ({:.0}s){lines}", run.name, started.elapsed().as_secs_f64());
    answer.is_ok()
}

/// What the program said, as an error if it failed or chose another instruction set than it must.
fn judge(output: &Output, best: &str) -> Result<String, String> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("{said}{}{}", String::from_utf8_lossy(&output.stderr), output.status));
    }
    let chosen = said.lines().last().and_then(|line| line.split(':').next());
    match chosen {
        Some(chosen) if chosen == best => Ok(said),
        _ => Err(format!("{said}chose another instruction set than {best}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, best: &'static str) -> Run {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Run { name: "test".to_owned(), command, best }
    }

    #[test]
    fn failures_and_silent_fallbacks_are_counted() {
        let right = || shell("echo reference: 0; echo neon: 0", "neon");
        assert_eq!(all(vec![right(), right(), shell("echo wasm: 0", "wasm")]), 0);
        assert_eq!(all(vec![right(), shell("echo neon: 0; exit 1", "neon")]), 1);
        assert_eq!(all(vec![shell("echo reference: 0", "neon"), shell("true", "neon")]), 2);
        assert_eq!(all(vec![Run { command: Command::new("no-such-emulator"), ..right() }]), 1);
    }
}
