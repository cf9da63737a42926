//! String formatting: `'%s' % value` and `'{}'.format(value)`.

use std::rc::Rc;

use super::index;
use super::limits::{Fault, Meter, Res, Text};
use super::ops::Number;
use super::repr::{self, to_text, write_repr};
use super::value::Value;

/// Most digits after the point.
const MAX_PRECISION: usize = 1000;

/// How to lay out one value.
#[derive(Debug, Clone, Default)]
struct Spec {
    fill: Option<char>,
    /// `<`, `>`, `^` or `=` (padding after the sign).
    align: Option<char>,
    /// `+`, `-` or a blank.
    sign: Option<char>,
    alternate: bool,
    width: usize,
    /// Separator of thousands.
    group: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

/// `pattern % value`.
pub(super) fn percent(meter: &Rc<Meter>, pattern: &str, value: &Value) -> Res<String> {
    let single = [value.clone()];
    let args = match value {
        Value::Tuple(seq) => &seq.value.items[..],
        _ => &single,
    };
    // What Python can subscript may go unused, but for texts and tuples.
    let is_mapping = matches!(value, Value::Dict(_) | Value::List(_) | Value::Range(_) | Value::Undefined(_));
    let mut args = args.iter();
    let mut used_key = false;
    let mut out = Text::new(meter);
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at])?;
        rest = &rest[at + 1..];
        let key = match rest.strip_prefix('(') {
            Some(after) => {
                let Some((key, after)) = after.split_once(')') else {
                    return Fault::error("incomplete format key");
                };
                rest = after;
                Some(key)
            }
            None => None,
        };
        let mut next = || match args.next() {
            Some(arg) => Ok(arg.clone()),
            None => Fault::error("not enough arguments for format string"),
        };
        let spec = percent_spec(&mut rest, &mut next)?;
        if spec.kind == Some('%') {
            out.push('%')?;
            continue;
        }
        let arg = match key {
            Some(key) if is_mapping => {
                used_key = true;
                index::element(meter, value, &meter.copy(key)?)?
            }
            Some(_) => return Fault::error("format requires a mapping"),
            None => next()?,
        };
        percent_one(&mut out, &spec, &arg)?;
    }
    out.push_str(rest)?;
    if args.next().is_some() && !is_mapping && !used_key {
        return Fault::error("not all arguments converted during string formatting");
    }
    Ok(out.finish())
}

/// Flags, width, precision and conversion after a percent sign.
fn percent_spec(rest: &mut &str, next: &mut dyn FnMut() -> Res<Value>) -> Res<Spec> {
    let mut spec = Spec { align: Some('>'), ..Spec::default() };
    let mut zero = false;
    while let Some(flag) = rest.chars().next().filter(|c| "#0- +".contains(*c)) {
        match flag {
            '#' => spec.alternate = true,
            '0' => zero = true,
            '-' => spec.align = Some('<'),
            '+' => spec.sign = Some('+'),
            _ => spec.sign = spec.sign.or(Some(' ')),
        }
        *rest = &rest[1..];
    }
    let mut count = |rest: &mut &str| -> Res<usize> {
        let Some(after) = rest.strip_prefix('*') else {
            return digits(rest);
        };
        *rest = after;
        match next()? {
            Value::Int(count) => Ok(usize::try_from(count.max(0)).unwrap_or(usize::MAX)),
            _ => Fault::error("* wants int"),
        }
    };
    spec.width = count(rest)?;
    if let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        spec.precision = Some(count(rest)?);
    }
    *rest = rest.strip_prefix(['l', 'h', 'L']).unwrap_or(rest);
    let Some(kind) = rest.chars().next() else {
        return Fault::error("incomplete format");
    };
    *rest = &rest[kind.len_utf8()..];
    spec.kind = Some(kind);
    if zero && spec.align == Some('>') && "diuoxXeEfFgG".contains(kind) {
        (spec.fill, spec.align) = (Some('0'), Some('='));
    }
    Ok(spec)
}

/// A decimal number at the start, zero if there is none.
fn digits(rest: &mut &str) -> Res<usize> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (text, after) = rest.split_at(end);
    *rest = after;
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().or_else(|_| Fault::error("too many decimal digits in format string"))
}

