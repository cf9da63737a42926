//! From named tensors, whoever wrote them, to a trace: names become canonical, rows get their positions.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::TraceError;
use crate::file;
use crate::names;
use crate::numbers::Named;
use crate::trace::{Entry, Meta, Trace, Values};

/// A name map: an engine's own names to ours; `{}` stands for the layer on both sides.
pub type NameMap = BTreeMap<String, String>;

/// Makes a trace of tensors.
///
/// # Errors
/// Metadata that cannot be; a tensor whose rows do not fit its positions; no tensor with a known name.
pub(crate) fn trace(
    tensors: Vec<Named>,
    strings: &BTreeMap<String, String>,
    map: Option<&NameMap>,
) -> Result<Trace, TraceError> {
    let meta = file::meta(strings)?;
    let mut trace = Trace { meta, ..Trace::default() };
    let digests: BTreeMap<String, &Named> =
        tensors.iter().filter_map(|t| Some((t.name.strip_suffix(".digest")?.to_owned(), t))).collect();
    let mut seen = BTreeSet::new();
    for tensor in &tensors {
        if tensor.name.ends_with(".digest") {
            continue;
        }
        if let Some(label) = tensor.name.strip_suffix(".summary") {
            trace.entries.extend(file::summary_entry(label, strings, tensor, digests.get(label).copied())?);
            continue;
        }
        let name = map.map_or_else(|| tensor.name.clone(), |map| translate(map, &tensor.name));
        if name == "tokens" {
            // Ids are whole numbers below 2²⁴ in every vocabulary there is.
            trace.meta.tokens = tensor.values.iter().map(|&id| id as u32).collect();
            continue;
        }
        let Some((base, layer)) = names::canonical(&name) else {
            trace.unknown.push(tensor.name.clone());
            continue;
        };
        if !seen.insert((base.clone(), layer)) {
            return Err(TraceError::at(
                format!("tensor `{}`", tensor.name),
                "stands for an operation that is there already",
            ));
        }
        trace.entries.push(entry(tensor, base, layer, strings, &trace.meta)?);
    }
    let only_tokens = trace.unknown.is_empty() && !trace.meta.tokens.is_empty();
    if trace.entries.is_empty() && !only_tokens {
        return Err(TraceError::at("", nothing_known(&trace.unknown)));
    }
    settle_norms(&mut trace);
    trace.sort();
    Ok(trace)
}

/// llama.cpp calls gpt-oss's norm before the experts `attn_post_norm`, as Gemma's norm after attention is called; an architecture
/// that has the latter has norms before and after its feed-forward network too.
pub(crate) fn settle_norms(trace: &mut Trace) {
    let other = trace.entries.iter().any(|e| matches!(&*e.name, "ffn_norm" | "ffn_post_norm"));
    let experts = trace.entries.iter().any(|e| e.name.starts_with("ffn_moe_"));
    if experts && !other {
        for entry in trace.entries.iter_mut().filter(|e| e.name == "attn_post_norm") {
            entry.name = "ffn_norm".into();
        }
    }
}

/// Why there is no trace in a file.
fn nothing_known(names: &[String]) -> String {
    match names {
        [] => "holds no tensors: nothing to compare".into(),
        _ => {
            let shown: Vec<&str> = names.iter().take(4).map(String::as_str).collect();
            format!(
                "none of its {} tensors has a name that is known here ({}, …): give a name map with --names",
                names.len(),
                shown.join(", ")
            )
        }
    }
}

fn entry(
    tensor: &Named,
    name: String,
    layer: Option<usize>,
    strings: &BTreeMap<String, String>,
    meta: &Meta,
) -> Result<Entry, TraceError> {
    let bad = |problem: String| TraceError::at(format!("tensor `{}`", tensor.name), problem);
    // A batch of one says nothing.
    let shape = match &tensor.shape[..] {
        [1, rest @ ..] if rest.len() >= 2 && names::kind(&name) != names::Kind::Other => rest,
        all => all,
    };
    let (rows, shape) = match shape {
        [] => return Err(bad("is a single number: nothing here is one".into())),
        [width] => (1, vec![*width]),
        [rows, shape @ ..] => (*rows, shape.to_vec()),
    };
    if rows == 0 || shape.contains(&0) {
        return Err(bad(format!("has shape {:?}: it holds nothing", tensor.shape)));
    }
    let label = names::label(&name, layer);
    let positions = match file::positions(strings, &label)? {
        Some(positions) if positions.len() == rows => positions,
        Some(positions) => {
            let problem = format!("has {rows} rows for {} positions: a row is a position's", positions.len());
            return Err(bad(problem));
        }
        None => default_positions(rows, meta.tokens.len()),
    };
    if positions.iter().collect::<BTreeSet<_>>().len() != rows {
        return Err(bad("has a position twice".into()));
    }
    Ok(Entry { name, layer, positions, shape, values: Values::All(tensor.values.clone()), summaries: Vec::new() })
}

/// Where nothing is said: from 0 on, or the last ones where there are fewer rows than tokens.
pub(crate) fn default_positions(rows: usize, tokens: usize) -> Vec<usize> {
    let first = tokens.saturating_sub(rows);
    (first..first + rows).collect()
}

/// A name by the map, or as it is.
fn translate(map: &NameMap, name: &str) -> String {
    if let Some(to) = map.get(name) {
        return to.clone();
    }
    for (from, to) in map {
        if let Some((before, after)) = from.split_once("{}")
            && let Some(layer) = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after))
            && !layer.is_empty()
            && layer.bytes().all(|b| b.is_ascii_digit())
        {
            return to.replace("{}", layer);
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_a_map() {
        let map: NameMap = [("h{}/ln1", "attn_norm-{}"), ("lm", "result_output")]
            .into_iter()
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        assert_eq!(translate(&map, "h12/ln1"), "attn_norm-12");
        assert_eq!(translate(&map, "lm"), "result_output");
        assert_eq!(translate(&map, "hx/ln1"), "hx/ln1");
    }

    #[test]
    fn rows_without_positions_are_the_last() {
        assert_eq!(default_positions(3, 3), [0, 1, 2]);
        assert_eq!(default_positions(1, 3), [2]);
        assert_eq!(default_positions(4, 0), [0, 1, 2, 3]);
    }
}
