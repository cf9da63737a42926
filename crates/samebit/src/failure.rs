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
    /// Whoever read stdout has gone (`samebit … | head`): nothing is wrong. Exit code 0, and silence.
    #[error("standard output was closed")]
    Closed,
}

impl Failure {
    /// Bad input at a place, as in `model.gguf: not a GGUF file`.
    pub(crate) fn at(path: &Path, what: impl Display) -> Self {
        Self::Input(format!("{}: {what}", path.display()))
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
            Self::Closed => return ExitCode::SUCCESS,
        };
        let line = self.to_string();
        let line: Vec<&str> = line.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        // Nobody is left to tell if stderr is closed too.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("samebit: {}\n", line.join("; ")));
        ExitCode::from(code)
    }
}
