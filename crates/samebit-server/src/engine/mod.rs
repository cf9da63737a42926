//! The engine's side: the thread that owns the batch, and what each answer is to it. Knows no HTTP and no JSON.

mod job;
mod stops;
mod thread;

pub(crate) use job::{Done, Ending, Event, Order, Piece, Timings};
pub(crate) use stops::overlap;
pub(crate) use thread::{Handle, NotTaken, SlotView, Submitted, start};
