//! What can go wrong with a chat template, each in one line. Knows neither the interpreter nor a file format.

/// Why a chat template could not be found, read or rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template called `raise_exception(message)`: it refuses this conversation.
    #[error("the chat template refuses this conversation: {}", one_line(.0))]
    Raised(String),
    /// The source is not a Jinja template.
    #[error("chat template line {line}: syntax error: {}", one_line(.message))]
    Syntax {
        /// Line of the template's source, from 1.
        line: u32,
        /// What was found there.
        message: String,
    },
    /// Rendering failed, as it would under Python's Jinja.
    #[error("chat template line {line}: {}", one_line(.message))]
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
    #[error("model metadata: {}", one_line(.0))]
    Metadata(String),
    /// There is no built-in template of that name.
    #[error("no built-in chat template is named {name:?}; known are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
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

/// A message from a template or about its text, kept to one line of bounded length.
fn one_line(message: &str) -> String {
    let escape = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = message.chars().take(500).map(escape).collect();
    if message.chars().nth(500).is_some() {
        line.push('…');
    }
    line
}
