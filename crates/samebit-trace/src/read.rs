//! Opening a trace of whatever kind: what it is shows in its first bytes.

use std::path::Path;

use crate::assemble::{self, NameMap};
use crate::error::TraceError;
use crate::trace::Trace;
use crate::{file, llamacpp, names, npy, tokens};

/// Reads a trace: a safetensors file, a folder of `.npy` files, one such file (logits, unless its name says otherwise), the
/// text of `llama-eval-callback`, a list of tokens, or a record in JSON. `map` translates the names of tensors.
///
/// # Errors
/// A file that is none of these, or a damaged one, in one line.
pub fn read(path: &Path, map: Option<&NameMap>) -> Result<Trace, TraceError> {
    if path.is_dir() {
        return npy::folder(path, map);
    }
    let bytes = std::fs::read(path).map_err(|error| TraceError::file(path, error.to_string()))?;
    parse(&bytes, path, map).map_err(|error| error.of(path))
}

fn parse(bytes: &[u8], path: &Path, map: Option<&NameMap>) -> Result<Trace, TraceError> {
    if bytes.starts_with(npy::MAGIC) {
        return single(bytes, path, map);
    }
    if bytes.get(8) == Some(&b'{') && bytes[5..8] == [0; 3] {
        return file::parse(bytes, map);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return file::parse(bytes, map);
    };
    match text.trim_start().chars().next() {
        Some('{') => tokens::record(text),
        _ if tokens::is_list(text) => tokens::list(text),
        _ if llamacpp::is(text) => llamacpp::parse(text),
        _ => Err(TraceError::at(
            "",
            "is no trace: give a safetensors file, a folder of .npy files, llama-eval-callback's text, or tokens",
        )),
    }
}

/// One array.
fn single(bytes: &[u8], path: &Path, map: Option<&NameMap>) -> Result<Trace, TraceError> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let known = map.is_some() || names::canonical(&stem).is_some();
    let array = npy::parse(bytes, if known { &stem } else { "result_output" })?;
    assemble::trace(vec![array], &std::collections::BTreeMap::new(), map)
}

/// Reads a name map: a JSON object of an engine's names to ours, `{}` for the layer.
///
/// # Errors
/// A file that is none.
pub fn name_map(path: &Path) -> Result<NameMap, TraceError> {
    let bytes = std::fs::read(path).map_err(|error| TraceError::file(path, error.to_string()))?;
    let map: NameMap = serde_json::from_slice(&bytes).map_err(|error| {
        TraceError::file(path, format!("is no name map ({error}): write {{\"their-name-{{}}\": \"attn_norm-{{}}\"}}"))
    })?;
    let unknown = map.values().find(|to| names::canonical(&to.replace("{}", "0")).is_none());
    match unknown {
        Some(to) => Err(TraceError::file(path, format!("`{to}` is no name here; docs/traces.md lists them"))),
        None => Ok(map),
    }
}
