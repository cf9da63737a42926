//! One tensor's entry: name, shape, type and where its bytes lie. Knows nothing of what they mean.

use crate::MAX_DIMS;
use crate::error::{ErrorKind, shown};
use crate::types::TensorType;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// The name, such as `blk.0.attn_q.weight`; no other tensor of the file has it.
    pub name: String,
    /// Elements per dimension in GGUF's order: `shape[0]` is the row length, contiguous in memory, and a
    /// matrix is `[columns, rows]`. At most [`MAX_DIMS`]; empty for a scalar.
    pub shape: Vec<u64>,
    /// The elements' type.
    pub ty: TensorType,
    pub(crate) shard: u32,
    /// From the start of the shard's data, and after `place` from the start of its file.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) elements: u64,
}

impl TensorInfo {
    /// Checks shape and type of the entry for `name`; `offset` is from the start of the data.
    pub(crate) fn new(name: String, shape: Vec<u64>, ty: TensorType, offset: u64) -> Result<Self, ErrorKind> {
        if shape.len() > MAX_DIMS {
            return Err(ErrorKind::Dimensions { name: shown(&name), dims: shape.len() as u32, most: MAX_DIMS });
        }
        let row = shape.first().copied().unwrap_or(1);
        if !row.is_multiple_of(ty.block_len()) {
            let (ty, block) = (ty.name(), ty.block_len());
            return Err(ErrorKind::RaggedRow { name: shown(&name), row, ty, block });
        }
        let rows = shape.iter().skip(1).try_fold(1u64, |product, &dim| product.checked_mul(dim));
        let elements = rows.and_then(|rows| rows.checked_mul(row));
        let bytes = rows.and_then(|rows| rows.checked_mul(ty.row_bytes(row)?));
        let (Some(elements), Some(bytes)) = (elements, bytes) else {
            return Err(ErrorKind::SizeOverflow { name: shown(&name), shape });
        };
        Ok(TensorInfo { name, shape, ty, shard: 0, offset, bytes, elements })
    }

    /// The number of elements, the product of the shape.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.elements
    }

    /// The size of the data in bytes.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        self.bytes
    }

    /// Where the data begins, in bytes from the start of the file that holds it.
    #[must_use]
    pub fn file_offset(&self) -> u64 {
        self.offset
    }

    /// Which file of a split model holds the data, from 0; see [`Gguf::shards`](crate::Gguf::shards).
    #[must_use]
    pub fn shard(&self) -> usize {
        self.shard as usize
    }

    /// Elements per row: `shape[0]`, and 1 for a scalar.
    #[must_use]
    pub fn row_len(&self) -> u64 {
        self.shape.first().copied().unwrap_or(1)
    }

    /// The number of rows: the product of `shape[1..]`.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.shape.iter().skip(1).product() // checked in new
    }
}

/// Turns offsets from the start of the data into offsets from the start of the file, and checks that every
/// tensor lies inside the file and that none share a byte.
pub(crate) fn place(tensors: &mut [TensorInfo], data_start: u64, file_len: u64) -> Result<(), ErrorKind> {
    for t in tensors.iter_mut() {
        let start = data_start.saturating_add(t.offset);
        let end = start.saturating_add(t.bytes);
        if t.bytes > 0 && end > file_len {
            let place = format!("tensor {}", shown(&t.name));
            return Err(ErrorKind::Truncated { place, start, end, len: file_len });
        }
        t.offset = start;
    }
    let mut order: Vec<&TensorInfo> = tensors.iter().filter(|t| t.bytes > 0).collect();
    order.sort_by_key(|t| t.offset);
    for pair in order.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        if a.offset + a.bytes > b.offset {
            let (first, second) = (shown(&a.name), shown(&b.name));
            return Err(ErrorKind::Overlap { first, second, offset: b.offset });
        }
    }
    Ok(())
}

/// Indices of `tensors` ordered by name. Errors: a name twice.
pub(crate) fn order_by_name(tensors: &[TensorInfo]) -> Result<Vec<usize>, ErrorKind> {
    let mut by_name: Vec<usize> = (0..tensors.len()).collect();
    let name = |i: usize| tensors[i].name.as_str(); // i < len
    by_name.sort_by(|&a, &b| name(a).cmp(name(b)));
    match by_name.windows(2).find(|pair| name(pair[0]) == name(pair[1])) {
        Some(pair) => Err(ErrorKind::Duplicate { what: "tensors", name: shown(name(pair[0])) }),
        None => Ok(by_name),
    }
}
