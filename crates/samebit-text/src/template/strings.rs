//! Methods of Python's `str`. Positions count characters, not bytes.

use std::collections::HashSet;
use std::rc::Rc;

use super::args::{CallArgs, flag, given, integer, integer_or, required, string};
use super::format::braces;
use super::index;
use super::lexer::is_space;
use super::limits::{Fault, Meter, Res, Text};
use super::value::{Str, Value};

/// Names that [`call`] knows.
pub(super) const METHODS: [&str; 47] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

/// `text.name(…)`.
pub(super) fn call(meter: &Rc<Meter>, text: &Str, name: &str, args: CallArgs) -> Res<Value> {
    // Changing the case of a character can give up to three.
    meter.ensure(text.len().saturating_mul(4))?;
    meter.touch(text.len())?;
    let result = match name {
        "format" | "format_map" | "join" | "replace" => building(meter, text, name, args)?,
        "split" | "rsplit" | "splitlines" | "partition" | "rpartition" => splitting(meter, text, name, args)?,
        "find" | "index" | "rfind" | "rindex" | "count" | "startswith" | "endswith" => {
            finding(meter, text, name, args)?
        }
        "strip" | "lstrip" | "rstrip" | "removeprefix" | "removesuffix" => stripping(meter, text, name, args)?,
        "center" | "ljust" | "rjust" | "zfill" | "expandtabs" => padding(meter, text, name, args)?,
        "encode" | "maketrans" | "translate" => {
            return Fault::error(format!("str.{name} is not available in chat templates"));
        }
        _ => {
            let [] = args.bind(name, [])?;
            match is_kind(text, name) {
                Some(answer) => Value::Bool(answer),
                None => meter.str(cased(text, name))?,
            }
        }
    };
    Ok(match result {
        Value::Str(out) if text.safe => Value::Str(out.as_safe()),
        other => other,
    })
}

/// The text in another case.
pub(super) fn cased(text: &str, name: &str) -> String {
    match name {
        "upper" => text.to_uppercase(),
        "lower" => text.to_lowercase(),
        "casefold" => text.to_lowercase().replace('ß', "ss").replace('ς', "σ"),
        _ => recased(text, name),
    }
}

/// A text of which each character's case depends on the ones before.
fn recased(text: &str, name: &str) -> String {
    // Lower case depends on the context too: a sigma that ends a word has a form of its own.
    let lower = text.to_lowercase();
    let mut lower = &lower[..];
    let mut out = String::new();
    let mut in_word = false;
    for c in text.chars() {
        let len = c.to_lowercase().map(char::len_utf8).sum();
        // Both forms of a sigma have one length, so this never splits a character.
        let (low, rest) = lower.split_at_checked(len).unwrap_or((lower, ""));
        lower = rest;
        match name {
            "swapcase" if c.is_uppercase() => out.push_str(low),
            "swapcase" => out.extend(c.to_uppercase()),
            _ if in_word => out.push_str(low),
            _ => out.push_str(&title_char(c)),
        }
        in_word = name == "capitalize" || is_cased(c);
    }
    out
}

fn is_cased(c: char) -> bool {
    c.is_uppercase() || c.is_lowercase()
}

/// A character at the start of a word: of an expansion such as `SS` only the first letter is upper case.
fn title_char(c: char) -> String {
    let mut upper = c.to_uppercase();
    let first = upper.next().into_iter();
    first.chain(upper.flat_map(char::to_lowercase)).collect()
}

