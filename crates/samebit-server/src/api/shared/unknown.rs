//! Fields of others' interfaces that are not known here: passed over where they are hints, refused where the answer would be another.

use crate::http::ApiError;
use serde_json::Value;

/// Such a field: its name, its value if it is there, what it may say all the same, and what to do instead.
pub(crate) type Field<'a> = (&'static str, Option<&'a Value>, fn(&Value) -> bool, &'static str);

/// Refuses the first of these fields that asks for something. `null` asks for nothing.
pub(crate) fn refuse(fields: &[Field<'_>]) -> Result<(), ApiError> {
    let asks = |(_, value, harmless, _): &&Field<'_>| value.is_some_and(|value| !value.is_null() && !harmless(value));
    match fields.iter().find(asks) {
        Some((name, _, _, advice)) => Err(ApiError::field(name, advice).code("unsupported_field")),
        None => Ok(()),
    }
}

/// For a field that may say nothing at all.
pub(crate) fn never(_: &Value) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_asks_for_nothing_is_passed_over() {
        let one = |value: &Value| refuse(&[("x", Some(value), |value| *value == 1, "no"), ("y", None, never, "no")]);
        assert_eq!((one(&json!(1)), one(&json!(null))), (Ok(()), Ok(())));
        for something in [json!(2), json!("1"), json!(false), json!([])] {
            let error = one(&something).expect_err("asks");
            assert_eq!((error.param.as_deref(), error.message.as_str()), (Some("x"), "x: no"), "{something}");
        }
    }
}
