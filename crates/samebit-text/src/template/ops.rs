//! Operators: arithmetic, comparison, membership, as Python defines them.

use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::{CompareOp, MathOp};
use super::format::percent;
use super::limits::{Fault, Meter, Res, Text};
use super::markup::escape;
use super::value::{SLOT, Seq, Str, Value, View};

/// A number: bools are integers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    pub(super) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Self::Int((*value).into()),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            _ => return None,
        })
    }

    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// `a op b`.
pub(super) fn math(meter: &Rc<Meter>, op: MathOp, a: &Value, b: &Value) -> Res<Value> {
    if let (MathOp::Mod, Value::Str(pattern)) = (op, a) {
        return meter.str(percent(meter, pattern, b)?);
    }
    a.defined()?;
    b.defined()?;
    match (Number::of(a), Number::of(b)) {
        (Some(Number::Int(a)), Some(Number::Int(b))) => return int_math(op, a, b),
        (Some(a), Some(b)) => return float_math(op, a.as_f64(), b.as_f64()).map(Value::Float),
        _ => {}
    }
    match (op, a, b) {
        (MathOp::Add, Value::Str(a), Value::Str(b)) => add_text(meter, a, b),
        (MathOp::Add, Value::List(a), Value::List(b)) => meter.list(join(meter, &a.value, &b.value)?),
        (MathOp::Add, Value::Tuple(a), Value::Tuple(b)) => meter.tuple(join(meter, &a.value, &b.value)?),
        (MathOp::Mul, Value::Str(text), count) | (MathOp::Mul, count, Value::Str(text)) => {
            let count = times(count, a, b)?;
            meter.ensure(text.len().saturating_mul(count))?;
            meter.str(text.repeat(count))
        }
        (MathOp::Mul, Value::List(seq), count) | (MathOp::Mul, count, Value::List(seq)) => {
            meter.list(repeat(meter, &seq.value, times(count, a, b)?)?)
        }
        (MathOp::Mul, Value::Tuple(seq), count) | (MathOp::Mul, count, Value::Tuple(seq)) => {
            meter.tuple(repeat(meter, &seq.value, times(count, a, b)?)?)
        }
        (MathOp::Add, Value::Str(_), other) => {
            Fault::error(format!("can only concatenate str (not \"{}\") to str", other.type_name()))
        }
        _ => unsupported(op.symbol(), a, b),
    }
}

fn unsupported<T>(symbol: &str, a: &Value, b: &Value) -> Res<T> {
    Fault::error(format!("unsupported operand type(s) for {symbol}: '{}' and '{}'", a.type_name(), b.type_name()))
}

/// A sequence's multiplier; negative ones count as none.
fn times(count: &Value, a: &Value, b: &Value) -> Res<usize> {
    match Number::of(count) {
        Some(Number::Int(count)) => Ok(usize::try_from(count.max(0)).unwrap_or(usize::MAX)),
        _ => unsupported("*", a, b),
    }
}

fn add_text(meter: &Rc<Meter>, a: &Str, b: &Str) -> Res<Value> {
    let mut out = Text::new(meter);
    let safe = a.safe || b.safe;
    for text in [a, b] {
        if safe && !text.safe {
            escape(&mut out, text)?;
        } else {
            out.push_str(text)?;
        }
    }
    let mut text = meter.text(out.finish())?;
    text.safe = safe;
    Ok(Value::Str(text))
}

fn join(meter: &Rc<Meter>, a: &Seq, b: &Seq) -> Res<Vec<Value>> {
    meter.ensure((a.items.len() + b.items.len()) * SLOT)?;
    Ok(a.items.iter().chain(&b.items).cloned().collect())
}

fn repeat(meter: &Rc<Meter>, seq: &Seq, count: usize) -> Res<Vec<Value>> {
    let bytes = seq.items.len().saturating_mul(count).saturating_mul(SLOT);
    meter.ensure(bytes)?;
    meter.touch(bytes)?;
    let len = seq.items.len().saturating_mul(count);
    Ok(seq.items.iter().cycle().take(len).cloned().collect())
}

