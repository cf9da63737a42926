//! What the paths have in common: sampling, prompts, conversations, forms of answers.

pub(crate) mod bounds;
mod conversation;
mod extension;
pub(crate) mod form;
mod knobs;
mod message;
mod prompt;
mod tools;
mod unknown;

pub(crate) use conversation::{Conversation, Said, ToolUse};
pub(crate) use extension::{Extension, Samebit};
pub(crate) use form::{form_of, grammar_of};
pub(crate) use knobs::Knobs;
pub(crate) use prompt::{Input, check_tokens, decode, encode_rendered, inputs};
pub(crate) use unknown::{never, refuse};

use crate::app::App;
use crate::http::ApiError;
use serde::Serialize;
use std::sync::Arc;

/// Does work that may take long (templates, tokenizers, grammars) where nobody waits for it but its request.
pub(crate) async fn prepare<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&Arc<App>) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    // Closed never; and if it were, there would be nobody to keep apart.
    let _place = app.preparing.acquire().await;
    let app = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || work(&app)).await;
    done.unwrap_or_else(|_| Err(ApiError::internal("preparing the request failed")))
}

/// A number in as few digits as name it, wherever JSON is made of it: `0.95`, and not `0.949999988079071`.
pub(crate) fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// Tokens used, as OpenAI counts them.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completion_tokens: Option<u64>,
    pub(crate) total_tokens: u64,
}

impl Usage {
    pub(crate) fn new(prompt: usize, completion: u64) -> Self {
        let prompt = prompt as u64;
        Self { prompt_tokens: prompt, completion_tokens: Some(completion), total_tokens: prompt + completion }
    }
}
