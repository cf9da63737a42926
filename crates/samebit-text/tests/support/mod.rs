//! What the tests share: the real models' tokenizers.

use samebit_gguf::Gguf;
use samebit_text::Tokenizer;

/// A name, and the file it stands for.
pub(crate) const MODELS: [(&str, &str); 3] = [
    ("smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    ("gemma3", "gemma-3-270m-q4_k_m.gguf"),
    ("qwen2.5", "qwen2.5-0.5b.gguf"),
];

/// The tokenizer of one of [`MODELS`], from `$SAMEBIT_TEST_MODELS` or the place where `cargo xtask models` puts them.
///
/// # Panics
/// The model is not there: the message says how to get it.
pub(crate) fn tokenizer(file: &str) -> Tokenizer {
    let dir = match std::env::var_os("SAMEBIT_TEST_MODELS") {
        Some(dir) => std::path::PathBuf::from(dir),
        None => std::env::home_dir().unwrap_or_default().join(".cache/samebit/test-models"),
    };
    let path = dir.join(file);
    let gguf = match Gguf::open(&path) {
        Ok(gguf) => gguf,
        Err(error) => panic!("{error}; run `cargo xtask models`, or set SAMEBIT_TEST_MODELS"),
    };
    match Tokenizer::from_metadata(gguf.metadata()) {
        Ok(tokenizer) => tokenizer,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
