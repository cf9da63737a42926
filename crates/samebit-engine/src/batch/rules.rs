//! The places where sharing a machine could change an answer. One right way, and wrong ones in the tests that must notice them.

use super::prefixes::common;

/// What the scheduler does where it matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether the row after a guessed token may be looked at, given the token that was chosen in its place.
    pub(crate) accepts: fn(guessed: u32, chosen: u32) -> bool,
    /// Whether a row after a refused guess goes into the digest.
    pub(crate) digests_refused: bool,
    /// For how many tokens a page computed for the first may serve somebody with the second.
    pub(crate) agree: fn(&[u32], &[u32]) -> usize,
    /// Whether a page that others have too is copied before it is written.
    pub(crate) copies_on_write: bool,
    /// Whether whoever gave its pages back believes that new ones hold the same.
    pub(crate) trusts_new_pages: bool,
}

impl Rules {
    /// The right way.
    pub(crate) const EXACT: Self = Self {
        accepts: |guessed, chosen| guessed == chosen,
        digests_refused: false,
        agree: common,
        copies_on_write: true,
        trusts_new_pages: false,
    };
}

/// How answers are computed; none of it changes a bit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Most tokens of a guess.
    pub(crate) most_drafted: usize,
    /// Whether what was computed is kept from pass to pass.
    pub(crate) kv_cache: bool,
    pub(crate) rules: Rules,
}
