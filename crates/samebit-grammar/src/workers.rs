//! A few threads for work that must not hold up the engine's. Knows nothing of the work.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

type Work = Box<dyn FnOnce() + Send>;

/// Stack of a worker. Grammars are walked recursively, as deep as their sources are long; what is not touched costs nothing.
const STACK: usize = 256 << 20;

/// Threads that take work in the order in which it comes.
pub(crate) struct Workers {
    queue: Sender<Work>,
}

impl Workers {
    /// Starts `count` threads; they end when this is dropped. `None` if the system gives none.
    pub(crate) fn start(count: usize) -> Option<Self> {
        let (queue, works) = mpsc::channel::<Work>();
        let works = Arc::new(Mutex::new(works));
        for _ in 0..count {
            let works = Arc::clone(&works);
            let builder = thread::Builder::new().name("samebit-grammar".into()).stack_size(STACK);
            builder.spawn(move || run(&works)).ok()?;
        }
        Some(Self { queue })
    }

    /// Has `work` done; what it gives is received from the channel, which closes without it if the work panicked.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (answer, answers) = mpsc::sync_channel(1);
        // Whoever asked may have left: then nobody misses the answer.
        let send = Box::new(move || drop(answer.send(work())));
        // Without threads the channel closes at once, which tells the same.
        drop(self.queue.send(send));
        answers
    }

    /// Has `work` done, and waits for it; `None` if it panicked.
    pub(crate) fn ask<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.spawn(work).recv().ok()
    }
}

fn run(works: &Mutex<Receiver<Work>>) {
    loop {
        // A worker that panicked while it held the lock held nothing but the lock.
        let work = works.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        let Ok(work) = work else { return };
        // The thread outlives a panic: somebody else's grammar comes next.
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_and_a_panic_ends_nothing_else() {
        let workers = Workers::start(1).expect("a thread");
        assert_eq!(workers.ask(|| 6 * 7), Some(42));
        assert_eq!(workers.ask(|| -> u8 { panic!("on purpose") }), None);
        assert_eq!(workers.ask(|| 1), Some(1));
    }
}
