//! Merging neighbours, best first. Knows neither what a pair is worth nor where it comes from.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What two neighbours become, and how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merge<K> {
    /// The greatest goes first.
    pub(crate) key: K,
    /// What the two become.
    pub(crate) into: u32,
}

/// A pair that may be merged: greatest key first, then leftmost.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<K> {
    key: K,
    leftmost: Reverse<usize>,
    right: usize,
    /// What the two were when they were found; a pair that has changed since is not merged.
    was: (u32, u32),
    into: u32,
}

/// What stands for a piece that has been merged into the one before it.
const GONE: u32 = u32::MAX;
/// No neighbour.
const NONE: usize = usize::MAX;

/// A row of pieces, each a number with a meaning to the caller, and a length in bytes.
pub(crate) struct Row {
    pieces: Vec<u32>,
    lens: Vec<usize>,
    starts: Vec<usize>,
    previous: Vec<usize>,
    next: Vec<usize>,
}

impl Row {
    /// A row of `(piece, length)`. No piece is `u32::MAX`.
    pub(crate) fn new(pieces: impl Iterator<Item = (u32, usize)>) -> Self {
        let (pieces, lens): (Vec<u32>, Vec<usize>) = pieces.unzip();
        let len = pieces.len();
        let mut end = 0;
        let starts = lens.iter().map(|len| (end, end += len).0).collect();
        Row {
            previous: (0..len).map(|i| i.wrapping_sub(1)).collect(),
            next: (1..=len).map(|i| if i == len { NONE } else { i }).collect(),
            pieces,
            lens,
            starts,
        }
    }

    /// Merges until no pair has a merge. `merge` gives what two neighbours become; it is asked about each pair
    /// once it comes to be.
    pub(crate) fn merge_all<K: Ord>(&mut self, mut merge: impl FnMut(Pair) -> Option<Merge<K>>) {
        let pairs = 1..self.pieces.len();
        let mut candidates: BinaryHeap<_> =
            pairs.filter_map(|right| self.candidate(right - 1, right, &mut merge)).collect();
        while let Some(best) = candidates.pop() {
            let (left, right) = (best.leftmost.0, best.right);
            if (self.pieces[left], self.pieces[right]) != best.was {
                continue;
            }
            self.pieces[left] = best.into;
            self.lens[left] += self.lens[right];
            self.pieces[right] = GONE;
            let (before, after) = (self.previous[left], self.next[right]);
            self.next[left] = after;
            if before != NONE {
                candidates.extend(self.candidate(before, left, &mut merge));
            }
            if after != NONE {
                self.previous[after] = left;
                candidates.extend(self.candidate(left, after, &mut merge));
            }
        }
    }

    fn candidate<K>(
        &self,
        left: usize,
        right: usize,
        merge: &mut impl FnMut(Pair) -> Option<Merge<K>>,
    ) -> Option<Candidate<K>> {
        let was = (self.pieces[left], self.pieces[right]);
        let pair = Pair { pieces: was, start: self.starts[left], len: self.lens[left] + self.lens[right] };
        let Merge { key, into } = merge(pair)?;
        Some(Candidate { key, leftmost: Reverse(left), right, was, into })
    }

    /// What is left: `(piece, start, length)` in order, start and length in bytes.
    pub(crate) fn remaining(&self) -> impl Iterator<Item = (u32, usize, usize)> + '_ {
        let all = self.pieces.iter().zip(&self.starts).zip(&self.lens);
        all.filter(|&((&piece, _), _)| piece != GONE).map(|((&piece, &start), &len)| (piece, start, len))
    }
}

/// Two neighbours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) pieces: (u32, u32),
    /// Where the left one starts in the text, in bytes.
    pub(crate) start: usize,
    /// The length of both together, in bytes.
    pub(crate) len: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Merges letters `a…` numbered from 0 by a list of (left, right, into), best first.
    fn merged(text: &str, rules: &[(u32, u32, u32)]) -> Vec<(u32, usize, usize)> {
        let mut row = Row::new(text.bytes().map(|b| (u32::from(b - b'a'), 1)));
        row.merge_all(|pair| {
            let at = rules.iter().position(|&(l, r, _)| (l, r) == pair.pieces)?;
            Some(Merge { key: Reverse(at), into: rules[at].2 })
        });
        row.remaining().collect()
    }

    #[test]
    fn best_first_then_leftmost() {
        // ab before bc, though bc comes first in the text "bcab".
        assert_eq!(merged("abc", &[(1, 2, 30), (0, 1, 31)]), [(0, 0, 1), (30, 1, 2)]);
        assert_eq!(merged("aaa", &[(0, 0, 30)]), [(30, 0, 2), (0, 2, 1)]);
        assert_eq!(merged("aaaaa", &[(0, 0, 30), (30, 30, 31)]), [(31, 0, 4), (0, 4, 1)]);
        assert_eq!(merged("", &[]), []);
    }

    #[test]
    fn a_pair_that_changed_is_not_merged() {
        // "abc": ab is merged first, so that the waiting bc is void.
        assert_eq!(merged("abc", &[(0, 1, 30), (1, 2, 31)]), [(30, 0, 2), (2, 2, 1)]);
    }
}
