//! What can go wrong between a name and a file: each is one line that names the place and the remedy.

use std::io;
use std::path::Path;

/// Why a model could not be named, fetched, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// A name that cannot be one.
    #[error("{0}")]
    Name(String),
    /// There is no such model, or more than one that is meant.
    #[error("{0}")]
    Choice(String),
    /// A server could not be reached, or the connection broke again and again.
    #[error("{host}: {why}; {remedy}")]
    Network {
        /// Which server.
        host: String,
        /// What happened.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A server answered, but not with what was asked for.
    #[error("{0}")]
    Refused(String),
    /// What came is not what should have come. It was not kept.
    #[error("{0}")]
    Wrong(String),
    /// A file or folder of this machine.
    #[error("{0}")]
    Local(String),
    /// Python or pip.
    #[error("{0}")]
    Pip(String),
}

impl HubError {
    /// What the system said about a path.
    pub(crate) fn at(path: &Path, error: &io::Error) -> Self {
        let place = path.display();
        Self::Local(match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("{place}: the disk is full: make room and pull again")
            }
            io::ErrorKind::PermissionDenied => {
                format!("{place}: may not be written ({error}); HF_HUB_CACHE and SAMEBIT_MODELS_DIR name other folders")
            }
            _ => format!("{place}: {error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_remedy() {
        let error = HubError::at(Path::new("x.gguf"), &io::ErrorKind::StorageFull.into());
        assert!(error.to_string().starts_with("x.gguf: the disk is full: make room"));
    }
}
