//! A request's tools and which of them the model is to call.

use crate::http::ApiError;
use crate::http::error::quoted;
use serde_json::{Value, json};

/// Tools of a request.
const MOST_TOOLS: usize = 128;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

/// Name and schema of the arguments.
pub(super) fn function(tool: &Value) -> Option<(&str, Value)> {
    let function = tool.get("function")?;
    let empty = || json!({"type": "object", "properties": {}});
    let schema = function.get("parameters").filter(|schema| schema.is_object()).cloned();
    Some((function.get("name")?.as_str()?, schema.unwrap_or_else(empty)))
}

/// Refuses what is no tool. `flat`: the function's fields stand beside the type, as `/v1/responses` has them.
pub(super) fn check_tools(tools: &[Value], flat: bool) -> Result<(), ApiError> {
    if tools.len() > MOST_TOOLS {
        return Err(ApiError::field("tools", format!("{} tools: give at most {MOST_TOOLS}", tools.len())));
    }
    for (index, tool) in tools.iter().enumerate() {
        let name = function(tool).filter(|_| tool.get("type").is_none_or(|kind| kind == "function"));
        let fit = |name: &str| {
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        if !name.is_some_and(|(name, _)| fit(name)) {
            let form = match flat {
                true => "{\"type\": \"function\", \"name\": …}",
                false => "{\"type\": \"function\", \"function\": {\"name\": …}}",
            };
            let message = format!("give {form}, the name of letters, digits, _ and -");
            return Err(ApiError::field(&format!("tools[{index}]"), message));
        }
        if !takes_object(tool.pointer("/function/parameters")) {
            let inner = if flat { "" } else { "function." };
            let message = "give the schema of an object, such as {\"type\": \"object\", \"properties\": {}}";
            return Err(ApiError::field(&format!("tools[{index}].{inner}parameters"), message));
        }
    }
    Ok(())
}

/// Whether this is the schema of an object: of a call's arguments by name.
fn takes_object(parameters: Option<&Value>) -> bool {
    match parameters {
        None | Some(Value::Null) => true,
        Some(Value::Object(schema)) => match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
            kind => kind.is_none_or(|kind| kind == "object"),
        },
        Some(_) => false,
    }
}

pub(super) fn tool_choice(choice: Option<&Value>, tools: &[Value]) -> Result<ToolChoice, ApiError> {
    let choice = match choice {
        None | Some(Value::Null) => return Ok(ToolChoice::Auto),
        Some(choice) => choice,
    };
    let wrong = || {
        ApiError::field(
            "tool_choice",
            "give none, auto, required, or {\"type\": \"function\", \"function\": {\"name\": …}}",
        )
    };
    let chosen = match choice.as_str() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("required") => ToolChoice::Required,
        Some(_) => return Err(wrong()),
        None => {
            // `/v1/responses` has the name beside the type.
            let name = choice.get("function").unwrap_or(choice).get("name").and_then(Value::as_str);
            ToolChoice::Named(name.ok_or_else(wrong)?.to_owned())
        }
    };
    let known = |wanted: &str| tools.iter().filter_map(function).any(|(name, _)| name == wanted);
    match &chosen {
        ToolChoice::Named(name) if !known(name) => {
            Err(ApiError::field("tool_choice", format!("no tool is called `{}`", quoted(name))))
        }
        ToolChoice::Required if tools.is_empty() => Err(ApiError::field("tool_choice", "there are no tools")),
        _ => Ok(chosen),
    }
}