fn percent_one(out: &mut Text<'_>, spec: &Spec, arg: &Value) -> Res<()> {
    let meter = out.meter();
    let kind = spec.kind.unwrap_or('s');
    let number = || {
        arg.defined()?;
        Number::of(arg)
            .ok_or_else(|| Fault::Error(format!("%{kind} format: a real number is required, not {}", arg.type_name())))
    };
    match kind {
        's' | 'r' | 'a' => {
            let mut text = Text::new(meter);
            match kind {
                's' => repr::write_str(&mut text, arg)?,
                _ => write_repr(&mut text, arg, 0)?,
            }
            let text = text.finish();
            pad(out, spec, "", truncated(&text, spec.precision), '>')
        }
        'd' | 'i' | 'u' => match number()? {
            Number::Int(value) => integer(out, spec, value, 'd'),
            Number::Float(value) if value.is_finite() => integer(out, spec, value as i128, 'd'),
            Number::Float(_) => Fault::error("cannot convert float to integer"),
        },
        'x' | 'X' | 'o' => match number()? {
            Number::Int(value) => integer(out, spec, value, kind),
            Number::Float(_) => Fault::error(format!("%{kind} format: an integer is required, not float")),
        },
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => real(out, spec, number()?.as_f64(), kind),
        'c' => match arg {
            Value::Str(text) if text.chars().count() == 1 => pad(out, spec, "", text, '>'),
            Value::Int(code) => match u32::try_from(*code).ok().and_then(char::from_u32) {
                Some(c) => pad(out, spec, "", c.encode_utf8(&mut [0; 4]), '>'),
                None => Fault::error("%c arg not in range(0x110000)"),
            },
            _ => Fault::error("%c requires int or char"),
        },
        other => Fault::error(format!("unsupported format character {other:?}")),
    }
}

fn truncated(text: &str, precision: Option<usize>) -> &str {
    match precision.and_then(|count| text.char_indices().nth(count)) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

/// Sign and digits, padded to the width.
fn pad(out: &mut Text<'_>, spec: &Spec, sign: &str, body: &str, align: char) -> Res<()> {
    let fill = spec.fill.unwrap_or(' ');
    let len = sign.chars().count() + body.chars().count();
    let room = spec.width.saturating_sub(len);
    let (before, inner, after) = match spec.align.unwrap_or(align) {
        '<' => (0, 0, room),
        '^' => (room / 2, 0, room - room / 2),
        '=' => (0, room, 0),
        _ => (room, 0, 0),
    };
    out.fill(fill, before)?;
    out.push_str(sign)?;
    out.fill(fill, inner)?;
    out.push_str(body)?;
    out.fill(fill, after)
}

fn sign_of(spec: &Spec, negative: bool) -> &'static str {
    match (negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    }
}

fn integer(out: &mut Text<'_>, spec: &Spec, value: i128, kind: char) -> Res<()> {
    let magnitude = value.unsigned_abs();
    let (prefix, mut digits) = match kind {
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        'o' => ("0o", format!("{magnitude:o}")),
        'b' => ("0b", format!("{magnitude:b}")),
        _ => ("", magnitude.to_string()),
    };
    if let Some(least) = spec.precision {
        if least > MAX_PRECISION {
            return too_precise();
        }
        digits = format!("{digits:0>least$}");
    }
    let digits = grouped(&digits, spec.group);
    let mut sign = sign_of(spec, value < 0).to_string();
    if spec.alternate {
        sign.push_str(prefix);
    }
    pad(out, spec, &sign, &digits, '>')
}

/// Separates the thousands of the digits before the point.
fn grouped(digits: &str, separator: Option<char>) -> String {
    let Some(separator) = separator else {
        return digits.into();
    };
    let whole = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let mut text = String::new();
    for (index, c) in digits[..whole].chars().enumerate() {
        if index > 0 && (whole - index).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(c);
    }
    text + &digits[whole..]
}

fn too_precise<T>() -> Res<T> {
    Err(Fault::Limit(format!("precision ({MAX_PRECISION} digits)")))
}

