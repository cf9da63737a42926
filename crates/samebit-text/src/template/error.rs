//! What can go wrong with a chat template, each in one line. Knows neither the interpreter nor a file format.

/// Why a chat template could not be found, read or rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template called `raise_exception(message)`: it refuses this conversation.
    #[error("the chat template refuses this conversation: {0}")]
    Raised(String),
    /// The source is not a Jinja template.
    #[error("chat template line {line}: syntax error: {message}")]
    Syntax {
        /// Line of the template's source, from 1.
        line: u32,
        /// What was found there.
        message: String,
    },
    /// Rendering failed, as it would under Python's Jinja.
    #[error("chat template line {line}: {message}")]
    Runtime {
        /// Line of the template's source, from 1.
        line: u32,
        /// What went wrong there.
        message: String,
    },
    /// The template asked for more than [`Limits`](super::Limits) grants.
    #[error("chat template line {line}: exceeds the limit on {what}")]
    Limit {
        /// Line of the template's source, from 1.
        line: u32,
        /// The limit, with its value.
        what: String,
    },
    /// The model file has no template of that name.
    #[error("the model has no chat template{}; {remedy}", .name.as_ref().map(|n| format!(" named {n:?}")).unwrap_or_default())]
    Missing {
        /// The name asked for, if one was.
        name: Option<String>,
        /// What the user can do about it.
        remedy: String,
    },
    /// The model file's metadata holds something other than text under a template's key.
    #[error("model metadata: {0}")]
    Metadata(String),
    /// A conversation is not a list of objects.
    #[error("message {index}: {message}")]
    Message {
        /// Index of the message, from 0.
        index: usize,
        /// What is wrong with it.
        message: String,
    },
}

impl TemplateError {
    /// The message of `raise_exception`, if that is what happened.
    pub fn raised(&self) -> Option<&str> {
        match self {
            Self::Raised(message) => Some(message),
            _ => None,
        }
    }
}
