//! Bounds on a source that can be told before anything is built from it.

use crate::{GrammarError, Source};
use serde_json::Value;

/// Bytes of a schema, written out. The largest that are in use have a few hundred kilobytes.
const MOST_SCHEMA_BYTES: usize = 512 << 10;
/// Bytes of a regular expression or of a Lark grammar.
const MOST_TEXT_BYTES: usize = 64 << 10;
/// Repetitions within repetitions, multiplied: as many states an expression has.
const MOST_REPEATED: u64 = 10_000;
/// A number's divisor: as many states its digits have.
const MOST_DIVISOR: f64 = 10_000.0;
/// Members of objects: each takes part with each other one of its object, so the squares are added.
const MOST_MEMBERS: usize = 1000;
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
            walk(schema)?;
            if squares(schema) > MOST_MEMBERS * MOST_MEMBERS {
                return too_large(format!("one object may have {MOST_MEMBERS} `properties`, several of them fewer"));
            }
            Ok(())
        }
        Source::Regex(text) | Source::Lark(text) => {
            length(text)?;
            if nesting(text) > MOST_NESTED {
                return too_large(format!("brackets may be nested {MOST_NESTED} deep"));
            }
            repetitions(text)
        }
    }
}

/// Refuses a text that is too long.
pub(crate) fn length(text: &str) -> Result<(), GrammarError> {
    if text.len() > MOST_TEXT_BYTES {
        return too_large(format!("a text may have {} KiB", MOST_TEXT_BYTES >> 10));
    }
    Ok(())
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

/// The squares of how many members its objects have, added.
fn squares(schema: &Value) -> usize {
    match schema {
        Value::Array(items) => items.iter().map(squares).sum(),
        Value::Object(fields) => {
            let members = fields.get("properties").and_then(Value::as_object).map_or(0, |members| members.len());
            // At most the square of a schema's bytes.
            members * members + fields.values().map(squares).sum::<usize>()
        }
        _ => 0,
    }
}

/// Looks at what in a schema is a pattern or a divisor.
fn walk(schema: &Value) -> Result<(), GrammarError> {
    match schema {
        Value::Array(items) => items.iter().try_for_each(walk),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            match (key.as_str(), value) {
                ("pattern" | "whitespace_pattern", Value::String(pattern)) => repetitions(pattern)?,
                ("patternProperties", Value::Object(patterns)) => {
                    patterns.keys().try_for_each(|key| repetitions(key))?
                }
                ("multipleOf", Value::Number(number)) if number.as_f64().is_some_and(|by| by > MOST_DIVISOR) => {
                    return too_large(format!("`multipleOf` may be up to {MOST_DIVISOR}"));
                }
                _ => {}
            }
            walk(value)
        }),
        _ => Ok(()),
    }
}

/// Refuses `((x{1000}){1000}){1000}`. Reads no grammar: quoted brackets count too, which refuses nothing that is in use.
fn repetitions(text: &str) -> Result<(), GrammarError> {
    // For each open bracket the largest product inside it, and that of what was closed last.
    let (mut open, mut last) = (vec![1u64], 1u64);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '(' => open.push(1),
            ')' => {
                last = open.pop().unwrap_or(1);
                raise(&mut open, last);
            }
            '{' => {
                let inside = rest.split('}').next().unwrap_or_default();
                let counts = inside.split(',').filter_map(|count| count.trim().parse::<u64>().ok());
                last = last.saturating_mul(counts.max().unwrap_or(1).max(1));
                raise(&mut open, last);
            }
            '0'..='9' | ',' | '}' | ' ' => {}
            _ => last = 1,
        }
        if open.last().is_some_and(|&product| product > MOST_REPEATED) {
            return too_large(format!("repetitions may multiply to {MOST_REPEATED}"));
        }
    }
    Ok(())
}

/// Notes a product in the innermost open bracket.
fn raise(open: &mut Vec<u64>, product: u64) {
    match open.last_mut() {
        Some(most) => *most = product.max(*most),
        None => open.push(product),
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
