//! The trace file: safetensors, an eight-byte length, a JSON header, then the tensors' bytes.
//!
//! Knows how a trace lies in it; `docs/traces.md` says the same for other engines' authors. A reader trusts nothing: every
//! length is checked against the file before anything is made of it.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::TraceError;
use crate::names;
use crate::numbers::{Dtype, Named, positions_from, positions_to};
use crate::trace::{Entry, FIRST, Meta, Summary, Trace, Values};

/// A header larger than this belongs to no trace.
const MOST_HEADER: u64 = 64 << 20;
/// What a trace of ours says of itself.
pub(crate) const FORMAT: &str = "samebit-trace 1";
/// Numbers of a summary's row.
const STATS: usize = 4 + FIRST;

/// Writes a trace.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn write(trace: &Trace, path: &Path) -> Result<(), TraceError> {
    let bad = |error: std::io::Error| TraceError::file(path, error.to_string());
    let header = header(trace).to_string();
    let padding = header.len().next_multiple_of(8) - header.len();
    let mut file = BufWriter::new(std::fs::File::create(path).map_err(bad)?);
    file.write_all(&((header.len() + padding) as u64).to_le_bytes()).map_err(bad)?;
    file.write_all(header.as_bytes()).map_err(bad)?;
    file.write_all(&b"        "[..padding]).map_err(bad)?;
    for entry in &trace.entries {
        if let Values::All(values) = &entry.values {
            values.iter().try_for_each(|v| file.write_all(&v.to_le_bytes())).map_err(bad)?;
            continue;
        }
        for summary in &entry.summaries {
            let Summary { rms, mean, min, max, first, .. } = summary;
            let numbers = [*rms, *mean, *min, *max];
            numbers.iter().chain(first).try_for_each(|v| file.write_all(&v.to_le_bytes())).map_err(bad)?;
        }
        entry.summaries.iter().try_for_each(|s| file.write_all(&s.digest)).map_err(bad)?;
    }
    file.flush().map_err(bad)
}

/// The header of a trace: where each tensor lies, and what is known of the whole.
fn header(trace: &Trace) -> Value {
    let mut header = Map::new();
    let mut metadata = metadata(&trace.meta);
    let common = common_positions(trace);
    metadata.insert("positions".into(), json!(positions_to(&common)));
    let mut at = 0;
    let mut place = |name: String, dtype: &str, shape: &[usize], bytes: usize| {
        header.insert(name, json!({"dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes]}));
        at += bytes;
    };
    for entry in &trace.entries {
        let (label, rows) = (entry.label(), entry.rows());
        if entry.positions != common {
            metadata.insert(format!("positions.{label}"), json!(positions_to(&entry.positions)));
        }
        if let Values::All(values) = &entry.values {
            let shape: Vec<usize> = std::iter::once(rows).chain(entry.shape.iter().copied()).collect();
            place(label, "F32", &shape, values.len() * 4);
            continue;
        }
        metadata.insert(format!("shape.{label}"), json!(join(&entry.shape)));
        let summaries = entry.summaries.len();
        place(format!("{label}.summary"), "F32", &[summaries, STATS], summaries * STATS * 4);
        place(format!("{label}.digest"), "U8", &[summaries, 16], summaries * 16);
    }
    header.insert("__metadata__".into(), Value::Object(metadata));
    Value::Object(header)
}

fn metadata(meta: &Meta) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            out.insert(key.into(), Value::String(value));
        }
    };
    put("format", Some(FORMAT.into()));
    put("engine", meta.engine.clone());
    put("model", meta.model_digest.clone());
    put("architecture", meta.architecture.clone());
    put("numerics", meta.numerics.clone());
    put("tokens", Some(join(&meta.tokens)));
    put("generated", (!meta.generated.is_empty()).then(|| join(&meta.generated)));
    for (key, value) in &meta.more {
        put(key, Some(value.clone()));
    }
    out
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// The positions that most tensors have.
fn common_positions(trace: &Trace) -> Vec<usize> {
    let mut counts: BTreeMap<&[usize], usize> = BTreeMap::new();
    for entry in &trace.entries {
        *counts.entry(&entry.positions).or_default() += 1;
    }
    counts.into_iter().max_by_key(|&(_, count)| count).map(|(positions, _)| positions.to_vec()).unwrap_or_default()
}

/// The header's length and text.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), TraceError> {
    let bad = |problem: String| TraceError::at("", problem);
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(bad(format!(
            "{} bytes are no safetensors file: it begins with eight bytes of length",
            bytes.len()
        )));
    };
    let length = u64::from_le_bytes(*length);
    if length > MOST_HEADER {
        return Err(bad(format!("a header of {length} bytes belongs to no trace: not a safetensors file, or damaged")));
    }
    let Some((header, data)) = rest.split_at_checked(length as usize) else {
        return Err(bad(format!("ends within its header, at byte {}: truncated, write it again", bytes.len())));
    };
    let header = std::str::from_utf8(header).map_err(|error| bad(format!("the header is not UTF-8: {error}")))?;
    Ok((header, data))
}

