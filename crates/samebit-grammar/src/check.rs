//! Bounds on a source that can be told before anything is built from it.

use crate::{GrammarError, Source};
use serde_json::Value;

/// Bytes of a schema, written out. The largest that are in use have a few hundred kilobytes.
const MOST_SCHEMA_BYTES: usize = 512 << 10;
/// Bytes of a regular expression or of a Lark grammar.
const MOST_TEXT_BYTES: usize = 64 << 10;
/// Brackets within brackets.
const MOST_NESTED: usize = 64;

/// Refuses what is too large.
pub(crate) fn check(source: &Source) -> Result<(), GrammarError> {
    match source {
        Source::JsonObject => Ok(()),
        Source::JsonSchema(schema) => {
            let bytes = weigh(schema);
            if bytes > MOST_SCHEMA_BYTES {
                return too_large(format!("a schema may have {} KiB", MOST_SCHEMA_BYTES >> 10));
            }
            Ok(())
        }
        Source::Regex(text) | Source::Lark(text) => {
            if text.len() > MOST_TEXT_BYTES {
                return too_large(format!("a text may have {} KiB", MOST_TEXT_BYTES >> 10));
            }
            if nesting(text) > MOST_NESTED {
                return too_large(format!("brackets may be nested {MOST_NESTED} deep"));
            }
            Ok(())
        }
    }
}

fn too_large(what: String) -> Result<(), GrammarError> {
    Err(GrammarError::TooLarge(what))
}

/// About as many bytes as the value was written with. Recursion is bounded by the parser that made the value.
fn weigh(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| weigh(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + 4 + weigh(value)).sum::<usize>() + 2,
    }
}

/// The deepest nesting of brackets, counted as if none were quoted: rather too many than too few.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
