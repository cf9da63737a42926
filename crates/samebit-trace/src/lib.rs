//! Traces of forward passes: written, read from other engines, compared operation by operation.
//!
//! Knows models and their forward pass; nothing of terminals, flags or requests.

mod assemble;
mod error;
mod file;
pub mod names;
mod numbers;
pub mod read;
pub mod record;
pub mod trace;

pub use assemble::NameMap;
pub use error::TraceError;
pub use record::{Filter, How, Recorder, Script};
pub use trace::{Entry, Meta, Summary, Trace, Values};