fn int_math(op: MathOp, a: i128, b: i128) -> Res<Value> {
    let too_large = || Fault::Error(format!("the result of {} is too large", op.symbol()));
    if b == 0 && matches!(op, MathOp::Div | MathOp::FloorDiv | MathOp::Mod) {
        return Fault::error("division by zero");
    }
    let value = match op {
        MathOp::Add => a.checked_add(b),
        MathOp::Sub => a.checked_sub(b),
        MathOp::Mul => a.checked_mul(b),
        MathOp::Div => return Ok(Value::Float(a as f64 / b as f64)),
        MathOp::FloorDiv => a.checked_div_euclid(b).map(|q| {
            // Euclid's quotient rounds away from the divisor's sign where Python's rounds down.
            q - i128::from(b < 0 && a.rem_euclid(b) != 0)
        }),
        MathOp::Mod => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }),
        MathOp::Pow if b < 0 => return float_math(op, a as f64, b as f64).map(Value::Float),
        MathOp::Pow => match (a, u32::try_from(b)) {
            (0 | 1, _) => Some(if b == 0 { 1 } else { a }),
            (-1, _) => Some(if b % 2 == 0 { 1 } else { -1 }),
            (a, Ok(b)) => a.checked_pow(b),
            _ => None,
        },
    };
    value.map(Value::Int).ok_or_else(too_large)
}

fn float_math(op: MathOp, a: f64, b: f64) -> Res<f64> {
    if b == 0.0 && matches!(op, MathOp::Div | MathOp::FloorDiv | MathOp::Mod) {
        return Fault::error(match op {
            MathOp::Div => "float division by zero",
            _ => "float modulo by zero",
        });
    }
    Ok(match op {
        MathOp::Add => a + b,
        MathOp::Sub => a - b,
        MathOp::Mul => a * b,
        MathOp::Div => a / b,
        MathOp::Mod => floored(a, b).1,
        MathOp::FloorDiv => floored(a, b).0,
        MathOp::Pow => power(a, b)?,
    })
}

/// Quotient rounded down, and the remainder with the divisor's sign.
fn floored(a: f64, b: f64) -> (f64, f64) {
    let mut remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder != 0.0 && (remainder < 0.0) != (b < 0.0) {
        remainder += b;
        quotient -= 1.0;
    }
    if remainder == 0.0 {
        remainder = 0f64.copysign(b);
    }
    if quotient == 0.0 {
        return (0f64.copysign(a / b), remainder);
    }
    let floor = quotient.floor();
    let up = f64::from(u8::from(quotient - floor > 0.5));
    (floor + up, remainder)
}

/// Powers by squaring: only whole exponents, so that no platform's library has a say.
fn power(base: f64, exponent: f64) -> Res<f64> {
    if exponent == 0.5 && base >= 0.0 {
        return Ok(base.abs().sqrt());
    }
    if exponent.fract() != 0.0 || exponent.abs() > 1e9 {
        return Fault::error("powers are available for whole exponents only");
    }
    if base == 0.0 && exponent < 0.0 {
        return Fault::error("0.0 cannot be raised to a negative power");
    }
    let (mut square, mut left, mut result) = (base, exponent.abs() as u64, 1.0);
    while left > 0 {
        if left % 2 == 1 {
            result *= square;
        }
        square *= square;
        left /= 2;
    }
    let result = if exponent < 0.0 { 1.0 / result } else { result };
    if result.is_infinite() && base.is_finite() {
        return Fault::error("numerical result out of range");
    }
    Ok(result)
}

/// `-a` or `+a`.
pub(super) fn sign(value: &Value, negative: bool) -> Res<Value> {
    value.defined()?;
    match Number::of(value) {
        Some(Number::Int(value)) if negative => int_math(MathOp::Sub, 0, value),
        Some(Number::Int(value)) => Ok(Value::Int(value)),
        Some(Number::Float(value)) if negative => Ok(Value::Float(-value)),
        Some(Number::Float(value)) => Ok(Value::Float(value)),
        None => Fault::error(format!(
            "bad operand type for unary {}: '{}'",
            if negative { "-" } else { "+" },
            value.type_name()
        )),
    }
}

