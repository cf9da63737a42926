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

/// A text as a terminal may have it, which obeys control characters: the pictures of those in a model's text are shown.
pub(crate) fn pictured(text: &str) -> String {
    let shown = |character| match character {
        '\t' | '\n' => character,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(character)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
        _ => character,
    };
    text.chars().map(shown).collect()
}

/// Writes a piece of a text: on a terminal with pictures of control characters, elsewhere as it is.
pub(crate) fn write_piece(text: &str) -> Result<(), Failure> {
    if std::io::stdout().is_terminal() { write(pictured(text).as_bytes()) } else { write(text.as_bytes()) }
}

/// Writes a text; on a terminal with pictures of control characters, and it ends with a line break, so that the prompt does not stick to it.
pub(crate) fn write_text(bytes: &[u8]) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return write(bytes);
    }
    let end = if bytes.ends_with(b"\n") { "" } else { "\n" };
    write((pictured(&String::from_utf8_lossy(bytes)) + end).as_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_order_reaches_a_terminal() {
        assert_eq!(pictured("a\x1b[31m\n\tb\r\x7f\u{9b}日"), "a␛[31m\n\tb␍␡\u{fffd}日");
    }
}
