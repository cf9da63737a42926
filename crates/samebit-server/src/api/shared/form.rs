//! `response_format`: what form the answer must have.

use crate::app::App;
use crate::http::ApiError;
use samebit_engine::Grammar;
use samebit_grammar::{GrammarError, Source};
use serde_json::Value;
use std::sync::Arc;

/// A grammar and what it was made of.
pub(crate) type Compiled = (Source, Arc<dyn Grammar>);

/// Compiles what `response_format` asks for: `text`, `json_object` (perhaps with a `schema`), `json_schema`, and of ours `regex` with
/// a `pattern` and `grammar` with a `grammar` in Lark. Blocks.
pub(crate) fn grammar_of(app: &App, param: &str, format: Option<&Value>) -> Result<Option<Compiled>, ApiError> {
    let Some(format) = format.filter(|format| !format.is_null()) else { return Ok(None) };
    match source(param, format)? {
        Some(source) => compile(app, param, source).map(Some),
        None => Ok(None),
    }
}

/// Compiles a grammar. Blocks.
pub(crate) fn compile(app: &App, param: &str, source: Source) -> Result<Compiled, ApiError> {
    match app.grammars.compile(&source) {
        Ok(grammar) => Ok((source, grammar)),
        Err(error @ GrammarError::Threads) => Err(ApiError::internal(error.to_string())),
        Err(error) => Err(ApiError::field(param, error).code("grammar_refused")),
    }
}

fn source(param: &str, format: &Value) -> Result<Option<Source>, ApiError> {
    let text = |key: &str| {
        let text = format.get(key).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| ApiError::field(param, format!("give `{key}`, a text")))
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_object") => {
            Ok(Some(format.get("schema").map_or(Source::JsonObject, |schema| Source::JsonSchema(schema.clone()))))
        }
        Some("json_schema") => {
            // Chat has the schema in an object of its own, `/v1/responses` beside the type.
            let holder = format.get("json_schema").unwrap_or(format);
            let schema = holder.get("schema").filter(|schema| schema.is_object() || schema.is_boolean());
            let schema =
                schema.ok_or_else(|| ApiError::field(param, "give `json_schema` with a `schema`, an object"))?;
            Ok(Some(Source::JsonSchema(schema.clone())))
        }
        Some("regex") => Ok(Some(Source::Regex(text("pattern")?))),
        Some("grammar") => Ok(Some(Source::Lark(text("grammar")?))),
        _ => Err(ApiError::field(param, "`type` is text, json_object, json_schema, regex or grammar")),
    }
}
