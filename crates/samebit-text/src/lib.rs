//! Text to tokens and back: tokenizers, streaming UTF-8, chat templates.
//!
//! Tokenizers are read from a GGUF file's `tokenizer.ggml.*` keys and give the ids that llama.cpp gives:
//!
//! ```
//! use samebit_gguf::{Metadata, Strings};
//! use samebit_text::{DecodeOptions, EncodeOptions, Tokenizer};
//!
//! let mut metadata = Metadata::new();
//! metadata.insert("tokenizer.ggml.model", "gpt2");
//! metadata.insert("tokenizer.ggml.pre", "gpt-2");
//! metadata.insert("tokenizer.ggml.tokens", Strings::from_iter(["h", "i", "Ġ", "hi", "Ġhi"]));
//! metadata.insert("tokenizer.ggml.merges", Strings::from_iter(["h i", "Ġ hi"]));
//!
//! let tokenizer = Tokenizer::from_metadata(&metadata)?;
//! let ids = tokenizer.encode("hi hi", EncodeOptions::default());
//! assert_eq!(ids, [3, 4]);
//! assert_eq!(tokenizer.decode(&ids, DecodeOptions::default())?, b"hi hi");
//! # Ok::<(), samebit_text::TextError>(())
//! ```

mod alphabet;
mod bpe;
mod breakers;
mod detokenize;
mod error;
mod ids;
mod merge;
mod partition;
mod pretokenizer;
mod special;
mod spm;
mod stream;
pub mod template;
mod tokenizer;
mod unicode;
mod vocab;

pub use breakers::{BREAKERS, LONGEST_BREAKER, MOST_BREAKERS, check_breakers};
pub use error::TextError;
pub use pretokenizer::table::pretokenizer_names;
pub use stream::StreamDecoder;
pub use tokenizer::{DecodeOptions, EncodeOptions, Tokenizer};
pub use vocab::{SpecialIds, TokenType, Vocab};
