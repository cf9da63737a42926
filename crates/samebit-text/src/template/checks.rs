//! Jinja's tests: what follows `is`.

use std::rc::Rc;

use super::args::{CallArgs, required, string};
use super::ast::{CompareOp, MathOp};
use super::filters;
use super::limits::{Fault, Meter, Res};
use super::ops::{compare, equal, math};
use super::repr::to_text;
use super::strings::is_kind;
use super::value::{Value, View};

const NAMES: [&str; 39] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    "ge",
    ">=",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
];

/// Whether Jinja has a test of that name.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// `value is name(args)`.
pub(super) fn call(meter: &Rc<Meter>, name: &str, value: &Value, args: CallArgs) -> Res<bool> {
    meter.spend(1)?;
    let operator = match name {
        "==" | "eq" | "equalto" => Some(CompareOp::Eq),
        "!=" | "ne" => Some(CompareOp::Ne),
        ">" | "gt" | "greaterthan" => Some(CompareOp::Gt),
        ">=" | "ge" => Some(CompareOp::Ge),
        "<" | "lt" | "lessthan" => Some(CompareOp::Lt),
        "<=" | "le" => Some(CompareOp::Le),
        "in" => Some(CompareOp::In),
        _ => None,
    };
    if let Some(operator) = operator {
        let [other] = args.bind(name, ["other"])?;
        return compare(meter, operator, value, &required(name, other)?);
    }
    match name {
        "sameas" => {
            let [other] = args.bind(name, ["other"])?;
            return Ok(same(value, &required(name, other)?));
        }
        "divisibleby" => {
            let [other] = args.bind(name, ["num"])?;
            let rest = math(meter, MathOp::Mod, value, &required(name, other)?)?;
            return Ok(!rest.truth());
        }
        _ => {}
    }
    let [] = args.bind(name, [])?;
    Ok(match name {
        "odd" | "even" => {
            let rest = math(meter, MathOp::Mod, value, &Value::Int(2))?;
            equal(meter, &rest, &Value::Int(i128::from(name == "odd")))?
        }
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "filter" => filters::exists(string(name, value)?),
        "test" => exists(string(name, value)?),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "false" => matches!(value, Value::Bool(false)),
        "true" => matches!(value, Value::Bool(true)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_)),
        "lower" | "upper" => {
            let method = if name == "lower" { "islower" } else { "isupper" };
            is_kind(&to_text(meter, value)?, method) == Some(true)
        }
        "string" => matches!(value, Value::Str(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "sequence" => value.len().is_some() && !matches!(value, Value::View(..)),
        "iterable" => matches!(
            value,
            Value::Str(_)
                | Value::List(_)
                | Value::Tuple(_)
                | Value::Dict(_)
                | Value::Range(_)
                | Value::View(View::Keys | View::Values | View::Items, _)
                | Value::Iter(_)
                | Value::Loop(_)
                | Value::Undefined(_)
        ),
        "callable" => is_callable(value),
        "escaped" => matches!(value, Value::Str(text) if text.safe),
        _ => return Fault::error(format!("no test named '{name}'")),
    })
}

/// What Jinja can call.
fn is_callable(value: &Value) -> bool {
    matches!(
        value,
        Value::Undefined(_)
            | Value::Macro(_)
            | Value::Function(_)
            | Value::Method(_)
            | Value::Loop(_)
            | Value::Joiner(_)
    )
}

/// Python's `is`. Texts and numbers are the same only if they are one object, which small integers are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a.is_same(b),
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => Rc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
        (Value::Undefined(a), Value::Undefined(b)) => Rc::ptr_eq(a, b),
        (a, b) => a.address() != 0 && a.address() == b.address(),
    }
}
