//! What is to be known of this machine: its CPU's name, and how fast its memory can be read.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// Larger than caches, where the machine does not say how large they are.
const LEAST_BYTES: u64 = 1 << 30;
/// So many times the largest cache: what stays in it from pass to pass is then too little to matter.
const CACHES: u64 = 8;
/// Words of a cache line; where lines are longer, each is touched twice.
const LINE: usize = 8;
/// Of which the best is told.
const PASSES: usize = 12;

/// The CPU's name as the system gives it, or else its architecture.
pub(crate) fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.into(), |(_, name)| name.trim().into())
}

/// Features of the CPU that kernels ask for, of those that it has.
pub(crate) fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    // The names must be literals, and only those of the machine's own kind are known to the compiler.
    #[cfg(target_arch = "x86_64")]
    macro_rules! ask {
        ($($name:tt)*) => { $(if std::is_x86_feature_detected!($name) { found.push($name); })* };
    }
    #[cfg(target_arch = "x86_64")]
    ask!("avx2" "fma" "f16c" "avxvnni" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni");
    #[cfg(target_arch = "aarch64")]
    macro_rules! ask {
        ($($name:tt)*) => { $(if std::arch::is_aarch64_feature_detected!($name) { found.push($name); })* };
    }
    #[cfg(target_arch = "aarch64")]
    ask!("neon" "dotprod" "i8mm");
    if cfg!(target_feature = "simd128") {
        found.push("simd128");
    }
    found
}

/// Memory to read from: all of it has been written, so that every page is one of its own.
pub(crate) struct Ceiling {
    words: Vec<u64>,
}

impl Ceiling {
    /// 1 GiB, or more where caches are large; less where memory is short.
    pub(crate) fn new() -> Self {
        let wanted = largest_cache().map_or(LEAST_BYTES, |cache| LEAST_BYTES.max(CACHES * cache));
        let free = available().map_or(wanted, |free| wanted.min(free / 3));
        Self::of(free / 8)
    }

    fn of(words: u64) -> Self {
        let mut buffer = Vec::new();
        let mut count = usize::try_from(words).unwrap_or(0).max(1 << 16);
        while buffer.try_reserve_exact(count).is_err() && count > 1 << 16 {
            count /= 2;
        }
        buffer.resize(count, 0x5a5a_5a5a_5a5a_5a5a);
        Self { words: buffer }
    }

    /// Gigabytes (10⁹ bytes) per second that so many threads read together; the best of several passes.
    pub(crate) fn measure(&self, threads: usize) -> f64 {
        let bytes = 8 * self.words.len();
        let part = self.words.len().div_ceil(threads.max(1));
        let once = || {
            let started = Instant::now();
            std::thread::scope(|scope| {
                for part in self.words.chunks(part) {
                    scope.spawn(move || black_box(touch(part)));
                }
            });
            bytes as f64 / started.elapsed().as_secs_f64() / 1e9
        };
        (0..PASSES).map(|_| once()).fold(0.0, f64::max)
    }
}

/// One word of each line, from four places at once: memory brings whole lines, and so little work for each keeps enough of
/// them on their way. Reading every word with the narrow loads of portable code was measured a third slower.
fn touch(words: &[u64]) -> u64 {
    let (front, back) = words.split_at(words.len() / 2);
    let (a, b) = front.split_at(front.len() / 2);
    let (c, d) = back.split_at(back.len() / 2);
    let mut sums = [0u64; 4];
    let [a, b, c, d] = [a, b, c, d].map(|part| part.chunks_exact(LINE));
    for (((a, b), c), d) in a.zip(b).zip(c).zip(d) {
        for (sum, line) in sums.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(line[0]);
        }
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}

/// Bytes of the largest cache of a CPU, where the system says.
fn largest_cache() -> Option<u64> {
    let entries = std::fs::read_dir("/sys/devices/system/cpu/cpu0/cache").ok()?;
    entries.flatten().filter_map(|entry| kibibytes(&entry.path().join("size"))).max().map(|kib| kib * 1024)
}

/// As in `266240K`.
fn kibibytes(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().strip_suffix('K')?.parse().ok()
}

/// Bytes of memory that may be used without harm, where the system says.
pub(crate) fn available() -> Option<u64> {
    meminfo("MemAvailable:")
}

/// Bytes of memory that there are, where the system says.
pub(crate) fn total() -> Option<u64> {
    meminfo("MemTotal:")
}

fn meminfo(key: &str) -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_reads_everything() {
        let small = Ceiling::of(100_000);
        assert_eq!(small.words.len(), 100_000);
        assert_eq!(touch(&small.words), 0x5a5a_5a5a_5a5a_5a5au64.wrapping_mul(100_000 / 8));
        assert!(small.measure(3) > 0.0);
        assert_eq!(Ceiling::of(1).words.len(), 1 << 16);
        assert!(!cpu().is_empty());
    }
}
