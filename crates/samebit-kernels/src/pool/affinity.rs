//! Which CPUs a thread may run on: read, and narrowed to one.
//!
//! Knows threads and CPUs; nothing of pools. Only Linux has it here.

/// Threads were not pinned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Not here.
    #[error("threads are pinned on Linux alone")]
    Unsupported,
    /// Fewer CPUs than threads.
    #[error("{threads} threads want a CPU each, and there are {cpus}")]
    TooFew {
        /// Threads.
        threads: usize,
        /// CPUs to pin them to.
        cpus: usize,
    },
    /// The system refused.
    #[error("the system does not let a thread be pinned to CPU {cpu}: {why}")]
    Refused {
        /// The CPU.
        cpu: usize,
        /// What the system says.
        why: String,
    },
    /// The system does not say which CPUs there are.
    #[error("the system does not say which CPUs may be used: {0}")]
    Unknown(String),
}

/// The CPUs that the calling thread may run on, ascending. Once pinned, it is told of one only.
///
/// # Errors
/// The system is not Linux, or does not say.
pub fn usable_cpus() -> Result<Vec<usize>, PinError> {
    system::usable()
}

#[cfg(target_os = "linux")]
pub(super) mod system {
    use super::PinError;
    use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_setaffinity};

    /// A thread's name in the system.
    pub(crate) type Id = Pid;

    /// The calling thread's.
    pub(crate) fn id() -> Id {
        gettid()
    }

    pub(crate) fn usable() -> Result<Vec<usize>, PinError> {
        let set = sched_getaffinity(None).map_err(|error| PinError::Unknown(error.to_string()))?;
        Ok((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
    }

    pub(crate) fn pin(thread: Id, cpu: usize) -> Result<(), PinError> {
        let refused = |why| PinError::Refused { cpu, why };
        if cpu >= CpuSet::MAX_CPU {
            return Err(refused(format!("the highest that can be named is {}", CpuSet::MAX_CPU - 1)));
        }
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(Some(thread), &set).map_err(|error| refused(error.to_string()))
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) mod system {
    use super::PinError;

    /// Nothing is known of threads here.
    pub(crate) type Id = ();

    pub(crate) fn id() -> Id {}

    pub(crate) fn usable() -> Result<Vec<usize>, PinError> {
        Err(PinError::Unsupported)
    }

    pub(crate) fn pin(_: Id, _: usize) -> Result<(), PinError> {
        Err(PinError::Unsupported)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::pool::Pool;
    use std::sync::{Barrier, Mutex};

    /// What each worker may run on. Nobody passes the barrier alone, so that each takes one unit.
    fn seen(pool: &Pool) -> Vec<Vec<usize>> {
        let (barrier, seen) = (Barrier::new(pool.threads()), Mutex::new(Vec::new()));
        pool.each(pool.threads(), |_| {
            seen.lock().expect("nobody panics").push(usable_cpus());
            barrier.wait();
        });
        let seen = seen.into_inner().expect("nobody panics");
        seen.into_iter().map(|cpus| cpus.expect("Linux says")).collect()
    }

    #[test]
    fn each_worker_has_a_cpu_of_its_own_and_the_results_are_the_same() {
        // A thread of its own, because the caller stays pinned.
        let test = || {
            let cpus = usable_cpus().expect("Linux says");
            let pool = Pool::new(cpus.len().min(4));
            let work = || {
                let mut out = vec![0f32; 1000];
                pool.fill(&mut out, 1, |first, run| {
                    run.iter_mut().zip(first..).for_each(|(to, index)| *to = 1.0 / (index as f32 + 0.1));
                });
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let before = work();
            assert!(seen(&pool).iter().all(|all| *all == cpus), "not pinned unless asked");
            pool.pin(&cpus).expect("pinned");
            let mut pinned = seen(&pool);
            pinned.sort();
            let expected: Vec<Vec<usize>> = cpus.iter().take(pool.threads()).map(|&cpu| vec![cpu]).collect();
            assert_eq!(pinned, expected);
            assert_eq!(work(), before);
            // A pool made by a pinned thread is pinned anew, to whatever it is told.
            let other = Pool::new(1);
            let last = cpus.last().copied().expect("this thread runs somewhere");
            other.pin(&[last]).expect("pinned");
            assert_eq!(usable_cpus(), Ok(vec![last]));
        };
        std::thread::spawn(test).join().expect("no panic");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let pool = Pool::new(1);
        assert_eq!(pool.pin(&[]), Err(PinError::TooFew { threads: 1, cpus: 0 }));
        assert!(matches!(pool.pin(&[1 << 20]), Err(PinError::Refused { cpu: 1_048_576, .. })));
        assert!(matches!(pool.pin(&[1023]), Err(PinError::Refused { .. })), "there are 1024 CPUs here");
    }
}
