//! What each path means. Knows no sockets; what is computed is `answer/`'s and the engine's.

mod llama_cpp;
mod openai;
mod openapi;
mod page;
mod shared;
mod tokens;

pub(crate) use shared::bounds;

use crate::app::App;
use crate::http::ApiError;
use crate::http::error::quoted;
use crate::http::gate::gate;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::Arc;

/// All paths, behind the gate.
pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::completions))
        .route("/v1/responses", post(openai::responses))
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{*id}", get(openai::model))
        .route("/health", get(llama_cpp::health))
        .route("/v1/health", get(llama_cpp::health))
        .route("/props", get(llama_cpp::props))
        .route("/tokenize", post(tokens::tokenize))
        .route("/detokenize", post(tokens::detokenize))
        .route("/tokenizer_info", get(tokens::info))
        .route("/apply-template", post(llama_cpp::apply_template))
        .route("/openapi.json", get(openapi::document));
    if app.options.metrics {
        router = router.route("/metrics", get(llama_cpp::metrics));
    }
    if app.options.slots {
        router = router.route("/slots", get(llama_cpp::slots));
    }
    if app.options.page {
        router = page::routes(router);
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), gate))
        .with_state(app)
}

async fn not_found(request: Request) -> ApiError {
    let message = format!("there is no {}: see /openapi.json for what there is", asked_for(&request));
    ApiError::new(StatusCode::NOT_FOUND, message).code("unknown_path")
}

/// The path, or what stands in its place where a proxy is asked for (`CONNECT host:port`).
fn asked_for(request: &Request) -> String {
    match request.uri().path() {
        "" => quoted(&request.uri().to_string()),
        path => quoted(path),
    }
}

async fn wrong_method(request: Request) -> ApiError {
    let (path, method) = (asked_for(&request), quoted(request.method().as_str()));
    let message = format!("{path} is not for {method}: see /openapi.json");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).code("method_not_allowed")
}
