//! From a file's first bytes to its header: metadata, tensor entries and where the data begins.
//! Knows the layout of GGUF versions 2 and 3; touches no file.

use std::sync::Arc;

use crate::cursor::{Cursor, Short};
use crate::error::{ErrorKind, shown};
use crate::metadata::Metadata;
use crate::tensor::{self, TensorInfo};
use crate::types::TensorType;
use crate::value::{Array, Strings, Value};
use crate::{DEFAULT_ALIGNMENT, MAX_ALIGNMENT, MAX_DIMS, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_NESTING};

/// The fewest bytes of a key-value pair: key length, type, one byte of value. (An empty key is refused
/// later, by name.)
const MIN_ENTRY_BYTES: u64 = 8 + 4 + 1;
/// The fewest bytes of a tensor entry: name length, dimension count, type, offset.
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;

/// What stands before the tensor data.
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) alignment: u64,
    /// Offset of the tensor data from the start of the file.
    pub(crate) data_start: u64,
    pub(crate) metadata: Metadata,
    /// With offsets from the start of the file.
    pub(crate) tensors: Vec<TensorInfo>,
}

/// Reads the header at the front of `bytes`, of a file that is `file_len` bytes long; `file` names it in
/// later errors. `bytes` may be the whole file or any part of it that covers the header.
pub(crate) fn header(bytes: &[u8], file_len: u64, file: &Arc<str>) -> Result<Header, ErrorKind> {
    let mut c = Cursor::new(bytes);
    let at_header = |short: Short| truncated("the header", short, file_len);
    check_magic(bytes)?;
    c.take(4).map_err(at_header)?;
    let version = c.u32().map_err(at_header)?;
    check_version(version)?;
    let tensor_count = c.u64().map_err(at_header)?;
    let entry_count = c.u64().map_err(at_header)?;

    let metadata = Metadata::from_entries(file, entries(&mut c, entry_count, file_len)?)?;
    let alignment = alignment(&metadata)?;
    let mut tensors = tensor_entries(&mut c, tensor_count, alignment, file_len)?;
    let data_start = c.offset().next_multiple_of(alignment);
    tensor::place(&mut tensors, data_start, file_len)?;
    Ok(Header { version, alignment, data_start, metadata, tensors })
}

fn truncated(place: impl Into<String>, short: Short, len: u64) -> ErrorKind {
    ErrorKind::Truncated { place: place.into(), start: short.start, end: short.end, len }
}

/// The four bytes `GGUF`, or a hint at what the file is instead.
fn check_magic(bytes: &[u8]) -> Result<(), ErrorKind> {
    let hint = match bytes {
        [b'G', b'G', b'U', b'F', ..] => return Ok(()),
        [] => "it is empty; download it again",
        _ if b"GGUF".starts_with(bytes) => "it ends within its first bytes; download it again",
        _ if bytes.starts_with(b"version https://git-lfs") => "it is a Git LFS pointer; run git lfs pull",
        [b'<', ..] => "it is a web page; check the address it was downloaded from",
        [b'l' | b't', b'm' | b'j', b'g', b'g', ..] => "it is of GGML's older formats; convert the model again",
        [b'P', b'K', 3, 4, ..] => "it is a zip archive or a PyTorch checkpoint; convert it to GGUF",
        [_, _, _, _, _, _, _, 0, b'{', ..] => "it is a safetensors file; convert it to GGUF",
        _ => "it does not begin with GGUF; check the path",
    };
    Err(ErrorKind::NotGguf { hint })
}

fn check_version(version: u32) -> Result<(), ErrorKind> {
    match version {
        2 | 3 => Ok(()),
        v if (1..=0xffff).contains(&v.swap_bytes()) => Err(ErrorKind::BigEndian),
        version => Err(ErrorKind::Version { version }),
    }
}

fn entries(c: &mut Cursor<'_>, count: u64, file_len: u64) -> Result<Vec<(String, Value)>, ErrorKind> {
    let room = c.can_hold(count, MIN_ENTRY_BYTES);
    let room = room.map_err(|s| truncated(format!("the metadata (key count {count})"), s, file_len))?;
    let mut entries = Vec::with_capacity(room);
    for i in 0..count {
        let key = name(c, file_len, MAX_KEY_BYTES, || format!("key number {i}"))?;
        match value(c) {
            Ok(value) => entries.push((key, value)),
            Err(fault) => return Err(fault.in_key(&key, file_len)),
        }
    }
    Ok(entries)
}