/// `is…` methods; `None` for other names.
pub(super) fn is_kind(text: &str, name: &str) -> Option<bool> {
    let all = |test: &dyn Fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    let has_cased = text.chars().any(is_cased);
    Some(match name {
        "isalnum" => all(&char::is_alphanumeric),
        "isalpha" => all(&char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" => all(&|c| c.is_ascii_digit()),
        "isnumeric" => all(&char::is_numeric),
        "isidentifier" => all(&|c| c.is_alphanumeric() || c == '_') && !text.starts_with(|c: char| c.is_numeric()),
        "islower" => has_cased && !text.chars().any(char::is_uppercase),
        "isupper" => has_cased && !text.chars().any(char::is_lowercase),
        "isprintable" => text.chars().all(super::repr::is_printable),
        "isspace" => all(&is_space),
        "istitle" => has_cased && cased(text, "title") == text,
        _ => return None,
    })
}

fn building(meter: &Rc<Meter>, text: &Str, name: &str, args: CallArgs) -> Res<Value> {
    match name {
        "format" => {
            let named = |key: &str| {
                let found = args.named.iter().find(|(name, _)| **name == *key);
                found.map(|(_, value)| value.clone())
            };
            meter.str(braces(meter, text, &args.positional, &named)?)
        }
        "format_map" => {
            let [mapping] = args.bind(name, ["mapping"])?;
            let Value::Dict(dict) = required(name, mapping)? else {
                return Fault::error("format_map() needs a dict");
            };
            let named = |key: &str| dict.value.get_str(key).cloned();
            meter.str(braces(meter, text, &[], &named)?)
        }
        "join" => {
            let [items] = args.bind(name, ["iterable"])?;
            let mut out = Text::new(meter);
            let items = index::items(meter, &required(name, items)?)?;
            for (at, item) in items.iter().enumerate() {
                let Value::Str(item) = item else {
                    return Fault::error(format!(
                        "sequence item {at}: expected str instance, {} found",
                        item.type_name()
                    ));
                };
                if at > 0 {
                    out.push_str(text)?;
                }
                out.push_str(item)?;
            }
            meter.str(out.finish())
        }
        _ => {
            let [old, new, count] = args.bind(name, ["old", "new", "count"])?;
            let (old, new) = (required(name, old)?, required(name, new)?);
            let count = integer_or(name, count.as_ref(), -1)?;
            replace(meter, text, string(name, &old)?, string(name, &new)?, count)
        }
    }
}

/// `str.replace`; a negative count means all.
pub(super) fn replace(meter: &Rc<Meter>, text: &str, old: &str, new: &str, count: i128) -> Res<Value> {
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    let mut out = Text::new(meter);
    let mut copied = 0;
    for (at, _) in text.match_indices(old) {
        if left == 0 {
            break;
        }
        left -= 1;
        out.push_str(&text[copied..at])?;
        out.push_str(new)?;
        copied = at + old.len();
    }
    out.push_str(&text[copied..])?;
    meter.str(out.finish())
}

fn splitting(meter: &Rc<Meter>, text: &Str, name: &str, args: CallArgs) -> Res<Value> {
    let parts: Vec<&str> = match name {
        "splitlines" => {
            let [keep] = args.bind(name, ["keepends"])?;
            lines(text, flag(keep.as_ref()))
        }
        "partition" | "rpartition" => {
            let [separator] = args.bind(name, ["sep"])?;
            let separator = required(name, separator)?;
            let separator = non_empty(string(name, &separator)?)?;
            let parts = match name {
                "partition" => match text.split_once(separator) {
                    Some((before, after)) => [before, separator, after],
                    None => [text, "", ""],
                },
                _ => match text.rsplit_once(separator) {
                    Some((before, after)) => [before, separator, after],
                    None => ["", "", text],
                },
            };
            let parts = parts.map(|part| meter.copy(part));
            return meter.tuple(parts.into_iter().collect::<Res<_>>()?);
        }
        _ => {
            let [separator, most] = args.bind(name, ["sep", "maxsplit"])?;
            let most = integer_or(name, most.as_ref(), -1)?;
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            match given(separator) {
                None if name == "split" => words(text, most),
                None => words_from_end(text, most),
                Some(separator) => {
                    let separator = non_empty(string(name, &separator)?)?;
                    let pieces = most.saturating_add(1);
                    if name == "split" {
                        text.splitn(pieces, separator).collect()
                    } else {
                        let mut parts: Vec<_> = text.rsplitn(pieces, separator).collect();
                        parts.reverse();
                        parts
                    }
                }
            }
        }
    };
    let parts = parts.into_iter().map(|part| meter.copy(part));
    meter.list(parts.collect::<Res<_>>()?)
}

fn non_empty(separator: &str) -> Res<&str> {
    if separator.is_empty() {
        return Fault::error("empty separator");
    }
    Ok(separator)
}

/// Words between blanks, at most `most` splits from the left.
fn words(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

fn words_from_end(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let word = rest.rsplit(is_space).next().unwrap_or(rest);
        parts.push(word);
        rest = rest[..rest.len() - word.len()].trim_end_matches(is_space);
    }
    parts.reverse();
    parts
}

/// Lines at all of Python's line boundaries.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    let is_end =
        |c: char| matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    while !rest.is_empty() {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let ending = match &rest[end..] {
            after if after.starts_with("\r\n") => 2,
            after => after.chars().next().map_or(0, char::len_utf8),
        };
        lines.push(&rest[..if keep_ends { end + ending } else { end }]);
        rest = &rest[end + ending..];
    }
    lines
}

