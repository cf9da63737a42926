//! What can go wrong between a request and its tokens, in one line each.

use samebit_model::{ForwardError, LoadError};

use crate::sampler::{ParamError, SampleError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file is no model that can run here.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The forward pass stopped.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// A sampling parameter is out of its range.
    #[error(transparent)]
    Parameter(#[from] ParamError),
    /// The sampler could not choose.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// Nothing to predict from.
    #[error("the prompt has no tokens: give some text, or a token to begin with")]
    EmptyPrompt,
    /// More tokens than the context holds.
    #[error("the prompt has {tokens} tokens, the context holds {context}: shorten it or raise -c")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Positions of the context.
        context: usize,
    },
    /// A position that the prompt does not have.
    #[error("position {position} is not in the prompt of {tokens} tokens")]
    Position {
        /// What was asked for.
        position: usize,
        /// Tokens of the prompt.
        tokens: usize,
    },
}
