//! Text to tokens and back, as llama.cpp's server has it and as vLLM's has it: paths are the same, fields have both names.

use super::shared::{decode, prepare};
use crate::app::App;
use crate::http::{ApiError, body, error::json_response};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use samebit_text::EncodeOptions;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
struct Tokenize {
    content: Option<String>,
    /// vLLM's name of it, with special tokens added unless it is told otherwise.
    prompt: Option<String>,
    add_special: Option<bool>,
    /// vLLM's name of it.
    add_special_tokens: Option<bool>,
    parse_special: Option<bool>,
    with_pieces: Option<bool>,
}

pub(crate) async fn tokenize(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let asked: Tokenize = body::parse(&body::read(&app, request).await?)?;
    let (text, add_special) = match (asked.content, asked.prompt) {
        (Some(content), None) => (content, false),
        (None, Some(prompt)) => (prompt, true),
        _ => return Err(ApiError::field("content", "give the text as `content`, or as `prompt`")),
    };
    if asked.add_special.is_some() && asked.add_special_tokens.is_some() {
        let message = "`add_special_tokens` means the same: give one of them";
        return Err(ApiError::field("add_special", message));
    }
    let add_special = asked.add_special.or(asked.add_special_tokens).unwrap_or(add_special);
    let context = app.model.engine.context();
    let tokens = prepare(&app, move |app| {
        let options = EncodeOptions { add_special, parse_special: asked.parse_special.unwrap_or(true) };
        let tokens = app.model.tokenizer.encode(&text, options);
        if !asked.with_pieces.unwrap_or(false) {
            return Ok(tokens.into_iter().map(Value::from).collect());
        }
        let piece = |&id: &u32| {
            let bytes = app.model.bytes(id);
            // What is no text by itself is told as bytes.
            let piece = String::from_utf8(bytes).map_or_else(|error| json!(error.into_bytes()), Value::String);
            json!({"id": id, "piece": piece})
        };
        Ok(tokens.iter().map(piece).collect())
    });
    let tokens: Vec<Value> = tokens.await?;
    let body = json!({"count": tokens.len(), "max_model_len": context, "tokens": tokens});
    Ok(json_response(StatusCode::OK, &body))
}

#[derive(Deserialize)]
struct Detokenize {
    tokens: Vec<u32>,
}

pub(crate) async fn detokenize(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let asked: Detokenize = body::parse(&body::read(&app, request).await?)?;
    let text = decode(&app, &asked.tokens)?;
    Ok(json_response(StatusCode::OK, &json!({"content": text, "prompt": text})))
}

/// What a client needs to know of the tokenizer to do without one of its own: vLLM's.
pub(crate) async fn info(State(app): State<Arc<App>>) -> Response {
    let (model, tokenizer) = (&app.model, &app.model.tokenizer);
    let text = |id: Option<u32>| id.map(|id| model.piece(id));
    let body = json!({
        "bos_token": text(tokenizer.bos()),
        "eos_token": text(tokenizer.eos()),
        "vocab_size": tokenizer.vocab_size(),
        "chat_template": model.template.as_ref().ok().map(|template| template.source()),
    });
    json_response(StatusCode::OK, &body)
}
