//! How a piece of text is set off, as a terminal is told (ECMA-48, SGR).

/// Attributes and a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Heavier.
    pub bold: bool,
    /// Fainter.
    pub dim: bool,
    /// Slanted.
    pub italic: bool,
    /// Underlined.
    pub underline: bool,
    /// Struck through.
    pub strike: bool,
    /// A foreground colour of SGR, 30 to 37.
    pub colour: Option<u8>,
}

impl Style {
    /// Fainter text.
    pub const DIM: Self = Self { dim: true, ..Self::PLAIN };
    /// Text as it is.
    pub const PLAIN: Self =
        Self { bold: false, dim: false, italic: false, underline: false, strike: false, colour: None };

    /// A colour alone.
    pub const fn coloured(colour: u8) -> Self {
        Self { colour: Some(colour), ..Self::PLAIN }
    }

    /// Writes what changes the terminal from any style to this one.
    pub fn write(self, out: &mut String) {
        out.push_str("\x1b[0");
        let attributes = [(self.bold, 1), (self.dim, 2), (self.italic, 3), (self.underline, 4), (self.strike, 9)];
        let codes = attributes.into_iter().filter(|(on, _)| *on).map(|(_, code)| code).chain(self.colour);
        for code in codes {
            out.push_str(&format!(";{code}"));
        }
        out.push('m');
    }
}