/// A key or tensor name: UTF-8, not empty, of at most `most` bytes. `place` says which it is.
fn name(c: &mut Cursor<'_>, file_len: u64, most: u64, place: impl Fn() -> String) -> Result<String, ErrorKind> {
    let at_name = |short| truncated(place(), short, file_len);
    let len = c.u64().map_err(at_name)?;
    let offset = c.offset();
    let bytes = c.take(len).map_err(at_name)?;
    if len > most {
        return Err(ErrorKind::LongName { place: place(), bytes: len, most });
    }
    match std::str::from_utf8(bytes) {
        Ok("") => Err(ErrorKind::EmptyName { place: place() }),
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(ErrorKind::NotUtf8 { place: format!("the name of {}", place()), offset }),
    }
}

/// What is wrong with a value, before it is known whose value it is.
enum Fault {
    Short(Short),
    Type { id: u32, offset: u64 },
    Bool { byte: u8, offset: u64 },
    Nesting,
}

impl From<Short> for Fault {
    fn from(short: Short) -> Self {
        Fault::Short(short)
    }
}

impl Fault {
    fn in_key(self, key: &str, file_len: u64) -> ErrorKind {
        let key = shown(key);
        match self {
            Fault::Short(short) => truncated(format!("key {key}"), short, file_len),
            Fault::Type { id, offset } => ErrorKind::ValueType { key, id, offset },
            Fault::Bool { byte, offset } => ErrorKind::Bool { key, byte, offset },
            Fault::Nesting => ErrorKind::Nesting { key, most: MAX_NESTING },
        }
    }
}

/// A value: its type's id, then its bytes.
fn value(c: &mut Cursor<'_>) -> Result<Value, Fault> {
    let offset = c.offset();
    Ok(match c.u32()? {
        0 => Value::U8(u8::from_le_bytes(c.array()?)),
        1 => Value::I8(i8::from_le_bytes(c.array()?)),
        2 => Value::U16(u16::from_le_bytes(c.array()?)),
        3 => Value::I16(i16::from_le_bytes(c.array()?)),
        4 => Value::U32(u32::from_le_bytes(c.array()?)),
        5 => Value::I32(i32::from_le_bytes(c.array()?)),
        6 => Value::F32(f32::from_le_bytes(c.array()?)),
        7 => Value::Bool(bools(c, 1)?.first().is_some_and(|&b| b)),
        8 => Value::String(c.string()?.to_vec()),
        9 => Value::Array(array(c, MAX_NESTING)?),
        10 => Value::U64(u64::from_le_bytes(c.array()?)),
        11 => Value::I64(i64::from_le_bytes(c.array()?)),
        12 => Value::F64(f64::from_le_bytes(c.array()?)),
        id => return Err(Fault::Type { id, offset }),
    })
}

/// An array: its elements' type, their number, then their bytes; `levels` of nesting are still allowed.
fn array(c: &mut Cursor<'_>, levels: usize) -> Result<Array, Fault> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(Fault::Nesting);
    };
    let offset = c.offset();
    let id = c.u32()?;
    let count = c.u64()?;
    Ok(match id {
        0 => Array::U8(c.take(count)?.to_vec()),
        1 => Array::I8(scalars(c, count, i8::from_le_bytes)?),
        2 => Array::U16(scalars(c, count, u16::from_le_bytes)?),
        3 => Array::I16(scalars(c, count, i16::from_le_bytes)?),
        4 => Array::U32(scalars(c, count, u32::from_le_bytes)?),
        5 => Array::I32(scalars(c, count, i32::from_le_bytes)?),
        6 => Array::F32(scalars(c, count, f32::from_le_bytes)?),
        7 => Array::Bool(bools(c, count)?),
        8 => Array::String(strings(c, count)?),
        9 => {
            let mut arrays = Vec::with_capacity(c.can_hold(count, 4 + 8)?);
            for _ in 0..count {
                arrays.push(array(c, levels)?);
            }
            Array::Array(arrays)
        }
        10 => Array::U64(scalars(c, count, u64::from_le_bytes)?),
        11 => Array::I64(scalars(c, count, i64::from_le_bytes)?),
        12 => Array::F64(scalars(c, count, f64::from_le_bytes)?),
        id => return Err(Fault::Type { id, offset }),
    })
}

