//! Traces of forward passes: written, read from other engines, compared operation by operation.
//!
//! Knows models and their forward pass; nothing of terminals, flags or requests.

pub mod align;
mod assemble;
mod cache;
pub mod compare;
mod error;
mod file;
pub mod findings;
pub mod judge;
pub mod lens;
mod llamacpp;
pub mod names;
mod npy;
mod numbers;
pub mod read;
pub mod record;
pub mod report;
pub mod stats;
mod tokens;
pub mod trace;
pub mod whole;

pub use assemble::NameMap;
pub use cache::weights;
pub use error::TraceError;
pub use record::{Filter, How, Recorder, Script};
pub use trace::{Entry, Meta, Summary, Trace, Values};
