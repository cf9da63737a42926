//! Texts to tokens and back, as `samebit run` does it.

use crate::app::App;
use crate::http::ApiError;
use samebit_text::{DecodeOptions, EncodeOptions};
use serde_json::Value;

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

/// A text or tokens, as a request has them.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) tokens: Vec<u32>,
    /// What they were made of, if it was a text.
    pub(crate) text: Option<String>,
}

/// The forms that an input or a prompt has: a text, tokens, or a list of either.
pub(crate) fn inputs(app: &App, param: &str, input: &Value) -> Result<Vec<Input>, ApiError> {
    let wrong = || ApiError::field(param, "give a text, a list of texts, a list of token ids, or a list of such lists");
    let ids = |items: &[Value]| -> Result<Input, ApiError> {
        let id = |item: &Value| item.as_u64().and_then(|id| u32::try_from(id).ok());
        let tokens: Vec<u32> = items.iter().map(id).collect::<Option<_>>().ok_or_else(wrong)?;
        check_tokens(app, param, &tokens)?;
        Ok(Input { tokens, text: None })
    };
    let one = |item: &Value| match item {
        Value::String(text) => Ok(Input { tokens: encode(app, text), text: Some(text.clone()) }),
        Value::Array(items) => ids(items),
        _ => Err(wrong()),
    };
    let inputs: Vec<Input> = match input {
        Value::Array(items) if items.first().is_some_and(Value::is_number) => vec![ids(items)?],
        Value::Array(items) if items.len() > app.options.choices => {
            let most = app.options.choices;
            return Err(ApiError::field(param, format!("{} inputs: give at most {most}", items.len())));
        }
        Value::Array(items) if !items.is_empty() => items.iter().map(one).collect::<Result<_, _>>()?,
        Value::String(_) => vec![one(input)?],
        _ => return Err(wrong()),
    };
    match inputs.iter().any(|input| input.tokens.is_empty()) {
        true => Err(ApiError::field(param, "is empty: give some text, or a token to begin with")),
        false => Ok(inputs),
    }
}
