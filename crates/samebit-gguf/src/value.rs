//! Metadata values: scalars, byte strings and arrays. Knows their types, not what they are for.

/// A metadata value.
///
/// Strings are the file's bytes, exactly: a vocabulary may hold tokens that are not UTF-8.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are the types they are named for")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    /// The string's bytes; [`Value::as_str`] checks that they are UTF-8.
    String(Vec<u8>),
    Array(Array),
}

/// An array of metadata values of one type.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are the types they are named for")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    String(Strings),
    /// Arrays in an array, each of its own type; at most [`MAX_NESTING`](crate::MAX_NESTING) levels.
    Array(Vec<Array>),
}

/// Runs `$body` on an [`Array`], with `$v` bound to its elements' container, whatever their type.
macro_rules! each_array {
    ($array:expr, $v:ident => $body:expr) => {
        match $array {
            Array::U8($v) => $body,
            Array::I8($v) => $body,
            Array::U16($v) => $body,
            Array::I16($v) => $body,
            Array::U32($v) => $body,
            Array::I32($v) => $body,
            Array::U64($v) => $body,
            Array::I64($v) => $body,
            Array::F32($v) => $body,
            Array::F64($v) => $body,
            Array::Bool($v) => $body,
            Array::String($v) => $body,
            Array::Array($v) => $body,
        }
    };
}

impl Value {
    /// The string, if this is one and UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The integer, if this is one of any width; bools and floats are none.
    #[must_use]
    pub fn as_integer(&self) -> Option<i128> {
        Some(match *self {
            Value::U8(v) => v.into(),
            Value::I8(v) => v.into(),
            Value::U16(v) => v.into(),
            Value::I16(v) => v.into(),
            Value::U32(v) => v.into(),
            Value::I32(v) => v.into(),
            Value::U64(v) => v.into(),
            Value::I64(v) => v.into(),
            _ => return None,
        })
    }

    /// The type's id in a file (GGUF specification, `gguf_metadata_value_type`).
    pub(crate) fn type_id(&self) -> u32 {
        match self {
            Value::U8(_) => 0,
            Value::I8(_) => 1,
            Value::U16(_) => 2,
            Value::I16(_) => 3,
            Value::U32(_) => 4,
            Value::I32(_) => 5,
            Value::F32(_) => 6,
            Value::Bool(_) => 7,
            Value::String(_) => 8,
            Value::Array(_) => 9,
            Value::U64(_) => 10,
            Value::I64(_) => 11,
            Value::F64(_) => 12,
        }
    }

    /// The type, such as `u32`, `string` or `[f32; 4]`.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self {
            Value::Array(array) => format!("[{}; {}]", type_name(array.type_id()), array.len()),
            scalar => type_name(scalar.type_id()).to_owned(),
        }
    }
}

impl Array {
    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        each_array!(self, v => v.len())
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' type, such as `u32` or `string`.
    #[must_use]
    pub fn element_type_name(&self) -> &'static str {
        type_name(self.type_id())
    }

    /// Element `index` as a value of its own; `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        Some(match self {
            Array::U8(v) => Value::U8(*v.get(index)?),
            Array::I8(v) => Value::I8(*v.get(index)?),
            Array::U16(v) => Value::U16(*v.get(index)?),
            Array::I16(v) => Value::I16(*v.get(index)?),
            Array::U32(v) => Value::U32(*v.get(index)?),
            Array::I32(v) => Value::I32(*v.get(index)?),
            Array::U64(v) => Value::U64(*v.get(index)?),
            Array::I64(v) => Value::I64(*v.get(index)?),
            Array::F32(v) => Value::F32(*v.get(index)?),
            Array::F64(v) => Value::F64(*v.get(index)?),
            Array::Bool(v) => Value::Bool(*v.get(index)?),
            Array::String(v) => Value::String(v.get(index)?.to_vec()),
            Array::Array(v) => Value::Array(v.get(index)?.clone()),
        })
    }

    /// The id of the elements' type in a file.
    pub(crate) fn type_id(&self) -> u32 {
        match self {
            Array::U8(_) => 0,
            Array::I8(_) => 1,
            Array::U16(_) => 2,
            Array::I16(_) => 3,
            Array::U32(_) => 4,
            Array::I32(_) => 5,
            Array::F32(_) => 6,
            Array::Bool(_) => 7,
            Array::String(_) => 8,
            Array::Array(_) => 9,
            Array::U64(_) => 10,
            Array::I64(_) => 11,
            Array::F64(_) => 12,
        }
    }
}

