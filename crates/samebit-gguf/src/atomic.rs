//! A file that appears whole or not at all: written under a temporary name beside its own, then renamed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file being written. Dropped before [`AtomicFile::commit`], it is removed.
pub(crate) struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    /// `None` once committed.
    file: Option<File>,
}

impl AtomicFile {
    /// Begins a file that will stand at `target`.
    pub(crate) fn create(target: &Path) -> io::Result<AtomicFile> {
        /// Names tried before giving up: others can only be left over from processes that were killed.
        const TRIES: u32 = 100;
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        for attempt in 0..TRIES {
            let mut temporary = name.to_os_string();
            temporary.push(format!(".{}-{attempt}.tmp", std::process::id()));
            let temporary = target.with_file_name(temporary);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    return Ok(AtomicFile { target: target.to_owned(), temporary, file: Some(file) });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where to write.
    pub(crate) fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Puts the bytes on the disk, then the file in its place, replacing what was there.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        // Before the rename: a crash in between must not leave a whole name on half a file.
        self.file()?.sync_all()?;
        fs::rename(&self.temporary, &self.target)?;
        self.file = None;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // The error that led here is the one to report, not one in tidying up after it.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
