//! Constrained generation: JSON schema, regular expressions and Lark grammars (GBNF becomes Lark) as masks over a model's tokens.
//!
//! The grammars are llguidance's; here is what binds them to a [`Tokenizer`], bounds what a stranger's schema may cost, and
//! computes masks on threads of their own while the engine's pass runs. A mask is a function of the grammar and of the tokens
//! accepted so far: every answer has caches of its own, so no bound is met sooner or later because of somebody else.
//!
//! May not know: requests, HTTP, how tokens are sampled.

mod check;
mod constraint;
mod gbnf;
mod source;
mod vocabulary;
mod workers;

pub use source::Source;

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::{Matcher, ParserFactory};
use samebit_engine::Grammar;
use samebit_text::Tokenizer;
use std::sync::{Arc, OnceLock};

use workers::Workers;

/// Why there is no grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// The source is too large or nested too deeply.
    #[error("the grammar is too large: {0}")]
    TooLarge(String),
    /// The source is no grammar, asks for something that there is not, or would cost too much.
    #[error("the grammar cannot be used: {0}")]
    Refused(String),
    /// The model's vocabulary cannot be constrained.
    #[error("this model cannot be constrained by a grammar: {0}")]
    Vocabulary(String),
    /// No thread could be started, or one ended.
    #[error("the grammar's threads are gone")]
    Threads,
}

/// A grammar as llguidance has them (Lark) or llama.cpp (GBNF): in Lark.
///
/// # Errors
/// GBNF with a mistake, which is told with its line, or too much of it. Lark's mistakes are found where it is compiled.
pub fn lark(text: &str) -> Result<String, GrammarError> {
    check::length(text)?;
    if gbnf::is_gbnf(text) { gbnf::to_lark(text).map_err(GrammarError::Refused) } else { Ok(text.to_owned()) }
}

/// What one grammar, and one mask of it, may cost. Counts of work rather than time, so that what is refused once is refused always.
fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 1000,
        // Some ten milliseconds.
        initial_lexer_fuel: 500_000,
        // Some ten milliseconds at worst; a usual mask takes a thousandth.
        step_lexer_fuel: 100_000,
        step_max_items: 25_000,
        // One to two kilobytes each.
        max_lexer_states: 20_000,
        max_grammar_size: 100_000,
        // Would run every large expression over the whole vocabulary before the first token.
        precompute_large_lexemes: false,
        verbose_errors: false,
    }
}

/// Compiles grammars for one model.
pub struct Grammars {
    tokenizer: Arc<Tokenizer>,
    /// Made when the first grammar comes: a large vocabulary takes a moment.
    factory: OnceLock<Result<Arc<ParserFactory>, GrammarError>>,
    /// For grammars, which may take long.
    compilers: Workers,
    /// For masks, which must not wait for them.
    workers: Arc<Workers>,
}

impl Grammars {
    /// For a tokenizer; `threads` (at least one) compute masks.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new(tokenizer: Arc<Tokenizer>, threads: usize) -> Result<Self, GrammarError> {
        let start = |threads| Workers::start(threads).ok_or(GrammarError::Threads);
        let (compilers, workers) = (start(1)?, Arc::new(start(threads.max(1))?));
        Ok(Self { tokenizer, factory: OnceLock::new(), compilers, workers })
    }

    /// Compiles a grammar. Blocks for as long as that takes: milliseconds, for a hostile one a few hundred of them.
    ///
    /// # Errors
    /// A source that is no grammar, or too costly.
    pub fn compile(&self, source: &Source) -> Result<Arc<dyn Grammar>, GrammarError> {
        check::check(source)?;
        let factory = self.factory()?;
        let grammar = source.grammar();
        // Deeply nested expressions are walked recursively; these threads have the stacks for it.
        let matcher = self.compilers.ask(move || begin(&factory, grammar)).ok_or(GrammarError::Threads)??;
        Ok(constraint::grammar(matcher, Arc::clone(&self.workers)))
    }

    fn factory(&self) -> Result<Arc<ParserFactory>, GrammarError> {
        let make = || vocabulary::factory(&self.tokenizer, limits()).map(Arc::new);
        self.factory.get_or_init(make).clone()
    }
}

impl std::fmt::Debug for Grammars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grammars").field("tokenizer", &self.tokenizer).finish_non_exhaustive()
    }
}

/// A grammar before its first token, with its first mask tried: what cannot even begin is refused here.
fn begin(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<Matcher, GrammarError> {
    let mut matcher = Matcher::new(factory.create_parser(grammar));
    let mut trial = matcher.deep_clone();
    if let Err(error) = trial.compute_mask_or_eos() {
        return Err(GrammarError::Refused(one_line(&error.to_string())));
    }
    match matcher.get_error() {
        Some(error) => Err(GrammarError::Refused(one_line(&error))),
        None => {
            matcher.invalidate_bias_cache();
            Ok(matcher)
        }
    }
}

/// What the library's messages mean to whoever wrote the grammar, by a part of each.
const PLAINLY: [(&str, &str); 4] = [
    ("NoExtensionBias", "no text is as it wants: something in it can never be, or never ends"),
    (
        "Too many items",
        "what may come next is too much work to find: give it an end, or larger pieces than single characters",
    ),
    ("coerce_one_of", "`oneOf` with alternatives that overlap: write `anyOf`"),
    ("'referencing' feature", "`$ref` may only point into the schema itself, as `#/$defs/name` does"),
];

/// A library's message, kept to one line of bounded length.
fn one_line(message: &str) -> String {
    const MOST: usize = 300;
    if let Some((_, plain)) = PLAINLY.iter().find(|(part, _)| message.contains(part)) {
        return (*plain).to_owned();
    }
    // A backtrace is for the library's authors, and so is a word about how much was said.
    let message = message.split("<backtrace>").next().unwrap_or_default();
    let words: Vec<&str> = message.split_whitespace().filter(|word| *word != "<non-verbose/>").collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests;
