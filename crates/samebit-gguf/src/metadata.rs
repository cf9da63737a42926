//! The key-value pairs of a file, with getters that convert without loss and name the key where they cannot.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::{ErrorKind, GgufError, shown};
use crate::value::{Array, Strings, Value};

/// A file's key-value pairs, in the file's order, each key once.
///
/// The typed getters return `Ok(None)` where the key is absent, and an error that names the file and the key
/// where it is present with another type. Numbers convert where the value stays the same: a `u64` of 4096 is
/// a good `u32`, and 2^40 is not.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Names the file in errors.
    file: Arc<str>,
    entries: Vec<(String, Value)>,
    /// Indices into `entries`, ordered by key.
    by_key: Vec<usize>,
}

impl Default for Metadata {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Metadata {
    /// Same keys and values in the same order, whatever file they come from.
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Metadata {
    /// No pairs, of no file.
    #[must_use]
    pub fn new() -> Self {
        Metadata { file: Arc::from("metadata"), entries: Vec::new(), by_key: Vec::new() }
    }

    /// Takes pairs in order. Errors: a key given twice.
    pub(crate) fn from_entries(file: &Arc<str>, entries: Vec<(String, Value)>) -> Result<Self, ErrorKind> {
        let mut by_key: Vec<usize> = (0..entries.len()).collect();
        let key = |i: usize| entries[i].0.as_str(); // i < len
        by_key.sort_by(|&a, &b| key(a).cmp(key(b)));
        if let Some(pair) = by_key.windows(2).find(|pair| key(pair[0]) == key(pair[1])) {
            return Err(ErrorKind::Duplicate { what: "keys", name: shown(key(pair[0])) });
        }
        Ok(Metadata { file: Arc::clone(file), entries, by_key })
    }

    /// Sets `key` to `value`, at the end where it is new; returns the value it had before.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.find(&key) {
            Ok(at) => {
                let entry = &mut self.entries[self.by_key[at]]; // find gives an index in range
                Some(std::mem::replace(&mut entry.1, value))
            }
            Err(at) => {
                self.by_key.insert(at, self.entries.len());
                self.entries.push((key, value));
                None
            }
        }
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.by_key.binary_search_by(|&i| self.entries[i].0.as_str().cmp(key))
    }

    /// The value of `key`, of whatever type.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.find(key).ok()?;
        Some(&self.entries[self.by_key[at]].1)
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// Keys and values in the file's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The error for a key that should be there and is not, for `get(..)?.ok_or_else(|| m.missing(key))`.
    #[must_use]
    pub fn missing(&self, key: &str) -> GgufError {
        GgufError::reading(&self.file, ErrorKind::MissingKey { key: shown(key) })
    }

    /// The error for a key whose value is not `wanted`, for checks beyond the getters here.
    #[must_use]
    pub fn wrong(&self, key: &str, wanted: &'static str) -> GgufError {
        let found = match self.get(key) {
            None => return self.missing(key),
            Some(Value::Array(array)) => {
                format!("an array of {} {}", array.len(), array.element_type_name())
            }
            Some(Value::String(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => format!("the string \"{}\"", shown(text)),
                Err(_) => "a string that is not UTF-8".to_owned(),
            },
            Some(Value::Bool(v)) => v.to_string(),
            Some(Value::F32(v)) => format!("{v:?} (f32)"),
            Some(Value::F64(v)) => format!("{v:?} (f64)"),
            Some(v) => format!("{} ({})", v.as_integer().unwrap_or_default(), v.type_name()),
        };
        GgufError::reading(&self.file, ErrorKind::WrongType { key: shown(key), found, wanted })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        wanted: &'static str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| self.wrong(key, wanted)),
        }
    }

