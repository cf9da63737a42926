//! `POST /v1/embeddings`: a vector for each input.

use super::super::shared::{Knobs, Usage, inputs, prepare};
use crate::answer::{Plan, gather, start};
use crate::app::App;
use crate::http::gate::Caller;
use crate::http::{ApiError, body, error::json_response};
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use samebit_engine::Wants;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "model")]
    _model: Option<String>,
    input: Value,
    encoding_format: Option<Format>,
    dimensions: Option<u64>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Format {
    Float,
    Base64,
}

pub(crate) async fn embeddings(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let bytes = body::read(&app, request).await?;
    let asked: Body = body::parse(&bytes)?;
    let format = asked.encoding_format.unwrap_or(Format::Float);
    let width = app.model.engine.model().config().width as u64;
    if let Some(dimensions) = asked.dimensions.filter(|dimensions| *dimensions != width) {
        return Err(ApiError::field("dimensions", format!("{dimensions}: this model's vectors have {width}")));
    }
    let plan = prepare(&app, move |app| plan(app, &asked.input)).await?;
    let (prompts, tokens) = (plan.prompts.len(), plan.prompt_tokens());
    let gathered = gather(start(&app, &caller, plan).await?, prompts, 1).await?;
    let embedding = |vector: &Vec<f32>| match format {
        Format::Float => Vector::Float(vector.clone()),
        Format::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            Vector::Base64(BASE64_STANDARD.encode(bytes))
        }
    };
    let item = |(index, vector)| Item { object: "embedding", index, embedding: embedding(vector) };
    let data = gathered.vectors.iter().enumerate().map(item).collect();
    let usage = Usage { prompt_tokens: tokens as u64, completion_tokens: None, total_tokens: tokens as u64 };
    Ok(json_response(StatusCode::OK, &List { object: "list", data, model: &app.model.id, usage }))
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Item>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

/// A vector, as numbers or as the base64 of their bytes.
#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Float(Vec<f32>),
    Base64(String),
}

fn plan(app: &Arc<App>, input: &Value) -> Result<Plan, ApiError> {
    let prompts = inputs(app, "input", input)?;
    Ok(Plan {
        prompts: prompts.into_iter().map(|input| input.tokens).collect(),
        field: "input",
        choices: 1,
        request: Knobs::default().request(app, Some(1))?,
        stops: Arc::default(),
        shown: Arc::default(),
        logprobs: None,
        prompt_logprobs: None,
        grammar: None,
        draft: Vec::new(),
        priority: 0,
        wants: Wants::Embedding,
    })
}
