//! Finds the bug that explains another engine's activations, by making it on purpose.
//!
//! Knows the forward pass and what may go wrong in it; nothing of text, terminals or clocks.

pub mod attention;
mod baseline;
mod check;
mod decoders;
pub mod evidence;
pub mod faults;
pub mod foreign;
pub mod forge;
mod probe;
mod product;
pub mod report;
pub mod residual;
mod search;
mod stale;
pub mod suspect;

pub use baseline::Setting;
pub use check::names;
pub use evidence::{Evidence, EvidenceError, Seen};
pub use faults::{Fault, Reading, Topic};
pub use report::{Diagnosis, Verdict};
pub use search::diagnose;
