//! Values as text, the way Python's `str` and `repr` write them.

use super::limits::{Fault, MAX_NESTING, Meter, Res, Text};
use super::value::{Function, Value, View};
use std::rc::Rc;

/// `str(value)`.
pub(super) fn to_text(meter: &Rc<Meter>, value: &Value) -> Res<String> {
    let mut out = Text::new(meter);
    write_str(&mut out, value)?;
    Ok(out.finish())
}

/// Appends `str(value)`.
pub(super) fn write_str(out: &mut Text<'_>, value: &Value) -> Res<()> {
    match value {
        Value::Str(text) => out.push_str(text),
        Value::Undefined(_) => Ok(()),
        other => write_repr(out, other, 0),
    }
}

/// Appends `repr(value)`.
pub(super) fn write_repr(out: &mut Text<'_>, value: &Value, depth: u32) -> Res<()> {
    // Namespaces can hold themselves.
    if depth > MAX_NESTING {
        return Err(Fault::Limit(format!("nesting ({MAX_NESTING} levels)")));
    }
    match value {
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&float(*value)),
        Value::Str(text) if text.safe => {
            out.push_str("Markup(")?;
            quoted(out, text)?;
            out.push(')')
        }
        Value::Str(text) => quoted(out, text),
        Value::List(seq) => list(out, &seq.value.items, ("[", "]"), depth),
        Value::Tuple(seq) if seq.value.items.len() == 1 => list(out, &seq.value.items, ("(", ",)"), depth),
        Value::Tuple(seq) => list(out, &seq.value.items, ("(", ")"), depth),
        Value::Dict(dict) => {
            let pairs = dict.value.pairs().map(|(k, v)| (k, v));
            mapping(out, pairs, depth)
        }
        Value::Range(range) if range.step == 1 => out.push_str(&format!("range({}, {})", range.start, range.stop)),
        Value::Range(range) => out.push_str(&format!("range({}, {}, {})", range.start, range.stop, range.step)),
        Value::View(view, _) => {
            let name = match view {
                View::Keys => "dict_keys([",
                View::Values => "dict_values([",
                View::Items => "dict_items([",
            };
            let items = super::index::items(out.meter(), value)?;
            list(out, &items, (name, "])"), depth)
        }
        Value::Namespace(namespace) => {
            out.push_str("<Namespace ")?;
            let pairs = namespace.pairs();
            let mut names = Vec::new();
            for (name, value) in pairs {
                names.push((out.meter().copy(&name)?, value));
            }
            mapping(out, names.iter().map(|(k, v)| (k, v)), depth)?;
            out.push('>')
        }
        Value::Macro(macro_) => match &macro_.code.name {
            Some(name) => out.push_str(&format!("<Macro '{name}'>")),
            None => out.push_str("<Macro anonymous>"),
        },
        Value::Function(Function::Dict) => out.push_str("<class 'dict'>"),
        other => out.push_str(&format!("<{} object>", other.type_name())),
    }
}

fn list(out: &mut Text<'_>, items: &[Value], ends: (&str, &str), depth: u32) -> Res<()> {
    out.push_str(ends.0)?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ")?;
        }
        write_repr(out, item, depth + 1)?;
    }
    out.push_str(ends.1)
}

fn mapping<'v>(out: &mut Text<'_>, pairs: impl Iterator<Item = (&'v Value, &'v Value)>, depth: u32) -> Res<()> {
    out.push('{')?;
    for (index, (key, value)) in pairs.enumerate() {
        if index > 0 {
            out.push_str(", ")?;
        }
        write_repr(out, key, depth + 1)?;
        out.push_str(": ")?;
        write_repr(out, value, depth + 1)?;
    }
    out.push('}')
}

/// A string in quotes: single ones, unless it holds those and no double ones.
fn quoted(out: &mut Text<'_>, text: &str) -> Res<()> {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote)?;
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n")?,
            '\r' => out.push_str("\\r")?,
            '\t' => out.push_str("\\t")?,
            '\\' => out.push_str("\\\\")?,
            c if c == quote => {
                out.push('\\')?;
                out.push(c)?;
            }
            c if is_printable(c) => out.push(c)?,
            c => match u32::from(c) {
                code @ ..=0xff => out.push_str(&format!("\\x{code:02x}"))?,
                code @ ..=0xffff => out.push_str(&format!("\\u{code:04x}"))?,
                code => out.push_str(&format!("\\U{code:08x}"))?,
            },
        }
    }
    out.push(quote)
}

/// Python's `str.isprintable` of one character.
pub(super) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // `str::escape_debug` escapes what is not printable, and combining marks only at the start.
    !["a", c.encode_utf8(&mut [0; 4])].concat().escape_debug().any(|c| c == '\\')
}

/// Python's `repr` of a float: the shortest digits that read back as the same value.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_python_writes_them() {
        let cases = [
            (0.1, "0.1"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn printable_as_python_says() {
        for c in ['a', 'é', '日', '\u{301}', '😀'] {
            assert!(is_printable(c), "{c:?}");
        }
        for c in ['\u{7f}', '\u{a0}', '\u{200b}', '\u{2028}', '\u{e000}', '\u{ad}'] {
            assert!(!is_printable(c), "{c:?}");
        }
    }
}
