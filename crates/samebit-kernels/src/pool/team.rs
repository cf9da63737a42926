//! The threads themselves: one job at a time, handed over and joined in about a microsecond.
//!
//! A job is open while its caller works on it. A thread that finds it open joins it and takes units until none is left;
//! the caller closes it and waits for those that joined, and for nobody else. Whoever finds nothing to do looks on for a
//! while, because decoding has hundreds of jobs for each token, and then sleeps.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use super::affinity::{PinError, system};
use crate::float_env;

/// How often an idle thread looks for a job before it sleeps: some 100 µs.
const LOOKS_BEFORE_SLEEP: u32 = 3000;
/// How often the caller looks whether the others are done before it gives its core away between looks.
const LOOKS_BEFORE_YIELD: u32 = 500;

/// In the gate's word: threads that joined, whether the job is open, and above both the job's number.
const JOINED: u64 = 0xffff;
const OPEN: u64 = 1 << 16;
const NUMBER: u64 = 1 << 17;

type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// What the threads share.
struct Bench {
    gate: AtomicU64,
    /// The open job; written only while no thread can be in one.
    job: UnsafeCell<Option<Job>>,
    next: AtomicUsize,
    sleepers: AtomicUsize,
    over: AtomicBool,
    /// The first panic of a job.
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

#[derive(Clone, Copy)]
struct Job {
    work: *const Work<'static>,
    units: usize,
}

// SAFETY: `job` is written by the one caller that holds `Team::turn`, while the gate is closed and nobody has joined, and read
// only by threads that joined after it was opened; the gate's atomic operations order the two.
unsafe impl Sync for Bench {}
// SAFETY: the pointer in `job` is followed only between opening and closing, while the caller keeps the closure borrowed.
unsafe impl Send for Bench {}

/// A thread, and what the system calls it, which it says as it begins.
struct Helper {
    handle: JoinHandle<()>,
    id: Arc<OnceLock<system::Id>>,
}

/// A caller's helpers.
pub(super) struct Team {
    threads: usize,
    bench: Arc<Bench>,
    helpers: Vec<Helper>,
    /// Held by the caller whose job it is.
    turn: Mutex<()>,
}

impl std::fmt::Debug for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Team {
    /// A team of `threads`, of which the caller is one.
    pub(super) fn new(threads: usize) -> Self {
        let bench = Arc::new(Bench {
            gate: AtomicU64::new(0),
            job: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let helper = |_| {
            let (bench, id) = (Arc::clone(&bench), Arc::new(OnceLock::new()));
            let said = Arc::clone(&id);
            let life = move || {
                said.get_or_init(system::id);
                bench.serve();
            };
            thread::Builder::new().name("samebit".into()).spawn(life).map(|handle| Helper { handle, id })
        };
        // Where the system gives no more threads, those that there are do the work.
        let helpers = (1..threads).map(helper).map_while(Result::ok).collect();
        Self { threads, bench, helpers, turn: Mutex::new(()) }
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Binds the caller and each helper to a CPU.
    pub(super) fn pin(&self, cpus: &[usize]) -> Result<(), PinError> {
        let threads = self.helpers.len() + 1;
        let Some((&own, others)) = cpus.split_first().filter(|_| threads <= cpus.len()) else {
            return Err(PinError::TooFew { threads, cpus: cpus.len() });
        };
        system::pin(system::id(), own)?;
        self.helpers.iter().zip(others).try_for_each(|(helper, &cpu)| system::pin(*helper.id.wait(), cpu))
    }

    /// Calls `work` for each unit. A caller that comes while another's job runs does its own alone.
    pub(super) fn run(&self, units: usize, work: &Work<'_>) {
        let turn = self.turn.try_lock();
        if units == 1 || self.helpers.is_empty() || turn.is_err() {
            return (0..units).for_each(work);
        }
        let bench = &*self.bench;
        // SAFETY: only the lifetime is changed; `close` returns after the last thread that joined has left, before `work` ends.
        let work = unsafe { core::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
        // SAFETY: the gate is closed and nobody is in, since the last caller waited for that; `turn` is held.
        unsafe { *bench.job.get() = Some(Job { work, units }) };
        bench.next.store(0, Ordering::Relaxed);
        let number = (bench.gate.load(Ordering::Relaxed) / NUMBER + 1) * NUMBER;
        bench.gate.store(number | OPEN, Ordering::SeqCst);
        if bench.sleepers.load(Ordering::SeqCst) > 0 {
            self.helpers.iter().for_each(|helper| helper.handle.thread().unpark());
        }
        bench.take_units(Job { work, units });
        bench.close();
        let panic = bench.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.bench.over.store(true, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.handle.thread().unpark();
            // A helper never panics: `take_units` catches.
            let _ = helper.handle.join();
        }
    }
}

impl Bench {
    /// A helper's life.
    fn serve(&self) {
        float_env::with_default(|| {
            let mut done = 0;
            while let Some(number) = self.wait(done) {
                done = number;
                if self.join(number) {
                    // SAFETY: joined, so the job is there and stays until this thread leaves.
                    if let Some(job) = unsafe { *self.job.get() } {
                        self.take_units(job);
                    }
                    self.gate.fetch_sub(1, Ordering::Release);
                }
            }
        });
    }

    /// The number of an open job other than `done`, or `None` when all is over.
    fn wait(&self, done: u64) -> Option<u64> {
        let open = || {
            let gate = self.gate.load(Ordering::SeqCst);
            (gate & OPEN != 0 && gate / NUMBER != done).then_some(gate / NUMBER)
        };
        loop {
            for _ in 0..LOOKS_BEFORE_SLEEP {
                if let Some(number) = open() {
                    return Some(number);
                }
                if self.over.load(Ordering::Relaxed) {
                    return None;
                }
                core::hint::spin_loop();
            }
            // Counted before the last look, as a caller opens before it counts: one of the two sees the other.
            self.sleepers.fetch_add(1, Ordering::SeqCst);
            if open().is_none() && !self.over.load(Ordering::SeqCst) {
                thread::park();
            }
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Joins job `number` if it is still open.
    fn join(&self, number: u64) -> bool {
        let still = |gate: u64| (gate & OPEN != 0 && gate / NUMBER == number).then_some(gate + 1);
        self.gate.fetch_update(Ordering::AcqRel, Ordering::Relaxed, still).is_ok()
    }

    /// Does units until none is left.
    fn take_units(&self, job: Job) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let unit = self.next.fetch_add(1, Ordering::Relaxed);
                if unit >= job.units {
                    return;
                }
                // SAFETY: the caller keeps the closure until everybody who joined has left.
                unsafe { (*job.work)(unit) };
            }
        }));
        if let Err(panic) = outcome {
            // The others need not go on.
            self.next.store(job.units, Ordering::Relaxed);
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
    }

    /// Lets nobody join any more and waits for those who did.
    fn close(&self) {
        self.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0;
        while self.gate.load(Ordering::Acquire) & JOINED != 0 {
            looks += 1;
            if looks < LOOKS_BEFORE_YIELD { core::hint::spin_loop() } else { thread::yield_now() }
        }
    }
}
