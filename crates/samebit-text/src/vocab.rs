//! A vocabulary as the file states it. Plain data: knows the GGUF keys, and nothing of how text is cut.

use samebit_gguf::{Array, Metadata, Strings};

use crate::error::TextError;

/// What a token is for, as `tokenizer.ggml.token_type` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// 0, or any number that has no meaning: prints nothing.
    Undefined,
    /// 1: a piece of text.
    Normal,
    /// 2: stands for what has no token.
    Unknown,
    /// 3: steers the model; its text is recognised only where special tokens are parsed.
    Control,
    /// 4: a text that is always one token.
    UserDefined,
    /// 5: a place in the vocabulary that nothing uses.
    Unused,
    /// 6: one byte, written `<0xXX>`.
    Byte,
}

impl TokenType {
    fn from_number(number: i32) -> Self {
        match number {
            1 => TokenType::Normal,
            2 => TokenType::Unknown,
            3 => TokenType::Control,
            4 => TokenType::UserDefined,
            5 => TokenType::Unused,
            6 => TokenType::Byte,
            _ => TokenType::Undefined,
        }
    }
}

/// Tokens with a role; `None` where the vocabulary has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// Begins a text.
    pub bos: Option<u32>,
    /// Ends a text.
    pub eos: Option<u32>,
    /// Ends a turn of a conversation.
    pub eot: Option<u32>,
    /// Ends a message within a turn.
    pub eom: Option<u32>,
    /// Stands for what has no token.
    pub unknown: Option<u32>,
    /// Before the text that precedes a gap (fill in the middle).
    pub fim_prefix: Option<u32>,
    /// Before the text that follows the gap.
    pub fim_suffix: Option<u32>,
    /// Before the text that fills the gap.
    pub fim_middle: Option<u32>,
    /// Fills up what is too short.
    pub fim_pad: Option<u32>,
    /// Before a repository's name.
    pub fim_repo: Option<u32>,
    /// Between files.
    pub fim_separator: Option<u32>,
}

/// A vocabulary as a GGUF file's metadata states it, or as a test writes it.
///
/// Only the counts that index each other are checked here; [`crate::Tokenizer::new`] checks the rest.
#[derive(Clone, Debug, Default)]
pub struct Vocab {
    /// `tokenizer.ggml.model`: `llama`, `gpt2`, `gemma4` …
    pub model: String,
    /// `tokenizer.ggml.pre`; empty where there is none.
    pub pre: String,
    /// `general.name`; a few rules go by it.
    pub name: String,
    /// `tokenizer.ggml.tokens`: each token's text, in the model's own spelling (byte alphabet, U+2581 …).
    pub tokens: Strings,
    /// `tokenizer.ggml.scores`; empty, or at least one per token.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`; empty (all are normal), or at least one per token.
    pub types: Vec<TokenType>,
    /// `tokenizer.ggml.merges`, best first, each two pieces with a space between; `None` without the key.
    pub merges: Option<Strings>,
    /// The ids that `tokenizer.ggml.*_token_id` give; `None` where the file says nothing.
    pub ids: SpecialIds,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
}

/// Ids are u32 and also numbered as i32 elsewhere, and half of that is beyond any vocabulary.
const MAX_TOKENS: usize = 1 << 30;
/// Longer than any token's text; offsets into all of them stay u32.
const MAX_TEXT_BYTES: usize = 1 << 31;

const TOKENS: &str = "tokenizer.ggml.tokens";
const SCORES: &str = "tokenizer.ggml.scores";
const TYPES: &str = "tokenizer.ggml.token_type";

