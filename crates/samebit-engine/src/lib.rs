//! Requests in, tokens out: prefill, decode, speculation, sampling.
//!
//! Pure: no clock, no environment, no I/O, no randomness of its own. What a request gives depends on the model, the
//! numerics, the tokens and the seed, and on nothing else.

pub mod sampler;

mod answer;
mod batch;
mod digest;
mod draft;
mod engine;
mod error;
mod request;
mod sequence;
mod session;

pub use batch::{
    Batch, BatchListener, Constraint, Counts, Grammar, Happening, Limits, MOST_CHOICES, MOST_LOGPROBS, Progress,
    Submission, Ticket, TokenLogprob, Wants,
};
pub use digest::LogitsDigest;
pub use engine::{Engine, EngineOptions, MOST_DRAFTED};
pub use error::EngineError;
pub use request::{Event, Finish, Generation, Request, Speculation};
pub use sequence::TraceFn;
pub use session::Session;
