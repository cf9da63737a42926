//! Opening a trace of whatever kind: what it is shows in its first bytes.

use std::io::Read;
use std::path::Path;

use crate::assemble::NameMap;
use crate::error::TraceError;
use crate::file;
use crate::trace::Trace;

/// Reads a trace: a safetensors file. `map` translates its names.
///
/// # Errors
/// A file that is none of these, or a damaged one, in one line.
pub fn read(path: &Path, map: Option<&NameMap>) -> Result<Trace, TraceError> {
    let mut start = Vec::new();
    let opened = std::fs::File::open(path).and_then(|f| f.take(16).read_to_end(&mut start));
    opened.map_err(|error| TraceError::file(path, error.to_string()))?;
    file::read(path, map)
}
