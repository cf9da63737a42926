//! `response_format`: what form the answer must have.

use crate::app::App;
use crate::http::ApiError;
use samebit_engine::Grammar;
use samebit_grammar::{GrammarError, Source};
use serde_json::Value;
use std::sync::Arc;

/// A grammar and what it was made of.
pub(crate) type Compiled = (Source, Arc<dyn Grammar>);

/// Compiles the form that a request asks for, by `response_format` or, as llama.cpp has it, by a `grammar`. Blocks.
pub(crate) fn form_of(app: &App, format: Option<&Value>, grammar: Option<&str>) -> Result<Option<Compiled>, ApiError> {
    match grammar.filter(|grammar| !grammar.is_empty()) {
        None => grammar_of(app, "response_format", format),
        Some(_) if format.is_some_and(|format| !format.is_null()) => {
            Err(ApiError::field("grammar", "`response_format` says already what form the answer has"))
        }
        Some(grammar) => compile(app, "grammar", written("grammar", grammar)?).map(Some),
    }
}

/// Compiles what `response_format` asks for: `text`, `json_object` (perhaps with a `schema`), `json_schema`, and of ours `regex` with
/// a `pattern` and `grammar` with a `grammar` in Lark or GBNF. Blocks.
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

/// A grammar in Lark or GBNF.
fn written(param: &str, text: &str) -> Result<Source, ApiError> {
    samebit_grammar::lark(text).map(Source::Lark).map_err(|error| ApiError::field(param, error).code("grammar_refused"))
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
        Some("grammar") => written(param, &text("grammar")?).map(Some),
        _ => Err(ApiError::field(param, "`type` is text, json_object, json_schema, regex or grammar")),
    }
}
