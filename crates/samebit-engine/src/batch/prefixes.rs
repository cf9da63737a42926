//! The prefix cache: pages of sequences that are computed, found again by the tokens that lead to them.
//!
//! A tree whose nodes are pages: a node's key is its parent and its own tokens, all of them, so that whoever is found by a chain
//! of keys has exactly the tokens that were asked for; there is no hash that could collide. A page that is not full, or of which
//! only the beginning agrees, serves for as many tokens as agree. Knows tokens and pages; nothing of who needs them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The parent of a first page.
pub(crate) const ROOT: u64 = 0;

/// Parent, and the tokens of the page's positions.
type Key = (u64, Box<[u32]>);

#[derive(Debug)]
struct Node<P> {
    id: u64,
    page: Arc<P>,
    /// When it was used last, as `Prefixes::uses` counts.
    used: u64,
}

/// A page for tokens that were asked for.
#[derive(Debug)]
pub(crate) struct Found<P> {
    pub(crate) page: Arc<P>,
    /// For how many of them.
    pub(crate) tokens: usize,
    /// The node, if it is a whole page and others may follow it.
    pub(crate) node: Option<u64>,
}

/// Pages by their tokens.
#[derive(Debug)]
pub(crate) struct Prefixes<P> {
    nodes: BTreeMap<Key, Node<P>>,
    page_len: usize,
    next: u64,
    uses: u64,
    /// For how many tokens a page with the first may serve somebody with the second.
    agree: fn(&[u32], &[u32]) -> usize,
}

