//! Fields of others' interfaces that are not known here: passed over where they are hints, refused where the answer would be another.

use crate::http::ApiError;
use serde_json::Value;

/// Refuses the first of these fields that asks for something: its name, its value, and what to do instead.
pub(crate) fn refuse(fields: &[(&str, Option<&Value>, &str)]) -> Result<(), ApiError> {
    match fields.iter().find(|(_, value, _)| value.is_some_and(asks)) {
        Some((name, _, advice)) => Err(ApiError::field(name, advice).code("unsupported_field")),
        None => Ok(()),
    }
}

/// Nothing, an empty text, an empty list, and what is so anyway, ask for nothing.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !["", "auto", "none"].contains(&text.as_str()),
        Value::Array(items) => !items.is_empty() && items.iter().any(|item| item != "text"),
        Value::Number(number) => number.as_f64() != Some(1.0),
        Value::Bool(wanted) => *wanted,
        Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_asks_for_nothing_is_passed_over() {
        for nothing in [json!(null), json!(""), json!("none"), json!([]), json!(["text"]), json!(1), json!(false)] {
            assert_eq!(refuse(&[("x", Some(&nothing), "no"), ("y", None, "no")]), Ok(()), "{nothing}");
        }
        for something in [json!("x"), json!(["text", "audio"]), json!(3), json!(true), json!({"id": "x"}), json!([{}])]
        {
            let error = refuse(&[("x", Some(&something), "no")]).expect_err("asks");
            assert_eq!((error.param.as_deref(), error.message.as_str()), (Some("x"), "x: no"), "{something}");
        }
    }
}
