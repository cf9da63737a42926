//! Writing a GGUF file: header from memory, tensor data streamed, memory bounded by the metadata.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use crate::atomic::AtomicFile;
use crate::encode;
use crate::error::{ErrorKind, GgufError, shown};
use crate::metadata::Metadata;
use crate::parse;
use crate::tensor::TensorInfo;
use crate::types::TensorType;
use crate::value::{Array, Value};
use crate::{DEFAULT_ALIGNMENT, MAX_NESTING};

const ALIGNMENT: &str = "general.alignment";

/// Makes a GGUF file, version 3: first the metadata and the tensors in the order wanted, then [`write`](Self::write).
///
/// The same calls give the same bytes, everywhere. The header is checked by reading it back before anything
/// is written, so a file that was written can be opened.
///
/// Set `general.alignment` (a u32) like any other key; without it tensors are aligned to 32 bytes.
#[derive(Default)]
pub struct GgufWriter<'a> {
    metadata: Metadata,
    /// A key given twice: reported on writing.
    repeated: Option<String>,
    tensors: Vec<Pending<'a>>,
}

struct Pending<'a> {
    name: String,
    shape: Vec<u64>,
    ty: TensorType,
    data: Data<'a>,
}

enum Data<'a> {
    Bytes(&'a [u8]),
    Stream(Box<Stream<'a>>),
}

/// Writes a tensor's data.
type Stream<'a> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'a;

impl<'a> GgufWriter<'a> {
    /// A file without metadata and tensors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key. A key given twice is an error on writing.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let key = key.into();
        if self.metadata.contains(&key) {
            self.repeated.get_or_insert(key);
        } else {
            self.metadata.insert(key, value);
        }
        self
    }

    /// Adds all keys of `metadata`, in its order.
    #[must_use]
    pub fn metadata(mut self, metadata: &Metadata) -> Self {
        for (key, value) in metadata.iter() {
            self = self.meta(key, value.clone());
        }
        self
    }

    /// Adds a tensor with its data; `shape[0]` is the row length, and `bytes` are exactly its rows.
    #[must_use]
    pub fn tensor(self, name: impl Into<String>, shape: &[u64], ty: TensorType, bytes: &'a [u8]) -> Self {
        self.pending(name.into(), shape, ty, Data::Bytes(bytes))
    }

    /// Adds a tensor whose data `stream` writes when its turn comes; it must write exactly as many bytes as
    /// shape and type take. Each [`write`](Self::write) calls it once.
    #[must_use]
    pub fn tensor_with(
        self,
        name: impl Into<String>,
        shape: &[u64],
        ty: TensorType,
        stream: impl FnMut(&mut dyn Write) -> io::Result<()> + 'a,
    ) -> Self {
        self.pending(name.into(), shape, ty, Data::Stream(Box::new(stream)))
    }

    fn pending(mut self, name: String, shape: &[u64], ty: TensorType, data: Data<'a>) -> Self {
        self.tensors.push(Pending { name, shape: shape.to_vec(), ty, data });
        self
    }

    /// Writes the file at `path`, whole or not at all: it is written beside under a temporary name
    /// (`NAME.PID-0.tmp`) and renamed at the end; on an error that file is removed. Returns its size in bytes.
    ///
    /// # Errors
    /// What was added does not make a GGUF file, a tensor's data has the wrong length, `path` is something
    /// other than a regular file, or writing fails.
    pub fn write(&mut self, path: impl AsRef<Path>) -> Result<u64, GgufError> {
        let path = path.as_ref();
        let name: Arc<str> = path.to_string_lossy().into();
        self.write_atomically(path).map_err(|kind| GgufError::writing(&name, kind))
    }

    fn write_atomically(&mut self, path: &Path) -> Result<u64, ErrorKind> {
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(ErrorKind::NotAFile); // renaming over a device or directory is not what anybody wants
        }
        let plan = self.plan()?;
        let failed = |source: io::Error| io_error(source, plan.total);
        let target = AtomicFile::create(path).map_err(failed)?;
        let mut out = BufWriter::with_capacity(1 << 20, target.file().map_err(failed)?);
        self.stream(&plan, &mut out)?;
        out.flush().map_err(failed)?;
        drop(out);
        target.commit().map_err(failed)?;
        Ok(plan.total)
    }

    /// Writes the file's bytes to `out`, and returns their number.
    ///
    /// # Errors
    /// As [`write`](Self::write); `out` may then hold the beginning of a file.
    pub fn write_to(&mut self, out: &mut impl Write) -> Result<u64, GgufError> {
        self.write_through(out).map_err(|kind| GgufError::writing(&Arc::from("(stream)"), kind))
    }

    fn write_through(&mut self, out: &mut impl Write) -> Result<u64, ErrorKind> {
        let plan = self.plan()?;
        self.stream(&plan, out)?;
        out.flush().map_err(|source| io_error(source, plan.total))?;
        Ok(plan.total)
    }

    /// Lays out the file, and checks all that can be checked before writing.
    fn plan(&self) -> Result<Plan, ErrorKind> {
        if let Some(key) = &self.repeated {
            return Err(ErrorKind::Duplicate { what: "keys", name: shown(key) });
        }
        for (key, value) in self.metadata.iter() {
            if matches!(value, Value::Array(array) if deeper_than(array, MAX_NESTING)) {
                return Err(ErrorKind::Nesting { key: shown(key), most: MAX_NESTING });
            }
        }
        let alignment = match self.metadata.get(ALIGNMENT) {
            None => DEFAULT_ALIGNMENT,
            Some(Value::U32(alignment)) => u64::from(*alignment).max(1), // read back below, so 0 is caught
            Some(other) => {
                return Err(ErrorKind::WrongType { key: ALIGNMENT.into(), found: other.type_name(), wanted: "a u32" });
            }
        };
        let (places, data_bytes) = self.places(alignment)?;
        let entries = self.tensors.iter().zip(&places).map(|(t, place)| encode::Entry {
            name: &t.name,
            shape: &t.shape,
            type_id: t.ty.id(),
            offset: place.offset,
        });
        let mut header = encode::header(&self.metadata, entries);
        let data_start = (header.len() as u64).next_multiple_of(alignment);
        let total = data_start.saturating_add(data_bytes);
        let read = parse::header(&header, total, &Arc::from(""))?;
        crate::tensor::order_by_name(&read.tensors)?;
        header.resize(read.data_start as usize, 0); // at most MAX_ALIGNMENT more
        Ok(Plan { header, places, total })
    }

    /// Where each tensor's data goes, and the length of all data, the padding after the last included.
    fn places(&self, alignment: u64) -> Result<(Vec<Place>, u64), ErrorKind> {
        let mut places = Vec::with_capacity(self.tensors.len());
        let mut end = 0u64;
        for t in &self.tensors {
            let bytes = TensorInfo::new(t.name.clone(), t.shape.clone(), t.ty, 0)?.bytes;
            if let Data::Bytes(given) = t.data
                && given.len() as u64 != bytes
            {
                return Err(wrong_length(&t.name, given.len().to_string(), bytes));
            }
            let next = end.checked_add(bytes).and_then(|after| after.checked_next_multiple_of(alignment));
            let next = next.ok_or_else(|| ErrorKind::SizeOverflow { name: shown(&t.name), shape: t.shape.clone() })?;
            places.push(Place { offset: end, bytes, padding: next - end - bytes });
            end = next;
        }
        Ok((places, end))
    }

    fn stream(&mut self, plan: &Plan, out: &mut impl Write) -> Result<(), ErrorKind> {
        let failed = |source: io::Error| io_error(source, plan.total);
        out.write_all(&plan.header).map_err(failed)?;
        for (t, &Place { bytes, padding, .. }) in self.tensors.iter_mut().zip(&plan.places) {
            let mut exact = Exact { out, left: bytes, refused: false };
            let result = match &mut t.data {
                Data::Bytes(given) => exact.write_all(given),
                Data::Stream(stream) => stream(&mut exact),
            };
            let Exact { left, refused, .. } = exact;
            if refused {
                return Err(wrong_length(&t.name, format!("more than {bytes}"), bytes));
            }
            result.map_err(failed)?;
            if left > 0 {
                return Err(wrong_length(&t.name, (bytes - left).to_string(), bytes));
            }
            pad(out, padding).map_err(failed)?;
        }
        Ok(())
    }
}

