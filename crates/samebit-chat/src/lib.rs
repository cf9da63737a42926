//! The terminal chat: a conversation over one engine, whose cache is kept from turn to turn; sessions as files that can be
//! replayed; and how all of it looks.

pub mod command;
pub mod look;

mod act;
mod compose;
mod error;
mod file;
mod input;
mod model;
mod repl;
mod replay;
mod report;
mod session;
mod settings;
mod stops;
mod talk;
mod view;

pub use error::ChatError;
pub use file::{load, save};
pub use input::{Editor, Input, Lines, Typed};
pub use model::Model;
pub use repl::{Options, Repl};
pub use replay::{Departure, Id, replay};
pub use session::{Ending, Session, Turn};
pub use settings::{Format, Sampling, Settings};
pub use talk::{Answered, Heard, Hearer, Talk};
pub use view::{Looks, Showing, View, terminal_size};
