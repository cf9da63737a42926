//! Calls of tools: what a model's template can say about tools, how its text calls them, and how a call can be forced.
//!
//! A model writes calls as text, each family in its own way; the template tells which. Knows no request.

mod family;
mod force;
mod reader;

pub(crate) use family::{Capabilities, Family};
pub(crate) use force::force;
pub(crate) use reader::{Call, Delta, Reader};
