//! `samebit inspect`: what is in a GGUF file, for a person or as JSON.

use crate::args::InspectArgs;
use crate::failure::Failure;
use crate::{model, output};
use samebit_gguf::report::{self, Totals, TypeRow, escaped};
use samebit_gguf::{Array, Gguf, Metadata, Value};
use samebit_model::{Config, KvType};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;

/// Characters of a value in the table.
const VALUE_WIDTH: usize = 72;
/// Elements of an array in the JSON, unless all are asked for.
const ARRAY_HEAD: usize = 8;

/// What running the model takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Memory {
    context: u64,
    weights: u64,
    /// Absent if the architecture is not one that samebit runs.
    kv_f16: Option<u64>,
    kv_f32: Option<u64>,
    kv_q8_0: Option<u64>,
}

pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let gguf = model::open(&args.model)?;
    let totals = report::totals(&gguf);
    let memory = memory(&gguf, args.ctx_size, totals.tensor_bytes);
    if args.json {
        return output::write_json(&record(&gguf, &totals, &memory, args.full));
    }
    let mut text = summary(&gguf, &totals);
    text.push_str(&metadata_table(gguf.metadata(), args.full));
    text.push_str(&tensor_table(&gguf));
    text.push_str(&histogram_table(&report::type_histogram(&gguf)));
    text.push_str(&memory_table(&memory));
    output::write(text.as_bytes())
}

fn memory(gguf: &Gguf, context: u64, weights: u64) -> Memory {
    let config = Config::from_metadata(gguf.metadata()).ok();
    let trained = config.as_ref().map_or(0, |config| config.context as u64);
    let context = if context == 0 { trained } else { context };
    let cache = |kind| {
        let per_position = config.as_ref()?.cache_bytes_per_position(kind) as u64;
        per_position.checked_mul(context)
    };
    let [kv_f16, kv_f32, kv_q8_0] = [KvType::F16, KvType::F32, KvType::Q8_0].map(cache);
    Memory { context, weights, kv_f16, kv_f32, kv_q8_0 }
}

fn architecture(gguf: &Gguf) -> String {
    let name = gguf.metadata().str("general.architecture").ok().flatten();
    escaped(name.unwrap_or("unknown"))
}

fn record(gguf: &Gguf, totals: &Totals, memory: &Memory, full: bool) -> Json {
    let files: Vec<&str> = gguf.shards().iter().map(|shard| shard.name()).collect();
    let metadata: Map<String, Json> =
        gguf.metadata().iter().map(|(key, value)| (key.to_owned(), to_json(value, full))).collect();
    let tensors: Vec<Json> = gguf
        .tensors()
        .iter()
        .map(|t| {
            json!({"name": t.name, "shape": t.shape, "type": t.ty.name(), "elements": t.elements(), "bytes": t.byte_len(),
                   "file": t.shard(), "offset": t.file_offset()})
        })
        .collect();
    let histogram: Vec<Json> = report::type_histogram(gguf)
        .iter()
        .map(|row| json!({"type": row.ty.name(), "tensors": row.tensors, "elements": row.elements, "bytes": row.bytes}))
        .collect();
    json!({
        "files": files,
        "version": gguf.version(),
        "architecture": architecture(gguf),
        "parameters": totals.elements,
        "file_bytes": totals.file_bytes,
        "tensor_bytes": totals.tensor_bytes,
        "bits_per_weight": totals.bits_per_weight,
        "metadata": metadata,
        "tensors": tensors,
        "histogram": histogram,
        "memory": memory,
    })
}

/// A value as JSON. Long arrays are cut to `{"type", "len", "head"}` unless `full`; bytes that are no UTF-8 become U+FFFD.
fn to_json(value: &Value, full: bool) -> Json {
    match value {
        Value::F32(v) => decimal(&v.to_string()),
        Value::F64(v) => decimal(&v.to_string()),
        Value::Bool(v) => Json::Bool(*v),
        Value::String(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::Array(array) => array_json(array, full),
        // Integers of at most 64 bits: one of the two conversions fits.
        integer => {
            let number = integer.as_integer().unwrap_or_default();
            i64::try_from(number).map_or_else(|_| json!(u64::try_from(number).unwrap_or_default()), |n| json!(n))
        }
    }
}

/// The shortest decimal that names the float: 0.00001, not the double nearest to it. Infinities and NaN are strings.
fn decimal(text: &str) -> Json {
    let number = text.parse().ok().and_then(serde_json::Number::from_f64);
    number.map_or_else(|| Json::String(text.to_owned()), Json::Number)
}

fn array_json(array: &Array, full: bool) -> Json {
    let shown = if full { array.len() } else { array.len().min(ARRAY_HEAD) };
    let elements: Vec<Json> = (0..shown).filter_map(|i| array.get(i)).map(|v| to_json(&v, full)).collect();
    if shown == array.len() {
        return Json::Array(elements);
    }
    json!({"type": array.element_type_name(), "len": array.len(), "head": elements})
}

fn summary(gguf: &Gguf, totals: &Totals) -> String {
    let names: Vec<&str> = gguf.shards().iter().map(|shard| shard.name()).collect();
    format!(
        "{}\nGGUF version {}, architecture {}, {} parameters, {}, {:.2} bits per weight\n",
        escaped(&names.join(", ")),
        gguf.version(),
        architecture(gguf),
        count(totals.elements),
        bytes(totals.file_bytes),
        totals.bits_per_weight
    )
}

fn metadata_table(metadata: &Metadata, full: bool) -> String {
    let rows = report::metadata_rows(metadata, if full { usize::MAX } else { VALUE_WIDTH });
    let key = rows.iter().map(|row| row.key.chars().count()).max().unwrap_or(0);
    let ty = rows.iter().map(|row| row.ty.len()).max().unwrap_or(0);
    let mut text = format!("\nmetadata: {} keys\n", rows.len());
    for row in &rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<key$}  {:<ty$}  {}", row.key, row.ty, row.value);
    }
    text
}

