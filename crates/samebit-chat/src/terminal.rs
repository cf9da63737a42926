//! The terminal's own settings: what is typed while nobody reads is not shown, and waits for the next prompt.
//!
//! Knows the terminal on standard input, if it is one; nothing of what is typed. Where a system has no such settings nothing changes.

#[cfg(not(unix))]
mod none;
#[cfg(not(unix))]
use none as system;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;

use std::io::{IsTerminal, Write};

pub(crate) use system::{suspend, typed};

/// What to do with what is typed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// It waits, key by key, for an editor; a paste as one. `Enter` is sent when the editor comes to it.
    Waits,
    /// It is dropped: whoever reads whole lines could not show it.
    Goes,
}

/// While it lives, the terminal shows nothing of what is typed. Ctrl-C and Ctrl-Z are heard as ever.
#[derive(Debug)]
pub struct Hush {
    meanwhile: Meanwhile,
}

impl Hush {
    /// `None` where standard input or output is no terminal, or has been hushed already.
    pub fn begin(meanwhile: Meanwhile) -> Option<Self> {
        let terminals = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        if !terminals || !system::hush(meanwhile) {
            return None;
        }
        if meanwhile == Meanwhile::Waits {
            bracket(true);
        }
        Some(Self { meanwhile })
    }

    /// Again, where a shell has put the terminal back: after Ctrl-Z and `fg`.
    pub fn again(&self) {
        if system::again(self.meanwhile) && self.meanwhile == Meanwhile::Waits {
            bracket(true);
        }
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        if self.meanwhile == Meanwhile::Waits {
            bracket(false);
        } else {
            system::forget();
        }
        restore_terminal();
    }
}

/// Puts the terminal back as it was, for whoever ends the program at once.
pub fn restore_terminal() {
    system::restore();
}

/// Whether pastes are to come as one (bracketed paste mode of xterm).
fn bracket(wanted: bool) {
    let mut out = std::io::stdout();
    let code: &[u8] = if wanted { b"\x1b[?2004h" } else { b"\x1b[?2004l" };
    // A terminal that has gone is found out by whoever writes the answer.
    let _ = out.write_all(code).and_then(|()| out.flush());
}
