//! A program in a pseudo-terminal, and the screen that it draws.
//!
//! Knows bytes and the grid of a screen; nothing of what is played. Where in the stream of bytes a thing has come to
//! pass is found byte by byte, so that it is the same place however the stream was cut.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use vt100::{Callbacks, Parser, Screen};

/// Waits this long for anything: a slow machine under load is not a wrong one.
const PATIENCE: Duration = Duration::from_secs(180);

/// A screen, and the program that draws on it if one runs.
pub(crate) struct Terminal {
    parser: Parser<Replies>,
    columns: NonZeroU16,
    rows: NonZeroU16,
    program: Option<Program>,
}

struct Program {
    child: Child,
    pty: Arc<Pty>,
    chunks: Receiver<Vec<u8>>,
    /// What has come and was not looked at.
    waiting: VecDeque<u8>,
}

/// What the terminal answers by itself: where its cursor is.
#[derive(Default)]
struct Replies(Vec<u8>);

impl Callbacks for Replies {
    fn unhandled_csi(&mut self, screen: &mut Screen, i1: Option<u8>, _: Option<u8>, params: &[&[u16]], c: char) {
        if c == 'n' && i1.is_none() && params == [&[6][..]] {
            let (row, column) = screen.cursor_position();
            self.0.extend(format!("\x1b[{};{}R", row + 1, column + 1).into_bytes());
        }
    }
}

impl Terminal {
    /// An empty screen.
    pub(crate) fn new(columns: NonZeroU16, rows: NonZeroU16) -> Self {
        Self { parser: Parser::new_with_callbacks(rows, columns, 0, Replies::default()), columns, rows, program: None }
    }

    /// What is to be seen.
    pub(crate) fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    /// Draws, as a program would.
    pub(crate) fn draw(&mut self, text: &str) {
        self.parser.process(text.as_bytes());
    }

    /// Starts `sh -c line` in `folder`, with these variables of the environment and no others.
    pub(crate) fn start(&mut self, line: &str, folder: &Path, environment: &[(&str, OsString)]) -> Result<()> {
        let (pty, pts) = open().context("cannot open a pseudo-terminal")?;
        pty.resize(Size::new(self.rows.get(), self.columns.get())).context("cannot set a pseudo-terminal's size")?;
        let command = Command::new("sh").arg("-c").arg(line).current_dir(folder);
        let command = command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        let child = command.spawn(pts).context("cannot start sh")?;
        let pty = Arc::new(pty);
        let (sender, chunks) = sync_channel(64);
        let reader = Arc::clone(&pty);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // An error is how the end of the program shows on some systems.
            while let Ok(count @ 1..) = (&*reader).read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        self.program = Some(Program { child, pty, chunks, waiting: VecDeque::new() });
        Ok(())
    }