/// A trace from the bytes of a safetensors file.
///
/// # Errors
/// A file that is damaged or holds no tensor with a known name; `map` translates names.
pub(crate) fn parse(bytes: &[u8], map: Option<&BTreeMap<String, String>>) -> Result<Trace, TraceError> {
    let (header, data) = split(bytes)?;
    let header: Map<String, Value> = serde_json::from_str(header).map_err(|error| {
        TraceError::at("", format!("the header is no JSON object ({error}): not a safetensors file"))
    })?;
    let mut strings = BTreeMap::new();
    let mut places = Vec::new();
    for (name, value) in &header {
        if name == "__metadata__" {
            let object = value.as_object().into_iter().flatten();
            strings.extend(object.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))));
        } else {
            places.push(Place::read(name, value, data.len())?);
        }
    }
    places.sort_by_key(|place| (place.from, place.to));
    // Else a small file could ask for any amount of memory.
    if let Some(pair) = places.windows(2).find(|pair| pair[1].from < pair[0].to) {
        return Err(TraceError::at(format!("tensor `{}`", pair[1].name), "lies over another one: the file is damaged"));
    }
    let tensors: Result<Vec<Named>, TraceError> = places.iter().map(|place| place.tensor(data)).collect();
    crate::assemble::trace(tensors?, &strings, map)
}

/// Where a tensor lies.
struct Place {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    from: usize,
    to: usize,
}

impl Place {
    fn read(name: &str, value: &Value, available: usize) -> Result<Self, TraceError> {
        let bad = |problem: String| TraceError::at(format!("tensor `{name}`"), problem);
        let numbers = |key: &str| -> Option<Vec<usize>> {
            let list = value.get(key)?.as_array()?;
            list.iter().map(|n| usize::try_from(n.as_u64()?).ok()).collect()
        };
        let dtype = value.get("dtype").and_then(Value::as_str).unwrap_or_default();
        let dtype = Dtype::from_safetensors(dtype)
            .ok_or_else(|| bad(format!("type `{dtype}` is not read here: write F32, F16, BF16 or F64")))?;
        let shape = numbers("shape").ok_or_else(|| bad("has no shape".into()))?;
        let Some(&[from, to]) = numbers("data_offsets").as_deref() else {
            return Err(bad("has no data_offsets of two numbers".into()));
        };
        let size = shape.iter().try_fold(dtype.bytes(), |n, &dim| n.checked_mul(dim));
        if size != to.checked_sub(from) || shape.len() > 8 {
            return Err(bad(format!("shape {shape:?} does not fit its {} bytes", to.saturating_sub(from))));
        }
        if to > available {
            return Err(bad(format!(
                "ends at byte {to} of the data, of which there are {available}: truncated, write it again"
            )));
        }
        Ok(Self { name: name.into(), dtype, shape, from, to })
    }

    fn tensor(&self, data: &[u8]) -> Result<Named, TraceError> {
        let bytes = &data[self.from..self.to];
        Ok(Named { name: self.name.clone(), shape: self.shape.clone(), values: self.dtype.read(bytes) })
    }
}

