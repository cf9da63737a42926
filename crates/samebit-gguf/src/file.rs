//! An open model: one file or several parts, their metadata, tensors and data.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::backing::Backing;
use crate::error::{ErrorKind, GgufError};
use crate::metadata::Metadata;
use crate::parse::{self, Header};
use crate::split::{Split, part_path};
use crate::tensor::{TensorInfo, order_by_name};

/// An open GGUF model.
///
/// All checks are made on opening: afterwards, every [`TensorInfo`] here has data of exactly its size.
pub struct Gguf {
    version: u32,
    alignment: u64,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    /// Indices into `tensors`, ordered by name.
    by_name: Vec<usize>,
    shards: Vec<Shard>,
}

/// One file of a model.
pub struct Shard {
    name: Arc<str>,
    bytes: Backing,
    data_start: u64,
}

impl Shard {
    /// The path as it was opened, or `(in memory)`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the tensor data begins, in bytes from the start of the file.
    #[must_use]
    pub fn data_start(&self) -> u64 {
        self.data_start
    }

    /// Says that these bytes will not be read again soon, so that the system may have their pages back. They can be read all
    /// the same.
    pub fn release(&self, range: Range<usize>) {
        self.bytes.release(range.start, range.len());
    }

    fn read(name: Arc<str>, bytes: Backing) -> Result<(Shard, Header), GgufError> {
        let header = parse::header(&bytes, bytes.len() as u64, &name);
        let header = header.map_err(|kind| GgufError::reading(&name, kind))?;
        // All of the header was copied out.
        bytes.release(0, header.data_start.min(bytes.len() as u64) as usize);
        Ok((Shard { name, bytes, data_start: header.data_start }, header))
    }

    fn open(path: &Path) -> Result<(Shard, Header), GgufError> {
        let name: Arc<str> = path.to_string_lossy().into();
        let bytes = Backing::map(path).map_err(|kind| GgufError::reading(&name, kind))?;
        Shard::read(name, bytes)
    }
}

impl Gguf {
    /// Opens the model at `path`. The file is mapped into memory, so opening takes time for the header only.
    ///
    /// Where the model is split, `path` is its first part (`…-00001-of-00003.gguf`), and the others are opened
    /// from the same directory.
    ///
    /// While the model is open, the file must not be changed in place: shortening it ends the process, and
    /// writing to it changes the weights. Replacing it (by renaming another over it) is harmless.
    ///
    /// # Errors
    /// The file cannot be opened, is not whole, or is not right in some point; a part is missing, or `path` is
    /// not the first.
    pub fn open(path: impl AsRef<Path>) -> Result<Gguf, GgufError> {
        let path = path.as_ref();
        let (shard, header) = Shard::open(path)?;
        let name = Arc::clone(&shard.name);
        let failed = |kind| GgufError::reading(&name, kind);
        let split = Split::of(&header.metadata).map_err(failed)?;
        let mut gguf = Gguf::from_first(shard, header);
        if let Some(split) = split {
            split.check_first(path).map_err(failed)?;
            for no in 1..split.count {
                gguf.add_part(path, split, no)?;
            }
            split.check_tensors(gguf.tensors.len() as u64).map_err(failed)?;
        }
        gguf.by_name = order_by_name(&gguf.tensors).map_err(failed)?;
        Ok(gguf)
    }

    /// Reads a model held in memory as one whole file.
    ///
    /// # Errors
    /// The bytes are not right in some point, or are one part of a split model.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Gguf, GgufError> {
        let name: Arc<str> = Arc::from("(in memory)");
        let (shard, header) = Shard::read(Arc::clone(&name), Backing::Owned(bytes))?;
        let failed = |kind| GgufError::reading(&name, kind);
        if let Some(split) = Split::of(&header.metadata).map_err(failed)? {
            return Err(failed(ErrorKind::SplitInMemory { count: split.count }));
        }
        let mut gguf = Gguf::from_first(shard, header);
        gguf.by_name = order_by_name(&gguf.tensors).map_err(failed)?;
        Ok(gguf)
    }

    /// The model as far as its first file goes; `by_name` is still to be made.
    fn from_first(shard: Shard, header: Header) -> Gguf {
        Gguf {
            version: header.version,
            alignment: header.alignment,
            metadata: header.metadata,
            tensors: header.tensors,
            by_name: Vec::new(),
            shards: vec![shard],
        }
    }

    /// Opens part `no` (from 0) of the model whose first part is at `first`, and takes its tensors.
    fn add_part(&mut self, first: &Path, split: Split, no: u64) -> Result<(), GgufError> {
        let path = part_path(first, 0, no, split.count).unwrap_or_default(); // check_first has seen the name
        if !path.exists() {
            let kind = ErrorKind::SplitMissing { part: no + 1, count: split.count };
            return Err(GgufError::reading(&path.to_string_lossy().into(), kind));
        }
        let (shard, header) = Shard::open(&path)?;
        split.check_part(no, &header.metadata).map_err(|kind| GgufError::reading(&shard.name, kind))?;
        let index = self.shards.len() as u32; // at most 65535 parts
        self.tensors.extend(header.tensors.into_iter().map(|mut t| {
            t.shard = index;
            t
        }));
        self.shards.push(shard);
        Ok(())
    }

    /// The GGUF version of the (first) file: 2 or 3.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The alignment of tensor data in the (first) file, in bytes.
    #[must_use]
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The key-value pairs; of a split model, those of its first part.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Lets go of the metadata, for who has read them and holds the model for long: a vocabulary is megabytes. There are no
    /// keys from then on.
    pub fn forget_metadata(&mut self) {
        self.metadata = Metadata::new();
    }

    /// All tensors in the files' order.
    #[must_use]
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let at = self.by_name.binary_search_by(|&i| self.tensors[i].name.as_str().cmp(name)).ok()?;
        Some(&self.tensors[self.by_name[at]])
    }

    /// The data of `tensor`, exactly [`TensorInfo::byte_len`] bytes: rows one after another.
    ///
    /// In a mapped file it begins at an address that is a multiple of its file's alignment (up to a page); in
    /// one held in memory, anywhere.
    ///
    /// # Panics
    /// `tensor` is of another `Gguf` and does not fit this one.
    #[must_use]
    pub fn data(&self, tensor: &TensorInfo) -> &[u8] {
        if tensor.bytes == 0 {
            return &[];
        }
        let start = tensor.offset as usize; // inside the shard, which is in memory: it fits
        &self.shards[tensor.shard()].bytes[start..start + tensor.bytes as usize]
    }

    /// Says that some of a tensor's bytes will not be read again soon; see [`Shard::release`]. What lies beyond the tensor is
    /// left out.
    pub fn release(&self, tensor: &TensorInfo, range: Range<usize>) {
        // Inside the shard, as for `data`.
        let (start, len) = (tensor.offset as usize, tensor.bytes as usize);
        self.shards[tensor.shard()].release(start + range.start.min(len)..start + range.end.min(len));
    }

    /// The model's files, in order; one, unless it is split.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The size of all files, in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes.len() as u64).sum()
    }
}

impl std::fmt::Debug for Gguf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gguf")
            .field("files", &self.shards.iter().map(Shard::name).collect::<Vec<_>>())
            .field("version", &self.version)
            .field("keys", &self.metadata.len())
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("name", &self.name).field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}
