//! One message of a conversation, checked and brought into the form that the model's template takes.

use crate::app::App;
use crate::http::ApiError;
use crate::http::error::quoted;
use samebit_text::template::Message;
use serde_json::{Map, Value, json};

/// Roles that every model is asked with.
const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

/// One message, as the template takes it.
pub(super) fn message(app: &App, place: &str, mut fields: Map<String, Value>) -> Result<Message, ApiError> {
    let param = |field: &str| format!("{place}.{field}");
    let role = fields.get("role").and_then(Value::as_str).map(str::to_owned);
    let role = role.ok_or_else(|| ApiError::field(&param("role"), "give a text, such as user"))?;
    if !is_role(app, &role) {
        let message = format!("`{}` is no role: give system, developer, user, assistant or tool", quoted(&role));
        return Err(ApiError::field(&param("role"), message));
    }
    for name in ["name", "tool_call_id"] {
        if fields.get(name).is_some_and(|value| !value.is_string() && !value.is_null()) {
            return Err(ApiError::field(&param(name), "give a text"));
        }
    }
    if role == "developer" && !app.capabilities.developer {
        fields.insert("role".into(), "system".into());
    }
    let content = match fields.remove("content") {
        None | Some(Value::Null) if role == "assistant" => String::new(),
        None | Some(Value::Null) => return Err(ApiError::field(&param("content"), "give a text")),
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => parts_text(&parts).map_err(|why| ApiError::field(&param("content"), why))?,
        Some(_) => return Err(ApiError::field(&param("content"), "give a text, or a list of parts")),
    };
    let content = match app.capabilities.parts {
        true => json!([{"type": "text", "text": content}]),
        false => Value::String(content),
    };
    fields.insert("content".into(), content);
    match fields.remove("tool_calls") {
        None | Some(Value::Null) => {}
        Some(Value::Array(calls)) => {
            let calls = calls.into_iter().map(|call| tool_call(app, call));
            let calls: Result<Vec<Value>, &str> = calls.collect();
            let calls = calls.map_err(|why| ApiError::field(&param("tool_calls"), why))?;
            if !calls.is_empty() {
                fields.insert("tool_calls".into(), Value::Array(calls));
            }
        }
        Some(_) => return Err(ApiError::field(&param("tool_calls"), "give a list")),
    }
    Ok(Message(fields))
}

/// Whether somebody may speak under this name: a role that all clients know, or one that the model's template names. Templates write
/// a role into the prompt as it is, and so could others be brought into it that nobody has.
fn is_role(app: &App, role: &str) -> bool {
    if ROLES.contains(&role) {
        return true;
    }
    let plain = (1..=32).contains(&role.len()) && role.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let named = |source: &str| source.contains(&format!("'{role}'")) || source.contains(&format!("\"{role}\""));
    plain && app.model.template.as_ref().is_ok_and(|template| named(template.source()))
}

/// The text of parts, one below the other.
fn parts_text(parts: &[Value]) -> Result<String, String> {
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
        let text = part.get("text").or_else(|| part.get("refusal")).and_then(Value::as_str);
        match (kind, text) {
            ("text" | "input_text" | "output_text" | "refusal", Some(text)) => texts.push(text),
            (kind, _) => return Err(format!("a part of the type `{kind}` cannot be shown to this model: give text")),
        }
    }
    Ok(texts.join("\n"))
}

/// A call of an earlier answer, its arguments as the template wants them.
fn tool_call(app: &App, mut call: Value) -> Result<Value, &'static str> {
    let wrong = "each is {\"id\", \"type\": \"function\", \"function\": {\"name\", \"arguments\"}}, the arguments JSON in a text";
    let function = call.get_mut("function").and_then(Value::as_object_mut).ok_or(wrong)?;
    if !function.get("name").is_some_and(Value::is_string) {
        return Err(wrong);
    }
    let arguments = function.get("arguments").cloned().unwrap_or_else(|| json!({}));
    let arguments = match (arguments, app.capabilities.object_arguments) {
        (Value::String(text), true) => match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(object) => Value::Object(object),
            // What is no object stays what the model wrote.
            Err(_) => Value::String(text),
        },
        (object @ Value::Object(_), false) => Value::String(object.to_string()),
        (arguments @ (Value::String(_) | Value::Object(_)), _) => arguments,
        _ => return Err(wrong),
    };
    function.insert("arguments".into(), arguments);
    Ok(call)
}