/// `a op b` for one comparison.
pub(super) fn compare(meter: &Rc<Meter>, op: CompareOp, a: &Value, b: &Value) -> Res<bool> {
    match op {
        CompareOp::Eq => equal(meter, a, b),
        CompareOp::Ne => Ok(!equal(meter, a, b)?),
        CompareOp::In => contains(meter, b, a),
        CompareOp::NotIn => Ok(!contains(meter, b, a)?),
        CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => {
            let Some(order) = order(meter, a, b, op.symbol())? else {
                return Ok(false);
            };
            Ok(match op {
                CompareOp::Lt => order.is_lt(),
                CompareOp::Le => order.is_le(),
                CompareOp::Gt => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    }
}

/// `a == b`.
pub(super) fn equal(meter: &Rc<Meter>, a: &Value, b: &Value) -> Res<bool> {
    meter.spend(1)?;
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(match (a, b) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (a, b) => a.as_f64() == b.as_f64(),
        });
    }
    Ok(match (a, b) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Str(a), Value::Str(b)) => {
            meter.touch(a.len().min(b.len()))?;
            a == b
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            let (a, b) = (&a.value.items, &b.value.items);
            a.len() == b.len() && all_equal(meter, a.iter().zip(b))?
        }
        (Value::Dict(a), Value::Dict(b)) => {
            let (a, b) = (&a.value, &b.value);
            if a.map.len() != b.map.len() {
                return Ok(false);
            }
            for (key, (_, value)) in &a.map {
                match b.get(key) {
                    Some(other) if equal(meter, value, other)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::View(View::Keys, a), Value::View(View::Keys, b)) => {
            let (a, b) = (&a.value.map, &b.value.map);
            meter.spend(a.len() as u64)?;
            a.len() == b.len() && a.keys().all(|key| b.contains_key(key))
        }
        (Value::View(View::Items, a), Value::View(View::Items, b)) => {
            return equal(meter, &Value::Dict(a.clone()), &Value::Dict(b.clone()));
        }
        (Value::Range(a), Value::Range(b)) => {
            let len = a.len();
            len == b.len() && (len == 0 || a.start == b.start && (len == 1 || a.step == b.step))
        }
        (a, b) => {
            std::mem::discriminant(a) == std::mem::discriminant(b) && a.address() != 0 && a.address() == b.address()
        }
    })
}

fn all_equal<'v>(meter: &Rc<Meter>, pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Res<bool> {
    for (a, b) in pairs {
        if !equal(meter, a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Order of two values; `None` if one is not a number that compares.
pub(super) fn order(meter: &Rc<Meter>, a: &Value, b: &Value, symbol: &str) -> Res<Option<Ordering>> {
    meter.spend(1)?;
    a.defined()?;
    b.defined()?;
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(match (a, b) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.as_f64().partial_cmp(&b.as_f64()),
        });
    }
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => {
            meter.touch(a.len().min(b.len()))?;
            Ok(Some((**a).cmp(&**b)))
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            let (a, b) = (&a.value.items, &b.value.items);
            for (a, b) in a.iter().zip(b) {
                if !equal(meter, a, b)? {
                    return order(meter, a, b, symbol);
                }
            }
            Ok(Some(a.len().cmp(&b.len())))
        }
        _ => Fault::error(format!(
            "'{symbol}' not supported between instances of '{}' and '{}'",
            a.type_name(),
            b.type_name()
        )),
    }
}

/// `item in container`.
pub(super) fn contains(meter: &Rc<Meter>, container: &Value, item: &Value) -> Res<bool> {
    match container {
        Value::Str(text) => match item {
            Value::Str(part) => {
                meter.touch(text.len())?;
                Ok(text.contains(&**part))
            }
            other => Fault::error(format!("'in <string>' requires string as left operand, not {}", other.type_name())),
        },
        Value::Dict(dict) | Value::View(View::Keys, dict) => Ok(dict.value.get(&item.key()?).is_some()),
        Value::Range(range) => Ok(match Number::of(item) {
            Some(Number::Int(value)) => {
                let from = value.saturating_sub(range.start);
                let index = from / range.step;
                from % range.step == 0 && index >= 0 && (index as u128) < range.len() as u128
            }
            Some(Number::Float(value)) if value.fract() == 0.0 && value.abs() < 1e18 => {
                return contains(meter, container, &Value::Int(value as i128));
            }
            _ => false,
        }),
        Value::Iter(iter) => loop {
            let Some(next) = iter.value.items.borrow_mut().pop_front() else {
                return Ok(false);
            };
            if equal(meter, &next, item)? {
                return Ok(true);
            }
        },
        Value::List(seq) | Value::Tuple(seq) => any_equal(meter, &seq.value.items, item),
        Value::Undefined(_) => Ok(false),
        Value::View(..) => any_equal(meter, &super::index::items(meter, container)?, item),
        other => Fault::error(format!("argument of type '{}' is not iterable", other.type_name())),
    }
}

fn any_equal(meter: &Rc<Meter>, items: &[Value], item: &Value) -> Res<bool> {
    for other in items {
        if equal(meter, other, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}
