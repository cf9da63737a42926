//! Reading and writing GGUF files, every length checked before use.
