//! Methods and properties of all types but strings, and which of them the sandbox refuses.

use std::rc::Rc;

use super::args::{CallArgs, required};
use super::index::items;
use super::limits::{Fault, Meter, Res};
use super::ops::equal;
use super::strings;
use super::value::{Value, View};

/// Names that every Python object has and the sandbox refuses.
const INTERNALS: [&str; 12] = [
    "__class__",
    "__contains__",
    "__dict__",
    "__dir__",
    "__doc__",
    "__eq__",
    "__getattribute__",
    "__hash__",
    "__init__",
    "__iter__",
    "__len__",
    "__subclasshook__",
];

/// Whether Python's sandbox refuses an attribute that the object has.
pub(super) fn is_unsafe(value: &Value, name: &str) -> bool {
    match value {
        Value::Dict(_) if matches!(name, "clear" | "pop" | "popitem" | "setdefault" | "update") => true,
        Value::List(_) => {
            matches!(name, "append" | "clear" | "pop" | "reverse" | "insert" | "sort" | "extend" | "remove")
                || INTERNALS.contains(&name)
        }
        _ => INTERNALS.contains(&name),
    }
}

/// Whether the object has a method of that name.
pub(super) fn exists(value: &Value, name: &str) -> bool {
    match value {
        Value::Str(_) => strings::METHODS.contains(&name),
        Value::Dict(_) => matches!(name, "get" | "items" | "keys" | "values" | "copy" | "fromkeys"),
        Value::List(_) => matches!(name, "index" | "count" | "copy"),
        Value::Tuple(_) | Value::Range(_) => matches!(name, "index" | "count"),
        Value::Int(_) | Value::Bool(_) => matches!(name, "bit_length" | "conjugate"),
        Value::Float(_) => matches!(name, "is_integer" | "conjugate"),
        Value::Cycler(_) => matches!(name, "next" | "reset"),
        Value::Loop(_) => matches!(name, "cycle" | "changed"),
        Value::Function(super::value::Function::Dict) => name == "fromkeys",
        _ => false,
    }
}

/// An attribute that is not a method.
pub(super) fn property(meter: &Rc<Meter>, value: &Value, name: &str) -> Res<Option<Value>> {
    Ok(Some(match (value, name) {
        (Value::Range(range), "start") => Value::Int(range.start),
        (Value::Range(range), "stop") => Value::Int(range.stop),
        (Value::Range(range), "step") => Value::Int(range.step),
        (Value::Int(_) | Value::Float(_), "real") | (Value::Int(_), "numerator") => value.clone(),
        (Value::Bool(value), "real" | "numerator") => Value::Int((*value).into()),
        (Value::Int(_) | Value::Bool(_), "imag") => Value::Int(0),
        (Value::Int(_) | Value::Bool(_), "denominator") => Value::Int(1),
        (Value::Float(_), "imag") => Value::Float(0.0),
        (Value::Cycler(cycler), "current") => cycler.value.items[cycler.value.at.get()].clone(),
        // The pairs that `groupby` makes have names.
        (Value::Tuple(pair), "grouper" | "list") if pair.value.items.len() == 2 => {
            pair.value.items[usize::from(name == "list")].clone()
        }
        (Value::Macro(macro_), name) => match name {
            "name" => match &macro_.code.name {
                Some(name) => meter.copy(name)?,
                None => Value::None,
            },
            "arguments" => {
                let names = macro_.code.params.iter().map(|name| meter.copy(name));
                meter.tuple(names.collect::<Res<_>>()?)?
            }
            "catch_kwargs" => Value::Bool(macro_.code.kwargs),
            "catch_varargs" => Value::Bool(macro_.code.varargs),
            "caller" => Value::Bool(macro_.code.caller),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

/// `of.name(…)` for anything but strings, loops and `dict` itself.
pub(super) fn call(meter: &Rc<Meter>, of: &Value, name: &str, args: CallArgs) -> Res<Value> {
    match (of, name) {
        (Value::Str(text), _) => strings::call(meter, text, name, args),
        (Value::Dict(dict), "get") => {
            let [key, default] = args.bind(name, ["key", "default"])?;
            let found = dict.value.get(&required(name, key)?.key()?);
            Ok(found.cloned().or(default).unwrap_or(Value::None))
        }
        (Value::Dict(_) | Value::Function(_), "fromkeys") => {
            let [keys, value] = args.bind(name, ["iterable", "value"])?;
            let value = value.unwrap_or(Value::None);
            let keys = items(meter, &required(name, keys)?)?;
            meter.dict(keys.into_iter().map(|key| (key, value.clone())))
        }
        (Value::List(_) | Value::Tuple(_) | Value::Range(_), "index" | "count") => {
            let [item, start, stop] = args.bind(name, ["value", "start", "stop"])?;
            let item = required(name, item)?;
            let bounds = [start, stop, None];
            let from = match &bounds[0] {
                Some(start) => super::args::integer(name, start)?,
                None => 0,
            };
            let len = of.len().unwrap_or(0) as i128;
            let from = if from < 0 { (from + len).max(0) } else { from };
            let within = super::index::slice(meter, of, bounds)?;
            search(meter, &within, &item, name, from)
        }
        _ => {
            let [] = args.bind(name, [])?;
            plain(meter, of, name)
        }
    }
}

fn search(meter: &Rc<Meter>, of: &Value, item: &Value, name: &str, from: i128) -> Res<Value> {
    let mut count = 0;
    for (at, other) in items(meter, of)?.iter().enumerate() {
        if equal(meter, other, item)? {
            if name == "index" {
                return Ok(Value::Int(from + at as i128));
            }
            count += 1;
        }
    }
    if name == "index" {
        return Fault::error(format!("value is not in {}", of.type_name()));
    }
    Ok(Value::Int(count))
}

/// Methods without arguments.
fn plain(meter: &Rc<Meter>, of: &Value, name: &str) -> Res<Value> {
    Ok(match (of, name) {
        (Value::Dict(dict), "keys") => Value::View(View::Keys, dict.clone()),
        (Value::Dict(dict), "values") => Value::View(View::Values, dict.clone()),
        (Value::Dict(dict), "items") => Value::View(View::Items, dict.clone()),
        // Nothing can change what was copied.
        (Value::Dict(_) | Value::List(_), "copy") => of.clone(),
        (Value::Int(_) | Value::Float(_), "conjugate") => of.clone(),
        (Value::Bool(value), "conjugate") => Value::Int((*value).into()),
        (Value::Bool(value), _) => Value::Int((*value).into()),
        (Value::Int(value), _) => Value::Int((u128::BITS - value.unsigned_abs().leading_zeros()).into()),
        (Value::Float(value), _) => Value::Bool(value.is_finite() && value.fract() == 0.0),
        (Value::Cycler(cycler), _) => {
            let cycler = &cycler.value;
            let at = cycler.at.get();
            if name == "reset" {
                cycler.at.set(0);
                Value::None
            } else {
                cycler.at.set((at + 1) % cycler.items.len());
                cycler.items[at].clone()
            }
        }
        _ => {
            meter.spend(1)?;
            return Fault::error(format!("'{}' object has no method '{name}'", of.type_name()));
        }
    })
}
