//! The digest that the promises are tested with.

/// BLAKE3 over the little-endian binary32 bits of every row of logits that a token was chosen from, in order.
#[derive(Clone, Debug, Default)]
pub struct LogitsDigest(blake3::Hasher);

impl LogitsDigest {
    /// Adds a row.
    pub fn row(&mut self, logits: &[f32]) {
        // As many bytes at once as BLAKE3 takes side by side.
        let mut bytes = [[0; 4]; 4096];
        for logits in logits.chunks(bytes.len()) {
            let bytes = &mut bytes[..logits.len()];
            bytes.iter_mut().zip(logits).for_each(|(to, logit)| *to = logit.to_bits().to_le_bytes());
            self.0.update(bytes.as_flattened());
        }
    }

    /// The digest so far, in hexadecimal.
    pub fn hex(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}
