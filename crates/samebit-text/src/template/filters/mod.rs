//! Jinja's filters over one value: text and numbers. Those over sequences are in `seq`.

mod seq;

use std::rc::Rc;

use super::args::{CallArgs, flag, given, integer, integer_or, required, string};
use super::checks;
use super::format::percent;
use super::index;
use super::json::{self, Style};
use super::lexer::is_space;
use super::limits::{Fault, Meter, Res, Text};
use super::markup::escape;
use super::ops::Number;
use super::repr::to_text;
use super::strings;
use super::value::{Undefined, Value, undefined};

/// Filters that work, those that need what a template cannot have at the end.
const NAMES: [&str; 55] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "filesizeformat",
    "pprint",
    "random",
    "striptags",
    "urlize",
    "wordwrap",
    "xmlattr",
    "",
];

/// Whether Jinja has a filter of that name.
pub(super) fn exists(name: &str) -> bool {
    !name.is_empty() && NAMES.contains(&name)
}

/// `value | name(args)`.
pub(super) fn call(meter: &Rc<Meter>, name: &str, value: Value, args: CallArgs) -> Res<Value> {
    meter.spend(2 + args.positional.len() as u64)?;
    match name {
        "default" | "d" => {
            let [default, boolean] = args.bind(name, ["default_value", "boolean"])?;
            let replace = value.is_undefined() || flag(boolean.as_ref()) && !value.truth();
            match default {
                _ if !replace => Ok(value),
                Some(default) => Ok(default),
                None => meter.str(""),
            }
        }
        "abs" | "int" | "float" | "round" => numeric(meter, name, &value, args),
        "count" | "length" => {
            let [] = args.bind(name, [])?;
            match value.len() {
                Some(len) => Ok(Value::Int(len as i128)),
                None => Fault::error(format!("object of type '{}' has no len()", value.type_name())),
            }
        }
        "attr" => {
            let [attribute] = args.bind(name, ["name"])?;
            let attribute = required(name, attribute)?;
            let attribute = string(name, &attribute)?.into();
            match index::own_attribute(meter, value.defined()?, &attribute)? {
                Some(found) => Ok(found),
                None => Ok(super::value::missing(&value, &meter.copy(&attribute)?)),
            }
        }
        "tojson" => to_json(meter, &value, args),
        "string" | "upper" | "lower" | "capitalize" | "title" | "trim" | "center" | "replace" | "indent"
        | "truncate" | "wordcount" | "format" | "urlencode" | "safe" | "escape" | "e" | "forceescape" => {
            text(meter, name, value, args)
        }
        "filesizeformat" | "pprint" | "random" | "striptags" | "urlize" | "wordwrap" | "xmlattr" => {
            Fault::error(format!("the filter '{name}' is not available in chat templates"))
        }
        _ if exists(name) => meter.deeper(|| seq::call(meter, name, value, args)),
        _ => Fault::error(format!("no filter named '{name}'")),
    }
}

/// Filters that first make a text of their value.
fn text(meter: &Rc<Meter>, name: &str, value: Value, args: CallArgs) -> Res<Value> {
    if matches!(name, "indent" | "truncate") {
        value.defined()?;
        string(name, &value)?;
    }
    let source = match value {
        Value::Str(text) => text,
        other => meter.text(to_text(meter, &other)?)?,
    };
    let result = match name {
        "string" | "safe" | "escape" | "e" | "forceescape" | "wordcount" | "urlencode" => {
            let [] = args.bind(name, [])?;
            match name {
                "string" => return Ok(Value::Str(source)),
                "safe" => return Ok(Value::Str(source.as_safe())),
                "wordcount" => {
                    let words = source.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                    return Ok(Value::Int(words.filter(|w| !w.is_empty()).count() as i128));
                }
                "urlencode" => return meter.str(percent_encoded(meter, &source)?),
                _ if source.safe && name != "forceescape" => return Ok(Value::Str(source)),
                _ => {
                    let mut out = Text::new(meter);
                    escape(&mut out, &source)?;
                    return Ok(Value::Str(meter.text(out.finish())?.as_safe()));
                }
            }
        }
        "upper" | "lower" | "capitalize" => {
            let [] = args.bind(name, [])?;
            meter.ensure(source.len().saturating_mul(4))?;
            meter.str(strings::cased(&source, name))?
        }
        "title" => {
            let [] = args.bind(name, [])?;
            title(meter, &source)?
        }
        "trim" => {
            let [chars] = args.bind(name, ["chars"])?;
            let chars = given(chars);
            let chars = chars.as_ref().map(|chars| string(name, chars)).transpose()?;
            meter.copy(strings::strip(&source, chars, true, true))?
        }
        "center" => {
            let [width] = args.bind(name, ["width"])?;
            let args = CallArgs { positional: vec![width.unwrap_or(Value::Int(80))], named: Vec::new() };
            strings::call(meter, &source, "center", args)?
        }
        "replace" => {
            let [old, new, count] = args.bind(name, ["old", "new", "count"])?;
            let old = to_text(meter, &required(name, old)?)?;
            let new = to_text(meter, &required(name, new)?)?;
            let count = integer_or(name, given(count).as_ref(), -1)?;
            return strings::replace(meter, &source, &old, &new, count);
        }
        "indent" => indent(meter, &source, args)?,
        "truncate" => truncate(meter, &source, args)?,
        _ => {
            let args = operands(meter, args)?;
            meter.str(percent(meter, &source, &args)?)?
        }
    };
    Ok(match result {
        Value::Str(out) if source.safe => Value::Str(out.as_safe()),
        other => other,
    })
}

