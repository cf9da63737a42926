//! Lines on their way to standard error, and the thread that writes them: where nobody reads, lines are dropped and counted, and
//! whoever logs goes on.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines and bytes that may wait.
const MOST_LINES: usize = 4096;
const MOST_BYTES: usize = 4 << 20;

/// Lines that wait to be written, in order.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// The line that says how many were dropped where it stands.
    notice: fn(u64) -> Vec<u8>,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Dropped since the last line in the queue.
    lost: u64,
    /// One is being written.
    writing: bool,
    /// Somebody writes.
    served: bool,
}

impl State {
    /// Whether there is room. Once lines are lost it is not before the queue is half empty: otherwise every other line told of a loss.
    fn has_room(&self) -> bool {
        let share = if self.lost > 0 { 2 } else { 1 };
        self.lines.len() < MOST_LINES / share && self.bytes < MOST_BYTES / share
    }

    fn put(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.pop_front()?;
        self.bytes -= line.len();
        Some(line)
    }
}

impl Queue {
    pub(super) fn new(notice: fn(u64) -> Vec<u8>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), notice })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, or drops it. Waits for nobody.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut state = self.state();
        if !state.has_room() {
            state.lost += 1;
            return;
        }
        match std::mem::take(&mut state.lost) {
            0 => {}
            lost => state.put((self.notice)(lost)),
        }
        state.put(line);
        drop(state);
        self.changed.notify_all();
    }

    /// The next line, once there is one.
    fn next(&self) -> Vec<u8> {
        let idle = |state: &mut State| state.lines.is_empty() && state.lost == 0;
        let mut state = self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        match state.take() {
            Some(line) => line,
            None => (self.notice)(std::mem::take(&mut state.lost)),
        }
    }

    fn written(&self) {
        self.state().writing = false;
        self.changed.notify_all();
    }

    /// Waits until all is written, but no longer than this.
    pub(super) fn finish(&self, patience: Duration) {
        let busy = |state: &mut State| state.writing || !state.lines.is_empty() || state.lost > 0;
        drop(self.changed.wait_timeout_while(self.state(), patience, busy));
    }
}

/// Has a thread write to standard error what comes, if none does yet.
pub(super) fn write_from(queue: &Arc<Queue>) {
    if std::mem::replace(&mut queue.state().served, true) {
        return;
    }
    let from = Arc::clone(queue);
    // Without a thread lines are dropped, and the server serves.
    drop(std::thread::Builder::new().name("samebit-log".into()).spawn(move || pass_on(&from, &mut stderr())));
}

fn pass_on(queue: &Queue, out: &mut dyn Write) {
    loop {
        let line = queue.next();
        // A full disk loses lines.
        let _ = out.write_all(&line).and_then(|()| out.flush());
        queue.written();
    }
}

/// Standard error without its lock: a write that waits must not keep others from it.
#[cfg(unix)]
fn stderr() -> Box<dyn Write> {
    use std::os::fd::AsFd;
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(std::fs::File::from(descriptor)),
        Err(_) => Box::new(io::stderr()),
    }
}

#[cfg(not(unix))]
fn stderr() -> Box<dyn Write> {
    Box::new(io::stderr())
}

/// A line while it is put together; dropped, it goes into the queue.
pub(super) struct Line {
    queue: Arc<Queue>,
    bytes: Vec<u8>,
}

impl Line {
    pub(super) fn new(queue: &Arc<Queue>) -> Self {
        Self { queue: Arc::clone(queue), bytes: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.queue.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Takes a line each time the gate is opened.
    struct Gate {
        open: Receiver<()>,
        taken: Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.open.recv().map_err(io::Error::other)?;
            self.taken.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_does_not_read_misses_lines_and_is_told_how_many() {
        let queue = Queue::new(|lost| format!("lost {lost}").into_bytes());
        let (opener, open) = channel();
        let (taken, lines) = channel();
        let from = Arc::clone(&queue);
        std::thread::spawn(move || pass_on(&from, &mut Gate { open, taken }));
        // All of it returns at once, though nobody reads.
        for number in 0..MOST_LINES + 100 {
            writeln!(Line::new(&queue), "{number}").expect("memory");
        }
        queue.finish(Duration::from_millis(10));
        assert!(queue.state().lost >= 99, "{}", queue.state().lost);
        for _ in 0..2 * MOST_LINES {
            opener.send(()).expect("the thread lives");
        }
        let mut next = 0;
        let lost = loop {
            let line = lines.recv_timeout(Duration::from_secs(20)).expect("a line");
            match line.strip_prefix("lost ") {
                Some(lost) => break lost.parse::<usize>().expect("a number"),
                None => assert_eq!(line, format!("{next}\n")),
            }
            next += 1;
        };
        assert_eq!(next + lost, MOST_LINES + 100);
        writeln!(Line::new(&queue), "after").expect("memory");
        assert_eq!(lines.recv_timeout(Duration::from_secs(20)).as_deref(), Ok("after\n"));
        queue.finish(Duration::from_secs(20));
        assert!(queue.state().lines.is_empty());
    }

    #[test]
    fn a_loss_is_told_where_it_was() {
        let queue = Queue::new(|lost| format!("lost {lost}").into_bytes());
        for _ in 0..MOST_LINES + 3 {
            queue.push(b"x".to_vec());
        }
        for _ in 0..MOST_LINES / 2 {
            assert_eq!(queue.next(), b"x");
        }
        queue.push(b"late".to_vec());
        assert_eq!(queue.state().lost, 4);
        queue.next();
        queue.push(b"y".to_vec());
        let rest: Vec<Vec<u8>> = (0..MOST_LINES / 2 + 1).map(|_| queue.next()).collect();
        assert_eq!(rest[rest.len() - 2..], [b"lost 4".to_vec(), b"y".to_vec()]);
        queue.push(vec![b'z'; MOST_BYTES]);
        queue.push(b"z".to_vec());
        assert_eq!(queue.state().lost, 1);
    }
}
