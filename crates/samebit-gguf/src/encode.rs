//! The bytes of a header, version 3, little-endian. Checks nothing: what it makes is read back by `parse`.

use crate::metadata::Metadata;
use crate::value::{Array, Value};

/// A tensor's entry as it is to be written.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: &'a [u64],
    pub(crate) type_id: u32,
    /// From the start of the data.
    pub(crate) offset: u64,
}

/// Everything before the tensor data, without the padding up to it.
pub(crate) fn header<'a>(metadata: &Metadata, tensors: impl ExactSizeIterator<Item = Entry<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(b"GGUF");
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        string(&mut out, key.as_bytes());
        out.extend(value.type_id().to_le_bytes());
        self::value(&mut out, value);
    }
    for t in tensors {
        string(&mut out, t.name.as_bytes());
        out.extend((t.shape.len() as u32).to_le_bytes());
        numbers(&mut out, t.shape, u64::to_le_bytes);
        out.extend(t.type_id.to_le_bytes());
        out.extend(t.offset.to_le_bytes());
    }
    out
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

fn numbers<T: Copy, const N: usize>(out: &mut Vec<u8>, values: &[T], to: fn(T) -> [u8; N]) {
    out.extend(values.iter().flat_map(|&v| to(v)));
}

fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(v) => out.extend(v.to_le_bytes()),
        Value::I8(v) => out.extend(v.to_le_bytes()),
        Value::U16(v) => out.extend(v.to_le_bytes()),
        Value::I16(v) => out.extend(v.to_le_bytes()),
        Value::U32(v) => out.extend(v.to_le_bytes()),
        Value::I32(v) => out.extend(v.to_le_bytes()),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::F32(v) => out.extend(v.to_le_bytes()),
        Value::F64(v) => out.extend(v.to_le_bytes()),
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::String(v) => string(out, v),
        Value::Array(v) => array(out, v),
    }
}

/// Recurses as deep as the caller's value does; the caller has checked that.
fn array(out: &mut Vec<u8>, array: &Array) {
    out.extend(array.type_id().to_le_bytes());
    out.extend((array.len() as u64).to_le_bytes());
    match array {
        Array::U8(v) => out.extend(v),
        Array::I8(v) => numbers(out, v, i8::to_le_bytes),
        Array::U16(v) => numbers(out, v, u16::to_le_bytes),
        Array::I16(v) => numbers(out, v, i16::to_le_bytes),
        Array::U32(v) => numbers(out, v, u32::to_le_bytes),
        Array::I32(v) => numbers(out, v, i32::to_le_bytes),
        Array::U64(v) => numbers(out, v, u64::to_le_bytes),
        Array::I64(v) => numbers(out, v, i64::to_le_bytes),
        Array::F32(v) => numbers(out, v, f32::to_le_bytes),
        Array::F64(v) => numbers(out, v, f64::to_le_bytes),
        Array::Bool(v) => out.extend(v.iter().map(|&b| u8::from(b))),
        Array::String(v) => v.iter().for_each(|s| string(out, s)),
        Array::Array(v) => v.iter().for_each(|a| self::array(out, a)),
    }
}
