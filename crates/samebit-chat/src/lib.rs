//! The terminal chat: a conversation over one engine, whose cache is kept from turn to turn; sessions as files that can be
//! replayed; and how all of it looks.

pub mod command;
pub mod look;

mod act;
mod complete;
mod compose;
mod copy;
mod disk;
mod editor;
mod error;
mod export;
mod file;
mod form;
mod glob;
mod hangup;
mod input;
mod kept;
mod model;
mod repl;
mod replay;
mod report;
mod session;
mod set;
mod settings;
mod shelf;
mod stops;
mod talk;
mod terminal;
mod thinking;
mod view;

pub use editor::Editor;
pub use error::ChatError;
pub use file::load;
pub use form::Format;
pub use input::{Input, Lines, Typed};
pub use kept::Kept;
pub use model::Model;
pub use repl::{Options, Repl};
pub use replay::{Departure, Id, replay};
pub use session::{Ending, Session, Turn};
pub use settings::{Dry, DynamicTemperature, Sampling, Settings};
pub use shelf::Shelf;
pub use talk::{Answered, Heard, Hearer, Talk};
pub use terminal::{Hush, Meanwhile, restore_terminal};
pub use view::{Looks, Showing, View, terminal_size};
