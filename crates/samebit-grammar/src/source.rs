//! What may be asked of an answer's form. Knows nothing of tokens.

use llguidance::api::TopLevelGrammar;
use serde_json::{Map, Value, json};

/// White space between a JSON document's parts: none, or at most a line break and an indentation. Without a bound a model can
/// write spaces for ever.
const WHITE_SPACE: &str = r"\n?[ ]{0,32}";

/// A grammar's source.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Any JSON object.
    JsonObject,
    /// JSON that a schema describes.
    JsonSchema(Value),
    /// A text that matches a regular expression from its first character to its last.
    Regex(String),
    /// A grammar in llguidance's variant of Lark.
    Lark(String),
}

impl Source {
    /// The same for llguidance.
    pub(crate) fn grammar(&self) -> TopLevelGrammar {
        match self {
            Self::JsonObject => TopLevelGrammar::from_json_schema(with_white_space(&json!({"type": "object"}))),
            Self::JsonSchema(schema) => TopLevelGrammar::from_json_schema(with_white_space(schema)),
            Self::Regex(pattern) => TopLevelGrammar::from_regex(pattern),
            Self::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
        }
    }
}

/// A schema with bounded white space, unless it says itself what it wants.
fn with_white_space(schema: &Value) -> Value {
    let mut fields = match schema {
        Value::Object(fields) => fields.clone(),
        // `true` and `false` are schemas too.
        Value::Bool(true) => Map::new(),
        other => return other.clone(),
    };
    fields.entry("x-guidance").or_insert_with(|| json!({"whitespace_pattern": WHITE_SPACE}));
    Value::Object(fields)
}