/// How many tokens two runs begin with alike.
pub(crate) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl<P> Prefixes<P> {
    /// Nothing kept yet. `agree` is [`common`].
    pub(crate) fn new(page_len: usize, agree: fn(&[u32], &[u32]) -> usize) -> Self {
        Self { nodes: BTreeMap::new(), page_len, next: ROOT, uses: 0, agree }
    }

    /// Fewer tokens of a page are sooner computed than copied.
    fn least(&self) -> usize {
        (self.page_len / 16).max(1)
    }

    /// The page behind `parent` that serves for most of `tokens`, of which there is no more than a page has.
    pub(crate) fn find(&mut self, parent: u64, tokens: &[u32]) -> Option<Found<P>> {
        let (key, agreed) = self.best(parent, tokens)?;
        self.uses += 1;
        let node = self.nodes.get_mut(&key)?;
        node.used = self.uses;
        let whole = agreed == self.page_len;
        Some(Found { page: Arc::clone(&node.page), tokens: agreed, node: whole.then_some(node.id) })
    }

    /// Keys are in order, so whoever agrees longest is a neighbour of what is looked for.
    fn best(&self, parent: u64, tokens: &[u32]) -> Option<(Key, usize)> {
        let wanted: Key = (parent, tokens.into());
        let before = self.nodes.range(..&wanted).next_back();
        let neighbours = self.nodes.range(&wanted..).next().into_iter().chain(before);
        let agreed = neighbours
            .filter(|((of, _), _)| *of == parent)
            .map(|(key, _)| (key, (self.agree)(&key.1, tokens).min(tokens.len())));
        let (key, agreed) = agreed.max_by_key(|(_, agreed)| *agreed)?;
        (agreed >= self.least()).then(|| (key.clone(), agreed))
    }

    /// How many whole pages of `tokens` there are, and how many of these nobody else has.
    pub(crate) fn whole_pages(&self, tokens: &[u32]) -> (usize, usize) {
        let (mut parent, mut found, mut idle) = (ROOT, 0, 0);
        for tokens in tokens.chunks_exact(self.page_len) {
            let Some(node) = self.nodes.get(&(parent, tokens.into())) else { break };
            parent = node.id;
            found += 1;
            idle += usize::from(Arc::strong_count(&node.page) == 1);
        }
        (found, idle)
    }

    /// Enters a whole page behind `parent`; the node, and its page, which is an earlier one if there was one with these tokens.
    pub(crate) fn enter(&mut self, parent: u64, tokens: &[u32], page: &Arc<P>) -> (u64, Arc<P>) {
        self.uses += 1;
        let node = self.nodes.entry((parent, tokens.into())).or_insert_with(|| {
            self.next += 1;
            Node { id: self.next, page: Arc::clone(page), used: 0 }
        });
        node.used = self.uses;
        (node.id, Arc::clone(&node.page))
    }

    /// Enters a page that is not full. The pages that are of no more use then, this one or another, come back.
    pub(crate) fn enter_tail(&mut self, parent: u64, tokens: &[u32], page: Arc<P>) -> Option<Arc<P>> {
        let key: Key = (parent, tokens.into());
        let after = self.nodes.range(&key..).next();
        let known = after.is_some_and(|((of, longer), _)| *of == parent && longer.starts_with(tokens));
        if known || tokens.len() < self.least() {
            return Some(page);
        }
        let before = self.nodes.range(..&key).next_back();
        let shorter = before.filter(|((of, shorter), _)| *of == parent && tokens.starts_with(shorter));
        let outdone = shorter.map(|(key, _)| key.clone()).and_then(|key| self.nodes.remove(&key));
        self.uses += 1;
        self.next += 1;
        self.nodes.insert(key, Node { id: self.next, page, used: self.uses });
        outdone.map(|node| node.page)
    }

    /// Pages that nobody else has.
    pub(crate) fn idle(&self) -> usize {
        self.nodes.values().filter(|node| Arc::strong_count(&node.page) == 1).count()
    }

    /// Lets go of the page that was not used for longest, of those that nobody has and that no other page follows.
    pub(crate) fn evict(&mut self) -> Option<Arc<P>> {
        let idle = self.nodes.iter().filter(|(_, node)| Arc::strong_count(&node.page) == 1);
        let last = idle.filter(|(_, node)| !self.has_followers(node.id));
        let oldest = last.min_by_key(|(_, node)| node.used)?.0.clone();
        self.nodes.remove(&oldest).map(|node| node.page)
    }

    fn has_followers(&self, id: u64) -> bool {
        let first: Key = (id, Box::default());
        self.nodes.range(&first..).next().is_some_and(|((parent, _), _)| *parent == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tree = Prefixes<&'static str>;

    fn found(tree: &mut Tree, parent: u64, tokens: &[u32]) -> Option<(&'static str, usize, Option<u64>)> {
        tree.find(parent, tokens).map(|found| (*found.page, found.tokens, found.node))
    }

    #[test]
    fn pages_are_found_by_all_their_tokens_and_by_what_led_to_them() {
        let mut tree = Tree::new(4, common);
        let (a, _) = tree.enter(ROOT, &[1, 2, 3, 4], &Arc::new("a"));
        let (b, _) = tree.enter(a, &[5, 6, 7, 8], &Arc::new("b"));
        assert_eq!(found(&mut tree, ROOT, &[1, 2, 3, 4]), Some(("a", 4, Some(a))));
        assert_eq!(found(&mut tree, a, &[5, 6, 7, 8]), Some(("b", 4, Some(b))));
        assert_eq!(found(&mut tree, ROOT, &[5, 6, 7, 8]), None, "behind another page");
        assert_eq!(found(&mut tree, a, &[5, 6, 9]), Some(("b", 2, None)), "as many as agree");
        assert_eq!(tree.whole_pages(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), (2, 2));
        // The same tokens again: the page that is there.
        assert_eq!(*tree.enter(ROOT, &[1, 2, 3, 4], &Arc::new("again")).1, "a");
    }

    #[test]
    fn the_longest_agreement_is_found_among_many() {
        let mut state = 1u32;
        let mut word = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let mut tree = Tree::new(6, common);
        let mut all: Vec<Vec<u32>> = Vec::new();
        for _ in 0..300 {
            let tokens: Vec<u32> = (0..1 + word(6)).map(|_| word(3)).collect();
            let longest = all.iter().map(|known| common(known, &tokens)).max().unwrap_or(0);
            let got = found(&mut tree, ROOT, &tokens).map_or(0, |found| found.1);
            assert_eq!(got, longest, "{tokens:?}");
            match tokens.len() {
                6 => drop(tree.enter(ROOT, &tokens, &Arc::new("page"))),
                _ => drop(tree.enter_tail(ROOT, &tokens, Arc::new("tail"))),
            }
            all.push(tokens);
        }
    }

    #[test]
    fn longer_tails_take_the_place_of_shorter_ones() {
        let mut tree = Tree::new(8, common);
        assert_eq!(tree.enter_tail(ROOT, &[1, 2], Arc::new("short")).as_deref(), None);
        assert_eq!(tree.enter_tail(ROOT, &[1, 2, 3], Arc::new("long")).as_deref(), Some(&"short"));
        assert_eq!(tree.enter_tail(ROOT, &[1, 2], Arc::new("again")).as_deref(), Some(&"again"));
        assert_eq!(tree.idle(), 1);
    }

    #[test]
    fn the_oldest_page_that_nobody_needs_goes_first() {
        let mut tree = Tree::new(2, common);
        let (a, _) = tree.enter(ROOT, &[1, 1], &Arc::new("a"));
        let held = Arc::new("b");
        tree.enter(a, &[2, 2], &held);
        tree.enter(ROOT, &[3, 3], &Arc::new("c"));
        tree.enter(ROOT, &[4, 4], &Arc::new("d"));
        found(&mut tree, ROOT, &[3, 3]);
        assert_eq!(tree.evict().as_deref(), Some(&"d"));
        assert_eq!(tree.evict().as_deref(), Some(&"c"));
        assert_eq!(tree.evict(), None, "a is followed by b, and b is somebody's");
        drop(held);
        assert_eq!(tree.evict().as_deref(), Some(&"b"));
        assert_eq!(tree.evict().as_deref(), Some(&"a"));
    }
}