/// What `%` formats: a tuple of the positional arguments, or a dictionary of the named ones.
fn operands(meter: &Rc<Meter>, args: CallArgs) -> Res<Value> {
    match (args.positional.is_empty(), args.named.is_empty()) {
        (false, false) => Fault::error("can't handle positional and keyword arguments at the same time"),
        (_, true) => meter.tuple(args.positional),
        (true, false) => {
            let pairs = args.named.into_iter();
            let pairs = pairs.map(|(name, value)| Ok((meter.copy(&name)?, value)));
            meter.dict(pairs.collect::<Res<Vec<_>>>()?)
        }
    }
}

/// Every word with a capital; words begin after blanks, hyphens and opening brackets.
fn title(meter: &Rc<Meter>, text: &str) -> Res<Value> {
    let mut out = Text::new(meter);
    let mut in_word = false;
    for c in text.chars() {
        let lower = c.to_lowercase();
        let upper = c.to_uppercase();
        if in_word {
            lower.into_iter().try_for_each(|c| out.push(c))?;
        } else {
            upper.into_iter().try_for_each(|c| out.push(c))?;
        }
        in_word = !(is_space(c) || "-({[<".contains(c));
    }
    meter.str(out.finish())
}

fn indent(meter: &Rc<Meter>, text: &str, args: CallArgs) -> Res<Value> {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"])?;
    let mut indention = Text::new(meter);
    match width {
        Some(Value::Str(text)) => indention.push_str(&text)?,
        width => {
            let width = integer_or("indent", width.as_ref(), 4)?;
            indention.fill(' ', usize::try_from(width.max(0)).unwrap_or(usize::MAX))?;
        }
    }
    let indention = indention.finish();
    let blank = flag(blank.as_ref());
    let mut out = Text::new(meter);
    let with_end = [text, "\n"].concat();
    for (index, line) in strings::lines(&with_end, false).into_iter().enumerate() {
        if index > 0 {
            out.push('\n')?;
        }
        let indented = match index {
            0 => flag(first.as_ref()),
            _ => blank || !line.is_empty(),
        };
        if indented {
            out.push_str(&indention)?;
        }
        out.push_str(line)?;
    }
    meter.str(out.finish())
}

fn truncate(meter: &Rc<Meter>, text: &str, args: CallArgs) -> Res<Value> {
    let [length, kill, end, leeway] = args.bind("truncate", ["length", "killwords", "end", "leeway"])?;
    let length = integer_or("truncate", length.as_ref(), 255)?;
    let leeway = integer_or("truncate", given(leeway).as_ref(), 5)?;
    let end = match &end {
        Some(end) => string("truncate", end)?,
        None => "...",
    };
    let end_length = end.chars().count() as i128;
    if length < end_length || leeway < 0 {
        return Fault::error(format!("expected length >= {end_length}, got {length}"));
    }
    if text.chars().count() as i128 <= length.saturating_add(leeway) {
        return meter.copy(text);
    }
    let keep = usize::try_from(length - end_length).unwrap_or(usize::MAX);
    let cut = text.char_indices().nth(keep).map_or(text.len(), |(at, _)| at);
    let mut kept = &text[..cut];
    if !flag(kill.as_ref()) {
        kept = kept.rsplit_once(' ').map_or(kept, |(before, _)| before);
    }
    meter.str([kept, end].concat())
}

