//! `tojson`: Python's `json.dumps`.

use super::limits::{Fault, MAX_NESTING, Res, Text};
use super::repr;
use super::value::{Dict, Value};

/// Options of `json.dumps`, as the filter passes them.
#[derive(Debug)]
pub(super) struct Style {
    pub(super) ascii: bool,
    /// What one level is indented by; `None` for everything on one line.
    pub(super) indent: Option<String>,
    pub(super) item_separator: String,
    pub(super) key_separator: String,
    pub(super) sort_keys: bool,
}

/// Appends `json.dumps(value)`.
pub(super) fn write(out: &mut Text<'_>, style: &Style, value: &Value, depth: usize) -> Res<()> {
    if depth > MAX_NESTING as usize {
        return Err(Fault::Limit(format!("nesting ({MAX_NESTING} levels)")));
    }
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&number(*value)),
        Value::Str(text) => string(out, style, text),
        Value::List(seq) | Value::Tuple(seq) => {
            let items = &seq.value.items;
            if items.is_empty() {
                return out.push_str("[]");
            }
            out.push('[')?;
            for (index, item) in items.iter().enumerate() {
                separate(out, style, index, depth + 1)?;
                write(out, style, item, depth + 1)?;
            }
            close(out, style, "]", depth)
        }
        Value::Dict(dict) => object(out, style, &dict.value, depth),
        other => Fault::error(format!("Object of type {} is not JSON serializable", other.type_name())),
    }
}

fn object(out: &mut Text<'_>, style: &Style, dict: &Dict, depth: usize) -> Res<()> {
    if dict.map.is_empty() {
        return out.push_str("{}");
    }
    let mut pairs: Vec<_> = dict.pairs().collect();
    if style.sort_keys {
        let mut fault = None;
        let meter = out.meter();
        pairs.sort_by(|(a, _), (b, _)| {
            let order = super::ops::order(meter, a, b, "<").unwrap_or_else(|f| {
                fault = Some(f);
                None
            });
            order.unwrap_or(std::cmp::Ordering::Equal)
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    out.push('{')?;
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        separate(out, style, index, depth + 1)?;
        match key {
            Value::Str(text) => string(out, style, text)?,
            Value::None => out.push_str("\"null\"")?,
            Value::Bool(value) => out.push_str(&format!("\"{value}\""))?,
            Value::Int(value) => out.push_str(&format!("\"{value}\""))?,
            Value::Float(value) => out.push_str(&format!("\"{}\"", number(*value)))?,
            other => {
                return Fault::error(format!("keys must be str, int, float, bool or None, not {}", other.type_name()));
            }
        }
        out.push_str(&style.key_separator)?;
        write(out, style, value, depth + 1)?;
    }
    close(out, style, "}", depth)
}

/// What stands before an item.
fn separate(out: &mut Text<'_>, style: &Style, index: usize, depth: usize) -> Res<()> {
    if index > 0 {
        out.push_str(&style.item_separator)?;
    }
    line(out, style, depth)
}

fn close(out: &mut Text<'_>, style: &Style, bracket: &str, depth: usize) -> Res<()> {
    line(out, style, depth)?;
    out.push_str(bracket)
}

fn line(out: &mut Text<'_>, style: &Style, depth: usize) -> Res<()> {
    let Some(indent) = &style.indent else {
        return Ok(());
    };
    out.push('\n')?;
    (0..depth).try_for_each(|_| out.push_str(indent))
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.into()
    } else {
        repr::float(value)
    }
}

fn string(out: &mut Text<'_>, style: &Style, text: &str) -> Res<()> {
    out.push('"')?;
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let escape = match c {
            '"' => "\\\"".into(),
            '\\' => "\\\\".into(),
            '\n' => "\\n".into(),
            '\r' => "\\r".into(),
            '\t' => "\\t".into(),
            '\x08' => "\\b".into(),
            '\x0c' => "\\f".into(),
            c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
            c if style.ascii && c > '~' => {
                let units = c.encode_utf16(&mut [0; 2]).to_vec();
                units.iter().map(|unit| format!("\\u{unit:04x}")).collect()
            }
            _ => continue,
        };
        out.push_str(&text[plain..at])?;
        out.push_str(&escape)?;
        plain = at + c.len_utf8();
    }
    out.push_str(&text[plain..])?;
    out.push('"')
}
