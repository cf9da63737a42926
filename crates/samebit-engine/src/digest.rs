//! The digest that the promises are tested with.

/// BLAKE3 over the little-endian binary32 bits of every row of logits that a token was chosen from, in order.
#[derive(Clone, Debug, Default)]
pub struct LogitsDigest(blake3::Hasher);

impl LogitsDigest {
    /// Adds a row.
    pub fn row(&mut self, logits: &[f32]) {
        let mut bytes = Vec::with_capacity(4 * logits.len());
        bytes.extend(logits.iter().flat_map(|l| l.to_bits().to_le_bytes()));
        self.0.update(&bytes);
    }

    /// The digest so far, in hexadecimal.
    pub fn hex(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}
