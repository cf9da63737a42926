//! What can go wrong between a file's metadata and its tokens, each said in one line with the remedy.

use samebit_gguf::GgufError;

use crate::breakers::{LONGEST_BREAKER, MOST_BREAKERS};

/// Why a vocabulary cannot be used, or tokens cannot be turned into text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A key is absent or of another type.
    #[error(transparent)]
    Metadata(#[from] GgufError),
    /// `tokenizer.ggml.model` names a kind of tokenizer that is not built.
    #[error(
        "tokenizer.ggml.model is '{0}', and only 'llama' (SPM), 'gpt2' and 'gemma4' (BPE) are supported: use a model with one of these"
    )]
    Model(String),
    /// `tokenizer.ggml.pre` names an unknown pre-tokenizer.
    #[error(
        "tokenizer.ggml.pre is '{0}', an unknown pre-tokenizer: convert the model again with one that is known, or use a newer samebit"
    )]
    PreTokenizer(String),
    /// An array of per-token values is shorter than the list of tokens.
    #[error("{key} has {found} entries for {tokens} tokens: the file was made wrongly, convert the model again")]
    Count {
        /// The GGUF key.
        key: &'static str,
        /// Its number of entries.
        found: usize,
        /// The number of tokens.
        tokens: usize,
    },
    /// More tokens, or longer ones, than ids and offsets have room for.
    #[error("the vocabulary has {0}, which is over the limit: the file was made wrongly, convert the model again")]
    TooLarge(String),
    /// Two tokens have one text.
    #[error("tokens {first} and {second} have the same text: the file was made wrongly, convert the model again")]
    DuplicateToken {
        /// The smaller id.
        first: u32,
        /// The greater id.
        second: u32,
    },
    /// A BPE vocabulary has no merges.
    #[error("tokenizer.ggml.merges is missing: the file was made wrongly, convert the model again")]
    NoMerges,
    /// A merge is not two pieces with a space between them.
    #[error("tokenizer.ggml.merges[{0}] is not a pair of pieces: the file was made wrongly, convert the model again")]
    Merge(usize),
    /// A score is not a number.
    #[error("tokenizer.ggml.scores[{0}] is NaN: the file was made wrongly, convert the model again")]
    Score(usize),
    /// Texts that DRY should not follow repetitions beyond, which are too many, too long or empty.
    #[error("DRY's sequence breakers: at most {MOST_BREAKERS} texts of 1 to {LONGEST_BREAKER} bytes")]
    Breakers,
    /// A token id beyond the vocabulary.
    #[error("token {id} is outside the vocabulary of {vocab_size}: give ids that this model's tokenizer made")]
    TokenId {
        /// The id given.
        id: u32,
        /// The number of tokens there are.
        vocab_size: usize,
    },
}
