//! The terminal's end (SIGHUP): while an answer comes it stops the answer, which is kept; at any other time it ends the program.
//!
//! Knows the signal; nothing of what is kept. Who was started to outlive the terminal (`nohup`) does.

#[cfg(unix)]
pub(crate) use unix::{Held, came};

#[cfg(unix)]
mod unix {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, OnceLock};

    use signal_hook::consts::SIGHUP;
    use signal_hook::flag::{register, register_conditional_default};

    struct Flags {
        /// Whether it ends the program.
        ends: Arc<AtomicBool>,
        came: Arc<AtomicBool>,
    }

    static FLAGS: OnceLock<Option<Flags>> = OnceLock::new();

    fn flags() -> Option<&'static Flags> {
        let listen = || {
            if ignored() {
                return None;
            }
            let flags = Flags { ends: Arc::new(AtomicBool::new(true)), came: Arc::default() };
            register(SIGHUP, Arc::clone(&flags.came)).ok()?;
            register_conditional_default(SIGHUP, Arc::clone(&flags.ends)).ok()?;
            Some(flags)
        };
        FLAGS.get_or_init(listen).as_ref()
    }

    /// Whether the program was started to go on without its terminal; where the system does not tell, it was not.
    fn ignored() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
    }

    /// While it lives, there is something to keep.
    #[derive(Debug)]
    pub(crate) struct Held;

    impl Held {
        pub(crate) fn begin() -> Self {
            if let Some(flags) = flags() {
                flags.ends.store(false, Ordering::SeqCst);
            }
            Self
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            if let Some(flags) = flags() {
                flags.ends.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Whether the terminal has gone.
    pub(crate) fn came() -> bool {
        FLAGS.get().and_then(Option::as_ref).is_some_and(|flags| flags.came.load(Ordering::SeqCst))
    }
}

#[cfg(not(unix))]
pub(crate) struct Held;

#[cfg(not(unix))]
impl Held {
    pub(crate) fn begin() -> Self {
        Self
    }
}

#[cfg(not(unix))]
pub(crate) fn came() -> bool {
    false
}
