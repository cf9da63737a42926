//! What a caller hears while a model is on its way.

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// So many bytes of a file have come; of how many, where that is known.
    Fetching {
        /// The file's name.
        file: &'a str,
        /// Bytes that are there, those of an earlier attempt included.
        done: u64,
        /// All of its bytes.
        total: Option<u64>,
    },
    /// So many bytes of a file have been read again for its digest.
    Verifying {
        /// The file's name.
        file: &'a str,
        /// Bytes read.
        done: u64,
        /// All of its bytes.
        total: u64,
    },
    /// A line that a person would want to read.
    Note(&'a str),
}

/// Who is told.
pub type Watch<'a> = dyn FnMut(Event<'_>) + 'a;
