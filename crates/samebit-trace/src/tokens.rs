//! Traces that are tokens, or tokens and logits, and nothing more: a list, or a record in JSON.

use serde_json::Value;

use crate::assemble::default_positions;
use crate::error::TraceError;
use crate::trace::{Entry, Meta, Trace, Values};

/// Whether a text is nothing but ids.
pub(crate) fn is_list(text: &str) -> bool {
    let list = text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || "[],".contains(c));
    list && text.contains(|c: char| c.is_ascii_digit())
}

/// Ids separated by spaces, commas or line breaks, perhaps in brackets.
///
/// # Errors
/// A number that is no id.
pub(crate) fn list(text: &str) -> Result<Trace, TraceError> {
    let parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let tokens: Result<Vec<u32>, TraceError> =
        parts.map(|part| part.parse().map_err(|_| TraceError::at("", format!("`{part}` is no token id")))).collect();
    Ok(Trace { meta: Meta { tokens: tokens?, ..Meta::default() }, ..Trace::default() })
}

/// A record: what `samebit run --json` prints, or any object with `prompt_tokens`, `tokens` and perhaps `logits` (one row,
/// or a list of rows that end with the last token's).
///
/// # Errors
/// JSON that is none of that.
pub(crate) fn record(text: &str) -> Result<Trace, TraceError> {
    let bad = |problem: String| TraceError::at("", problem);
    let record: Value = serde_json::from_str(text).map_err(|error| bad(format!("is no JSON: {error}")))?;
    let ids = |key: &str| -> Result<Vec<u32>, TraceError> {
        let items = record.get(key).and_then(Value::as_array).into_iter().flatten();
        items
            .map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
            .collect::<Option<_>>()
            .ok_or_else(|| bad(format!("`{key}` holds what is no token id")))
    };
    let (prompt, tokens) = (ids("prompt_tokens")?, ids("tokens")?);
    let rows = logits(record.get("logits")).ok_or_else(|| bad("`logits` is no list of rows of numbers".into()))?;
    if prompt.is_empty() && tokens.is_empty() && rows.is_empty() {
        return Err(bad("has neither `tokens` nor `logits`: nothing to compare".into()));
    }
    // All but the last of the generated tokens went through the model too.
    let (tokens, generated) = match (prompt.is_empty(), tokens.split_last()) {
        (false, Some((_, run))) => ([&prompt[..], run].concat(), tokens),
        (false, None) => (prompt, tokens),
        (true, _) => (tokens, Vec::new()),
    };
    let text = |key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
    let digest = record.get("model").and_then(|m| m.get("digest")).and_then(Value::as_str).map(str::to_owned);
    let mut entries = Vec::new();
    if let Some(width) = rows.first().map(Vec::len) {
        entries.push(Entry {
            name: "result_output".into(),
            layer: None,
            positions: default_positions(rows.len(), tokens.len()),
            shape: vec![width],
            values: Values::All(rows.concat()),
            summaries: Vec::new(),
        });
    }
    let meta = Meta {
        engine: text("engine"),
        model_digest: digest,
        numerics: text("numerics"),
        tokens,
        generated,
        ..Meta::default()
    };
    Ok(Trace { meta, entries, unknown: Vec::new() })
}

/// Rows of one width; none where there is nothing.
fn logits(value: Option<&Value>) -> Option<Vec<Vec<f32>>> {
    let Some(value) = value else { return Some(Vec::new()) };
    // JSON has no NaN: writers put null in its place.
    let number = |v: &Value| if v.is_null() { Some(f32::NAN) } else { v.as_f64().map(|v| v as f32) };
    let row = |v: &Value| v.as_array()?.iter().map(number).collect::<Option<Vec<f32>>>();
    let rows = match value.as_array()?.first() {
        Some(Value::Array(_)) => value.as_array()?.iter().map(row).collect::<Option<Vec<_>>>()?,
        _ => vec![row(value)?],
    };
    rows.iter().all(|row| row.len() == rows[0].len() && !row.is_empty()).then_some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_records() {
        assert!(is_list("[1, 2,\n3]") && !is_list("a 1") && !is_list(" "));
        assert_eq!(list("[1, 2,\n3]").expect("read").meta.tokens, [1, 2, 3]);
        assert!(list("99999999999").is_err());
        let trace = record(r#"{"prompt_tokens":[1,2],"tokens":[3,4],"logits":[0.5,null]}"#).expect("read");
        assert_eq!((trace.meta.tokens.clone(), trace.meta.generated.clone()), (vec![1, 2, 3], vec![3, 4]));
        let logits = trace.entry("result_output", None).expect("there");
        assert_eq!((logits.positions.clone(), logits.first_not_finite()), (vec![2], Some((2, 1))));
        for bad in ["{}", "[1", r#"{"tokens":[-1]}"#, r#"{"logits":[[1],[1,2]]}"#, r#"{"logits":"x"}"#] {
            assert!(record(bad).is_err(), "{bad}");
        }
    }
}
