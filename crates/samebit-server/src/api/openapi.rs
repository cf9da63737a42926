//! The description of all of this for programs: `openapi.json`, with the bounds that the model sets.

use crate::app::App;
use crate::http::ApiError;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::sync::Arc;

const DOCUMENT: &str = include_str!("../../openapi.json");

pub(crate) async fn document(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let mut document: Value = serde_json::from_str(DOCUMENT).map_err(|error| ApiError::internal(error.to_string()))?;
    if let Some(bound) = document.pointer_mut("/components/schemas/TokenId/maximum") {
        *bound = app.model.tokenizer.vocab_size().saturating_sub(1).into();
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response())
}
