//! Threads: work divided over outputs, so that no result depends on the division. Promise T.
//!
//! Knows nothing of what is computed. Each worker computes under the default floating-point environment.

use std::sync::{Arc, Mutex, PoisonError};

use crate::float_env;

/// How many threads share the work of one operation.
#[derive(Clone, Debug)]
pub struct Pool {
    threads: usize,
}

impl Pool {
    /// A pool of `threads` workers, at least one: the calling thread is one of them.
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1) }
    }

    /// Number of workers.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Cuts `out` into units of `unit` elements and lets each worker fill a run of them: `work(first_unit, its_part)`.
    ///
    /// # Panics
    /// If `unit` is zero, or if `work` panics in any thread.
    pub fn fill<T: Send>(&self, out: &mut [T], unit: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        let units = out.len() / unit;
        let workers = self.threads.min(units);
        if workers <= 1 {
            return float_env::with_default(|| work(0, out));
        }
        let (mut rest, mut parts) = (out, Vec::with_capacity(workers));
        for worker in 0..workers {
            let (first, end) = (units * worker / workers, units * (worker + 1) / workers);
            let (part, tail) = rest.split_at_mut((end - first) * unit);
            parts.push((first, part));
            rest = tail;
        }
        std::thread::scope(|scope| {
            let own = parts.pop();
            let work = &work;
            for (first, part) in parts {
                // A part that finds no thread is done here: slower, and the same bits.
                let part = Mutex::new(Some(part));
                let part = Arc::new(part);
                let theirs = Arc::clone(&part);
                let run = move || take(&theirs).map(|part| float_env::with_default(|| work(first, part)));
                if std::thread::Builder::new().spawn_scoped(scope, run).is_err()
                    && let Some(part) = take(&part)
                {
                    float_env::with_default(|| work(first, part));
                }
            }
            if let Some((first, part)) = own {
                float_env::with_default(|| work(first, part));
            }
        });
    }
}

/// What the slot holds, for whoever comes first.
fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_filled_once_whatever_the_threads() {
        for threads in [1, 2, 3, 7, 100] {
            let mut out = vec![0usize; 3 * 41];
            Pool::new(threads).fill(&mut out, 3, |first, part| {
                for (i, unit) in part.chunks_mut(3).enumerate() {
                    unit.iter_mut().for_each(|v| *v += first + i + 1);
                }
            });
            assert!(out.iter().enumerate().all(|(i, &v)| v == i / 3 + 1), "{threads} threads");
        }
    }

    #[test]
    fn workers_compute_in_the_default_environment() {
        let mut seen = [false; 8];
        Pool::new(4).fill(&mut seen, 1, |_, part| part.fill(float_env::is_default()));
        assert_eq!(seen, [true; 8]);
    }
}