fn percent_encoded(meter: &Rc<Meter>, text: &str) -> Res<String> {
    let mut out = Text::new(meter);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~/".contains(&byte) {
            out.push(char::from(byte))?;
        } else {
            out.push_str(&format!("%{byte:02X}"))?;
        }
    }
    Ok(out.finish())
}

fn to_json(meter: &Rc<Meter>, value: &Value, args: CallArgs) -> Res<Value> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ascii, indent, separators, sort_keys] = args.bind("tojson", names)?;
    let indent = match given(indent) {
        None => None,
        Some(Value::Str(text)) => Some(text.to_string()),
        Some(width) => {
            let width = usize::try_from(integer("tojson", &width)?.max(0)).unwrap_or(usize::MAX);
            let mut blanks = Text::new(meter);
            blanks.fill(' ', width)?;
            Some(blanks.finish())
        }
    };
    let (item, key) = match given(separators) {
        None if indent.is_some() => (",".into(), ": ".into()),
        None => (", ".into(), ": ".into()),
        Some(pair) => match &index::items(meter, &pair)?[..] {
            [Value::Str(item), Value::Str(key)] => (item.to_string(), key.to_string()),
            _ => return Fault::error("tojson: separators must be two strings"),
        },
    };
    let style = Style {
        ascii: flag(ascii.as_ref()),
        indent,
        item_separator: item,
        key_separator: key,
        sort_keys: flag(sort_keys.as_ref()),
    };
    let mut out = Text::new(meter);
    json::write(&mut out, &style, value, 0)?;
    meter.str(out.finish())
}

