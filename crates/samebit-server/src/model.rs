//! What is served: a loaded model with its names, tokenizer and template.

use samebit_engine::Engine;
use samebit_text::Tokenizer;
use samebit_text::template::ChatTemplate;
use std::sync::Arc;

/// A model that is ready to be asked.
#[derive(Debug)]
pub struct Model {
    /// The model and how it is run.
    pub engine: Engine,
    /// A smaller model of the same vocabulary that guesses ahead; it changes no bit.
    pub draft: Option<Engine>,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// Its chat template, or why it has none.
    pub template: Result<ChatTemplate, String>,
    /// The name that clients see.
    pub id: String,
    /// Where the file lies, as `/props` tells it.
    pub path: String,
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// Version of the numerics.
    pub numerics: String,
}

impl Model {
    /// What a response names as `system_fingerprint`: the same fingerprint gives the same bits.
    pub(crate) fn fingerprint(&self) -> String {
        format!("samebit-{}-{}", self.numerics, self.digest.get(..16).unwrap_or(&self.digest))
    }

    /// A token's text as far as it is one: broken bytes become U+FFFD.
    pub(crate) fn piece(&self, token: u32) -> String {
        String::from_utf8_lossy(&self.bytes(token)).into_owned()
    }

    /// A token's bytes, special tokens' too.
    pub(crate) fn bytes(&self, token: u32) -> Vec<u8> {
        self.tokenizer.piece(token).unwrap_or_default().into_owned()
    }
}
