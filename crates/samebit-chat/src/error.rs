//! What can go wrong in a conversation, in one line each.

use samebit_engine::EngineError;
use samebit_grammar::GrammarError;
use samebit_text::template::TemplateError;

/// Why there is no answer, or no session.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The engine has none.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// DRY's breakers cannot be had.
    #[error(transparent)]
    Text(#[from] samebit_text::TextError),
    /// The conversation cannot be rendered.
    #[error("{0}{remedy}", remedy = clock(.0))]
    Template(#[from] TemplateError),
    /// The answer's form cannot be had.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// Nothing fits into the context any more.
    #[error(
        "the context is full: with this message the conversation takes {tokens} tokens, and {context} is all there is. \
         /undo takes back a turn, /clear begins anew, and /set parameter num_ctx N or -c N gives more room where the model has it"
    )]
    Full {
        /// Tokens of the prompt.
        tokens: usize,
        /// Positions of the context.
        context: usize,
    },
    /// A text that is far too long, which is said before it is cut into tokens.
    #[error(
        "the context is full: {bytes} bytes of text are far more than the {context} tokens that there is room for. \
         /undo takes back a turn, /clear begins anew, and /set parameter num_ctx N or -c N gives more room where the model has it"
    )]
    TooLong {
        /// Bytes of the text.
        bytes: usize,
        /// Positions of the context.
        context: usize,
    },
    /// There is no answer yet that could be made again, explained or taken back.
    #[error("there is no answer yet")]
    NoAnswer,
    /// A bound on thoughts for a model that does not mark them.
    #[error("this model's vocabulary has no tokens that begin and end a thought: nothing can bound it")]
    NoMarks,
    /// Another model, or another context, cannot be had.
    #[error("{0}")]
    Model(String),
    /// Broken off before the first token: there is nothing to keep.
    #[error("stopped before the first token: nothing was kept")]
    Cancelled,
    /// A session file is not as it should be.
    #[error("{file}: line {line}: {what}")]
    File {
        /// Its name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A file cannot be read or written, or is too large.
    #[error("{file}: {what}")]
    Access {
        /// Its name.
        file: String,
        /// Why.
        what: String,
    },
    /// What another program has written meanwhile stays.
    #[error(
        "{file}: another program has written to it meanwhile, and that stays: this conversation is in {other} from here on"
    )]
    Elsewhere {
        /// The session file.
        file: String,
        /// The file that is written instead.
        other: String,
    },
    /// The session was made with something else.
    #[error("{file}: made with another {what}: the file says {said}, here it is {here}")]
    Other {
        /// The session file.
        file: String,
        /// What is another.
        what: &'static str,
        /// In the file.
        said: String,
        /// Here.
        here: String,
    },
    /// The terminal, or whoever reads the answer, has gone.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
}

/// What helps a template that wants to know the date.
fn clock(error: &TemplateError) -> &'static str {
    if error.to_string().contains("strftime_now") {
        ": its template shows the date: give --date YYYY-MM-DD"
    } else {
        ""
    }
}
