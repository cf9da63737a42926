//! Runs a [`Pattern`] over a text: Perl's leftmost-first matches, in time linear in the text. Knows no syntax.
//!
//! A backtracking search that remembers at which positions each loop's fork has been (RE2's bit-state search).
//! A fork that was left behind has failed, whatever the start of the attempt was, since patterns capture
//! nothing; so one memory serves all attempts of one text, and no fork is left twice from the same place.
//! The forks that did not fail lie on the way of a match, at or before its end. No pattern matches the empty
//! text, so a later attempt, which starts there, cannot meet them before it has gone further.

use super::pattern::{Pattern, Step};
use crate::unicode::Symbol;

/// A text to cut: code points and their symbols, of one length.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) code_points: &'a [u32],
    pub(crate) symbols: &'a [Symbol],
}

impl Text<'_> {
    pub(crate) fn len(&self) -> usize {
        self.code_points.len()
    }

    pub(crate) fn slice(&self, from: usize, to: usize) -> Self {
        Text { code_points: &self.code_points[from..to], symbols: &self.symbols[from..to] }
    }
}

/// The scratch memory of searches, kept between texts.
#[derive(Default)]
pub(crate) struct Scratch {
    /// One bit per position and loop fork.
    been: Vec<u64>,
    /// Ways not yet tried: step and position.
    untried: Vec<(usize, usize)>,
}

/// Calls `piece` with the end of each piece, in order: matches, and what lies between them.
pub(crate) fn cut(pattern: &Pattern, text: Text<'_>, scratch: &mut Scratch, mut piece: impl FnMut(usize)) {
    scratch.been.clear();
    scratch.been.resize((pattern.memos * (text.len() + 1)).div_ceil(64), 0);
    let (mut cut_at, mut start) = (0, 0);
    while start < text.len() {
        match match_at(pattern, text, scratch, start) {
            Some(end) => {
                if start > cut_at {
                    piece(start);
                }
                piece(end);
                (cut_at, start) = (end, end);
            }
            None => start += 1,
        }
    }
    if cut_at < text.len() {
        piece(text.len());
    }
}

/// The end of the match that starts at `start`. No pattern matches the empty text, so it is beyond `start`.
fn match_at(pattern: &Pattern, text: Text<'_>, scratch: &mut Scratch, start: usize) -> Option<usize> {
    scratch.untried.clear();
    scratch.untried.push((0, start));
    while let Some((mut step, mut at)) = scratch.untried.pop() {
        // Follows one way until it fails or is done.
        loop {
            match &pattern.steps[step] {
                Step::Take(class) if next_is(text, at, |symbol, c| class.contains(symbol, c)) => {
                    (step, at) = (step + 1, at + 1);
                }
                Step::NotBefore(class) if !next_is(text, at, |symbol, c| class.contains(symbol, c)) => step += 1,
                Step::AtEnd if at == text.len() => step += 1,
                Step::Take(_) | Step::NotBefore(_) | Step::AtEnd => break,
                Step::Jump(target) => step = *target,
                Step::Fork { first, second, memo } => {
                    if let Some(memo) = memo {
                        let bit = memo * (text.len() + 1) + at;
                        let word = &mut scratch.been[bit / 64];
                        if *word >> (bit % 64) & 1 != 0 {
                            break;
                        }
                        *word |= 1 << (bit % 64);
                    }
                    scratch.untried.push((*second, at));
                    step = *first;
                }
                Step::Done => {
                    debug_assert!(at > start, "a pattern matches the empty text");
                    return (at > start).then_some(at);
                }
            }
        }
    }
    None
}

fn next_is(text: Text<'_>, at: usize, test: impl FnOnce(Symbol, u32) -> bool) -> bool {
    match (text.symbols.get(at), text.code_points.get(at)) {
        (Some(&symbol), Some(&code_point)) => test(symbol, code_point),
        _ => false,
    }
}
