//! llama.cpp's own paths: health, metrics, properties, slots, templates.

use super::shared::{Conversation, Said, prepare, shortest};
use crate::app::App;
use crate::engine::SlotView;
use crate::http::{ApiError, body, error::json_response};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(crate) async fn health(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    if !app.engine.is_alive() {
        return Err(ApiError::unavailable("the engine has ended"));
    }
    if app.is_stopping() {
        return Err(ApiError::unavailable("the server is about to end"));
    }
    Ok(json_response(StatusCode::OK, &json!({"status": "ok"})))
}

pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.text()).into_response()
}

pub(crate) async fn props(State(app): State<Arc<App>>) -> Response {
    let (model, tokenizer) = (&app.model, &app.model.tokenizer);
    let text = |id: Option<u32>| id.map(|id| model.piece(id)).unwrap_or_default();
    let sampling = &app.options.sampling;
    let body = json!({
        "default_generation_settings": {
            "n_ctx": model.engine.context(),
            "params": {
                "seed": sampling.seed,
                "temperature": shortest(sampling.temperature),
                "dynatemp_range": shortest(sampling.dynatemp_range),
                "dynatemp_exponent": shortest(sampling.dynatemp_exponent),
                "top_n_sigma": shortest(sampling.top_n_sigma),
                "top_k": sampling.top_k,
                "top_p": shortest(sampling.top_p),
                "min_p": shortest(sampling.min_p),
                "typical_p": shortest(sampling.typical_p),
                "xtc_probability": shortest(sampling.xtc_probability),
                "xtc_threshold": shortest(sampling.xtc_threshold),
                "repeat_last_n": i64::try_from(sampling.repeat_last_n).unwrap_or(-1),
                "repeat_penalty": shortest(sampling.repeat_penalty),
                "presence_penalty": shortest(sampling.presence_penalty),
                "frequency_penalty": shortest(sampling.frequency_penalty),
                "dry_multiplier": shortest(sampling.dry_multiplier),
                "dry_base": shortest(sampling.dry_base),
                "dry_allowed_length": sampling.dry_allowed_length,
                "dry_penalty_last_n": i64::try_from(sampling.dry_penalty_last_n).unwrap_or(-1),
                "max_tokens": app.options.predict.map_or(-1, |most| i64::try_from(most).unwrap_or(-1)),
            },
        },
        "total_slots": app.options.limits.sequences,
        "model_alias": model.id,
        "model_path": model.path,
        "chat_template": model.template.as_ref().map_or("", |template| template.source()),
        "chat_template_caps": {"supports_tools": app.capabilities.tools},
        "modalities": {"vision": false, "audio": false},
        "bos_token": text(tokenizer.bos()),
        "eos_token": text(tokenizer.eos()),
        "build_info": concat!("samebit ", env!("CARGO_PKG_VERSION")),
        "samebit": {
            "numerics": model.numerics,
            "model_digest": model.digest,
            "system_fingerprint": model.fingerprint(),
            "page_size": 256,
            "queue": app.options.limits.queue,
        },
    });
    json_response(StatusCode::OK, &body)
}

pub(crate) async fn slots(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let slots = app.engine.look().await.ok_or_else(|| ApiError::unavailable("the engine is busy"))?;
    let (running, waiting) = app.metrics.load();
    let context = app.model.engine.context();
    let slot = |slot: &SlotView| {
        json!({
            "id": slot.id,
            "id_task": slot.id,
            "n_ctx": context,
            "is_processing": true,
            "state": if slot.in_prompt { "prompt" } else { "answer" },
            "n_prompt_tokens": slot.prompt,
            "n_decoded": slot.generated,
            "n_choices": slot.unfinished,
            "seconds": (slot.seconds * 1e3).round() / 1e3,
        })
    };
    let mut slots: Vec<Value> = slots.iter().map(slot).collect();
    // As llama.cpp shows them: free ones too.
    for id in slots.len()..app.options.limits.sequences {
        slots.push(json!({"id": id, "id_task": -1, "n_ctx": context, "is_processing": false, "state": "free"}));
    }
    let mut response = json_response(StatusCode::OK, &slots);
    for (name, count) in [("x-samebit-running", running), ("x-samebit-waiting", waiting)] {
        response.headers_mut().insert(name, count.into());
    }
    Ok(response)
}

#[derive(Deserialize)]
struct ApplyTemplate {
    messages: Vec<Map<String, Value>>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    chat_template_kwargs: Option<Map<String, Value>>,
}

pub(crate) async fn apply_template(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let asked: ApplyTemplate = body::parse(&body::read(&app, request).await?)?;
    let prompt = prepare(&app, move |app| {
        let choice = asked.tool_choice.as_ref();
        Conversation::new(app, Said::messages(asked.messages), asked.tools, choice, asked.chat_template_kwargs)?
            .render(app)
    });
    Ok(json_response(StatusCode::OK, &json!({"prompt": prompt.await?})))
}
