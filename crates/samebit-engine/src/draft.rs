//! Guessing the tokens to come from the ones that were: prompt lookup (Saxena, 2023). Text repeats itself, a summary
//! quotes, code names things twice; so what followed the latest tokens last time is a cheap guess at what follows now.
//!
//! Occurrences are found as LZ77 compressors find them, by a chain through the earlier places of the same pair of
//! tokens. Knows tokens alone; a wrong guess costs time and nothing else.

use std::collections::BTreeMap;

/// Tokens by which places are found: fewer agree by chance too often.
const LEAST: usize = 2;
/// Agreement beyond this makes no guess better.
const ENOUGH: usize = 4;
/// Places looked at for a guess: bounds the time where one pair of tokens is everywhere.
const MOST_PLACES: usize = 32;
/// Guesses left out, at most, before another is tried.
const LONGEST_PAUSE: usize = 64;

/// Guesses at what follows a growing run of tokens.
#[derive(Clone, Debug)]
pub(crate) struct Drafter {
    tokens: Vec<u32>,
    /// Where each pair was followed by something, the latest time.
    latest: BTreeMap<[u32; LEAST], usize>,
    /// `earlier[i]`: where the pair before token `i` was followed by something, the time before.
    earlier: Vec<Option<usize>>,
    pace: Pace,
}

impl Drafter {
    /// Guesses of at most `most` tokens; 0 is none, and costs nothing.
    pub(crate) fn new(most: usize) -> Self {
        Self { tokens: Vec::new(), latest: BTreeMap::new(), earlier: Vec::new(), pace: Pace::new(most) }
    }

    /// The run goes on with these.
    pub(crate) fn extend(&mut self, tokens: &[u32]) {
        if self.pace.most == 0 {
            return;
        }
        for &token in tokens {
            // The pair is entered when something follows it: the run's own end is no earlier place.
            let pair = self.tokens.last_chunk::<LEAST>().copied();
            self.earlier.push(pair.and_then(|pair| self.latest.insert(pair, self.tokens.len())));
            self.tokens.push(token);
        }
    }

    /// What may follow: at most `room` tokens, often none.
    pub(crate) fn draft(&mut self, room: usize) -> Vec<u32> {
        let most = self.pace.length().min(room);
        if most == 0 {
            return Vec::new();
        }
        let Some(place) = self.place() else {
            return Vec::new();
        };
        if self.pace.pauses() {
            return Vec::new();
        }
        // A place near the end runs into the guess itself, which so goes on in circles as the text did.
        let mut draft = Vec::with_capacity(most);
        for from in place..place + most {
            let ahead = from.checked_sub(self.tokens.len());
            draft.push(ahead.map_or_else(|| self.tokens[from], |i| draft[i]));
        }
        draft
    }

    /// How many tokens of a draft were what came. Guesses grow longer where they are right and rarer where they are not.
    pub(crate) fn learn(&mut self, drafted: usize, accepted: usize) {
        self.pace.learn(drafted, accepted);
    }

    /// The place after the earlier tokens that agree longest with the latest ones; of several, the latest.
    fn place(&self) -> Option<usize> {
        let mut place = self.latest.get(self.tokens.last_chunk::<LEAST>()?).copied();
        let mut best = None;
        for _ in 0..MOST_PLACES {
            let Some(here) = place else { break };
            let agreement = self.agreement(here);
            if best.is_none_or(|(longest, _)| agreement > longest) {
                best = Some((agreement, here));
            }
            if agreement == ENOUGH {
                break;
            }
            place = self.earlier[here];
        }
        best.map(|(_, here)| here)
    }

    /// How many tokens before `place` are the run's latest.
    fn agreement(&self, place: usize) -> usize {
        let earlier = self.tokens[..place].iter().rev();
        earlier.zip(self.tokens.iter().rev()).take(ENOUGH).take_while(|(a, b)| a == b).count()
    }
}

/// How long guesses are, and how often there is one. Counts, not clocks: the same run drafts the same.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    most: usize,
    length: usize,
    /// Guesses to leave out after the next failure.
    pause: usize,
    /// Guesses still to leave out.
    left_out: usize,
}

