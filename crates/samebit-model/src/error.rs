//! What can go wrong when a model is loaded or run, in one line each.

use samebit_gguf::GgufError;

/// Why a file is no model that can run here.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A key is missing or of the wrong type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// No such architecture here.
    #[error("architecture `{name}` is not supported; supported are {supported}")]
    Architecture {
        /// `general.architecture`.
        name: String,
        /// The names that are.
        supported: String,
    },
    /// A key's value cannot be.
    #[error("key `{key}`: {problem}")]
    Key {
        /// The key's full name.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A tensor is not there.
    #[error("tensor `{0}` is missing: the file is incomplete or of another architecture than it says")]
    MissingTensor(String),
    /// A tensor has another shape than its architecture gives it.
    #[error("tensor `{name}` has shape {found:?} where the architecture needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// In GGUF's order: row length first.
        found: Vec<u64>,
        /// Likewise.
        expected: Vec<u64>,
    },
    /// A tensor's type is not one of the formats here.
    #[error("tensor `{name}` has type {ty}, which is not supported; supported are {supported}")]
    TensorType {
        /// The tensor.
        name: String,
        /// GGUF's name of its type.
        ty: &'static str,
        /// The names that are.
        supported: String,
    },
    /// A tensor that the architecture has no use for.
    #[error("tensor `{0}` has no place in this architecture: without it the answers would be wrong")]
    UnknownTensor(String),
    /// A small tensor holds an infinity or a NaN.
    #[error("tensor `{0}` holds a value that is not finite: the file is damaged")]
    NonFiniteTensor(String),
}

/// Why a forward pass stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// An activation became infinite or NaN; a silent wrong token would follow.
    #[error(
        "{place}: element {index} of position {position} is not finite: the file is damaged, or the model overflows{remedy}"
    )]
    NonFinite {
        /// The tensor at whose product, norm or storing it arose.
        place: String,
        /// The token's position in its sequence.
        position: usize,
        /// The element within the row.
        index: usize,
        /// What may help; may be empty.
        remedy: &'static str,
    },
    /// A token that the vocabulary does not have.
    #[error("token {token} is not in the vocabulary of {vocabulary}")]
    Token {
        /// The token.
        token: u32,
        /// How many there are.
        vocabulary: usize,
    },
}