fn real(out: &mut Text<'_>, spec: &Spec, value: f64, kind: char) -> Res<()> {
    let precision = spec.precision.unwrap_or(6);
    if precision > MAX_PRECISION {
        return too_precise();
    }
    let magnitude = value.abs();
    let mut body = if magnitude.is_nan() {
        "nan".into()
    } else if magnitude.is_infinite() {
        "inf".into()
    } else {
        match kind.to_ascii_lowercase() {
            'e' => exponential(magnitude, precision),
            'g' => general(magnitude, precision, spec.alternate),
            '%' => format!("{:.precision$}%", magnitude * 100.0),
            _ => format!("{magnitude:.precision$}"),
        }
    };
    if kind.is_ascii_uppercase() {
        body.make_ascii_uppercase();
    }
    let negative = value.is_sign_negative() && !value.is_nan();
    let body = grouped(&body, spec.group);
    pad(out, spec, sign_of(spec, negative), &body, '>')
}

fn exponential(magnitude: f64, precision: usize) -> String {
    let text = format!("{magnitude:.precision$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        None => text,
    }
}

/// C's `%g`: the shorter of both forms, without trailing zeros unless asked for.
fn general(magnitude: f64, precision: usize, keep_zeros: bool) -> String {
    let precision = precision.max(1);
    let text = exponential(magnitude, precision - 1);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    let strip = |digits: &str| {
        if keep_zeros || !digits.contains('.') {
            return digits.to_string();
        }
        digits.trim_end_matches('0').trim_end_matches('.').into()
    };
    match usize::try_from(precision as i32 - 1 - power) {
        Ok(places) if power >= -4 => strip(&format!("{magnitude:.places$}")),
        _ => format!("{}e{exponent}", strip(digits)),
    }
}

/// `pattern.format(*args, **named)`.
pub(super) fn braces(
    meter: &Rc<Meter>,
    pattern: &str,
    args: &[Value],
    named: &dyn Fn(&str) -> Option<Value>,
) -> Res<String> {
    let mut out = Text::new(meter);
    let mut rest = pattern;
    let mut automatic = Numbering::default();
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at])?;
        let (brace, after) = rest[at..].split_at(1);
        if after.starts_with(brace) {
            out.push_str(brace)?;
            rest = &after[1..];
            continue;
        }
        if brace == "}" {
            return Fault::error("single '}' encountered in format string");
        }
        let Some(end) = field_end(after) else {
            return Fault::error("expected '}' before end of string");
        };
        rest = &after[end + 1..];
        let (field, spec) = after[..end].split_once(':').unwrap_or((&after[..end], ""));
        let (field, conversion) = match field.split_once('!') {
            Some((field, conversion)) => (field, Some(conversion)),
            None => (field, None),
        };
        let value = lookup(meter, field, args, named, &mut automatic)?;
        let spec = if spec.contains('{') {
            let get = |name: &str| match lookup(meter, name, args, named, &mut automatic) {
                Ok(value) => to_text(meter, &value),
                Err(fault) => Err(fault),
            };
            nested(spec, get)?
        } else {
            spec.to_string()
        };
        let value = match conversion {
            None => value,
            Some("s") => meter.str(to_text(meter, &value)?)?,
            Some("r" | "a") => {
                let mut text = Text::new(meter);
                write_repr(&mut text, &value, 0)?;
                meter.str(text.finish())?
            }
            Some(other) => {
                return Fault::error(format!("unknown conversion specifier {other:?}"));
            }
        };
        format_value(&mut out, &value, &spec)?;
    }
    out.push_str(rest)?;
    Ok(out.finish())
}

/// Where the brace that closes a field is.
fn field_end(text: &str) -> Option<usize> {
    let mut open = 0;
    text.char_indices().find_map(|(at, c)| match c {
        '{' => {
            open += 1;
            None
        }
        '}' if open == 0 => Some(at),
        '}' => {
            open -= 1;
            None
        }
        _ => None,
    })
}

