//! Results to digests: BLAKE3 over little-endian bytes.

use crate::list::Vector;

/// Takes an operation's results, in order.
pub(crate) struct Digest {
    name: String,
    bytes: usize,
    hasher: blake3::Hasher,
}

impl Digest {
    /// For the vector of this name, `group/case`.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), bytes: 0, hasher: blake3::Hasher::new() }
    }

    /// Bytes as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes += bytes.len();
        self.hasher.update(bytes);
        self
    }

    /// The bits of each number.
    pub(crate) fn floats(self, values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
        self.raw(&bytes)
    }

    /// Each word.
    pub(crate) fn words(self, values: &[u32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw(&bytes)
    }

    /// Each half word.
    pub(crate) fn halves(self, values: &[u16]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw(&bytes)
    }

    /// The vector.
    pub(crate) fn finish(self) -> Vector {
        Vector { name: self.name, bytes: self.bytes, digest: self.hasher.finalize() }
    }
}
