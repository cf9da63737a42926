//! The thread that owns the batch: takes orders and cancellations between steps, runs steps while there is work, sleeps otherwise.
//!
//! The only place that gives the engine a clock.

use super::job::{Event, Job, Next, Order};
use crate::metrics::Metrics;
use crate::model::Model;
use samebit_engine::{Batch, EngineError, Limits, Ticket};
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Names an order from the moment it is given, before the batch has seen it.
type OrderId = u64;

enum Command {
    /// Orders that are taken together or not at all; their numbers follow one another.
    Submit(OrderId, Vec<Order>),
    Cancel(Range<OrderId>),
    Look(oneshot::Sender<Vec<SlotView>>),
    Stop,
}

/// What `/slots` tells of one submission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotView {
    pub(crate) id: u64,
    pub(crate) prompt: usize,
    pub(crate) generated: u64,
    pub(crate) unfinished: usize,
    pub(crate) in_prompt: bool,
    pub(crate) seconds: f64,
}

/// The thread as requests see it.
pub(crate) struct Handle {
    commands: SyncSender<Command>,
    next: AtomicU64,
    alive: Arc<AtomicBool>,
}

/// Orders that were given. Dropping it takes them back.
pub(crate) struct Submitted {
    ids: Range<OrderId>,
    commands: SyncSender<Command>,
}

impl Drop for Submitted {
    fn drop(&mut self) {
        // The thread hears of it between two steps. If the channel is full, the closed channel of events tells it too.
        drop(self.commands.try_send(Command::Cancel(self.ids.clone())));
    }
}

/// Why an order was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Full,
    Ended,
}

impl Handle {
    /// Gives orders that share a channel. It tells first that all of them are taken, or why one is not.
    pub(crate) fn submit(&self, orders: Vec<Order>) -> Result<Submitted, NotTaken> {
        let count = orders.len() as u64;
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        match self.commands.try_send(Command::Submit(first, orders)) {
            Ok(()) => Ok(Submitted { ids: first..first + count, commands: self.commands.clone() }),
            Err(TrySendError::Full(_)) => Err(NotTaken::Full),
            Err(TrySendError::Disconnected(_)) => Err(NotTaken::Ended),
        }
    }

    /// Who is being served; `None` if the thread is busy or gone.
    pub(crate) async fn look(&self) -> Option<Vec<SlotView>> {
        let (answer, answers) = oneshot::channel();
        self.commands.try_send(Command::Look(answer)).ok()?;
        answers.await.ok()
    }

    /// Whether the thread runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// Ends the thread after its present step; what runs is dropped. Blocks until the command is taken.
    pub(crate) fn stop(&self) {
        drop(self.commands.send(Command::Stop));
    }
}

/// Starts the thread. Its handle ends it when told to stop.
pub(crate) fn start(
    model: Arc<Model>,
    limits: Limits,
    cpus: Option<Vec<usize>>,
    metrics: Arc<Metrics>,
) -> Result<(Handle, JoinHandle<()>), String> {
    // Room for all that may wait, and for as many to be taken back.
    let (commands, received) = sync_channel(limits.queue.saturating_mul(2).saturating_add(1024).min(1 << 20));
    let (ready, started) = sync_channel(1);
    let alive = Arc::new(AtomicBool::new(true));
    let flag = Lowered(Arc::clone(&alive));
    let thread = std::thread::Builder::new().name("samebit-engine".into()).spawn(move || {
        let _flag = flag;
        match ready_batch(&model, limits, cpus.as_deref()) {
            Ok(batch) => {
                drop(ready.send(Ok(())));
                Owner::new(&model, batch, &metrics).run(&received);
            }
            Err(why) => drop(ready.send(Err(why))),
        }
    });
    let thread = thread.map_err(|error| error.to_string())?;
    started.recv().unwrap_or_else(|_| Err("the engine's thread ended at once".into()))?;
    Ok((Handle { commands, next: AtomicU64::new(1), alive }, thread))
}

/// An empty batch, and this thread bound to its core if that is wanted.
fn ready_batch(model: &Model, limits: Limits, cpus: Option<&[usize]>) -> Result<Batch, String> {
    if let Some(cpus) = cpus {
        // The calling thread is one of those that compute: so it is the engine's thread that asks for it.
        model.engine.pin(cpus).map_err(|error| format!("the engine's threads cannot be bound: {error}"))?;
    }
    Ok(match &model.draft {
        None => Batch::new(&model.engine, limits),
        Some(draft) => Batch::with_draft(&model.engine, draft, limits),
    })
}

/// Says that the thread has ended, however it did.
struct Lowered(Arc<AtomicBool>);

impl Drop for Lowered {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

struct Entry<'a> {
    id: OrderId,
    job: Job<'a>,
    since: Duration,
    /// Nobody reads any more: to be cancelled when the step is over.
    gone: bool,
}