/// A file laid out: header with its padding, where the data goes, and the length of all.
struct Plan {
    header: Vec<u8>,
    places: Vec<Place>,
    total: u64,
}

/// Where a tensor's data goes: from the start of the data, how long, and how many zeros follow.
struct Place {
    offset: u64,
    bytes: u64,
    padding: u64,
}

/// Passes on at most `left` bytes.
struct Exact<'w, W: Write> {
    out: &'w mut W,
    left: u64,
    /// Whether more was offered.
    refused: bool,
}

impl<W: Write> Write for Exact<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.len() as u64 > self.left {
            self.refused = true;
            return Err(io::Error::other("more data than the tensor's shape and type take"));
        }
        let written = self.out.write(buf)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn wrong_length(name: &str, found: String, wanted: u64) -> ErrorKind {
    ErrorKind::WrongLength { name: shown(name), found, wanted }
}

fn io_error(source: io::Error, bytes: u64) -> ErrorKind {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace { bytes },
        _ => ErrorKind::Io { doing: "write", source },
    }
}

fn pad(out: &mut impl Write, mut len: u64) -> io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    while len > 0 {
        let now = len.min(ZEROS.len() as u64);
        out.write_all(&ZEROS[..now as usize])?;
        len -= now;
    }
    Ok(())
}

/// Whether `array` has more than `levels` levels; stops looking there.
fn deeper_than(array: &Array, levels: usize) -> bool {
    match (array, levels) {
        (_, 0) => true,
        (Array::Array(inner), _) => inner.iter().any(|a| deeper_than(a, levels - 1)),
        _ => false,
    }
}
