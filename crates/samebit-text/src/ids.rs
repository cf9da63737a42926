//! Texts numbered in the order in which they came, and found again by their bytes. Knows nothing of what they stand for.
//!
//! All texts lie end to end and the table holds numbers alone: a quarter million tokens are a handful of allocations, and a
//! fourth of the memory that a map from texts of their own would take.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use samebit_gguf::Strings;

/// Texts, each once, by number and by text.
pub(crate) struct Ids {
    texts: Strings,
    table: HashTable<u32>,
    /// Seeded anew each time: whoever writes a vocabulary cannot make its texts collide. The order of the table shows nowhere.
    hasher: RandomState,
}

impl Ids {
    /// No texts; room for the numbers of `count`.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { texts: Strings::new(), table: HashTable::with_capacity(count), hasher: RandomState::new() }
    }

    /// Numbers a text.
    ///
    /// # Errors
    /// The number that it has already.
    pub(crate) fn insert(&mut self, text: &[u8]) -> Result<u32, u32> {
        let Self { texts, table, hasher } = self;
        let same = |&id: &u32| texts.get(id as usize) == Some(text);
        let hash = |&id: &u32| hasher.hash_one(texts.get(id as usize).unwrap_or_default());
        match table.entry(hasher.hash_one(text), same, hash) {
            hashbrown::hash_table::Entry::Occupied(found) => Err(*found.get()),
            hashbrown::hash_table::Entry::Vacant(free) => {
                let id = texts.len() as u32; // at most 2^30 tokens, checked with the vocabulary, and thrice as many merges' texts
                free.insert(id);
                texts.push(text);
                Ok(id)
            }
        }
    }

    /// The number of a text.
    pub(crate) fn get(&self, text: &[u8]) -> Option<u32> {
        let same = |&id: &u32| self.texts.get(id as usize) == Some(text);
        self.table.find(self.hasher.hash_one(text), same).copied()
    }

    /// The texts in the order of their numbers.
    pub(crate) fn texts(&self) -> &Strings {
        &self.texts
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_numbered_in_order_and_found_again() {
        let mut ids = Ids::with_capacity(0);
        let texts: Vec<Vec<u8>> = (0..1000u32).map(|i| format!("{}", i * i).into_bytes()).collect();
        for (id, text) in (0..).zip(&texts) {
            assert_eq!(ids.insert(text), Ok(id));
        }
        for (id, text) in (0..).zip(&texts) {
            assert_eq!((ids.get(text), ids.insert(text)), (Some(id), Err(id)));
        }
        assert_eq!((ids.get(b"2"), ids.get(b""), ids.len()), (None, None, 1000));
        assert!(ids.texts().iter().eq(texts.iter().map(Vec::as_slice)));
    }
}
