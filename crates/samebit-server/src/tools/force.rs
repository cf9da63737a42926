//! A grammar that leaves a model nothing but to call a tool, in its family's own way.

use super::Family;
use samebit_text::Tokenizer;
use serde_json::{Map, Value, json};

/// White space inside a forced call: none but what models put there.
const WHITE_SPACE: &str = " ?";
/// Calls at most, where several may be made.
const MOST_CALLS: usize = 16;

/// A Lark grammar of calls of these tools (names and schemas of their arguments), one call or several.
pub(crate) fn force(family: Family, tools: &[(&str, Value)], several: bool, tokenizer: &Tokenizer) -> String {
    let key = if family == Family::Llama3 { "parameters" } else { "arguments" };
    let objects: Vec<String> =
        tools.iter().map(|(name, schema)| format!("%json {}", object(name, key, schema))).collect();
    let object = format!("call: {}\n", objects.join("\n    | "));
    let more = |between: &str| match several {
        true => format!("({between}){{0,{}}}", MOST_CALLS - 1),
        false => String::new(),
    };
    let start = match family {
        Family::Hermes => {
            let tagged =
                format!("{} \"\\n\" call \"\\n\" {}", mark("<tool_call>", tokenizer), mark("</tool_call>", tokenizer));
            format!("start: {tagged} {}\n", more(&format!("\"\\n\" {tagged}")))
        }
        Family::Llama3 => format!("start: call {}\n", more("\"; \" call")),
        Family::Mistral => {
            format!("start: {} \"[\" call {} \"]\"\n", mark("[TOOL_CALLS]", tokenizer), more("\", \" call"))
        }
    };
    start + &object
}

/// A mark as the model writes it: by its special token, or letter by letter.
fn mark(text: &str, tokenizer: &Tokenizer) -> String {
    match tokenizer.id_of(text).filter(|&id| tokenizer.is_control(id)) {
        Some(id) => format!("<[{id}]>"),
        None => Value::from(text).to_string(),
    }
}

/// The schema of one call. What the arguments' schema refers to by `#/$defs` moves with it.
fn object(name: &str, key: &str, schema: &Value) -> Value {
    let mut arguments = schema.clone();
    let mut outer = Map::new();
    if let Some(fields) = arguments.as_object_mut() {
        for definitions in ["$defs", "definitions"] {
            if let Some(moved) = fields.remove(definitions) {
                outer.insert(definitions.into(), moved);
            }
        }
        fields.remove("$schema");
        fields.entry("type").or_insert_with(|| "object".into());
    }
    let wanted = json!({
        "type": "object",
        "properties": {"name": {"const": name}, key: arguments},
        "required": ["name", key],
        "additionalProperties": false,
        "x-guidance": {"whitespace_pattern": WHITE_SPACE},
    });
    if let Value::Object(fields) = wanted {
        outer.extend(fields);
    }
    Value::Object(outer)
}
