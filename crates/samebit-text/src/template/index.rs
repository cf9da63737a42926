//! Getting at parts: iteration, attributes, subscripts and slices.

use std::rc::Rc;
use std::sync::Arc;

use super::limits::{Fault, Meter, Res, Text};
use super::methods;
use super::ops::Number;
use super::value::{Range, SLOT, Undefined, Value, View, missing, undefined};

/// Everything `iter(value)` gives, in order. Iterators are used up.
pub(super) fn items(meter: &Rc<Meter>, value: &Value) -> Res<Vec<Value>> {
    let len = value.len().unwrap_or(0);
    meter.ensure(len * SLOT)?;
    meter.spend(1 + len as u64)?;
    Ok(match value {
        Value::Undefined(_) => Vec::new(),
        Value::Str(text) => {
            let mut items = Vec::new();
            for c in text.chars() {
                items.push(meter.str(c.to_string())?);
            }
            items
        }
        Value::List(seq) | Value::Tuple(seq) => seq.value.items.clone(),
        Value::Dict(dict) | Value::View(View::Keys, dict) => dict.value.pairs().map(|(k, _)| k.clone()).collect(),
        Value::View(View::Values, dict) => dict.value.pairs().map(|(_, v)| v.clone()).collect(),
        Value::View(View::Items, dict) => {
            let pairs = dict.value.pairs();
            let pairs = pairs.map(|(k, v)| meter.tuple(vec![k.clone(), v.clone()]));
            pairs.collect::<Res<_>>()?
        }
        Value::Range(range) => (0..range.len()).map(|index| range.get(index)).collect(),
        Value::Iter(iter) => iter.value.items.borrow_mut().drain(..).collect(),
        other => {
            return Fault::error(format!("'{}' object is not iterable", other.type_name()));
        }
    })
}

/// `value.name`: a method before a key.
pub(super) fn attribute(meter: &Rc<Meter>, value: &Value, name: &Arc<str>) -> Res<Value> {
    value.defined()?;
    if let Some(found) = own_attribute(meter, value, name)? {
        return Ok(found);
    }
    if let Value::Dict(dict) = value
        && let Some(found) = dict.value.get_str(name)
    {
        return Ok(found.clone());
    }
    Ok(missing(value, &meter.copy(name)?))
}

/// What Python's `getattr` finds on the object itself.
pub(super) fn own_attribute(meter: &Rc<Meter>, value: &Value, name: &Arc<str>) -> Res<Option<Value>> {
    if let Value::Namespace(namespace) = value {
        return Ok(namespace.get(name));
    }
    if let Some(found) = methods::property(meter, value, name)? {
        return Ok(Some(found));
    }
    if methods::is_unsafe(value, name) {
        let object = value.type_name().into();
        return Ok(Some(undefined(Undefined::Unsafe(name.clone(), object))));
    }
    if methods::exists(value, name) {
        return Ok(Some(meter.method(value.clone(), name.clone())?));
    }
    Ok(None)
}

/// `value[key]`: an element before a method.
pub(super) fn element(meter: &Rc<Meter>, value: &Value, key: &Value) -> Res<Value> {
    value.defined()?;
    let found = match (value, key) {
        (Value::Dict(dict), Value::List(_) | Value::Dict(_)) => {
            let _ = dict;
            None
        }
        (Value::Dict(dict), key) => dict.value.get(&key.key()?).cloned(),
        (value, key) => match Number::of(key) {
            Some(Number::Int(index)) => at(meter, value, index)?,
            _ => None,
        },
    };
    if let Some(found) = found {
        return Ok(found);
    }
    if let Value::Str(name) = key
        && let Some(found) = own_attribute(meter, value, &Arc::from(&**name))?
    {
        return Ok(found);
    }
    Ok(missing(value, key))
}