    /// An integer of any width whose value fits u32.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn u32(&self, key: &str) -> Result<Option<u32>, GgufError> {
        self.typed(key, "an integer from 0 to 2^32-1", |v| v.as_integer()?.try_into().ok())
    }

    /// An integer of any width whose value fits u64.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.typed(key, "an integer from 0 to 2^64-1", |v| v.as_integer()?.try_into().ok())
    }

    /// An integer of any width whose value fits i32.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn i32(&self, key: &str) -> Result<Option<i32>, GgufError> {
        self.typed(key, "an integer from -2^31 to 2^31-1", |v| v.as_integer()?.try_into().ok())
    }

    /// An integer of any width whose value fits i64.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn i64(&self, key: &str) -> Result<Option<i64>, GgufError> {
        self.typed(key, "an integer from -2^63 to 2^63-1", |v| v.as_integer()?.try_into().ok())
    }

    /// An f32, or an f64 that an f32 represents exactly.
    ///
    /// # Errors
    /// The key holds something else (integers too: a file that means a float stores one).
    pub fn f32(&self, key: &str) -> Result<Option<f32>, GgufError> {
        self.typed(key, "an f32", |v| match *v {
            Value::F32(x) => Some(x),
            Value::F64(x) if f64::from(x as f32).to_bits() == x.to_bits() => Some(x as f32),
            _ => None,
        })
    }

    /// An f64 or f32.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn f64(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.typed(key, "an f64", |v| match *v {
            Value::F32(x) => Some(x.into()),
            Value::F64(x) => Some(x),
            _ => None,
        })
    }

    /// A bool.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.typed(key, "a bool", |v| match *v {
            Value::Bool(x) => Some(x),
            _ => None,
        })
    }

    /// A UTF-8 string.
    ///
    /// # Errors
    /// The key holds something else, or a string that is not UTF-8.
    pub fn str(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.typed(key, "a UTF-8 string", Value::as_str)
    }

    /// A string's bytes, UTF-8 or not.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn bytes(&self, key: &str) -> Result<Option<&[u8]>, GgufError> {
        self.typed(key, "a string", |v| match v {
            Value::String(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// An array of any type.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn array(&self, key: &str) -> Result<Option<&Array>, GgufError> {
        self.typed(key, "an array", as_array)
    }

    /// An array of strings, bytes exactly as in the file.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn array_str(&self, key: &str) -> Result<Option<&Strings>, GgufError> {
        self.typed(key, "an array of strings", |v| match as_array(v)? {
            Array::String(strings) => Some(strings),
            _ => None,
        })
    }

    /// An array of f32.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn array_f32(&self, key: &str) -> Result<Option<&[f32]>, GgufError> {
        self.typed(key, "an array of f32", |v| match as_array(v)? {
            Array::F32(floats) => Some(floats.as_slice()),
            _ => None,
        })
    }

    /// An array of bools.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn array_bool(&self, key: &str) -> Result<Option<&[bool]>, GgufError> {
        self.typed(key, "an array of bools", |v| match as_array(v)? {
            Array::Bool(bools) => Some(bools.as_slice()),
            _ => None,
        })
    }

    /// An array of integers of any width whose values fit i32; borrowed where the file holds i32.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn array_i32(&self, key: &str) -> Result<Option<Cow<'_, [i32]>>, GgufError> {
        self.typed(key, "an array of integers from -2^31 to 2^31-1", |v| match as_array(v)? {
            Array::I32(v) => Some(Cow::Borrowed(v.as_slice())),
            other => integers(other).map(Cow::Owned),
        })
    }

    /// An array of integers of any width whose values fit u32; borrowed where the file holds u32.
    ///
    /// # Errors
    /// The key holds something else.
    pub fn array_u32(&self, key: &str) -> Result<Option<Cow<'_, [u32]>>, GgufError> {
        self.typed(key, "an array of integers from 0 to 2^32-1", |v| match as_array(v)? {
            Array::U32(v) => Some(Cow::Borrowed(v.as_slice())),
            other => integers(other).map(Cow::Owned),
        })
    }
}

fn as_array(value: &Value) -> Option<&Array> {
    match value {
        Value::Array(array) => Some(array),
        _ => None,
    }
}