/// Rows of a summary tensor and of its digests.
pub(crate) fn summaries(stats: &[f32], digests: &[f32]) -> Vec<Summary> {
    let one = |(stats, digest): (&[f32], &[f32])| {
        let mut summary = Summary {
            rms: stats[0],
            mean: stats[1],
            min: stats[2],
            max: stats[3],
            first: [0.0; FIRST],
            digest: [0; 16],
        };
        summary.first.copy_from_slice(&stats[4..]);
        // Bytes came through binary32, exactly.
        summary.digest.iter_mut().zip(digest).for_each(|(to, from)| *to = *from as u8);
        summary
    };
    stats.chunks_exact(STATS).zip(digests.chunks_exact(16)).map(one).collect()
}

/// Reads metadata's strings.
pub(crate) fn meta(strings: &BTreeMap<String, String>) -> Result<Meta, TraceError> {
    let ids = |key: &str| -> Result<Vec<u32>, TraceError> {
        let text = strings.get(key).map_or("", String::as_str);
        let text = text.trim().trim_start_matches('[').trim_end_matches(']');
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                part.parse()
                    .map_err(|_| TraceError::at(format!("metadata `{key}`"), format!("`{part}` is no token id")))
            })
            .collect()
    };
    let known = ["format", "engine", "model", "architecture", "numerics", "tokens", "generated", "positions"];
    let own = |key: &str| known.contains(&key) || key.starts_with("positions.") || key.starts_with("shape.");
    Ok(Meta {
        engine: strings.get("engine").cloned(),
        model_digest: strings.get("model").cloned(),
        architecture: strings.get("architecture").cloned(),
        numerics: strings.get("numerics").cloned(),
        tokens: ids("tokens")?,
        generated: ids("generated")?,
        more: strings.iter().filter(|(k, _)| !own(k)).map(|(k, v)| (k.clone(), v.clone())).collect(),
    })
}

/// The positions of a tensor, by its label or the trace's own, if the metadata has them.
pub(crate) fn positions(strings: &BTreeMap<String, String>, label: &str) -> Result<Option<Vec<usize>>, TraceError> {
    let own = format!("positions.{label}");
    let (key, text) = match (strings.get(&own), strings.get("positions")) {
        (Some(text), _) => (own.as_str(), text),
        (None, Some(text)) => ("positions", text),
        (None, None) => return Ok(None),
    };
    positions_from(text).map(Some).map_err(|problem| TraceError::at(format!("metadata `{key}`"), problem))
}

/// An entry that has only summaries, from its two tensors.
pub(crate) fn summary_entry(
    label: &str,
    strings: &BTreeMap<String, String>,
    stats: &Named,
    digests: Option<&Named>,
) -> Result<Option<Entry>, TraceError> {
    let Some((name, layer)) = names::canonical(label) else { return Ok(None) };
    let bad = |problem: &str| TraceError::at(format!("tensor `{label}.summary`"), problem);
    let rows = stats.values.len() / STATS;
    if stats.shape != [rows, STATS] {
        return Err(bad("is no summary: its shape should be rows × 12"));
    }
    let digests =
        digests.filter(|d| d.shape == [rows, 16]).ok_or_else(|| bad("has no digests of rows × 16 beside it"))?;
    let positions = positions(strings, label)?.unwrap_or_else(|| (0..rows).collect());
    if positions.len() != rows {
        return Err(bad("has another number of rows than of positions"));
    }
    let shape = strings.get(&format!("shape.{label}")).map_or("", String::as_str);
    let shape: Result<Vec<usize>, _> = shape.split(',').map(str::parse).collect();
    let shape = shape.map_err(|_| bad("has no shape in the metadata"))?;
    if shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_none_or(|n| n > 1 << 30) {
        return Err(bad("has a shape that cannot be"));
    }
    let summaries = summaries(&stats.values, &digests.values);
    Ok(Some(Entry { name, layer, positions, shape, values: Values::None, summaries }))
}