fn scalars<T, const N: usize>(c: &mut Cursor<'_>, count: u64, from: fn([u8; N]) -> T) -> Result<Vec<T>, Fault> {
    c.can_hold(count, N as u64)?;
    let bytes = c.take(count * N as u64)?; // can_hold checked the product
    Ok(bytes.as_chunks::<N>().0.iter().map(|&chunk| from(chunk)).collect())
}

fn bools(c: &mut Cursor<'_>, count: u64) -> Result<Vec<bool>, Fault> {
    let start = c.offset();
    let bytes = c.take(count)?;
    match bytes.iter().zip(start..).find(|&(&byte, _)| byte > 1) {
        Some((&byte, offset)) => Err(Fault::Bool { byte, offset }),
        None => Ok(bytes.iter().map(|&byte| byte == 1).collect()),
    }
}

/// Reads strings twice over, once for their total size, so that they take two allocations of the right size.
fn strings(c: &mut Cursor<'_>, count: u64) -> Result<Strings, Fault> {
    let room = c.can_hold(count, 8)?;
    let mut ahead = c.clone();
    let mut total = 0;
    for _ in 0..count {
        total += ahead.string()?.len();
    }
    let mut strings = Strings::with_capacity(room, total);
    for _ in 0..count {
        strings.push(c.string()?);
    }
    Ok(strings)
}

fn alignment(metadata: &Metadata) -> Result<u64, ErrorKind> {
    const KEY: &str = "general.alignment";
    let Some(value) = metadata.get(KEY) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    match value.as_integer().and_then(|v| u64::try_from(v).ok()) {
        Some(a) if a.is_power_of_two() && (8..=MAX_ALIGNMENT).contains(&a) => Ok(a),
        _ => {
            let found = value.as_integer().map_or_else(|| value.type_name(), |v| v.to_string());
            Err(ErrorKind::Alignment { found, most: MAX_ALIGNMENT })
        }
    }
}

fn tensor_entries(c: &mut Cursor<'_>, count: u64, alignment: u64, file_len: u64) -> Result<Vec<TensorInfo>, ErrorKind> {
    let room = c.can_hold(count, MIN_TENSOR_BYTES);
    let room = room.map_err(|s| truncated(format!("the list of tensors (count {count})"), s, file_len))?;
    let mut tensors = Vec::with_capacity(room);
    for i in 0..count {
        let name = name(c, file_len, MAX_NAME_BYTES, || format!("tensor number {i}"))?;
        tensors.push(tensor_entry(c, name, alignment, file_len)?);
    }
    Ok(tensors)
}

/// The rest of a tensor's entry: dimension count, dimensions, type, offset.
fn tensor_entry(c: &mut Cursor<'_>, name: String, alignment: u64, file_len: u64) -> Result<TensorInfo, ErrorKind> {
    let at_entry = |short: Short| truncated(format!("the entry of tensor {}", shown(&name)), short, file_len);
    let dims = c.u32().map_err(at_entry)?;
    if dims as usize > MAX_DIMS {
        return Err(ErrorKind::Dimensions { name: shown(&name), dims, most: MAX_DIMS });
    }
    let shape = (0..dims).map(|_| c.u64()).collect::<Result<Vec<_>, _>>().map_err(at_entry)?;
    let id = c.u32().map_err(at_entry)?;
    let offset = c.u64().map_err(at_entry)?;
    let Some(ty) = TensorType::from_id(id) else {
        let name = shown(&name);
        return Err(match TensorType::removed_name(id) {
            Some(old) => ErrorKind::RemovedType { name, id, old },
            None => ErrorKind::UnknownType { name, id },
        });
    };
    if !offset.is_multiple_of(alignment) {
        return Err(ErrorKind::Misaligned { name: shown(&name), offset, alignment });
    }
    TensorInfo::new(name, shape, ty, offset)
}