/// A format specification with its `{fields}` filled in.
fn nested(spec: &str, mut get: impl FnMut(&str) -> Res<String>) -> Res<String> {
    let mut filled = String::new();
    let mut rest = spec;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Fault::error("expected '}' before end of string");
        };
        filled.push_str(before);
        filled.push_str(&get(name)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// How fields without a name are numbered: all by themselves or all by hand.
#[derive(Default)]
struct Numbering {
    next: usize,
    manual: bool,
}

impl Numbering {
    fn position(&mut self, field: &str) -> Res<Option<usize>> {
        let manual = field.parse().ok();
        let mixed = match (field.is_empty(), manual) {
            (true, _) => self.manual,
            (false, Some(_)) => self.next > 0,
            (false, None) => return Ok(None),
        };
        if mixed {
            return Fault::error("cannot mix automatic and manual field numbering");
        }
        if manual.is_some() {
            self.manual = true;
            return Ok(manual);
        }
        self.next += 1;
        Ok(Some(self.next - 1))
    }
}

/// The value of a field such as `0.name[key]`.
fn lookup(
    meter: &Rc<Meter>,
    field: &str,
    args: &[Value],
    named: &dyn Fn(&str) -> Option<Value>,
    automatic: &mut Numbering,
) -> Res<Value> {
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (first, mut rest) = field.split_at(end);
    let position = automatic.position(first)?;
    let mut value = match position {
        Some(at) => match args.get(at) {
            Some(value) => value.clone(),
            None => {
                return Fault::error(format!("replacement index {at} out of range"));
            }
        },
        None => match named(first) {
            Some(value) => value,
            None => return Fault::error(format!("format lacks the argument {first:?}")),
        },
    };
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            value = index::attribute(meter, &value, &after[..end].into())?;
            rest = &after[end..];
        } else {
            let inner = rest.strip_prefix('[').and_then(|r| r.split_once(']'));
            let Some((key, after)) = inner else {
                return Fault::error("missing ']' in format string");
            };
            let key = match key.parse::<i128>() {
                Ok(index) => Value::Int(index),
                Err(_) => meter.copy(key)?,
            };
            value = index::element(meter, &value, &key)?;
            rest = after;
        }
    }
    Ok(value)
}

/// `format(value, spec)`.
fn format_value(out: &mut Text<'_>, value: &Value, spec: &str) -> Res<()> {
    if spec.is_empty() {
        return repr::write_str(out, value);
    }
    let parsed = brace_spec(spec)?;
    match (value, Number::of(value)) {
        (Value::Str(text), _) if matches!(parsed.kind, None | Some('s')) => {
            pad(out, &parsed, "", truncated(text, parsed.precision), '<')
        }
        (_, Some(number)) => match (number, parsed.kind) {
            (Number::Int(value), None | Some('d' | 'n')) => integer(out, &parsed, value, 'd'),
            (Number::Int(value), Some(kind @ ('x' | 'X' | 'o' | 'b'))) => integer(out, &parsed, value, kind),
            (number, Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%'))) => {
                real(out, &parsed, number.as_f64(), kind)
            }
            (Number::Float(value), None) if parsed.precision.is_none() => {
                let body = grouped(&repr::float(value.abs()), parsed.group);
                let negative = value.is_sign_negative() && !value.is_nan();
                pad(out, &parsed, sign_of(&parsed, negative), &body, '>')
            }
            (Number::Float(value), None) => real(out, &parsed, value, 'g'),
            _ => bad_spec(spec, value),
        },
        _ => bad_spec(spec, value),
    }
}

fn bad_spec<T>(spec: &str, value: &Value) -> Res<T> {
    value.defined()?;
    Fault::error(format!(
        "invalid format specifier {:?} for object of type '{}'",
        super::value::excerpt(spec),
        value.type_name()
    ))
}

/// `[[fill]align][sign][#][0][width][grouping][.precision][type]`.
fn brace_spec(text: &str) -> Res<Spec> {
    let mut spec = Spec::default();
    let mut rest = text;
    let mut chars = rest.chars();
    let is_align = |c: Option<char>| c.is_some_and(|c| "<>=^".contains(c));
    let (first, second) = (chars.next(), chars.next());
    if is_align(second) {
        (spec.fill, spec.align) = (first, second);
        rest = chars.as_str();
    } else if is_align(first) {
        spec.align = first;
        rest = &rest[1..];
    }
    if let Some(sign) = rest.chars().next().filter(|c| "+- ".contains(*c)) {
        spec.sign = Some(sign);
        rest = &rest[1..];
    }
    if let Some(after) = rest.strip_prefix('#') {
        spec.alternate = true;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('0') {
        spec.fill = spec.fill.or(Some('0'));
        spec.align = spec.align.or(Some('='));
        rest = after;
    }
    spec.width = digits(&mut rest)?;
    if let Some(after) = rest.strip_prefix([',', '_']) {
        spec.group = rest.chars().next();
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        spec.precision = Some(digits(&mut rest)?);
    }
    let mut kind = rest.chars();
    spec.kind = kind.next();
    if !kind.as_str().is_empty() {
        return Fault::error("invalid format specifier");
    }
    Ok(spec)
}
