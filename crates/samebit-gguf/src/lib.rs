//! Reading and writing GGUF files, every length checked before use.
//!
//! This crate knows the container and nothing of models: no architecture, no tokenizer, no arithmetic.
//! It prints nothing; [`report`] gives the rows that a program may print.
//!
//! ```
//! use samebit_gguf::{Gguf, GgufWriter, TensorType};
//!
//! let mut bytes = Vec::new();
//! GgufWriter::new()
//!     .meta("general.architecture", "llama")
//!     .tensor("token_embd.weight", &[2, 1], TensorType::F32, &[0u8; 8][..])
//!     .write_to(&mut bytes)?;
//!
//! let gguf = Gguf::from_bytes(bytes)?;
//! assert_eq!(gguf.metadata().str("general.architecture")?, Some("llama"));
//! let tensor = gguf.tensor("token_embd.weight").ok_or("missing")?;
//! assert_eq!(gguf.data(tensor).len(), 8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is trusted
//!
//! Nothing in the file. Every count, length, offset, dimension, alignment and type is checked against the
//! bytes that are there before anything is allocated or sliced, so a reader's memory is bounded by
//! [`MEMORY_FACTOR`] times the file's size, whatever the file claims.
//!
//! # Format
//!
//! GGUF versions 2 and 3, little-endian, as the GGUF specification of the ggml project describes them.

mod atomic;
mod backing;
mod cursor;
mod encode;
mod error;
mod file;
mod metadata;
mod parse;
pub mod report;
mod split;
mod tensor;
mod types;
mod value;
mod write;

pub use error::{ErrorKind, GgufError};
pub use file::{Gguf, Shard};
pub use metadata::Metadata;
pub use tensor::TensorInfo;
pub use types::TensorType;
pub use value::{Array, Strings, Value};
pub use write::GgufWriter;

/// The alignment of tensor data, in bytes, where `general.alignment` does not say (GGUF specification).
pub const DEFAULT_ALIGNMENT: u64 = 32;

/// The largest `general.alignment` accepted, in bytes. Files use 32; direct I/O wants 4096.
pub const MAX_ALIGNMENT: u64 = 1 << 20;

/// The most dimensions a tensor may have (GGUF specification).
pub const MAX_DIMS: usize = 4;

/// How deep arrays may nest. Known files nest none (1 level); the format allows any depth, a stack does not.
pub const MAX_NESTING: usize = 4;

/// The longest metadata key accepted, in bytes (GGUF specification: 2^16 - 1).
pub const MAX_KEY_BYTES: u64 = 65_535;

/// The longest tensor name accepted, in bytes (GGUF specification).
pub const MAX_NAME_BYTES: u64 = 64;

/// Heap bytes that reading may take per byte of file, at most (plus a few KiB for the handle itself).
///
/// The worst file is one of tiny entries, each of which costs a struct of fixed size. Real files stay far
/// below: the metadata is held once, and tensor data is mapped, not read.
pub const MEMORY_FACTOR: usize = 16;
