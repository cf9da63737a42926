//! Ctrl-C: where there is something to keep the first asks for an orderly end; elsewhere, and the second time, it ends at once. A
//! conversation is asked to stop its answer, and goes on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);
/// How often it was pressed since somebody looked.
static PRESSED: AtomicU32 = AtomicU32::new(0);
/// How often it may be until the program ends at once.
static PATIENCE: AtomicU32 = AtomicU32::new(1);
static ORDERLY: AtomicBool = AtomicBool::new(false);

/// Exit code after Ctrl-C: 128 + SIGINT, as a shell would report it.
const CODE: i32 = 130;

/// Starts listening. Where the system has no signals, Ctrl-C keeps its usual meaning.
pub(crate) fn listen() {
    let _ = ctrlc::set_handler(|| {
        ASKED.store(true, Ordering::Relaxed);
        let before = PRESSED.fetch_add(1, Ordering::Relaxed);
        if before >= PATIENCE.load(Ordering::Relaxed) || !ORDERLY.load(Ordering::Relaxed) {
            // What is typed after this is the shell's.
            #[cfg(not(target_family = "wasm"))]
            samebit_chat::restore_terminal();
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

/// As [`be_orderly`], for somebody who goes on afterwards and looks with [`take`]: pressed often in haste, it is heard once; only the
/// fifth time in vain ends at once.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn be_patient() {
    PATIENCE.store(4, Ordering::Relaxed);
    be_orderly();
}

/// Whether Ctrl-C was pressed since this was last asked.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn take() -> bool {
    PRESSED.swap(0, Ordering::Relaxed);
    ASKED.swap(false, Ordering::Relaxed)
}