    /// Sends what a key sends.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let program = self.program.as_ref().context("no program runs")?;
        (&*program.pty).write_all(bytes).context("the program reads no more")
    }

    /// Until the cursor stands, and is to be seen, at the end of a line that is `line`, after it was not so; `seen` is called
    /// after each byte.
    ///
    /// # Errors
    /// It does not come to pass, or the program ends before.
    pub(crate) fn until(&mut self, line: &str, mut seen: impl FnMut(u8, &Screen)) -> Result<()> {
        // Whoever presses a key that changes nothing waits for what is there already.
        let mut was_other = !self.at(line);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.byte(deadline)? {
                None if Instant::now() >= deadline => {
                    bail!("waited {} s for `{line}`; there is `{}`", PATIENCE.as_secs(), self.line())
                }
                None => bail!("the program ended; `{line}` was waited for, and there is `{}`", self.line()),
                Some(byte) => seen(byte, self.parser.screen()),
            }
            was_other |= !self.at(line);
            if was_other && self.at(line) {
                return Ok(());
            }
        }
    }

    /// Until the program has ended.
    ///
    /// # Errors
    /// It does not, or says that it failed.
    pub(crate) fn end(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.byte(deadline)?.is_some() {}
        let mut program = self.program.take().context("no program runs")?;
        if Instant::now() >= deadline {
            bail!("waited {} s for the program's end; there is `{}`", PATIENCE.as_secs(), self.line());
        }
        let status = program.child.wait().context("cannot wait for the program")?;
        if !status.success() {
            bail!("the program failed ({status}); there is `{}`", self.line());
        }
        Ok(())
    }

    /// The next byte of the program's, drawn; none at its end, or at the deadline.
    fn byte(&mut self, deadline: Instant) -> Result<Option<u8>> {
        let program = self.program.as_mut().context("no program runs")?;
        if program.waiting.is_empty() {
            match program.chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => program.waiting.extend(chunk),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
        let Some(byte) = program.waiting.pop_front() else { return Ok(None) };
        self.parser.process(&[byte]);
        let replies = std::mem::take(&mut self.parser.callbacks_mut().0);
        if !replies.is_empty() {
            self.send(&replies)?;
        }
        Ok(Some(byte))
    }

    fn at(&self, line: &str) -> bool {
        !self.screen().hide_cursor() && self.line() == line
    }

    /// The line that the cursor is in, up to it.
    fn line(&self) -> String {
        let (row, column) = self.screen().cursor_position();
        text(self.screen(), row, column)
    }
}

/// A row of the screen up to a column.
pub(crate) fn text(screen: &Screen, row: u16, columns: u16) -> String {
    let mut text = String::new();
    for cell in (0..columns).filter_map(|column| screen.cell(row, column)) {
        match cell.contents() {
            _ if cell.is_wide_continuation() => {}
            "" => text.push(' '),
            contents => text.push_str(contents),
        }
    }
    text
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended; one that was broken off must not go on.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal() -> Terminal {
        let size = |size| NonZeroU16::new(size).unwrap();
        Terminal::new(size(40), size(10))
    }

    fn start(line: &str) -> Terminal {
        let mut terminal = terminal();
        let environment = [("PATH", std::env::var_os("PATH").unwrap())];
        terminal.start(line, Path::new("/"), &environment).unwrap();
        terminal
    }

    #[test]
    fn what_a_program_says_is_waited_for_and_what_it_is_told_arrives() {
        let mut terminal = start("printf 'name? '; read x; echo hello $x, on $(stty size); printf 'name? '; read y");
        terminal.until("name? ", |_, _| {}).unwrap();
        terminal.send(b"me").unwrap();
        terminal.until("name? me", |_, _| {}).unwrap();
        terminal.send(b"\r").unwrap();
        let mut bytes = 0;
        terminal.until("name? ", |_, _| bytes += 1).unwrap();
        assert_eq!(text(terminal.screen(), 1, 40).trim_end(), "hello me, on 10 40");
        assert_eq!(bytes, "\r\nhello me, on 10 40\r\nname? ".len());
        terminal.send(b"\x04").unwrap();
        assert!(terminal.end().unwrap_err().to_string().starts_with("the program failed"));
    }

    #[test]
    fn the_place_of_the_cursor_is_told() {
        let mut terminal = terminal();
        terminal.draw("ab\r\ncd\x1b[6n\x1b[?6n\x1b[5n");
        assert_eq!(terminal.parser.callbacks().0, b"\x1b[2;3R");
    }

    #[test]
    fn an_end_before_its_time_is_told() {
        let mut terminal = start("echo so; printf bye");
        let error = terminal.until(">>>", |_, _| {}).unwrap_err().to_string();
        assert_eq!(error, "the program ended; `>>>` was waited for, and there is `bye`");
    }

    #[test]
    fn what_is_there_already_is_waited_for_anew() {
        let mut terminal = start("printf '> '; read x; printf '\\033[2J\\033[H> '; read x; echo $x");
        terminal.until("> ", |_, _| {}).unwrap();
        terminal.send(b"\n").unwrap();
        let mut bytes = 0;
        terminal.until("> ", |_, _| bytes += 1).unwrap();
        assert!(bytes > 6, "the old prompt was taken for the new one");
    }
}
