//! Other models, for who wants to go on with one of them.
//!
//! Knows that there are some; where they come from is for whoever begins the conversation.

use crate::model::Model;

/// Where other models are.
pub trait Shelf {
    /// Names of the models that are here, and what there is to say of each.
    ///
    /// # Errors
    /// Why they cannot be listed, in a line.
    fn names(&mut self) -> Result<Vec<(String, String)>, String>;

    /// Loads one by its name, or a file.
    ///
    /// # Errors
    /// Why it cannot be loaded, in a line.
    fn load(&mut self, name: &str) -> Result<Model, String>;
}
