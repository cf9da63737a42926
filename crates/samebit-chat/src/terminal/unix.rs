//! POSIX terminals (termios).

use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::stdio::stdin;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcsetattr,
};

use super::Meanwhile;

/// The settings to go back to.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

pub(super) fn hush(meanwhile: Meanwhile) -> bool {
    let (Ok(mut before), Ok(settings)) = (BEFORE.lock(), tcgetattr(stdin())) else { return false };
    if before.is_some() || !in_front() {
        return false;
    }
    let hushed = tcsetattr(stdin(), OptionalActions::Now, &quiet(settings.clone(), meanwhile)).is_ok();
    if hushed {
        *before = Some(settings);
    }
    hushed
}

pub(super) fn again(meanwhile: Meanwhile) -> bool {
    let Ok(settings) = tcgetattr(stdin()) else { return false };
    if !settings.local_modes.contains(LocalModes::ECHO) || !in_front() {
        return false;
    }
    // What the shell put there is what to go back to.
    if let Ok(mut before) = BEFORE.lock()
        && before.is_some()
    {
        *before = Some(settings.clone());
        return tcsetattr(stdin(), OptionalActions::Now, &quiet(settings, meanwhile)).is_ok();
    }
    false
}

/// Whether this program has the terminal: another would be stopped for changing it. Without job control there is no other.
fn in_front() -> bool {
    tcgetpgrp(stdin()).map_or(true, |group| group == getpgrp())
}

fn quiet(mut settings: Termios, meanwhile: Meanwhile) -> Termios {
    settings.local_modes.remove(LocalModes::ECHO);
    if meanwhile == Meanwhile::Waits {
        // The keys as an editor wants them: at once, and Enter as it is.
        settings.local_modes.remove(LocalModes::ICANON);
        settings.input_modes.remove(InputModes::ICRNL);
    }
    settings
}

pub(super) fn forget() {
    // If it cannot be dropped it will be read.
    let _ = tcflush(stdin(), QueueSelector::IFlush);
}

pub(super) fn restore() {
    // Not to be waited for: the program may end while another thread is here.
    let Ok(mut before) = BEFORE.try_lock() else { return };
    if let Some(settings) = before.take().filter(|_| in_front()) {
        // There is nobody to tell.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &settings);
    }
}

/// Stops the program, as Ctrl-Z does, until the shell lets it go on.
pub(crate) fn suspend() {
    // Where no shell would wake it the system does not stop it.
    let _ = kill_current_process_group(Signal::TSTP);
}

/// Whether something was typed, waiting so long for it.
pub(crate) fn typed(wait: Duration) -> bool {
    let stdin = stdin();
    let mut waited = [PollFd::new(&stdin, PollFlags::IN)];
    let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
    match poll(&mut waited, Some(&wait)) {
        Ok(ready) => ready > 0,
        // A signal came; another error is found out by reading.
        Err(error) => error != rustix::io::Errno::INTR,
    }
}
