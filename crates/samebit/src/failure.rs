//! How a command ends when it does not end well: one line on stderr and an exit code.
//!
//! Knows nothing of commands. 0 is success; the codes here are the design's: 1 the answer is no, 2 usage, 3 bad input.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line asks for something that makes no sense. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A file, model or prompt is no good. Exit code 3.
    #[error("{0}")]
    Input(String),
    /// Ctrl-C; what was finished has been written. Exit code 130, as a shell reports SIGINT.
    #[error("cancelled")]
    Cancelled,
    /// The answer is no, and has been given: nothing went wrong. Exit code 1, and silence.
    #[error("the answer is no")]
    No,
    /// Whoever read stdout has gone (`samebit … | head`): nothing is wrong. Exit code 0, and silence.
    #[error("standard output was closed")]
    Closed,
}

impl Failure {
    /// Bad input at a place, as in `model.gguf: not a GGUF file`.
    pub(crate) fn at(path: &Path, what: impl Display) -> Self {
        let (place, what) = (path.display().to_string(), what.to_string());
        // Errors of a file's own layers name it already.
        let named = what.strip_prefix(&place).is_some_and(|rest| rest.starts_with(':'));
        Self::Input(if named { what } else { format!("{place}: {what}") })
    }

    /// Standard output cannot be written.
    pub(crate) fn stdout(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Input(format!("standard output: {error}"))
        }
    }

    /// Says it on stderr, on one line, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let code = match self {
            Self::Usage(_) => 2,
            Self::Input(_) => 3,
            Self::Cancelled => 130,
            Self::No => return ExitCode::from(1),
            Self::Closed => return ExitCode::SUCCESS,
        };
        let line = self.to_string();
        let line: Vec<&str> = line.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let line = presentable(&line.join("; "));
        // Nobody is left to tell if stderr is closed too.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("samebit: {line}\n"));
        ExitCode::from(code)
    }
}

/// What a file or a user gave may be in the line: no control characters reach the terminal, and no novel.
fn presentable(line: &str) -> String {
    const MOST: usize = 1000;
    let mut out: String =
        line.chars().take(MOST).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if line.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_presentable() {
        assert_eq!(presentable("a\u{1b}[31mb"), "a\u{fffd}[31mb");
        assert_eq!(presentable(&"x".repeat(5000)).chars().count(), 1001);
    }

    #[test]
    fn a_file_is_named_once() {
        let path = Path::new("m.gguf");
        assert_eq!(Failure::at(path, "m.gguf: bad").to_string(), "m.gguf: bad");
        assert_eq!(Failure::at(path, "bad").to_string(), "m.gguf: bad");
    }
}
