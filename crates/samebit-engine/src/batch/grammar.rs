//! Which tokens may come next, as somebody else knows it.
//!
//! Knows sets of tokens; nothing of grammars.

/// A grammar, once for all answers that obey it.
pub trait Grammar: Send + Sync {
    /// The state before the first token of an answer.
    fn start(&self) -> Box<dyn Constraint>;
}

/// One answer's state.
pub trait Constraint: Send {
    /// Tokens allowed next: a bit each, least significant first, 32 to a word; tokens beyond the last word are not allowed. `None`
    /// allows all. May wait for work that [`Constraint::accept`] began elsewhere, while the model's pass ran.
    ///
    /// # Errors
    /// Why the grammar cannot go on; the submission fails with it.
    fn mask(&mut self) -> Result<Option<&[u32]>, String>;

    /// A token was chosen.
    ///
    /// # Errors
    /// As [`Constraint::mask`].
    fn accept(&mut self, token: u32) -> Result<(), String>;
}
