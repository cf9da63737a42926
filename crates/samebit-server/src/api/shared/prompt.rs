//! Texts to tokens and back, as `samebit run` does it.

use crate::app::App;
use crate::http::ApiError;
use samebit_text::{DecodeOptions, EncodeOptions};

/// The tokens of a text that is continued as it is.
pub(crate) fn encode(app: &App, text: &str) -> Vec<u32> {
    app.model.tokenizer.encode(text, EncodeOptions { add_special: true, parse_special: true })
}

/// The tokens of a conversation that a template has written out.
pub(crate) fn encode_rendered(app: &App, text: &str) -> Vec<u32> {
    let tokenizer = &app.model.tokenizer;
    // A template that begins with the beginning-of-sequence token has said all there is to say.
    let bos = tokenizer.bos().and_then(|id| tokenizer.piece(id));
    let begins = bos.is_some_and(|bos| !bos.is_empty() && text.as_bytes().starts_with(&bos));
    tokenizer.encode(text, EncodeOptions { add_special: !begins, parse_special: true })
}

/// The text of tokens, special ones shown; broken characters become U+FFFD.
pub(crate) fn decode(app: &App, tokens: &[u32]) -> Result<String, ApiError> {
    let options = DecodeOptions { unparse_special: true, ..DecodeOptions::default() };
    let bytes = app.model.tokenizer.decode(tokens, options).map_err(|error| ApiError::field("tokens", error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Refuses ids that are no tokens.
pub(crate) fn check_tokens(app: &App, param: &str, tokens: &[u32]) -> Result<(), ApiError> {
    let size = app.model.tokenizer.vocab_size();
    match tokens.iter().find(|&&id| id as usize >= size) {
        Some(id) => {
            let last = size.saturating_sub(1);
            Err(ApiError::field(param, format!("token {id} is not in the vocabulary: ids go from 0 to {last}")))
        }
        None => Ok(()),
    }
}
