//! Pages for whoever goes on in a step: taken, shared, copied before they are written, given back; and preemption where there are
//! not enough.
//!
//! Knows pages and seniority; nothing of logits.

use std::cmp::Reverse;
use std::sync::Arc;

use super::backend::{Backend, Held};
use super::pages::Pages;
use super::prefixes::{Prefixes, ROOT};
use super::rules::Rules;
use super::sequence::Sequence;
use super::submission::Ticket;

/// Who comes first: higher priority, then earlier arrival, then the lower choice.
pub(crate) type Seniority = (Reverse<i32>, Ticket, u32);

impl<P> Sequence<P> {
    pub(crate) fn seniority(&self) -> Seniority {
        (Reverse(self.priority), self.ticket, self.choice())
    }
}

/// All pages, and the prefix cache where there is one.
pub(crate) struct Room<B: Backend> {
    pub(crate) pages: Pages<B::Page>,
    pub(crate) prefixes: Option<Prefixes<B::Page>>,
    pub(crate) page_len: usize,
    pub(crate) rules: Rules,
}

impl<B: Backend> Room<B> {
    /// Pages that could be had without taking them from anybody.
    pub(crate) fn obtainable(&self) -> usize {
        self.pages.available() + self.prefixes.as_ref().map_or(0, Prefixes::idle)
    }

    /// Whether a sequence that has none may begin while `running` others go on: they will want more too.
    pub(crate) fn admits(&self, tokens: &[u32], running: usize) -> bool {
        let (found, idle) = self.prefixes.as_ref().map_or((0, 0), |prefixes| prefixes.whole_pages(tokens));
        let wanted = (tokens.len() + 1).div_ceil(self.page_len).saturating_sub(found);
        running == 0 || self.obtainable().saturating_sub(idle) >= wanted + running
    }

    /// A page of one's own, a kept one if there is no free one.
    fn take(&mut self, backend: &B) -> Option<Arc<B::Page>> {
        loop {
            if let Some(page) = self.pages.take(|| backend.new_page()) {
                return Some(page);
            }
            let page = self.prefixes.as_mut()?.evict()?;
            self.pages.give(page);
        }
    }

    /// Lets a sequence have pages of its own for all positions from its length to `end`; false if there are not enough, and then
    /// it keeps what there was.
    pub(crate) fn reserve(&mut self, backend: &B, held: &mut Held<B::Page>, end: usize) -> bool {
        let written = held.len / self.page_len..end.div_ceil(self.page_len).min(held.pages.len());
        for page in &mut held.pages[written] {
            if Arc::get_mut(page).is_some() || !self.rules.copies_on_write {
                continue;
            }
            let Some(mut own) = self.take(backend) else { return false };
            // Just taken, so nobody else has it.
            if let Some(own) = Arc::get_mut(&mut own) {
                backend.copy_page(page, own);
            }
            self.pages.give(std::mem::replace(page, own));
        }
        while held.pages.len() * self.page_len < end {
            let Some(page) = self.take(backend) else { return false };
            held.pages.push(page);
        }
        true
    }

    /// The end of what a sequence could write into the pages that it has.
    pub(crate) fn end(&self, held: &Held<B::Page>) -> usize {
        let tail = held.len / self.page_len;
        let own = |page: &&Arc<B::Page>| Arc::strong_count(page) == 1 || !self.rules.copies_on_write;
        let own = held.pages.iter().skip(tail).take_while(own).count();
        held.len.max((tail + own) * self.page_len)
    }

    /// Takes all pages back.
    pub(crate) fn give_all(&mut self, held: &mut Held<B::Page>) {
        held.pages.drain(..).for_each(|page| self.pages.give(page));
        held.len = 0;
    }

    /// A sequence gives its pages back, to be computed again.
    pub(crate) fn preempt(&mut self, sequence: &mut Sequence<B::Page>) {
        self.give_all(&mut sequence.held);
        sequence.chain.clear();
        sequence.now = None;
        sequence.preempted = true;
        if !sequence.counted {
            sequence.cached = 0;
        }
    }

    /// Gives a sequence that is at the end of its pages those that others computed for the tokens which it has next.
    pub(crate) fn adopt(&mut self, sequence: &mut Sequence<B::Page>) {
        let (due, last) = (sequence.due(), sequence.tokens.len() - 1);
        let Some(prefixes) = &mut self.prefixes else { return };
        let held = &mut sequence.held;
        while held.len == sequence.chain.len() * self.page_len && held.len < due.min(last) {
            let end = due.min(last).min(held.len + self.page_len);
            let parent = sequence.chain.last().copied().unwrap_or(ROOT);
            let Some(found) = prefixes.find(parent, &sequence.tokens[held.len..end]) else { return };
            // Room for what is now there already.
            held.pages.drain(sequence.chain.len()..).for_each(|page| self.pages.give(page));
            held.pages.push(found.page);
            if !sequence.counted {
                sequence.cached += found.tokens;
            }
            held.len += found.tokens;
            sequence.chain.extend(found.node);
        }
    }

    /// Enters what a sequence has computed: whole pages, of which it goes on with an earlier one if there is one.
    pub(crate) fn publish(&mut self, sequence: &mut Sequence<B::Page>) {
        let Some(prefixes) = &mut self.prefixes else { return };
        while (sequence.chain.len() + 1) * self.page_len <= sequence.held.len {
            let at = sequence.chain.len();
            let parent = sequence.chain.last().copied().unwrap_or(ROOT);
            let tokens = &sequence.tokens[at * self.page_len..(at + 1) * self.page_len];
            let (node, page) = prefixes.enter(parent, tokens, &sequence.held.pages[at]);
            sequence.chain.push(node);
            let own = std::mem::replace(&mut sequence.held.pages[at], page);
            self.pages.give(own);
        }
    }

    /// A sequence is over: what it computed is kept for others, the rest is given back.
    pub(crate) fn retire(&mut self, sequence: &mut Sequence<B::Page>) {
        if let Some(part) = sequence.now.take() {
            // In the middle of a step: what was guessed may be wrong.
            sequence.held.len = sequence.held.len.min(part.start + part.rows);
        }
        self.publish(sequence);
        let (whole, held) = (sequence.chain.len(), &mut sequence.held);
        if let Some(prefixes) = &mut self.prefixes
            && held.len > whole * self.page_len
        {
            let parent = sequence.chain.last().copied().unwrap_or(ROOT);
            let tail = held.pages.swap_remove(whole);
            let back = prefixes.enter_tail(parent, &sequence.tokens[whole * self.page_len..held.len], tail);
            back.into_iter().for_each(|page| self.pages.give(page));
        }
        self.give_all(held);
        sequence.chain.clear();
    }
}
