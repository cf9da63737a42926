//! An answer as a whole: what a response that is not streamed is made of.

use super::plan::Answers;
use crate::engine::{Done, Ending, Event, Piece};
use crate::http::ApiError;
use samebit_engine::TokenLogprob;

/// One choice, complete.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
    /// Of each token, if asked for.
    pub(crate) logprobs: Vec<TokenLogprob>,
    pub(crate) done: Option<Done>,
}

/// All choices of all prompts.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) choices: Vec<Choice>,
    /// Of each prompt's tokens but the first, if asked for.
    pub(crate) prompts: Vec<Vec<TokenLogprob>>,
    /// Of each prompt, if that is what was wanted.
    pub(crate) vectors: Vec<Vec<f32>>,
}

impl Gathered {
    /// Tokens of all choices.
    pub(crate) fn generated(&self) -> usize {
        self.choices.iter().map(|choice| choice.tokens.len()).sum()
    }
}

/// Waits for the whole answer. `per_prompt` choices belong to each prompt.
///
/// # Errors
/// The engine failed, or the answer's time was over.
pub(crate) async fn gather(mut answers: Answers, prompts: usize, per_prompt: u32) -> Result<Gathered, ApiError> {
    let mut gathered = Gathered::default();
    gathered.choices.resize_with(prompts * per_prompt as usize, Choice::default);
    gathered.prompts.resize(prompts, Vec::new());
    gathered.vectors.resize(prompts, Vec::new());
    let prompt_of = |choice: u32| (choice / per_prompt.max(1)) as usize;
    while answers.open > 0 {
        match answers.next().await {
            Some(Event::Accepted) => {}
            Some(Event::Prompt { choice, logprobs }) => {
                if let Some(prompt) = gathered.prompts.get_mut(prompt_of(choice)) {
                    *prompt = logprobs;
                }
            }
            Some(Event::Embedding { choice, values }) => {
                if let Some(vector) = gathered.vectors.get_mut(prompt_of(choice)) {
                    *vector = values;
                }
            }
            Some(Event::Token(piece)) => take(&mut gathered.choices, piece),
            Some(Event::Done(done)) => finish(&mut gathered.choices, done)?,
            Some(Event::Failed(error)) => return Err(error.into()),
            None => return Err(answers.lost()),
        }
    }
    Ok(gathered)
}

fn take(choices: &mut [Choice], piece: Piece) {
    if let Some(choice) = choices.get_mut(piece.choice as usize) {
        choice.text.push_str(&piece.text);
        choice.tokens.push(piece.token);
        choice.logprobs.extend(piece.logprob);
    }
}

fn finish(choices: &mut [Choice], done: Done) -> Result<(), ApiError> {
    match done.ending {
        Ending::Deadline => return Err(ApiError::deadline()),
        Ending::Cancelled => return Err(ApiError::unavailable("the answer was broken off")),
        Ending::Stop | Ending::Length => {}
    }
    if let Some(choice) = choices.get_mut(done.choice as usize) {
        choice.text.push_str(&done.rest);
        choice.done = Some(done);
    }
    Ok(())
}
