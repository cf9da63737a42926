//! Architectures as data, one forward pass for all of them.
//!
//! Knows GGUF's tensors and keys, caches and positions; nothing of text, sampling, requests or clocks.

pub mod architecture;
mod attention;
pub mod cache;
pub mod config;
mod error;
mod experts;
pub mod forward;
mod listen;
pub mod model;
mod packed;
mod rope;
pub mod tap;
pub mod weights;

pub use cache::{Cache, KvType, Layout, Page};
pub use config::Config;
pub use error::{ForwardError, LoadError};
pub use forward::{Outcome, Row, Runner, Wanted};
pub use model::Model;
pub use rope::rope_frequencies;
pub use tap::Tap;
