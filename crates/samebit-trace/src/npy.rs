//! numpy's arrays in files, and folders of them: the least that any engine can write.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::assemble::{self, NameMap};
use crate::error::TraceError;
use crate::numbers::{Dtype, Named};
use crate::trace::Trace;

/// How a file of this kind begins.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// Files of a folder that are looked at.
const MOST_FILES: usize = 1 << 16;

/// Reads one array, called `name`.
///
/// # Errors
/// A file that is damaged or of a type that is not read here.
pub(crate) fn parse(bytes: &[u8], name: &str) -> Result<Named, TraceError> {
    let bad = |problem: String| TraceError::at("", problem);
    let (header, data) = split(bytes).ok_or_else(|| bad("ends within its header: truncated, write it again".into()))?;
    let value = |key: &str| Some(header.split_once(&format!("'{key}':"))?.1.trim_start());
    let descr = value("descr").and_then(|v| v.strip_prefix('\'')?.split_once('\'')).map_or("", |(d, _)| d);
    let dtype = Dtype::from_numpy(descr)
        .ok_or_else(|| bad(format!("type `{descr}` is not read here: save it as float32, little-endian")))?;
    if value("fortran_order").is_none_or(|v| !v.starts_with("False")) {
        return Err(bad("is in Fortran's order: save numpy.ascontiguousarray of it".into()));
    }
    let shape = value("shape").and_then(|v| v.strip_prefix('(')?.split_once(')')).map(|(inside, _)| inside);
    let shape: Option<Vec<usize>> =
        shape.and_then(|s| s.split(',').map(str::trim).filter(|p| !p.is_empty()).map(|p| p.parse().ok()).collect());
    let shape = shape.filter(|s| s.len() <= 8).ok_or_else(|| bad("has no shape in its header".into()))?;
    let size = shape.iter().try_fold(dtype.bytes(), |n, &dim| n.checked_mul(dim));
    if size != Some(data.len()) {
        return Err(bad(format!("shape {shape:?} does not fit its {} bytes: truncated?", data.len())));
    }
    Ok(Named { name: name.into(), shape, values: dtype.read(data) })
}

/// The header's text and the data.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk::<2>().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest))?,
        _ => rest.split_first_chunk::<4>().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest))?,
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// Reads a folder: an `.npy` file for each tensor, named as the tensor is; `trace.json` says who, which tokens and where.
///
/// # Errors
/// A damaged file; no tensor with a known name.
pub(crate) fn folder(path: &Path, map: Option<&NameMap>) -> Result<Trace, TraceError> {
    let bad = |error: std::io::Error| TraceError::file(path, error.to_string());
    let mut tensors = Vec::new();
    let mut files = Vec::new();
    for file in std::fs::read_dir(path).map_err(bad)?.take(MOST_FILES) {
        files.push(file.map_err(bad)?.path());
    }
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "npy")) {
        let bytes = std::fs::read(file).map_err(|error| TraceError::file(file, error.to_string()))?;
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        tensors.push(parse(&bytes, &name).map_err(|error| error.of(file))?);
    }
    let strings = match std::fs::read(path.join("trace.json")) {
        Ok(bytes) => strings(&bytes).map_err(|error| error.of(&path.join("trace.json")))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(TraceError::file(&path.join("trace.json"), error.to_string())),
    };
    assemble::trace(tensors, &strings, map).map_err(|error| error.of(path))
}

/// A JSON object as strings; lists of numbers become `1,2,3`.
fn strings(bytes: &[u8]) -> Result<BTreeMap<String, String>, TraceError> {
    let object: BTreeMap<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| TraceError::at("", format!("is no JSON object: {error}")))?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Array(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    Ok(object.into_iter().map(|(key, value)| (key, text(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array as numpy would save it.
    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn arrays_are_read_and_damaged_ones_told() {
        let good = npy("<f4", "(1, 2)", &[0, 0, 128, 63, 0, 0, 0, 64]);
        let array = parse(&good, "x").expect("read");
        assert_eq!((array.shape, array.values), (vec![1, 2], vec![1.0, 2.0]));
        assert_eq!(parse(&npy("<f2", "(2,)", &[0, 0x3c, 0, 0x40]), "x").expect("read").values, [1.0, 2.0]);
        for damaged in [
            &good[..20],
            &good[..good.len() - 1],
            &npy(">f4", "(2,)", &[0; 8]),
            &npy("<f4", "(9999999999,99999999999)", &[]),
        ] {
            assert!(parse(damaged, "x").is_err());
        }
    }

    #[test]
    fn a_folder_is_a_trace() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
        put("my_norm_0.npy", &npy("<f4", "(1, 2, 2)", &[0; 16]));
        put("trace.json", br#"{"engine": "mine", "tokens": [5, 6], "positions": "0-1"}"#);
        let map: NameMap = [("my_norm_{}".to_owned(), "attn_norm-{}".to_owned())].into();
        let trace = super::folder(folder.path(), Some(&map)).expect("read");
        assert_eq!((trace.meta.tokens.clone(), trace.meta.engine.as_deref()), (vec![5, 6], Some("mine")));
        assert_eq!(trace.entry("attn_norm", Some(0)).map(|e| (e.rows(), e.width())), Some((2, 2)));
        assert!(super::folder(folder.path(), None).expect_err("unknown").to_string().contains("--names"));
    }
}