/// An integer array's values as `T`; `None` where one does not fit or the elements are no integers.
fn integers<T: TryFrom<i128>>(array: &Array) -> Option<Vec<T>> {
    fn all<S: Copy + Into<i128>, T: TryFrom<i128>>(values: &[S]) -> Option<Vec<T>> {
        values.iter().map(|&v| T::try_from(v.into()).ok()).collect()
    }
    match array {
        Array::U8(v) => all(v),
        Array::I8(v) => all(v),
        Array::U16(v) => all(v),
        Array::I16(v) => all(v),
        Array::U32(v) => all(v),
        Array::I32(v) => all(v),
        Array::U64(v) => all(v),
        Array::I64(v) => all(v),
        Array::F32(_) | Array::F64(_) | Array::Bool(_) | Array::String(_) | Array::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Test = Result<(), GgufError>;

    fn sample() -> Metadata {
        let mut m = Metadata::new();
        m.insert("z.count", 4096u64);
        m.insert("a.big", 1u64 << 40);
        m.insert("a.minus", -1i8);
        m.insert("rope", 0.5f64);
        m.insert("third", 1.0f64 / 3.0);
        m.insert("name", "x\ny");
        m.insert("raw", Value::String(vec![0xff]));
        m.insert("yes", true);
        m.insert("heads", vec![1u16, 2, 3]);
        m.insert("tokens", Strings::from_iter(["a", "b"]));
        m
    }

    #[test]
    fn getters_convert_without_loss() -> Test {
        let m = sample();
        assert_eq!(m.u32("z.count")?, Some(4096));
        assert_eq!(m.i32("a.minus")?, Some(-1));
        assert_eq!(m.u64("a.big")?, Some(1 << 40));
        assert_eq!(m.i64("a.big")?, Some(1 << 40));
        assert_eq!(m.f32("rope")?, Some(0.5));
        assert_eq!(m.f64("rope")?, Some(0.5));
        assert_eq!(m.bool("yes")?, Some(true));
        assert_eq!(m.str("name")?, Some("x\ny"));
        assert_eq!(m.bytes("raw")?, Some(&[0xff][..]));
        assert_eq!(m.array_i32("heads")?.as_deref(), Some(&[1, 2, 3][..]));
        assert_eq!(m.array_u32("heads")?.as_deref(), Some(&[1, 2, 3][..]));
        assert_eq!(m.array_str("tokens")?.map(Strings::len), Some(2));
        assert_eq!(m.u32("absent")?, None);
        assert_eq!(m.iter().next().map(|(k, _)| k), Some("z.count"));
        Ok(())
    }

    #[test]
    fn a_wrong_type_is_an_error_that_names_the_key() {
        let m = sample();
        let remedy = "; the file was made wrongly: convert the model again";
        let said = |e: Option<GgufError>| e.map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(
            said(m.u32("a.big").err()),
            format!("metadata: key a.big is 1099511627776 (u64) where an integer from 0 to 2^32-1 is expected{remedy}")
        );
        assert_eq!(
            said(m.u64("name").err()),
            format!("metadata: key name is the string \"x\\ny\" where an integer from 0 to 2^64-1 is expected{remedy}")
        );
        assert_eq!(
            said(m.f32("third").err()),
            format!("metadata: key third is 0.3333333333333333 (f64) where an f32 is expected{remedy}")
        );
        assert_eq!(
            said(m.str("raw").err()),
            format!("metadata: key raw is a string that is not UTF-8 where a UTF-8 string is expected{remedy}")
        );
        assert_eq!(
            said(m.array_f32("heads").err()),
            format!("metadata: key heads is an array of 3 u16 where an array of f32 is expected{remedy}")
        );
        assert_eq!(said(Some(m.missing("x"))), format!("metadata: key x is missing{remedy}"));
    }

    #[test]
    fn insert_replaces_in_place() {
        let mut m = sample();
        let len = m.len();
        assert_eq!(m.insert("rope", 2u8), Some(Value::F64(0.5)));
        assert_eq!(m.len(), len);
        assert_eq!(m.iter().nth(3).map(|(k, v)| (k, v.clone())), Some(("rope", Value::U8(2))));
    }
}
