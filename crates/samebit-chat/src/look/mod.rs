//! How an answer looks on a terminal: markdown as it comes, highlighted code, lines broken between words, thoughts apart.
//!
//! Everything goes through character by character, so what comes out does not depend on how the stream was cut; and no word of the
//! text is lost or changed on the way. Knows text and columns; nothing of models, and writes nowhere itself.

mod highlight;
mod inline;
mod markdown;
mod style;
mod think;
mod wrap;

pub(crate) use think::{has_channels, parted};
pub(crate) use wrap::shown;

pub use markdown::Markdown;
pub use style::Style;
pub use think::{Part, Thoughts};
pub use wrap::Wrap;

/// The width of a text on a terminal, in columns.
pub fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}