fn tensor_table(gguf: &Gguf) -> String {
    let rows = report::tensor_rows(gguf);
    let name = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut text = format!("\ntensors: {}\n", rows.len());
    for row in &rows {
        let shape: Vec<String> = row.shape.iter().map(u64::to_string).collect();
        let _ = writeln!(
            text,
            "  {:<name$}  {:<7} {:>22}  {}",
            row.name,
            row.ty.name(),
            shape.join(" × "),
            bytes(row.bytes)
        );
    }
    text
}

fn histogram_table(rows: &[TypeRow]) -> String {
    let mut text = String::from("\ntypes\n");
    for row in rows {
        let _ = writeln!(
            text,
            "  {:<7} {:>5} tensors {:>9} elements {:>11}  {:.2} bits each",
            row.ty.name(),
            row.tensors,
            count(row.elements),
            bytes(row.bytes),
            row.bits_per_weight
        );
    }
    text
}

fn memory_table(memory: &Memory) -> String {
    let mut text = format!("\nmemory\n  weights                         {:>11}\n", bytes(memory.weights));
    match (memory.kv_f16, memory.kv_f32, memory.kv_q8_0) {
        (Some(half), Some(single), Some(byte)) => {
            let _ = writeln!(text, "  cache F16, {:>8} positions    {:>11}", memory.context, bytes(half));
            let _ = writeln!(text, "  cache F32, {:>8} positions    {:>11}", memory.context, bytes(single));
            let _ = writeln!(text, "  cache Q8_0, {:>7} positions    {:>11}", memory.context, bytes(byte));
        }
        _ => text.push_str("  cache: unknown, samebit does not run this architecture\n"),
    }
    text
}

/// `1.10 B`, for parameters.
fn count(n: u64) -> String {
    match n {
        1_000_000_000.. => format!("{:.2} B", n as f64 / 1e9),
        1_000_000.. => format!("{:.2} M", n as f64 / 1e6),
        1_000.. => format!("{:.2} k", n as f64 / 1e3),
        _ => n.to_string(),
    }
}

/// `93.8 MiB`.
fn bytes(n: u64) -> String {
    match n {
        0x4000_0000.. => format!("{:.2} GiB", n as f64 / 1_073_741_824.0),
        0x10_0000.. => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        0x400.. => format!("{:.1} KiB", n as f64 / 1024.0),
        _ => format!("{n} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_named_by_their_shortest_decimal() {
        assert_eq!(to_json(&Value::F32(1e-5), false).to_string(), "0.00001");
        assert_eq!(to_json(&Value::F32(0.1), false).to_string(), "0.1");
        assert_eq!(to_json(&Value::F32(f32::INFINITY), false), json!("inf"));
        assert_eq!(to_json(&Value::U64(u64::MAX), false), json!(u64::MAX));
        assert_eq!(to_json(&Value::I64(i64::MIN), false), json!(i64::MIN));
    }

    #[test]
    fn long_arrays_are_cut_unless_asked_for() {
        let array = Value::from(vec![1u32; 9]);
        assert_eq!(to_json(&array, false), json!({"type": "u32", "len": 9, "head": [1, 1, 1, 1, 1, 1, 1, 1]}));
        assert_eq!(to_json(&array, true), json!(vec![1; 9]));
        assert_eq!(to_json(&Value::from(vec![1u32; 8]), false), json!(vec![1; 8]));
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(
            [bytes(5), bytes(2048), bytes(98_362_432), bytes(1 << 31)],
            ["5 B", "2.0 KiB", "93.8 MiB", "2.00 GiB"]
        );
        assert_eq!(
            [count(7), count(4096), count(134_515_008), count(1_100_048_384)],
            ["7", "4.10 k", "134.52 M", "1.10 B"]
        );
    }
}
