//! Standard output: the answer and nothing but the answer, written through as it comes.
//!
//! Knows nothing of what is written. `println!` panics when the reader has gone; these functions return.

use crate::failure::Failure;
use std::io::{IsTerminal, Write};

/// Writes bytes as they are and flushes.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| Failure::stdout(&error))
}

/// Writes a text; on a terminal it ends with a line break, so that the prompt does not stick to it.
pub(crate) fn write_text(bytes: &[u8]) -> Result<(), Failure> {
    write(bytes)?;
    if std::io::stdout().is_terminal() && !bytes.ends_with(b"\n") {
        write(b"\n")?;
    }
    Ok(())
}

/// Writes one JSON value on one line.
pub(crate) fn write_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut line =
        serde_json::to_vec(value).map_err(|error| Failure::Input(format!("cannot write the record: {error}")))?;
    line.push(b'\n');
    write(&line)
}

/// A line on stderr, unless told to be quiet.
pub(crate) fn note(quiet: bool, line: &str) {
    if !quiet {
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(std::io::stderr(), "samebit: {line}");
    }
}
