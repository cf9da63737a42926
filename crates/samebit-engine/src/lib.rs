//! Requests in, tokens out: prefill, decode, sampling.
//!
//! Pure: no clock, no environment, no I/O, no randomness of its own. What a request gives depends on the model, the
//! numerics, the tokens and the seed, and on nothing else.

pub mod sampler;

mod digest;
mod engine;
mod error;
mod sequence;

pub use digest::LogitsDigest;
pub use engine::{Engine, EngineOptions, Event, Finish, Generation, Request};
pub use error::EngineError;
pub use sequence::TraceFn;
