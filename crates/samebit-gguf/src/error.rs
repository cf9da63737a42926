//! What can be wrong with a GGUF file, in one line that names the file, the place and the remedy.

use std::fmt;
use std::io;
use std::sync::Arc;

/// An error in reading or writing a GGUF file.
///
/// Its text is one line: the file, what is wrong and where, and what to do about it.
#[derive(Debug)]
pub struct GgufError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    file: Arc<str>,
    writing: bool,
    kind: ErrorKind,
}

impl GgufError {
    pub(crate) fn reading(file: &Arc<str>, kind: ErrorKind) -> Self {
        GgufError(Box::new(Inner { file: Arc::clone(file), writing: false, kind }))
    }

    pub(crate) fn writing(file: &Arc<str>, kind: ErrorKind) -> Self {
        GgufError(Box::new(Inner { file: Arc::clone(file), writing: true, kind }))
    }

    /// The file, as it was named by the caller.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }
}

impl fmt::Display for GgufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown(&self.0.file), self.0.kind)?;
        match self.0.kind.remedy(self.0.writing) {
            "" => Ok(()),
            remedy => write!(f, "; {remedy}"),
        }
    }
}

impl std::error::Error for GgufError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What is wrong with a file. Names from the file are shown escaped and shortened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's message says what its fields mean")]
pub enum ErrorKind {
    #[error("cannot {doing}: {source}")]
    Io { doing: &'static str, source: io::Error },
    #[error("not a regular file")]
    NotAFile,
    #[error("no space left on the disk ({bytes} bytes are needed)")]
    NoSpace { bytes: u64 },
    #[error("not a GGUF file: {hint}")]
    NotGguf { hint: &'static str },
    #[error("a big-endian GGUF file, and only little-endian ones are read")]
    BigEndian,
    #[error("GGUF version {version} is not known (versions 2 and 3 are read)")]
    Version { version: u32 },
    #[error("file is truncated: {place} needs bytes {start}..{end} but the file ends at {len}")]
    Truncated { place: String, start: u64, end: u64, len: u64 },
    #[error("{place} is not UTF-8 (at byte {offset})")]
    NotUtf8 { place: String, offset: u64 },
    #[error("{place} has an empty name")]
    EmptyName { place: String },
    #[error("{place} has a name of {bytes} bytes, more than {most}")]
    LongName { place: String, bytes: u64, most: u64 },
    #[error("two {what} are named {name}")]
    Duplicate { what: &'static str, name: String },
    #[error("key {key} has value type {id}, which GGUF does not define (at byte {offset})")]
    ValueType { key: String, id: u32, offset: u64 },
    #[error("key {key} holds {byte} as a bool, where only 0 and 1 are allowed (at byte {offset})")]
    Bool { key: String, byte: u8, offset: u64 },
    #[error("key {key} nests arrays deeper than {most} levels")]
    Nesting { key: String, most: usize },
    #[error("key {key} is {found} where {wanted} is expected")]
    WrongType { key: String, found: String, wanted: &'static str },
    #[error("key {key} is missing")]
    MissingKey { key: String },
    #[error("key general.alignment is {found}, where a power of two from 8 to {most} is expected")]
    Alignment { found: String, most: u64 },
    #[error("tensor {name} has {dims} dimensions, more than {most}")]
    Dimensions { name: String, dims: u32, most: usize },
    #[error("tensor {name} has shape {shape:?}, whose size overflows 64 bits")]
    SizeOverflow { name: String, shape: Vec<u64> },
    #[error("tensor {name} has type {id} ({old}), which GGUF has removed")]
    RemovedType { name: String, id: u32, old: &'static str },
    #[error("tensor {name} has unknown type {id}")]
    UnknownType { name: String, id: u32 },
    #[error("tensor {name} has rows of {row} elements, which is not whole blocks of {ty} ({block} elements)")]
    RaggedRow { name: String, row: u64, ty: &'static str, block: u64 },
    #[error("tensor {name} is at offset {offset} of the data, which is not a multiple of the alignment {alignment}")]
    Misaligned { name: String, offset: u64, alignment: u64 },
    #[error("tensors {first} and {second} overlap at byte {offset}")]
    Overlap { first: String, second: String, offset: u64 },
    #[error("this is part {part} of {count}; open the first part, {first}")]
    SplitNotFirst { part: u64, count: u64, first: String },
    #[error("this is part 1 of {count}, but its name does not end in -00001-of-{count:05}.gguf")]
    SplitName { count: u64 },
    #[error("part {part} of {count} is missing")]
    SplitMissing { part: u64, count: u64 },
    #[error("key {key} is {found} where part {part} of {count} should have {wanted}")]
    SplitMismatch { key: &'static str, found: String, wanted: u64, part: u64, count: u64 },
    #[error("the {count} parts hold {found} tensors where split.tensors.count says {wanted}")]
    SplitTensors { count: u64, found: u64, wanted: u64 },
    #[error("this is one of {count} parts and was given without the others")]
    SplitInMemory { count: u64 },
    #[error("tensor {name} was given {found} bytes where its shape and type take {wanted}")]
    WrongLength { name: String, found: String, wanted: u64 },
}

impl ErrorKind {
    /// What to do about it; empty where the message says so already.
    fn remedy(&self, writing: bool) -> &'static str {
        use ErrorKind as K;
        match self {
            K::Io { .. } if writing => "check that the directory exists and may be written to",
            K::Io { .. } => "check the path and its permissions",
            K::NotAFile => "give the path of a .gguf file",
            K::NoSpace { .. } => "free some or write elsewhere",
            K::NotGguf { .. } | K::SplitNotFirst { .. } => "",
            K::BigEndian => "convert the model again without --bigendian",
            K::Version { version: 1 } => "convert the model again with current tools",
            K::Version { .. } | K::UnknownType { .. } => "update samebit, or download the file again",
            K::RemovedType { .. } => "quantise the model again with current tools",
            K::SplitName { .. } => "restore the file's original name",
            K::SplitMissing { .. } => "download it into the same directory",
            K::SplitMismatch { .. } | K::SplitTensors { .. } => "download all parts again, from one place",
            K::SplitInMemory { .. } => "open it by its path, beside the others",
            K::WrongLength { .. } => "give it exactly that many",
            K::WrongType { .. } | K::MissingKey { .. } if !writing => {
                "the file was made wrongly: convert the model again"
            }
            K::Truncated { .. } if !writing => "download it again",
            _ if writing => "correct what is to be written",
            _ => "the file is damaged or was made wrongly: download it or convert the model again",
        }
    }
}

/// A name from a file, fit to stand in a one-line message: control characters escaped, long ones cut.
pub(crate) fn shown(name: &str) -> String {
    const MOST: usize = 120;
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if i == MOST {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_on_one_line() {
        assert_eq!(shown("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        let long = shown(&"x".repeat(1000));
        assert_eq!(long.chars().count(), 121);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn the_error_is_one_word_wide() {
        assert_eq!(size_of::<GgufError>(), size_of::<usize>());
    }
}
