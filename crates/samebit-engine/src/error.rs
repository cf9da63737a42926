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
    /// As many submissions wait as may.
    #[error("{waiting} requests wait already: try again later")]
    QueueFull {
        /// How many.
        waiting: usize,
    },
    /// A number of choices that is none.
    #[error("{asked} choices: ask for 1 to {most}")]
    Choices {
        /// What was asked for.
        asked: u32,
        /// The most.
        most: u32,
    },
    /// Too many alternatives to a token.
    #[error("log-probabilities of {asked} alternatives: ask for at most {most}")]
    Logprobs {
        /// What was asked for.
        asked: usize,
        /// The most.
        most: usize,
    },
    /// A grammar could not go on.
    #[error("the grammar stopped: {0}")]
    Constraint(String),
}