fn type_name(id: u32) -> &'static str {
    const NAMES: [&str; 13] =
        ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"];
    NAMES.get(id as usize).copied().unwrap_or("unknown")
}

/// Many byte strings in one allocation: a vocabulary of a quarter million tokens is two, not a quarter million.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Strings {
    bytes: Vec<u8>,
    /// Where each string ends in `bytes`; it starts where the one before ends.
    ends: Vec<usize>,
}

impl Strings {
    /// No strings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for `count` strings of `bytes` bytes together.
    pub(crate) fn with_capacity(count: usize, bytes: usize) -> Self {
        Strings { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Adds a string.
    pub fn push(&mut self, string: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(string.as_ref());
        self.ends.push(self.bytes.len());
    }

    /// The number of strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no strings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all strings together, without separators.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// String `index`, exactly as in the file; `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// String `index`; `None` past the end or where it is not UTF-8.
    #[must_use]
    pub fn get_str(&self, index: usize) -> Option<&str> {
        std::str::from_utf8(self.get(index)?).ok()
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|i| self.get(i).unwrap_or_default()) // i < len
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut all = Strings::new();
        for string in strings {
            all.push(string);
        }
        all
    }
}

impl std::fmt::Debug for Strings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|s| s.escape_ascii().to_string())).finish()
    }
}

macro_rules! from_scalars {
    ($($variant:ident $ty:ty;)*) => {$(
        impl From<$ty> for Value {
            fn from(v: $ty) -> Self {
                Value::$variant(v)
            }
        }

        impl From<Vec<$ty>> for Array {
            fn from(v: Vec<$ty>) -> Self {
                Array::$variant(v)
            }
        }

        impl From<Vec<$ty>> for Value {
            fn from(v: Vec<$ty>) -> Self {
                Value::Array(v.into())
            }
        }
    )*};
}

from_scalars! {
    U8 u8; I8 i8; U16 u16; I16 i16; U32 u32; I32 i32; U64 u64; I64 i64; F32 f32; F64 f64; Bool bool;
}

impl From<Strings> for Array {
    fn from(v: Strings) -> Self {
        Array::String(v)
    }
}

impl From<Strings> for Value {
    fn from(v: Strings) -> Self {
        Value::Array(v.into())
    }
}

impl From<Array> for Value {
    fn from(v: Array) -> Self {
        Value::Array(v)
    }
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Value::String(v.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(v: String) -> Self {
        Value::String(v.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_keep_exact_bytes() {
        let s: Strings = [&b"a"[..], b"", b"\xff\xfe", "é".as_bytes()].into_iter().collect();
        assert_eq!(s.len(), 4);
        assert_eq!(s.get(0), Some(&b"a"[..]));
        assert_eq!(s.get(1), Some(&b""[..]));
        assert_eq!(s.get(2), Some(&b"\xff\xfe"[..]));
        assert_eq!(s.get_str(2), None);
        assert_eq!(s.get_str(3), Some("é"));
        assert_eq!(s.get(4), None);
        assert_eq!(s.iter().map(<[u8]>::len).collect::<Vec<_>>(), [1, 0, 2, 2]);
        assert_eq!(format!("{s:?}"), r#"["a", "", "\\xff\\xfe", "\\xc3\\xa9"]"#);
    }

    #[test]
    fn types_have_names() {
        assert_eq!(Value::from(1u32).type_name(), "u32");
        assert_eq!(Value::from(vec![1.0f32, 2.0]).type_name(), "[f32; 2]");
        assert_eq!(Value::from(Strings::new()).type_name(), "[string; 0]");
        assert_eq!(Array::from(vec![true]).get(0), Some(Value::Bool(true)));
    }
}