fn finding(meter: &Rc<Meter>, text: &Str, name: &str, args: CallArgs) -> Res<Value> {
    let [part, start, stop] = args.bind(name, ["sub", "start", "end"])?;
    let part = required(name, part)?;
    let bounds = [given(start), given(stop)];
    let bounded = bounds.iter().any(Option::is_some);
    let [start, stop] = bounds.map(|bound| bound.map(|bound| integer(name, &bound)).transpose());
    let (start, stop) = (start?, stop?);
    let len = if bounded { text.chars().count() } else { 0 } as i128;
    let clamp = |bound: i128| {
        if bound < 0 { (bound.saturating_add(len)).max(0) } else { bound }
    };
    let from = start.map_or(0, clamp);
    let to = stop.map_or(i128::MAX, clamp);
    let window = if !bounded {
        Some(&**text)
    } else if from > len || from > to {
        None
    } else {
        let at = |count: i128| {
            let found = usize::try_from(count).ok().and_then(|count| text.char_indices().nth(count));
            found.map_or(text.len(), |(at, _)| at)
        };
        Some(&text[at(from)..at(to)])
    };
    if matches!(name, "startswith" | "endswith") {
        let hit = |part: &Value| {
            let part = string(name, part)?;
            Ok(window.is_some_and(|window| match name {
                "startswith" => window.starts_with(part),
                _ => window.ends_with(part),
            }))
        };
        let Value::Tuple(parts) = &part else {
            return hit(&part).map(Value::Bool);
        };
        for part in &parts.value.items {
            meter.spend(1)?;
            if hit(part)? {
                return Ok(Value::Bool(true));
            }
        }
        return Ok(Value::Bool(false));
    }
    let part = string(name, &part)?;
    if name == "count" {
        let count = window.map_or(0, |window| window.matches(part).count());
        return Ok(Value::Int(count as i128));
    }
    let found = window.and_then(|window| {
        let at = match name {
            "find" | "index" => window.find(part),
            _ => window.rfind(part),
        };
        at.map(|at| from + window[..at].chars().count() as i128)
    });
    match found {
        Some(at) => Ok(Value::Int(at)),
        None if name.ends_with("index") => Fault::error("substring not found"),
        None => Ok(Value::Int(-1)),
    }
}

fn stripping(meter: &Rc<Meter>, text: &Str, name: &str, args: CallArgs) -> Res<Value> {
    let [argument] = args.bind(name, ["chars"])?;
    if name.starts_with("remove") {
        let affix = required(name, argument)?;
        let affix = string(name, &affix)?;
        let rest = match name {
            "removeprefix" => text.strip_prefix(affix),
            _ => text.strip_suffix(affix),
        };
        return meter.copy(rest.unwrap_or(text));
    }
    let chars = given(argument);
    let chars = chars.as_ref().map(|chars| string(name, chars)).transpose()?;
    meter.copy(strip(text, chars, name != "rstrip", name != "lstrip"))
}

/// A text without blanks, or without the characters given, at its ends.
pub(super) fn strip<'t>(text: &'t str, chars: Option<&str>, start: bool, end: bool) -> &'t str {
    let chars: Option<HashSet<char>> = chars.map(|chars| chars.chars().collect());
    let matches = |c: char| chars.as_ref().map_or_else(|| is_space(c), |set| set.contains(&c));
    let mut text = text;
    if start {
        text = text.trim_start_matches(matches);
    }
    if end {
        text = text.trim_end_matches(matches);
    }
    text
}

fn padding(meter: &Rc<Meter>, text: &Str, name: &str, args: CallArgs) -> Res<Value> {
    let [width, fill] = args.bind(name, ["width", "fillchar"])?;
    let default = if name == "expandtabs" { Some(8) } else { None };
    let width = match (width, default) {
        (Some(width), _) => integer(name, &width)?,
        (None, Some(default)) => default,
        (None, None) => return Fault::error(format!("{name}() misses its width")),
    };
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let fill = match &fill {
        None => ' ',
        Some(fill) => match string(name, fill)?.chars().collect::<Vec<_>>()[..] {
            [fill] => fill,
            _ => return Fault::error("the fill character must be exactly one character long"),
        },
    };
    let mut out = Text::new(meter);
    if name == "expandtabs" {
        let mut column = 0;
        for c in text.chars() {
            match c {
                '\t' if width > 0 => {
                    out.fill(' ', width - column % width)?;
                    column = 0;
                }
                '\t' => {}
                c => {
                    out.push(c)?;
                    column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
                }
            }
        }
        return meter.str(out.finish());
    }
    let room = width.saturating_sub(text.chars().count());
    let (sign, body) = match text.strip_prefix(['+', '-']) {
        Some(body) if name == "zfill" => text.split_at(text.len() - body.len()),
        _ => ("", &**text),
    };
    let before = match name {
        "center" => room / 2 + (room & width & 1),
        "ljust" => 0,
        _ => room,
    };
    let fill = if name == "zfill" { '0' } else { fill };
    out.push_str(sign)?;
    out.fill(fill, before)?;
    out.push_str(body)?;
    out.fill(fill, room - before)?;
    meter.str(out.finish())
}