fn numeric(meter: &Rc<Meter>, name: &str, value: &Value, args: CallArgs) -> Res<Value> {
    value.defined()?;
    match name {
        "abs" => {
            let [] = args.bind(name, [])?;
            match Number::of(value) {
                Some(Number::Int(_)) if !value_negative(value) => Ok(plus(value)),
                Some(Number::Int(_)) => super::ops::sign(value, true),
                Some(Number::Float(value)) => Ok(Value::Float(value.abs())),
                None => bad_type("abs()", value),
            }
        }
        "int" => {
            let [default, base] = args.bind(name, ["default", "base"])?;
            let base = integer_or(name, base.as_ref(), 10)?;
            Ok(to_int(value, base)?.map_or_else(|| default.unwrap_or(Value::Int(0)), Value::Int))
        }
        "float" => {
            let [default] = args.bind(name, ["default"])?;
            let parsed = match (value, Number::of(value)) {
                (_, Some(number)) => Some(number.as_f64()),
                (Value::Str(text), _) => parse_float(text),
                _ => None,
            };
            Ok(parsed.map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
        }
        _ => {
            let [precision, method] = args.bind(name, ["precision", "method"])?;
            let precision = integer_or(name, precision.as_ref(), 0)?;
            let method = method.unwrap_or(meter.str("common")?);
            round(value, precision, string(name, &method)?)
        }
    }
}

fn value_negative(value: &Value) -> bool {
    matches!(value, Value::Int(value) if *value < 0)
}

/// A number as an integer if it is a bool.
fn plus(value: &Value) -> Value {
    match value {
        Value::Bool(value) => Value::Int((*value).into()),
        other => other.clone(),
    }
}

fn bad_type<T>(what: &str, value: &Value) -> Res<T> {
    Fault::error(format!("bad operand type for {what}: '{}'", value.type_name()))
}

/// Python's `int(value)`, and of a text that is no integer the whole part of the float it is.
fn to_int(value: &Value, base: i128) -> Res<Option<i128>> {
    let float = match (value, Number::of(value)) {
        (_, Some(Number::Int(value))) => return Ok(Some(value)),
        (_, Some(Number::Float(value))) => value,
        (Value::Str(text), _) => {
            if let Some(value) = parse_int(text, base) {
                return Ok(Some(value));
            }
            match parse_float(text) {
                Some(value) if value.is_finite() => value,
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    if float.is_infinite() {
        return Fault::error("cannot convert float infinity to integer");
    }
    Ok((!float.is_nan()).then_some(float as i128))
}

fn parse_int(text: &str, base: i128) -> Option<i128> {
    let text = text.trim_matches(is_space);
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixes = [(16, "0x"), (8, "0o"), (2, "0b")];
    let prefixed = prefixes.iter().find(|(radix, prefix)| (base == *radix || base == 0) && lower.starts_with(prefix));
    let (radix, digits) = match prefixed {
        Some((radix, prefix)) => (*radix, lower[prefix.len()..].trim_start_matches('_')),
        None if base == 0 => (10, &*lower),
        None => (base, &*lower),
    };
    let radix = u32::try_from(radix).ok().filter(|r| (2..=36).contains(r))?;
    let starts = digits.starts_with(|c: char| c.is_digit(radix));
    if !starts || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let value = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    Some(if negative { -value } else { value })
}

fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(is_space);
    if text.contains('_') {
        let bytes = text.as_bytes();
        let between =
            |at: usize| at > 0 && bytes[at - 1].is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        let valid = text.match_indices('_').all(|(at, _)| between(at));
        return valid.then(|| text.replace('_', "").parse().ok())?;
    }
    text.parse().ok()
}

fn round(value: &Value, precision: i128, method: &str) -> Res<Value> {
    let Some(number) = Number::of(value) else {
        return bad_type("round()", value);
    };
    if !(-300..=300).contains(&precision) {
        return Fault::error("round: precision out of range");
    }
    let scale = format!("1e{}", precision.abs()).parse().unwrap_or(1.0);
    let scaled = |up: f64| {
        if precision < 0 { up / scale } else { up * scale }
    };
    let unscaled = |up: f64| {
        if precision < 0 { up * scale } else { up / scale }
    };
    let float = number.as_f64();
    match (method, number) {
        ("common", Number::Int(_)) if precision >= 0 => Ok(plus(value)),
        ("common", Number::Int(_)) => Ok(Value::Int(unscaled(scaled(float).round_ties_even()) as i128)),
        ("common", _) if precision < 0 => Ok(Value::Float(unscaled(scaled(float).round_ties_even()))),
        ("common", _) => {
            let places = precision as usize;
            let text = format!("{float:.places$}");
            Ok(Value::Float(text.parse().unwrap_or(float)))
        }
        ("ceil", _) => Ok(Value::Float(unscaled(scaled(float).ceil() + 0.0))),
        ("floor", _) => Ok(Value::Float(unscaled(scaled(float).floor() + 0.0))),
        _ => Fault::error("method must be common, ceil or floor"),
    }
}

/// Parts of an attribute's path: names and indices.
fn path(meter: &Rc<Meter>, attribute: &Value) -> Res<Vec<Value>> {
    match attribute {
        Value::None => Ok(Vec::new()),
        Value::Str(text) => text
            .split('.')
            .map(|part| match part.parse::<u32>() {
                Ok(index) if !part.starts_with('+') => Ok(Value::Int(index.into())),
                _ => meter.copy(part),
            })
            .collect(),
        other => Ok(vec![other.clone()]),
    }
}

/// What lies at a path; `default` for what is undefined on the way.
fn follow(meter: &Rc<Meter>, item: &Value, path: &[Value], default: Option<&Value>) -> Res<Value> {
    let mut item = item.clone();
    for part in path {
        item = index::element(meter, &item, part)?;
        if let (true, Some(default)) = (item.is_undefined(), default) {
            item = default.clone();
        }
    }
    Ok(item)
}

/// A key for sorting and grouping: text in lower case unless case counts.
fn folded(meter: &Rc<Meter>, value: Value, case_sensitive: bool) -> Res<Value> {
    match value {
        Value::Str(text) if !case_sensitive => {
            meter.ensure(text.len().saturating_mul(4))?;
            meter.str(text.to_lowercase())
        }
        other => Ok(other),
    }
}

fn none_left(hint: &'static str) -> Value {
    undefined(Undefined::Hint(hint))
}

/// Whether a test, named by an argument, holds; without one, whether the value is true.
fn passes(meter: &Rc<Meter>, value: Value, test: Option<&str>, args: &CallArgs) -> Res<bool> {
    match test {
        None => Ok(value.truth()),
        Some(name) => checks::call(meter, name, &value, args.clone()),
    }
}
