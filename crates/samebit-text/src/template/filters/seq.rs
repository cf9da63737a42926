//! Jinja's filters over sequences and mappings.
//!
//! Python makes generators where this makes all items at once; they still print, iterate and run out as generators do.

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::args::{CallArgs, flag, given, integer, required, string};
use super::super::ast::MathOp;
use super::super::index::items;
use super::super::limits::{Fault, Meter, Res, Text};
use super::super::ops;
use super::super::repr;
use super::super::value::{SLOT, Value};
use super::{folded, follow, none_left, passes, path};

/// `value | name(args)`.
pub(super) fn call(meter: &Rc<Meter>, name: &str, value: Value, args: CallArgs) -> Res<Value> {
    match name {
        "map" => map(meter, value, args),
        "select" | "reject" | "selectattr" | "rejectattr" => select(meter, name, value, args),
        "join" => join(meter, value, args),
        "items" => {
            let [] = args.bind(name, [])?;
            match &value {
                Value::Undefined(_) => meter.generator(Vec::new()),
                Value::Dict(_) => meter.generator(pairs(meter, &value)?),
                _ => Fault::error("can only get item pairs from a mapping"),
            }
        }
        "list" => {
            let [] = args.bind(name, [])?;
            meter.list(items(meter, &value)?)
        }
        "first" | "last" | "reverse" => end(meter, name, value, args),
        "dictsort" => dictsort(meter, value, args),
        "sort" => sort(meter, value, args),
        "min" | "max" => extreme(meter, name, value, args),
        "unique" => unique(meter, value, args),
        "groupby" => groupby(meter, value, args),
        "sum" => {
            let [attribute, start] = args.bind(name, ["attribute", "start"])?;
            let path = path(meter, &attribute.unwrap_or(Value::None))?;
            let mut sum = start.unwrap_or(Value::Int(0));
            for item in items(meter, &value)? {
                let item = follow(meter, &item, &path, None)?;
                sum = ops::math(meter, MathOp::Add, &sum, &item)?;
            }
            Ok(sum)
        }
        "batch" | "slice" => cut(meter, name, value, args),
        _ => Fault::error(format!("no filter named '{name}'")),
    }
}

/// Keys with values as tuples.
fn pairs(meter: &Rc<Meter>, value: &Value) -> Res<Vec<Value>> {
    match value {
        Value::Dict(dict) => {
            let view = Value::View(super::super::value::View::Items, dict.clone());
            items(meter, &view)
        }
        other => {
            other.defined()?;
            Fault::error(format!("'{}' object has no attribute 'items'", other.type_name()))
        }
    }
}

fn map(meter: &Rc<Meter>, value: Value, mut args: CallArgs) -> Res<Value> {
    if !value.truth() {
        return meter.generator(Vec::new());
    }
    let mut mapped = Vec::new();
    if args.positional.is_empty() && args.named.iter().any(|(name, _)| &**name == "attribute") {
        let [attribute, default] = args.bind("map", ["attribute", "default"])?;
        let path = path(meter, &attribute.unwrap_or(Value::None))?;
        let default = given(default);
        for item in items(meter, &value)? {
            mapped.push(follow(meter, &item, &path, default.as_ref())?);
        }
        return meter.generator(mapped);
    }
    if args.positional.is_empty() {
        return Fault::error("map requires a filter argument");
    }
    let filter = args.positional.remove(0);
    let filter = string("map", &filter)?;
    for item in items(meter, &value)? {
        meter.ensure(mapped.len() * SLOT)?;
        mapped.push(super::call(meter, filter, item, args.clone())?);
    }
    meter.generator(mapped)
}

fn select(meter: &Rc<Meter>, name: &str, value: Value, mut args: CallArgs) -> Res<Value> {
    if !value.truth() {
        return meter.generator(Vec::new());
    }
    let mut take = || {
        if args.positional.is_empty() {
            return None;
        }
        Some(args.positional.remove(0))
    };
    let path = match name.ends_with("attr") {
        true => match take() {
            Some(attribute) => path(meter, &attribute)?,
            None => return Fault::error("missing parameter for attribute name"),
        },
        false => Vec::new(),
    };
    let test = take();
    let test = test.as_ref().map(|test| string(name, test)).transpose()?;
    let wanted = name.starts_with("select");
    let mut selected = Vec::new();
    for item in items(meter, &value)? {
        meter.spend(1 + args.positional.len() as u64)?;
        let tested = follow(meter, &item, &path, None)?;
        if passes(meter, tested, test, &args)? == wanted {
            selected.push(item);
        }
    }
    meter.generator(selected)
}

