//! A model's tokens as llguidance sees them: bytes, and which of them end an answer.

use crate::GrammarError;
use llguidance::ParserFactory;
use llguidance::api::ParserLimits;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use samebit_text::{EncodeOptions, Tokenizer};
use std::sync::Arc;

/// Longest token whose bytes take part; longer ones exist in no vocabulary in use, and are never allowed.
const MOST_TOKEN_BYTES: usize = 1 << 12;

struct Vocabulary {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
    canonical: bool,
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, text: &[u8]) -> Vec<TokenId> {
        // What a grammar forces may begin or end within a character, which a tokenizer of text would make another of.
        let encode = |text: &str| self.tokenizer.encode(text, EncodeOptions::default());
        self.trie.tokenize_with_greedy_fallback(text, encode)
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.canonical
    }
}

/// What compiles grammars over a tokenizer's vocabulary.
pub(crate) fn factory(tokenizer: &Arc<Tokenizer>, limits: ParserLimits) -> Result<ParserFactory, GrammarError> {
    let ends = tokenizer.eog_ids();
    let Some(&end) = ends.first() else {
        return Err(GrammarError::Vocabulary("it has no token that ends an answer".into()));
    };
    let size = u32::try_from(tokenizer.vocab_size())
        .map_err(|_| GrammarError::Vocabulary("it has more tokens than 32 bits count".into()))?;
    let words: Vec<Vec<u8>> = (0..size).map(|id| bytes(tokenizer, id)).collect();
    let trie = TokTrie::from(&TokRxInfo::new(size, end), &words).with_eos_tokens(&ends);
    let vocabulary = Vocabulary { canonical: is_canonical(tokenizer), tokenizer: Arc::clone(tokenizer), trie };
    let env: TokEnv = Arc::new(vocabulary);
    let slices = SlicedBiasComputer::general_slices();
    let mut factory = ParserFactory::new(&env, InferenceCapabilities::default(), &slices)
        .map_err(|error| GrammarError::Vocabulary(crate::one_line(&error.to_string())))?;
    *factory.limits_mut() = limits;
    factory.quiet();
    Ok(factory)
}

/// A token's bytes; a control token's behind llguidance's mark, so that no text is taken for it.
fn bytes(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    let piece = tokenizer.piece(id).unwrap_or_default();
    if piece.len() > MOST_TOKEN_BYTES {
        return Vec::new();
    }
    if tokenizer.is_control(id) || tokenizer.is_eog(id) {
        return [&[TokTrie::SPECIAL_TOKEN_MARKER], &*piece].concat();
    }
    // A byte that would read as the mark is in no UTF-8 text.
    if piece.contains(&TokTrie::SPECIAL_TOKEN_MARKER) { Vec::new() } else { piece.into_owned() }
}

/// Whether encoding the middle of a text gives the tokens that it has there: not where a space is put before every text.
fn is_canonical(tokenizer: &Tokenizer) -> bool {
    let text = b"a";
    let pieces = tokenizer.encode(text, EncodeOptions::default());
    let spelled: Vec<u8> = pieces.iter().flat_map(|&id| tokenizer.piece(id).unwrap_or_default().into_owned()).collect();
    spelled == text
}