impl Vocab {
    /// Reads the `tokenizer.ggml.*` keys.
    ///
    /// # Errors
    /// A key is missing or of another type, or there are fewer scores or types than tokens.
    pub fn from_metadata(metadata: &Metadata) -> Result<Vocab, TextError> {
        let model_key = "tokenizer.ggml.model";
        let model = metadata.str(model_key)?.ok_or_else(|| metadata.missing(model_key))?;
        if !crate::tokenizer::is_supported(model) {
            return Err(TextError::Model(model.to_owned()));
        }
        let tokens = metadata.array_str(TOKENS)?.ok_or_else(|| metadata.missing(TOKENS))?;
        let types = metadata.array_i32(TYPES)?.unwrap_or_default();
        let vocab = Vocab {
            model: model.to_owned(),
            pre: metadata.str("tokenizer.ggml.pre")?.unwrap_or_default().to_owned(),
            name: String::from_utf8_lossy(metadata.bytes("general.name")?.unwrap_or_default()).into_owned(),
            tokens: tokens.clone(),
            scores: scores(metadata)?,
            types: types.iter().map(|&number| TokenType::from_number(number)).collect(),
            merges: metadata.array_str("tokenizer.ggml.merges")?.cloned(),
            ids: stated_ids(metadata)?,
            add_bos: metadata.bool("tokenizer.ggml.add_bos_token")?,
            add_eos: metadata.bool("tokenizer.ggml.add_eos_token")?,
            add_space_prefix: metadata.bool("tokenizer.ggml.add_space_prefix")?,
        };
        if vocab.scores.is_empty() && metadata.contains(SCORES) && !vocab.tokens.is_empty() {
            return Err(TextError::Count { key: SCORES, found: 0, tokens: vocab.tokens.len() });
        }
        if vocab.types.is_empty() && metadata.contains(TYPES) && !vocab.tokens.is_empty() {
            return Err(TextError::Count { key: TYPES, found: 0, tokens: vocab.tokens.len() });
        }
        vocab.check()?;
        Ok(vocab)
    }

    /// Checks that counts fit each other and the limits.
    pub(crate) fn check(&self) -> Result<(), TextError> {
        let tokens = self.tokens.len();
        if tokens > MAX_TOKENS {
            return Err(TextError::TooLarge(format!("{tokens} tokens")));
        }
        let bytes = self.tokens.total_bytes();
        if bytes > MAX_TEXT_BYTES {
            return Err(TextError::TooLarge(format!("{bytes} bytes of text")));
        }
        for (key, found) in [(SCORES, self.scores.len()), (TYPES, self.types.len())] {
            if found != 0 && found < tokens {
                return Err(TextError::Count { key, found, tokens });
            }
        }
        match self.scores.iter().position(|score| score.is_nan()) {
            Some(at) => Err(TextError::Score(at)),
            None => Ok(()),
        }
    }

    /// The type of token `id`.
    pub(crate) fn token_type(&self, id: usize) -> TokenType {
        self.types.get(id).copied().unwrap_or(TokenType::Normal)
    }
}

/// Scores, which some converters store as integers.
fn scores(metadata: &Metadata) -> Result<Vec<f32>, TextError> {
    if let Some(Array::I32(integers)) = metadata.array(SCORES)? {
        return Ok(integers.iter().map(|&score| score as f32).collect());
    }
    Ok(metadata.array_f32(SCORES)?.unwrap_or_default().to_vec())
}

fn stated_ids(metadata: &Metadata) -> Result<SpecialIds, TextError> {
    let id = |name: &str| metadata.u32(&format!("tokenizer.ggml.{name}_token_id"));
    Ok(SpecialIds {
        bos: id("bos")?,
        eos: id("eos")?,
        eot: id("eot")?,
        eom: id("eom")?,
        unknown: id("unknown")?,
        // The first name of each is the older one, and wins where a file has both.
        fim_prefix: id("prefix")?.or(id("fim_pre")?),
        fim_suffix: id("suffix")?.or(id("fim_suf")?),
        fim_middle: id("middle")?.or(id("fim_mid")?),
        fim_pad: id("fim_pad")?,
        fim_repo: id("fim_rep")?,
        fim_separator: id("fim_sep")?,
    })
}
