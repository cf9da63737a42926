//! The bytes of one file: mapped, or held in memory. The only place in this crate with unsafe code.

use std::fs::{self, File};
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::error::ErrorKind;

/// A file's bytes.
pub(crate) enum Backing {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Backing {
    /// Gives the pages of a range back to the system; they are read from the file anew when they are needed.
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code, reason = "the system is told that pages may go")]
    pub(crate) fn release(&self, start: usize, len: usize) {
        if let Backing::Mapped(map) = self {
            // Reading a page maps those around it too: also such as were given back before.
            const AROUND: usize = 1 << 16;
            let end = start.saturating_add(len).saturating_add(AROUND).min(map.len());
            let start = start.saturating_sub(AROUND).min(end);
            let len = end - start;
            // SAFETY: the mapping is of a file, shared and read-only: its pages come back with the same bytes.
            // A refusal means only that more memory stays in use.
            let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, len) };
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn release(&self, _: usize, _: usize) {}

    /// Maps a regular file; where the system has no mappings (WASI), reads it.
    pub(crate) fn map(path: &Path) -> Result<Backing, ErrorKind> {
        let open = |source: io::Error| ErrorKind::Io { doing: "open", source };
        // Asked before opening: opening a named pipe would wait for a writer.
        if !fs::metadata(path).map_err(open)?.is_file() {
            return Err(ErrorKind::NotAFile);
        }
        if cfg!(target_family = "wasm") {
            return fs::read(path).map(Backing::Owned).map_err(|source| ErrorKind::Io { doing: "read", source });
        }
        let file = File::open(path).map_err(open)?;
        if file.metadata().map_err(open)?.len() == 0 {
            return Ok(Backing::Owned(Vec::new())); // an empty mapping is an error on some systems
        }
        map_file(&file).map(Backing::Mapped).map_err(|source| ErrorKind::Io { doing: "map", source })
    }
}

/// Maps a whole file, read only.
#[allow(unsafe_code, reason = "a mapping is how gigabytes of weights are opened in milliseconds and shared")]
fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is read-only and private to this crate, which hands out `&[u8]` alone. What the
    // compiler cannot rule out is another process that changes the file meanwhile: bytes could then change
    // under a reference (a wrong answer; any value of u8 is valid), or the file be cut short (the process is
    // stopped by SIGBUS). Headers are copied out as they are parsed, so no checked length is read twice. The
    // documentation of `Gguf::open` states the condition, and `GgufWriter` replaces files by renaming, which
    // leaves mappings of the old file whole.
    unsafe { Mmap::map(file) }
}

impl Deref for Backing {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Backing::Mapped(map) => map,
            Backing::Owned(bytes) => bytes,
        }
    }
}
