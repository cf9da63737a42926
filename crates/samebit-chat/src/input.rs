//! What a person types, as lines; `editor` is for terminals that can do more.
//!
//! Knows keys and lines; nothing of what they mean but where a message ends.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::time::Duration;

use crate::command;
use crate::terminal::{Hush, Meanwhile, typed};

/// What came of waiting for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A text, complete.
    Text(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or the end of the input.
    End,
}

/// Where messages come from.
pub trait Input {
    /// Waits for a message; `begin` is there already, to be changed.
    ///
    /// # Errors
    /// The terminal cannot be read.
    fn read(&mut self, begin: &str) -> std::io::Result<Typed>;

    /// Whether to remember from here on what is typed.
    fn remember(&mut self, wanted: bool);

    /// Shows nothing of what is typed until it is dropped.
    fn hush(&self) -> Option<Hush> {
        None
    }
}

/// A longer message is none.
pub(crate) const LONGEST: u64 = 32 << 20;
/// What stands before a message, and before its further lines.
pub(crate) const PROMPT: &str = ">>> ";
pub(crate) const MORE: &str = "... ";
/// How often to look whether Ctrl-C was pressed.
const LOOK: Duration = Duration::from_millis(100);

/// Lines as they come, without editing.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    /// Whether a person is to be shown where to type.
    shown: bool,
    /// Whether Ctrl-C was pressed since this was last asked; the terminal has dropped the line then.
    interrupted: Option<fn() -> bool>,
}

impl<R: BufRead> Lines<R> {
    /// Reads from `reader`, and shows the prompt on standard output if a person looks.
    pub fn new(reader: R) -> Self {
        Self { reader, shown: std::io::stdout().is_terminal(), interrupted: None }
    }

    /// For a person on the terminal that standard input is: `interrupted` tells whether Ctrl-C was pressed since it was last asked.
    #[must_use]
    pub fn heeding(mut self, interrupted: fn() -> bool) -> Self {
        self.interrupted = Some(interrupted);
        self
    }

    /// Waits for a line; false if Ctrl-C comes first. A terminal gives whole lines, so that none of it is in the reader already.
    fn wait(&self) -> bool {
        let Some(interrupted) = self.interrupted else { return true };
        loop {
            if interrupted() {
                return false;
            }
            if typed(LOOK) {
                return true;
            }
        }
    }

    fn show(&self, prompt: &str) -> std::io::Result<()> {
        if !self.shown {
            return Ok(());
        }
        let mut out = std::io::stdout();
        out.write_all(prompt.as_bytes())?;
        out.flush()
    }
}

impl<R: BufRead> Input for Lines<R> {
    fn read(&mut self, begin: &str) -> std::io::Result<Typed> {
        let mut text = begin.to_owned();
        self.show(PROMPT)?;
        loop {
            let before = text.len();
            if !self.wait() {
                self.show("\n")?;
                return Ok(Typed::Interrupt);
            }
            let mut line = Vec::new();
            if self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                return Ok(if text.is_empty() { Typed::End } else { Typed::Text(text) });
            }
            let line = String::from_utf8_lossy(&line);
            text.push_str(line.strip_suffix('\n').map_or(&*line, |line| line.strip_suffix('\r').unwrap_or(line)));
            if !command::is_open(&text) || text.len() as u64 > LONGEST {
                return Ok(Typed::Text(text));
            }
            // The `\` of the line that has just come; within quotes it is a part of the message.
            if !command::is_quoted(&text) && text.len() > before {
                text.pop();
            }
            text.push('\n');
            self.show(MORE)?;
        }
    }

    fn remember(&mut self, _: bool) {}

    fn hush(&self) -> Option<Hush> {
        self.interrupted.and_then(|_| Hush::begin(Meanwhile::Goes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Typed> {
        let mut lines = Lines { reader: text.as_bytes(), shown: false, interrupted: None };
        let mut all = Vec::new();
        loop {
            let typed = lines.read("").expect("read");
            all.push(typed.clone());
            if typed == Typed::End {
                return all;
            }
        }
    }

    #[test]
    fn lines_go_on_after_backslashes_and_within_quotes() {
        let text = |text: &str| Typed::Text(text.into());
        assert_eq!(all("a\r\nb \\\nc\\\nd\n"), [text("a"), text("b \nc\nd"), Typed::End]);
        assert_eq!(all("\"\"\"a \\\n\nb\"\"\"\nc"), [text("\"\"\"a \\\n\nb\"\"\""), text("c"), Typed::End]);
        assert_eq!(all("a\\"), [text("a\n"), Typed::End]);
    }

    #[test]
    fn ctrl_c_is_heard_before_a_line_is_waited_for() {
        let mut lines = Lines { reader: "never read".as_bytes(), shown: false, interrupted: Some(|| true) };
        assert_eq!(lines.read("").expect("read"), Typed::Interrupt);
    }
}