impl Pace {
    /// At most so many tokens.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, length: most.div_ceil(2), pause: 1, left_out: 0 }
    }

    /// Tokens of the next guess.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Whether this guess is left out.
    pub(crate) fn pauses(&mut self) -> bool {
        let pauses = self.left_out > 0;
        self.left_out = self.left_out.saturating_sub(1);
        pauses
    }

    /// How many tokens of a guess were what came.
    pub(crate) fn learn(&mut self, drafted: usize, accepted: usize) {
        if drafted == 0 {
            return;
        }
        if accepted == 0 {
            self.length = 1.min(self.most);
            self.left_out = self.pause;
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            return;
        }
        self.pause = 1;
        // All right: there may be more to it. Some: as many as were right, and one to find out.
        let better = if accepted == drafted { 2 * self.length } else { accepted + 1 };
        self.length = better.min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafter(most: usize, tokens: &[u32]) -> Drafter {
        let mut drafter = Drafter::new(most);
        drafter.extend(tokens);
        drafter
    }

    #[test]
    fn what_followed_last_time_is_proposed() {
        assert_eq!(drafter(8, &[1, 2, 3, 4, 5, 1, 2]).draft(99), [3, 4, 5, 1]);
        assert_eq!(drafter(8, &[1, 2, 3, 4, 5, 1, 2]).draft(2), [3, 4]);
        // The latest place of two alike.
        assert_eq!(drafter(2, &[1, 2, 8, 1, 2, 9, 1, 2]).draft(99), [9]);
        // The longer agreement before the later one.
        assert_eq!(drafter(2, &[7, 1, 2, 8, 6, 1, 2, 9, 7, 1, 2]).draft(99), [8]);
    }

    #[test]
    fn circles_go_on() {
        assert_eq!(drafter(10, &[1, 2, 3, 1, 2, 3]).draft(99), [1, 2, 3, 1, 2]);
        assert_eq!(drafter(10, &[5, 5, 5]).draft(99), [5, 5, 5, 5, 5]);
    }

    #[test]
    fn nothing_seen_nothing_guessed() {
        for tokens in [&[][..], &[1], &[1, 1], &[1, 2, 3, 4]] {
            assert_eq!(drafter(8, tokens).draft(99), [0u32; 0], "{tokens:?}");
        }
        assert_eq!(drafter(8, &[5, 5, 5]).draft(0), [0u32; 0]);
        assert_eq!(drafter(0, &[5, 5, 5]).draft(99), [0u32; 0]);
    }

    /// The same by looking everywhere.
    fn naive(tokens: &[u32]) -> Option<usize> {
        let end = tokens.len();
        let agreement =
            |place: usize| (1..=ENOUGH.min(place)).take_while(move |&k| tokens[place - k] == tokens[end - k]);
        let places = (1..end).rev().filter(|&place| agreement(place).count() >= LEAST);
        let longest = places.clone().map(|place| agreement(place).count()).max()?;
        places.clone().find(|&place| agreement(place).count() == longest)
    }

    #[test]
    fn the_chain_finds_what_a_search_finds() {
        let mut state = 1u32;
        for alphabet in [2, 3, 5, 17] {
            let mut drafter = Drafter::new(4);
            for len in 0..60 {
                if len < 30 || alphabet > 3 {
                    assert_eq!(drafter.place(), naive(&drafter.tokens), "{:?}", drafter.tokens);
                }
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                drafter.extend(&[(state >> 16) % alphabet]);
            }
        }
    }

    #[test]
    fn failures_make_guesses_rare_and_success_makes_them_long() {
        let mut drafter = drafter(16, &[1, 2, 3, 1, 2, 3]);
        let mut tried = 0;
        for _ in 0..1000 {
            let draft = drafter.draft(99);
            tried += usize::from(!draft.is_empty());
            drafter.learn(draft.len(), 0);
        }
        assert!((10..30).contains(&tried), "{tried}");
        for _ in 0..LONGEST_PAUSE + 5 {
            let draft = drafter.draft(99);
            drafter.learn(draft.len(), draft.len());
        }
        assert_eq!(drafter.draft(99).len(), 16);
        drafter.learn(16, 5);
        assert_eq!(drafter.draft(99).len(), 6);
    }
}
