//! What can be wrong with a trace or with what was asked of it, in one line each.

use std::path::Path;

use samebit_model::ForwardError;

/// Why there is no trace, or no comparison.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A file or folder that is no trace; names the place and the remedy.
    #[error("{place}: {problem}")]
    Bad {
        /// The file, and the tensor where there is one.
        place: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The forward pass stopped.
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

impl TraceError {
    /// A problem at a place.
    pub fn at(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Bad { place: place.into(), problem: problem.into() }
    }

    /// A problem with a file.
    pub fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::at(path.display().to_string(), problem)
    }

    /// The same, said of a file: `what` becomes `file: what`.
    #[must_use]
    pub fn of(self, path: &Path) -> Self {
        match self {
            Self::Bad { place, problem } if place.is_empty() => Self::file(path, problem),
            Self::Bad { place, problem } => Self::at(format!("{}: {place}", path.display()), problem),
            other => other,
        }
    }
}