fn join(meter: &Rc<Meter>, value: Value, args: CallArgs) -> Res<Value> {
    let [separator, attribute] = args.bind("join", ["d", "attribute"])?;
    let separator = match separator {
        Some(separator) => repr::to_text(meter, &separator)?,
        None => String::new(),
    };
    let path = path(meter, &attribute.unwrap_or(Value::None))?;
    let mut out = Text::new(meter);
    for (index, item) in items(meter, &value)?.iter().enumerate() {
        if index > 0 {
            out.push_str(&separator)?;
        }
        repr::write_str(&mut out, &follow(meter, item, &path, None)?)?;
    }
    meter.str(out.finish())
}

/// `first`, `last`, `reverse`.
fn end(meter: &Rc<Meter>, name: &str, value: Value, args: CallArgs) -> Res<Value> {
    let [] = args.bind(name, [])?;
    if let (Value::Str(text), "first" | "last") = (&value, name) {
        let found = match name {
            "first" => text.chars().next(),
            _ => text.chars().next_back(),
        };
        if let Some(c) = found {
            return meter.str(c.to_string());
        }
    }
    match (name, &value) {
        ("first", Value::Iter(iter)) => {
            let first = iter.value.items.borrow_mut().pop_front();
            Ok(first.unwrap_or_else(|| none_left("no first item, sequence was empty")))
        }
        ("first", _) => {
            let first = items(meter, &value)?.into_iter().next();
            Ok(first.unwrap_or_else(|| none_left("no first item, sequence was empty")))
        }
        ("last", Value::Iter(_)) => Fault::error(format!("'{}' object is not reversible", value.type_name())),
        ("last", _) => {
            let last = items(meter, &value)?.pop();
            Ok(last.unwrap_or_else(|| none_left("no last item, sequence was empty")))
        }
        (_, Value::Str(text)) => meter.str(text.chars().rev().collect::<String>()),
        (_, Value::Iter(_)) => {
            let mut all = items(meter, &value)?;
            all.reverse();
            meter.list(all)
        }
        _ => {
            let mut all = items(meter, &value)?;
            all.reverse();
            meter.iter("list_reverseiterator", all)
        }
    }
}

/// Sorts by keys, stably; errs where two do not compare.
fn sorted(meter: &Rc<Meter>, mut keyed: Vec<(Value, Value)>, reverse: bool) -> Res<Vec<(Value, Value)>> {
    let mut fault = None;
    keyed.sort_by(|(a, _), (b, _)| {
        if fault.is_some() {
            return Ordering::Equal;
        }
        let order = ops::order(meter, a, b, "<").unwrap_or_else(|stop| {
            fault = Some(stop);
            None
        });
        let order = order.unwrap_or(Ordering::Equal);
        if reverse { order.reverse() } else { order }
    });
    match fault {
        Some(fault) => Err(fault),
        None => Ok(keyed),
    }
}

fn values(keyed: Vec<(Value, Value)>) -> Vec<Value> {
    keyed.into_iter().map(|(_, value)| value).collect()
}

fn dictsort(meter: &Rc<Meter>, value: Value, args: CallArgs) -> Res<Value> {
    let [case_sensitive, by, reverse] = args.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
    let by = match by.as_ref().map(|by| string("dictsort", by)).transpose()? {
        None | Some("key") => 0,
        Some("value") => 1,
        Some(_) => return Fault::error("you can only sort by either \"key\" or \"value\""),
    };
    let mut keyed = Vec::new();
    for pair in pairs(meter, &value)? {
        let key = follow(meter, &pair, &[Value::Int(by)], None)?;
        keyed.push((folded(meter, key, flag(case_sensitive.as_ref()))?, pair));
    }
    meter.list(values(sorted(meter, keyed, flag(reverse.as_ref()))?))
}

fn sort(meter: &Rc<Meter>, value: Value, args: CallArgs) -> Res<Value> {
    let [reverse, case_sensitive, attribute] = args.bind("sort", ["reverse", "case_sensitive", "attribute"])?;
    let paths = match attribute.unwrap_or(Value::None) {
        Value::Str(names) => {
            let names = names.split(',').map(|name| path(meter, &meter.copy(name)?));
            names.collect::<Res<Vec<_>>>()?
        }
        other => vec![path(meter, &other)?],
    };
    let case_sensitive = flag(case_sensitive.as_ref());
    let mut keyed = Vec::new();
    for item in items(meter, &value)? {
        let keys = paths.iter().map(|path| {
            let key = follow(meter, &item, path, None)?;
            folded(meter, key, case_sensitive)
        });
        keyed.push((meter.list(keys.collect::<Res<_>>()?)?, item));
    }
    meter.list(values(sorted(meter, keyed, flag(reverse.as_ref()))?))
}

