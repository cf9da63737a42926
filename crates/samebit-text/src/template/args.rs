//! Arguments of a call, as evaluated.

use std::sync::Arc;

use super::limits::{Fault, Res};
use super::ops::Number;
use super::value::Value;

/// Positional and named arguments.
#[derive(Debug, Default, Clone)]
pub(super) struct CallArgs {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(Arc<str>, Value)>,
}

impl CallArgs {
    /// The arguments in the order of the parameters' names.
    ///
    /// # Errors
    /// For too many, unknown or doubled ones; `what` names the callee.
    pub(super) fn bind<const N: usize>(self, what: &str, names: [&str; N]) -> Res<[Option<Value>; N]> {
        let mut bound = [const { None }; N];
        if self.positional.len() > N {
            return Fault::error(format!("{what}() takes at most {N} arguments"));
        }
        for (slot, value) in bound.iter_mut().zip(self.positional) {
            *slot = Some(value);
        }
        for (name, value) in self.named {
            let Some(at) = names.iter().position(|n| **n == *name) else {
                return Fault::error(format!("{what}() got an unexpected keyword argument '{name}'"));
            };
            if bound[at].replace(value).is_some() {
                return Fault::error(format!("{what}() got multiple values for argument '{name}'"));
            }
        }
        Ok(bound)
    }
}

/// An argument that must be there.
pub(super) fn required(what: &str, argument: Option<Value>) -> Res<Value> {
    argument.ok_or_else(|| Fault::Error(format!("{what}() misses a required argument")))
}

/// An argument that must be a whole number.
pub(super) fn integer(what: &str, value: &Value) -> Res<i128> {
    value.defined()?;
    match Number::of(value) {
        Some(Number::Int(value)) => Ok(value),
        _ => Fault::error(format!("{what}: '{}' object cannot be interpreted as an integer", value.type_name())),
    }
}

/// An optional argument that must be a whole number if given.
pub(super) fn integer_or(what: &str, value: Option<&Value>, default: i128) -> Res<i128> {
    value.map_or(Ok(default), |value| integer(what, value))
}

/// An argument that must be a string.
pub(super) fn string<'v>(what: &str, value: &'v Value) -> Res<&'v str> {
    match value {
        Value::Str(text) => Ok(text),
        other => Fault::error(format!("{what}: expected str, got '{}'", other.type_name())),
    }
}

/// Whether an optional flag is set.
pub(super) fn flag(value: Option<&Value>) -> bool {
    value.is_some_and(Value::truth)
}

/// `None` where an argument is missing or Python's `None`.
pub(super) fn given(value: Option<Value>) -> Option<Value> {
    value.filter(|value| !matches!(value, Value::None))
}
