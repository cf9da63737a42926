//! Runs of programs that know llama-bench's flags and its JSON: another's, and our own beside it.

use super::plan::Test;
use crate::failure::Failure;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A program and what it is always told.
pub(super) struct Program {
    path: PathBuf,
    args: Vec<OsString>,
}

/// What is read of a result; the names are llama-bench's.
#[derive(Deserialize)]
struct Row {
    n_prompt: usize,
    n_gen: usize,
    avg_ts: f64,
}

impl Program {
    /// `path` may be a name to be looked for as the system looks for programs.
    pub(super) fn new(path: impl Into<PathBuf>, args: impl IntoIterator<Item = OsString>) -> Self {
        Self { path: path.into(), args: args.into_iter().collect() }
    }

    /// Its name without folders.
    pub(super) fn name(&self) -> String {
        self.path.file_stem().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// One repetition of a test: tokens per second.
    ///
    /// # Errors
    /// A program that cannot be started, that fails, or that does not print what was measured.
    pub(super) fn run(&self, model: &Path, test: &Test, threads: usize, ubatch: usize) -> Result<f64, Failure> {
        let output = self.output(
            Command::new(&self.path).args(&self.args).arg("-m").arg(model).args(flags(test, threads, ubatch)),
        )?;
        let place = self.path.display();
        if !output.status.success() {
            let last = last_line(&output.stderr).unwrap_or_else(|| "it says nothing on stderr".into());
            return Err(Failure::Input(format!("{place} failed ({}): {last}", output.status)));
        }
        let rows: Vec<Row> = serde_json::from_slice(&output.stdout).map_err(|error| {
            Failure::Input(format!("{place} does not print llama-bench's JSON ({error}): is it a llama-bench?"))
        })?;
        // The last: some versions also measure what was not asked for.
        let row = rows.iter().rev().find(|row| (row.n_prompt, row.n_gen) == (test.prompt, test.generated));
        match row {
            Some(row) if row.avg_ts > 0.0 => Ok(row.avg_ts),
            _ => Err(Failure::Input(format!("{place} printed no result of {}", test.name()))),
        }
    }

    /// Whether it is there at all.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.output(Command::new(&self.path).arg("--help")).map(drop)
    }

    fn output(&self, command: &mut Command) -> Result<Output, Failure> {
        command.stdin(Stdio::null()).output().map_err(|error| {
            Failure::Input(format!(
                "--against {}: {error}: give the path of a llama-bench program",
                self.path.display()
            ))
        })
    }
}

/// The test in flags that every llama-bench knows; a depth only where there is one, because older ones know none.
fn flags(test: &Test, threads: usize, ubatch: usize) -> Vec<String> {
    let (prompt, generated) = (test.prompt.to_string(), test.generated.to_string());
    let mixed = test.prompt > 0 && test.generated > 0;
    let (alone_prompt, alone_generated) = if mixed { ("0", "0") } else { (&*prompt, &*generated) };
    let mut flags = vec!["-p", alone_prompt, "-n", alone_generated];
    let (pair, depth) = (format!("{prompt},{generated}"), test.depth.to_string());
    if mixed {
        flags.extend(["-pg", &pair]);
    }
    if test.depth > 0 {
        flags.extend(["-d", &depth]);
    }
    let (threads, ubatch) = (threads.to_string(), ubatch.to_string());
    flags.extend(["-t", &threads, "-ub", &ubatch, "-r", "1", "-o", "json"]);
    flags.into_iter().map(String::from).collect()
}

fn last_line(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_become_flags() {
        let line = |prompt, generated, depth| flags(&Test { prompt, generated, depth }, 2, 512).join(" ");
        assert_eq!(line(7, 0, 0), "-p 7 -n 0 -t 2 -ub 512 -r 1 -o json");
        assert_eq!(line(0, 7, 9), "-p 0 -n 7 -d 9 -t 2 -ub 512 -r 1 -o json");
        assert_eq!(line(7, 8, 0), "-p 0 -n 0 -pg 7,8 -t 2 -ub 512 -r 1 -o json");
    }

    #[test]
    fn the_last_line_that_says_something() {
        assert_eq!(last_line(b"a\n  b \n\n").as_deref(), Some("b"));
        assert_eq!(last_line(b"\n"), None);
    }
}
