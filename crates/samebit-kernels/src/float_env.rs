//! The floating-point environment: set and checked around everything that computes, and given back as it was found.
//!
//! A host process may have set flush-to-zero or another rounding mode, and new threads inherit it. Promise O.

/// Runs `work` under IEEE-754's default environment (round to nearest even, subnormals kept, no traps), whatever the
/// calling thread's was; then restores the caller's, also where `work` panics.
pub fn with_default<T>(work: impl FnOnce() -> T) -> T {
    under(control::DEFAULT, || {
        assert!(is_default(), "the floating-point environment could not be set");
        isolated(work)
    })
}

fn under<T>(word: usize, work: impl FnOnce() -> T) -> T {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            control::write(self.0);
        }
    }
    let before = control::read();
    let _restore = Restore(before);
    control::write(word);
    isolated(work)
}

/// Runs `work` under the worst that a host process may have set (flush-to-zero, subnormal inputs as zero, rounding toward
/// zero) where the target has a control register: for tests of what must not depend on it.
pub fn with_hostile<T>(work: impl FnOnce() -> T) -> T {
    under(control::HOSTILE, work)
}

/// Whether the calling thread computes under the default environment.
pub fn is_default() -> bool {
    control::read() & control::MODES == control::DEFAULT & control::MODES
}

/// Not inlined, so that no operation of `work` moves to where the environment is still, or again, the caller's.
#[inline(never)]
fn isolated<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod control {
    use core::arch::asm;

    /// All exceptions masked, nearest, no flush-to-zero, no denormals-are-zero.
    pub(super) const DEFAULT: usize = 0x1f80;
    /// Flush-to-zero, denormals-are-zero, round toward zero.
    pub(super) const HOSTILE: usize = 0x1f80 | 0x8040 | 0x6000;
    /// Everything but the six sticky flags.
    pub(super) const MODES: usize = 0xffc0;

    pub(super) fn read() -> usize {
        let mut word = 0u32;
        // SAFETY: stores MXCSR into a local; SSE is part of x86-64's baseline.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
        word as usize
    }

    pub(super) fn write(word: usize) {
        let word = word as u32;
        // SAFETY: loads a word that is the default or was read from MXCSR, so no reserved bit is set.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, preserves_flags)) };
    }
}

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
mod control {
    use core::arch::asm;

    /// Nearest, subnormals kept, no default-NaN mode, no traps.
    pub(super) const DEFAULT: usize = 0;
    /// Flush-to-zero, round toward zero.
    pub(super) const HOSTILE: usize = 1 << 24 | 3 << 22;
    /// AHP, DN, FZ, rounding mode, FZ16, trap enables, and the FEAT_AFP bits.
    pub(super) const MODES: usize = 0x07c8_9f07;

    pub(super) fn read() -> usize {
        let word: u64;
        // SAFETY: reading FPCR is allowed at EL0 and touches no memory.
        unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
        word as usize
    }

    pub(super) fn write(word: usize) {
        // SAFETY: writes the default or a word read from FPCR before. Not `nomem`, so that memory accesses stay in place.
        unsafe { asm!("msr fpcr, {}", in(reg) word as u64, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    //! wasm has no such register. On other targets (32-bit x86, RISC-V, …) promise O is not made.
    pub(super) const DEFAULT: usize = 0;
    pub(super) const HOSTILE: usize = 0;
    pub(super) const MODES: usize = 0;
    pub(super) fn read() -> usize {
        0
    }
    pub(super) fn write(_: usize) {}
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use core::hint::black_box;

    /// Not inlined: a division may otherwise move past the changes of the environment.
    #[inline(never)]
    fn quotient() -> u32 {
        (black_box(1.0f32) / black_box(3.0f32)).to_bits() ^ (black_box(f32::MIN_POSITIVE) / black_box(2.0)).to_bits()
    }

    #[test]
    fn a_hostile_environment_is_set_aside_and_given_back() {
        let right = quotient();
        let (wrong, inside, after) =
            with_hostile(|| (quotient(), with_default(quotient), control::read() & control::MODES));
        assert_ne!(wrong, right, "the hostile environment must matter, or this test shows nothing");
        assert_eq!(inside, right);
        assert_eq!(after, control::HOSTILE);
        assert!(is_default());
    }

    #[test]
    fn a_panic_restores_too() {
        let after = with_hostile(|| {
            let caught = std::panic::catch_unwind(|| with_default(|| panic!("on purpose")));
            assert!(caught.is_err());
            control::read() & control::MODES
        });
        assert_eq!(after, control::HOSTILE);
    }
}