fn extreme(meter: &Rc<Meter>, name: &str, value: Value, args: CallArgs) -> Res<Value> {
    let [case_sensitive, attribute] = args.bind(name, ["case_sensitive", "attribute"])?;
    let path = path(meter, &attribute.unwrap_or(Value::None))?;
    let case_sensitive = flag(case_sensitive.as_ref());
    let symbol = if name == "min" { "<" } else { ">" };
    let mut best: Option<(Value, Value)> = None;
    for item in items(meter, &value)? {
        let key = folded(meter, follow(meter, &item, &path, None)?, case_sensitive)?;
        let better = match &best {
            None => true,
            Some((so_far, _)) => match ops::order(meter, &key, so_far, symbol)? {
                Some(order) if name == "min" => order.is_lt(),
                Some(order) => order.is_gt(),
                None => false,
            },
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(|| none_left("no aggregated item, sequence was empty"), |(_, item)| item))
}

// The cells in a key count its bytes; its hash does not depend on them.
#[allow(clippy::mutable_key_type)]
fn unique(meter: &Rc<Meter>, value: Value, args: CallArgs) -> Res<Value> {
    let [case_sensitive, attribute] = args.bind("unique", ["case_sensitive", "attribute"])?;
    let path = path(meter, &attribute.unwrap_or(Value::None))?;
    let case_sensitive = flag(case_sensitive.as_ref());
    let mut seen = std::collections::HashSet::new();
    let mut kept = Vec::new();
    for item in items(meter, &value)? {
        let key = folded(meter, follow(meter, &item, &path, None)?, case_sensitive)?;
        if seen.insert(key.key()?) {
            kept.push(item);
        }
    }
    meter.generator(kept)
}

fn groupby(meter: &Rc<Meter>, value: Value, args: CallArgs) -> Res<Value> {
    let [attribute, default, case_sensitive] = args.bind("groupby", ["attribute", "default", "case_sensitive"])?;
    let path = path(meter, &required("groupby", attribute)?)?;
    let default = given(default);
    let case_sensitive = flag(case_sensitive.as_ref());
    let mut keyed = Vec::new();
    for item in items(meter, &value)? {
        let key = follow(meter, &item, &path, default.as_ref())?;
        keyed.push((folded(meter, key, case_sensitive)?, item));
    }
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in sorted(meter, keyed, false)? {
        match groups.last_mut() {
            Some((last, group)) if ops::equal(meter, last, &key)? => group.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let groups = groups.into_iter().map(|(key, group)| {
        // The first item's key as it is, not folded.
        let key = match group.first() {
            Some(first) if !case_sensitive => follow(meter, first, &path, default.as_ref())?,
            _ => key,
        };
        let group = meter.list(group)?;
        meter.tuple(vec![key, group])
    });
    meter.list(groups.collect::<Res<_>>()?)
}

/// `batch(linecount, fill_with)` and `slice(slices, fill_with)`.
fn cut(meter: &Rc<Meter>, name: &str, value: Value, args: CallArgs) -> Res<Value> {
    let [count, fill] = args.bind(name, ["count", "fill_with"])?;
    let count = integer(name, &required(name, count)?)?;
    let fill = given(fill);
    let all = items(meter, &value)?;
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        return Fault::error(format!("{name}: the count must be positive"));
    };
    meter.ensure(count.saturating_mul(SLOT))?;
    meter.spend(count as u64)?;
    let mut parts = Vec::new();
    if name == "batch" {
        for chunk in all.chunks(count) {
            let mut part = chunk.to_vec();
            if let Some(fill) = &fill {
                part.resize(count, fill.clone());
            }
            parts.push(meter.list(part)?);
        }
        return meter.generator(parts);
    }
    let (each, extra) = (all.len() / count, all.len() % count);
    let mut rest = &all[..];
    for index in 0..count {
        let (head, tail) = rest.split_at(each + usize::from(index < extra));
        let mut part = head.to_vec();
        rest = tail;
        part.extend(fill.clone().filter(|_| index >= extra));
        parts.push(meter.list(part)?);
    }
    meter.generator(parts)
}
