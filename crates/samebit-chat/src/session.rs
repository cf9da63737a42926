//! A conversation as a tree: turns, each after another or at the beginning, and where one stands.
//!
//! Knows ids and texts; nothing of how answers come about, or of files. Turns are numbered from 1 in the order in which they
//! were made; 0 is the beginning, before all of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The model ended it.
    Stop,
    /// The bound on tokens, or the context, was reached.
    Length,
    /// It was broken off.
    Cancelled,
}

/// A message and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The turn before; 0 is the beginning. Smaller than the turn's own number.
    pub parent: usize,
    /// What the answer was made with.
    pub settings: Arc<Settings>,
    /// The seed that it was drawn with.
    pub seed: u64,
    /// The message.
    pub user: String,
    /// So many of the first ids of the turn before, its prompt and answer together, are the first of this prompt.
    pub kept: usize,
    /// The ids of the prompt that follow them.
    pub prompt: Vec<u32>,
    /// The answer.
    pub answer: String,
    /// Its ids, the one that ended it included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Ending,
    /// The positions of the context, where their end was the answer's.
    pub context: Option<usize>,
    /// The digest of the logits that the tokens were drawn from.
    pub digest: String,
}

/// All turns, and the one after which the next message comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    turns: Vec<Turn>,
    at: usize,
}

impl Session {
    /// The turns, from number 1 on.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// A turn by its number; `None` for the beginning too.
    pub fn turn(&self, number: usize) -> Option<&Turn> {
        self.turns.get(number.checked_sub(1)?)
    }

    /// The turn after which the next message comes; 0 is the beginning.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The latest turn of the branch that one is on.
    pub fn latest(&self) -> Option<&Turn> {
        self.turn(self.at)
    }

    /// Goes to a turn; false if there is none of that number.
    pub fn go_to(&mut self, number: usize) -> bool {
        let there = number <= self.turns.len();
        if there {
            self.at = number;
        }
        there
    }

    /// Adds a turn after an earlier one, and goes there. Its number; `None` if its parent is no turn, or has fewer ids than it keeps.
    pub fn push(&mut self, turn: Turn) -> Option<usize> {
        if turn.parent > self.turns.len() || turn.kept > self.length(turn.parent) {
            return None;
        }
        self.turns.push(turn);
        self.at = self.turns.len();
        Some(self.at)
    }

    /// The turns that lead to one, itself last.
    pub fn path(&self, number: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut number = number;
        // Parents have smaller numbers, so this ends.
        while let Some(turn) = self.turn(number) {
            path.push(number);
            number = turn.parent;
        }
        path.reverse();
        path
    }

    /// How many turns come before a turn that follows `parent`.
    pub fn depth(&self, parent: usize) -> usize {
        self.path(parent).len()
    }

    /// The turns that follow one.
    pub fn children(&self, number: usize) -> impl Iterator<Item = usize> {
        let of = move |(index, turn): (usize, &Turn)| (turn.parent == number).then_some(index + 1);
        self.turns.iter().enumerate().filter_map(of)
    }

    /// How many ids prompt and answer of a turn have.
    pub fn length(&self, number: usize) -> usize {
        self.turn(number).map_or(0, |turn| turn.kept + turn.prompt.len() + turn.tokens.len())
    }

    /// The ids of a turn's prompt.
    pub fn prompt(&self, number: usize) -> Vec<u32> {
        let mut ids: Vec<u32> = Vec::new();
        for number in self.path(number) {
            let Some(turn) = self.turn(number) else { continue };
            if let Some(before) = self.turn(turn.parent) {
                ids.extend_from_slice(&before.tokens);
            }
            // `push` has checked that there are so many.
            ids.truncate(turn.kept);
            ids.extend_from_slice(&turn.prompt);
        }
        ids
    }

    /// The ids of a turn's prompt and answer.
    pub fn sequence(&self, number: usize) -> Vec<u32> {
        let mut ids = self.prompt(number);
        ids.extend(self.turn(number).iter().flat_map(|turn| &turn.tokens));
        ids
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use samebit_engine::sampler::SamplerConfig;

    pub(crate) fn turn(parent: usize, kept: usize, prompt: &[u32], tokens: &[u32]) -> Turn {
        Turn {
            parent,
            settings: Arc::new(Settings::new(&SamplerConfig::default())),
            seed: 0,
            user: format!("after {parent}"),
            kept,
            prompt: prompt.to_vec(),
            answer: "yes".into(),
            tokens: tokens.to_vec(),
            finish: Ending::Stop,
            context: None,
            digest: "d".repeat(64),
        }
    }

    #[test]
    fn branches_share_what_came_before() {
        let mut session = Session::default();
        assert_eq!(session.push(turn(0, 0, &[1, 2], &[3])), Some(1));
        assert_eq!(session.push(turn(1, 3, &[4], &[5, 6])), Some(2));
        assert_eq!(session.push(turn(1, 2, &[7], &[8])), Some(3));
        assert_eq!(session.push(turn(3, 4, &[9], &[])), Some(4));
        assert_eq!(session.sequence(2), [1, 2, 3, 4, 5, 6]);
        assert_eq!(session.prompt(3), [1, 2, 7]);
        assert_eq!(session.sequence(4), [1, 2, 7, 8, 9]);
        assert_eq!((session.path(4), session.depth(4), session.length(4)), (vec![1, 3, 4], 3, 5));
        assert_eq!(session.children(1).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(session.at(), 4);
        assert!(session.go_to(1) && !session.go_to(5));
        assert_eq!(session.latest().map(|turn| turn.tokens.clone()), Some(vec![3]));
    }

    #[test]
    fn turns_that_cannot_be_are_refused() {
        let mut session = Session::default();
        assert_eq!(session.push(turn(1, 0, &[1], &[2])), None, "after itself");
        assert_eq!(session.push(turn(0, 1, &[1], &[2])), None, "keeps what is not there");
        assert_eq!(session, Session::default());
    }
}