/// Element of a sequence; negative indices count from the end.
fn at(meter: &Rc<Meter>, value: &Value, index: i128) -> Res<Option<Value>> {
    if let Value::Str(text) = value {
        meter.touch(text.len())?;
        let found = match usize::try_from(index) {
            Ok(index) => text.chars().nth(index),
            Err(_) => usize::try_from(-1 - index).ok().and_then(|back| text.chars().rev().nth(back)),
        };
        return found.map(|c| meter.str(c.to_string())).transpose();
    }
    let len = match value {
        Value::List(_) | Value::Tuple(_) | Value::Range(_) => value.len().unwrap_or(0),
        _ => return Ok(None),
    };
    let index = if index < 0 { index.saturating_add(len as i128) } else { index };
    let Some(index) = usize::try_from(index).ok().filter(|index| *index < len) else {
        return Ok(None);
    };
    Ok(match value {
        Value::List(seq) | Value::Tuple(seq) => seq.value.items.get(index).cloned(),
        Value::Range(range) => Some(range.get(index)),
        _ => None,
    })
}

/// `value[start:stop:step]`.
pub(super) fn slice(meter: &Rc<Meter>, value: &Value, bounds: [Option<Value>; 3]) -> Res<Value> {
    value.defined()?;
    let [start, stop, step] = bounds.map(|bound| bound.as_ref().map(bound_of));
    let [start, stop, step] = [start.transpose()?, stop.transpose()?, step.transpose()?];
    let step = step.flatten().unwrap_or(1);
    if step == 0 {
        return Fault::error("slice step cannot be zero");
    }
    let Some(len) =
        value.len().filter(|_| matches!(value, Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Range(_)))
    else {
        return Fault::error(match value {
            Value::Dict(_) => "unhashable type: 'slice'".into(),
            other => format!("'{}' object is not subscriptable", other.type_name()),
        });
    };
    let picked = Picked::new(len as i128, start.flatten(), stop.flatten(), step);
    meter.spend(1 + picked.count as u64)?;
    match value {
        Value::Str(text) => {
            meter.touch(text.len())?;
            let mut out = Text::new(meter);
            if step == 1 {
                let chars = text.chars().skip(picked.start as usize);
                chars.take(picked.count).try_for_each(|c| out.push(c))?;
            } else {
                meter.ensure(len * 4)?;
                let chars: Vec<char> = text.chars().collect();
                picked.indices().try_for_each(|at| out.push(chars[at]))?;
            }
            let mut sliced = meter.text(out.finish())?;
            sliced.safe = text.safe;
            Ok(Value::Str(sliced))
        }
        Value::List(seq) | Value::Tuple(seq) => {
            meter.ensure(picked.count * SLOT)?;
            let items = picked.indices().map(|at| seq.value.items[at].clone());
            match value {
                Value::List(_) => meter.list(items.collect()),
                _ => meter.tuple(items.collect()),
            }
        }
        Value::Range(range) => Ok(Value::Range(Range {
            start: range.start + picked.start * range.step,
            stop: picked
                .start
                .saturating_add(step.saturating_mul(picked.count as i128))
                .saturating_mul(range.step)
                .saturating_add(range.start)
                .clamp(-FAR, FAR),
            step: range.step.saturating_mul(step).clamp(-FAR, FAR),
        })),
        _ => Fault::error("not a sequence"),
    }
}

/// Larger than any index, small enough to add and multiply.
pub(super) const FAR: i128 = 1 << 60;

/// A slice's bound, within what cannot overflow.
fn bound_of(value: &Value) -> Res<Option<i128>> {
    match value {
        Value::None => Ok(None),
        other => match Number::of(other) {
            Some(Number::Int(index)) => Ok(Some(index.clamp(-FAR, FAR))),
            _ => {
                other.defined()?;
                Fault::error("slice indices must be integers or None")
            }
        },
    }
}

/// The elements that a slice picks.
struct Picked {
    start: i128,
    step: i128,
    count: usize,
}

impl Picked {
    fn new(len: i128, start: Option<i128>, stop: Option<i128>, step: i128) -> Self {
        // Going backwards, the ends lie one before the first and at the last element.
        let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
        let clamp = |bound: i128| {
            let bound = if bound < 0 { bound + len } else { bound };
            bound.clamp(low, high)
        };
        let start = start.map_or(if step > 0 { low } else { high }, clamp);
        let stop = stop.map_or(if step > 0 { high } else { low }, clamp);
        let span = if step > 0 { stop - start } else { start - stop };
        let count = (span.max(0) + step.abs() - 1) / step.abs();
        Self { start, step, count: count as usize }
    }

    fn indices(&self) -> impl Iterator<Item = usize> {
        (0..self.count).map(|n| (self.start + n as i128 * self.step) as usize)
    }
}
