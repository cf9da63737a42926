//! The pages that there may be, and those that nobody has.
//!
//! Knows how many; nothing of what is in them. A page comes back as it was left: whoever gets it reads nothing that it has not
//! written (promise K).

use std::sync::Arc;

/// A bounded supply of pages.
#[derive(Debug)]
pub(crate) struct Pages<P> {
    most: usize,
    made: usize,
    free: Vec<Arc<P>>,
}

impl<P> Pages<P> {
    /// At most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, made: 0, free: Vec::new() }
    }

    /// How many there may be.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How many could be taken.
    pub(crate) fn available(&self) -> usize {
        self.most - self.made + self.free.len()
    }

    /// How many somebody has.
    pub(crate) fn taken(&self) -> usize {
        self.made - self.free.len()
    }

    /// A page that nobody else has, if there is one.
    pub(crate) fn take(&mut self, make: impl FnOnce() -> P) -> Option<Arc<P>> {
        self.free.pop().or_else(|| {
            (self.made < self.most).then(|| {
                self.made += 1;
                Arc::new(make())
            })
        })
    }

    /// Takes a page back; it is free once nobody else has it.
    pub(crate) fn give(&mut self, page: Arc<P>) {
        if Arc::strong_count(&page) == 1 {
            self.free.push(page);
        }
    }
}