struct Owner<'a> {
    model: &'a Model,
    batch: Batch,
    metrics: &'a Metrics,
    started: Instant,
    entries: HashMap<Ticket, Entry<'a>>,
    tickets: HashMap<OrderId, Ticket>,
}

impl<'a> Owner<'a> {
    fn new(model: &'a Model, batch: Batch, metrics: &'a Metrics) -> Self {
        Self { model, batch, metrics, started: Instant::now(), entries: HashMap::new(), tickets: HashMap::new() }
    }

    fn run(&mut self, commands: &Receiver<Command>) {
        loop {
            if self.batch.is_idle() {
                let Ok(command) = commands.recv() else { return };
                if self.obey(command).is_break() {
                    return;
                }
            }
            while let Ok(command) = commands.try_recv() {
                if self.obey(command).is_break() {
                    return;
                }
            }
            if self.batch.is_idle() {
                continue;
            }
            self.step();
        }
    }

    fn obey(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Submit(first, orders) => self.submit_all(first, orders),
            Command::Cancel(ids) => ids.for_each(|id| self.cancel(id)),
            Command::Look(answer) => drop(answer.send(self.look())),
            Command::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn submit_all(&mut self, first: OrderId, orders: Vec<Order>) {
        let Some(events) = orders.first().map(|order| order.events.clone()) else { return };
        // The client left while it waited to be heard.
        if events.is_closed() {
            return;
        }
        let taken: Result<(), EngineError> = (first..).zip(orders).try_for_each(|(id, order)| self.submit(id, order));
        // Those that were taken are taken back by whoever hears of the failure.
        let answer = taken.map_or_else(Event::Failed, |()| Event::Accepted);
        drop(events.try_send(answer));
        self.metrics.publish(&self.batch.counts());
    }

    fn submit(&mut self, id: OrderId, order: Order) -> Result<(), EngineError> {
        let now = self.started.elapsed();
        let job = Job::new(&self.model.tokenizer, &order, now);
        let mut submission = order.submission;
        // Deadlines are given from now on.
        submission.deadline = submission.deadline.map(|after| now + after);
        let ticket = self.batch.submit(submission, now)?;
        self.metrics.submitted(job.prompt);
        self.entries.insert(ticket, Entry { id, job, since: now, gone: false });
        self.tickets.insert(id, ticket);
        Ok(())
    }

    fn cancel(&mut self, id: OrderId) {
        if let Some(ticket) = self.tickets.remove(&id) {
            self.entries.remove(&ticket);
            self.batch.cancel(ticket);
            self.metrics.cancelled();
            self.metrics.publish(&self.batch.counts());
        }
    }

    fn look(&self) -> Vec<SlotView> {
        let now = self.started.elapsed();
        let view = |entry: &Entry<'_>| SlotView {
            id: entry.id,
            prompt: entry.job.prompt,
            generated: entry.job.tokens(),
            unfinished: entry.job.unfinished(),
            in_prompt: entry.job.in_prompt(),
            seconds: now.saturating_sub(entry.since).as_secs_f64(),
        };
        let mut slots: Vec<SlotView> = self.entries.values().map(view).collect();
        slots.sort_by_key(|slot| slot.id);
        slots
    }

    fn step(&mut self) {
        let Self { batch, entries, tickets, metrics, started, .. } = self;
        let before = started.elapsed();
        let mut lost = Vec::new();
        let result = batch.step(before, &mut |ticket, happening| {
            let Some(entry) = entries.get_mut(&ticket) else { return ControlFlow::Break(()) };
            if entry.gone {
                return ControlFlow::Break(());
            }
            let now = started.elapsed();
            let first = entry.job.in_prompt();
            let tokens = entry.job.tokens();
            let (next, last) = entry.job.hear(happening, now);
            if entry.job.tokens() > tokens {
                metrics.token(first.then(|| now.saturating_sub(entry.since)));
            }
            if last {
                metrics.finished(now.saturating_sub(entry.since));
                tickets.remove(&entry.id);
                entries.remove(&ticket);
            } else if next == Next::Gone {
                entry.gone = true;
                lost.push(entry.id);
            }
            next.into()
        });
        metrics.step(started.elapsed().saturating_sub(before));
        for id in lost {
            self.cancel(id);
        }
        if let Err(error) = result {
            self.fail_all(&error);
        }
        self.metrics.publish(&self.batch.counts());
    }

    /// A pass that fails as a whole fails everybody in it; those who ask later may fare better.
    fn fail_all(&mut self, error: &EngineError) {
        tracing::error!(%error, answers = self.entries.len(), "the engine's pass failed");
        self.tickets.clear();
        for (ticket, _) in self.entries.drain() {
            // The channel closes with the job, which tells the request.
            self.batch.cancel(ticket);
        }
    }
}
