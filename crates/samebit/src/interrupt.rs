//! Ctrl-C: where there is something to keep the first asks for an orderly end; elsewhere, and the second time, it ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);
static ORDERLY: AtomicBool = AtomicBool::new(false);

/// Exit code after Ctrl-C: 128 + SIGINT, as a shell would report it.
const CODE: i32 = 130;

/// Starts listening. Where the system has no signals, Ctrl-C keeps its usual meaning.
pub(crate) fn listen() {
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) || !ORDERLY.load(Ordering::Relaxed) {
            std::process::exit(CODE);
        }
    });
}

/// From here on somebody looks at [`asked`], and has something to keep or to tidy up.
pub(crate) fn be_orderly() {
    ORDERLY.store(true, Ordering::Relaxed);
}

/// Whether Ctrl-C was pressed.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
