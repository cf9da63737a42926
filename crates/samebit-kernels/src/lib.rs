//! The operations of samebit-numerics, fast: a table of functions, filled by what the CPU has.
//!
//! Knows operations, instruction sets and threads; nothing of models, caches or files.
//! Whatever is here equals the reference bit for bit, or it is a defect.

pub mod arch;
mod fast;
pub mod float_env;
pub mod isa;
pub mod packed;
pub mod page8;
pub mod pool;
pub mod table;
mod vector;

pub use isa::Isa;
pub use packed::PackedMatrix;
pub use page8::{OwnPage8, Page8};
pub use pool::{Columns, Grid, PinError, Pool};
pub use table::{Activations, Fast, Heads, Numerics, PageOf, Table};
