//! HTML escaping, for the few templates that ask for it.

use super::limits::{Res, Text};

/// Appends a text with `& < > ' "` escaped.
pub(super) fn escape(out: &mut Text<'_>, text: &str) -> Res<()> {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;")?,
            '<' => out.push_str("&lt;")?,
            '>' => out.push_str("&gt;")?,
            '\'' => out.push_str("&#39;")?,
            '"' => out.push_str("&#34;")?,
            c => out.push(c)?,
        }
    }
    Ok(())
}
