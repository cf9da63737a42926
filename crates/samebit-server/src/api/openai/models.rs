//! `GET /v1/models`: the one model that is served.

use crate::app::App;
use crate::http::ApiError;
use crate::http::error::{json_response, quoted};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

fn card(app: &App) -> Value {
    let (model, config) = (&app.model, app.model.engine.model().config());
    json!({
        "id": model.id,
        "object": "model",
        "created": app.created,
        "owned_by": "samebit",
        "meta": {
            "digest": model.digest,
            "numerics": model.numerics,
            "n_ctx": model.engine.context(),
            "n_ctx_train": config.context,
            "n_vocab": model.engine.vocab_size(),
            "n_embd": config.width,
        },
    })
}

pub(crate) async fn models(State(app): State<Arc<App>>) -> Response {
    json_response(StatusCode::OK, &json!({"object": "list", "data": [card(&app)]}))
}

pub(crate) async fn model(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    if id == app.model.id {
        return Ok(json_response(StatusCode::OK, &card(&app)));
    }
    let message = format!("there is no model `{}`: this server has `{}`", quoted(&id), app.model.id);
    Err(ApiError::new(StatusCode::NOT_FOUND, message).code("model_not_found"))
}
