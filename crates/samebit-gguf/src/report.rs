//! What a report on a model would say, as rows of data. Prints nothing and knows no models.
//!
//! Text in the rows is fit for a terminal: control characters are escaped.

use std::collections::BTreeMap;

use crate::file::Gguf;
use crate::metadata::Metadata;
use crate::types::TensorType;
use crate::value::{Array, Value};

/// One key and its value, shortened to fit a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataRow {
    /// The key.
    pub key: String,
    /// The value's type, such as `u32` or `[string; 49152]`.
    pub ty: String,
    /// The value, or its beginning.
    pub value: String,
    /// Whether `value` leaves something out.
    pub shortened: bool,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRow {
    /// The name.
    pub name: String,
    /// Elements per dimension, row length first.
    pub shape: Vec<u64>,
    /// The elements' type.
    pub ty: TensorType,
    /// The number of elements.
    pub elements: u64,
    /// The size of the data in bytes.
    pub bytes: u64,
    /// Which of the model's files holds the data, from 0.
    pub shard: usize,
    /// Where the data begins, in bytes from the start of that file.
    pub offset: u64,
}

/// All tensors of one type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeRow {
    /// The type.
    pub ty: TensorType,
    /// How many tensors have it.
    pub tensors: usize,
    /// Their elements together.
    pub elements: u64,
    /// Their size in bytes together.
    pub bytes: u64,
    /// Bits per element of this type.
    pub bits_per_weight: f64,
}

/// The model as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    /// The number of files.
    pub files: usize,
    /// The number of tensors.
    pub tensors: usize,
    /// Their elements together: the number of parameters.
    pub elements: u64,
    /// Their size in bytes together.
    pub tensor_bytes: u64,
    /// The size of all files in bytes.
    pub file_bytes: u64,
    /// Bits per element over all tensors; 0 where there are none.
    pub bits_per_weight: f64,
}

/// A row per key in the file's order. Strings are cut after `most` characters, arrays after as many elements
/// as fit in about that.
#[must_use]
pub fn metadata_rows(metadata: &Metadata, most: usize) -> Vec<MetadataRow> {
    metadata
        .iter()
        .map(|(key, value)| {
            let mut line = Line { text: String::new(), left: most, cut: false };
            line.value(value);
            MetadataRow { key: escaped(key), ty: value.type_name(), value: line.text, shortened: line.cut }
        })
        .collect()
}

/// A row per tensor in the files' order.
#[must_use]
pub fn tensor_rows(gguf: &Gguf) -> Vec<TensorRow> {
    let row = |t: &crate::TensorInfo| TensorRow {
        name: escaped(&t.name),
        shape: t.shape.clone(),
        ty: t.ty,
        elements: t.elements(),
        bytes: t.byte_len(),
        shard: t.shard(),
        offset: t.file_offset(),
    };
    gguf.tensors().iter().map(row).collect()
}

/// A row per type, the one with the most bytes first (then by type id).
#[must_use]
pub fn type_histogram(gguf: &Gguf) -> Vec<TypeRow> {
    let mut rows: BTreeMap<TensorType, TypeRow> = BTreeMap::new();
    for t in gguf.tensors() {
        let row = rows.entry(t.ty).or_insert_with(|| TypeRow {
            ty: t.ty,
            tensors: 0,
            elements: 0,
            bytes: 0,
            bits_per_weight: t.ty.bits_per_weight(),
        });
        row.tensors += 1;
        row.elements += t.elements();
        row.bytes += t.byte_len();
    }
    let mut rows: Vec<TypeRow> = rows.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.bytes)); // stable: equal ones stay in order of id
    rows
}

/// The sums over all tensors and files.
#[must_use]
pub fn totals(gguf: &Gguf) -> Totals {
    let elements: u64 = gguf.tensors().iter().map(crate::TensorInfo::elements).sum();
    let tensor_bytes: u64 = gguf.tensors().iter().map(crate::TensorInfo::byte_len).sum();
    let bits_per_weight = if elements == 0 { 0.0 } else { tensor_bytes as f64 * 8.0 / elements as f64 };
    Totals {
        files: gguf.shards().len(),
        tensors: gguf.tensors().len(),
        elements,
        tensor_bytes,
        file_bytes: gguf.file_bytes(),
        bits_per_weight,
    }
}

/// `text` with control characters escaped, so that it can neither break a line nor command a terminal.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut line = Line { text: String::new(), left: usize::MAX, cut: false };
    line.characters(text);
    line.text
}

/// A line being filled, with room for `left` more characters of content.
struct Line {
    text: String,
    left: usize,
    cut: bool,
}

impl Line {
    fn characters(&mut self, text: &str) {
        for c in text.chars() {
            if self.left == 0 {
                self.text.push('…');
                self.cut = true;
                return;
            }
            self.left -= 1;
            if c.is_control() {
                self.text.extend(c.escape_default());
            } else {
                self.text.push(c);
            }
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::F32(v) => self.characters(&format!("{v:?}")),
            Value::F64(v) => self.characters(&format!("{v:?}")),
            Value::Bool(v) => self.characters(&v.to_string()),
            Value::String(bytes) => self.string(bytes),
            Value::Array(array) => self.array(array),
            integer => self.characters(&integer.as_integer().unwrap_or_default().to_string()),
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        // Four bytes are at most one character: no need to decode megabytes to show a line of them.
        let beginning = &bytes[..bytes.len().min(self.left.saturating_add(1).saturating_mul(4))];
        match std::str::from_utf8(bytes) {
            Ok(_) => self.characters(&String::from_utf8_lossy(beginning)),
            Err(_) => self.characters(&beginning.escape_ascii().to_string()),
        }
    }

    fn array(&mut self, array: &Array) {
        self.text.push('[');
        for i in 0..array.len() {
            if i > 0 {
                self.text.push_str(", ");
            }
            if self.left == 0 {
                self.text.push('…');
                self.cut = true;
                break;
            }
            self.element(array, i);
            self.left = self.left.saturating_sub(2); // the comma and the space
            if self.cut {
                break;
            }
        }
        self.text.push(']');
    }

    fn element(&mut self, array: &Array, index: usize) {
        match array {
            Array::String(strings) => {
                self.text.push('"');
                self.string(strings.get(index).unwrap_or_default()); // index < len
                self.text.push('"');
            }
            Array::Array(arrays) => self.array(&arrays[index]),
            scalars => scalars.get(index).iter().for_each(|v| self.value(v)),
        }
    }
}
