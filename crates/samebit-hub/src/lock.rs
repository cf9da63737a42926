//! One pull of a file at a time, among all processes: the others wait.

use crate::error::HubError;
use crate::watch::{Event, Watch};
use std::fs::{self, File};
use std::path::Path;

/// Held until it is dropped. The file stays: whoever removed it would let two in at once.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody else holds the lock at `path`.
    pub(crate) fn take(path: &Path, watch: &mut Watch<'_>) -> Result<Self, HubError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| HubError::at(folder, &error))?;
        }
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(|error| HubError::at(path, &error))?;
        if file.try_lock().is_err() {
            watch(Event::Note("another process works on the same file: waiting for it"));
            file.lock().map_err(|error| HubError::at(path, &error))?;
        }
        Ok(Self { _file: file })
    }
}
