//! Text to tokens and back: tokenizers, streaming UTF-8, chat templates.

pub mod template;
