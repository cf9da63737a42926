//! The candidates for the next token: their order, their weights and the order of every sum over them.
//!
//! Knows nothing of the settings. NUMERICS.md, "Sampling".

use samebit_numerics::arith::Soft;
use samebit_numerics::math::{exp, ln};
use samebit_numerics::reduce::CHUNK;

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) token: u32,
    pub(super) logit: f32,
}

/// One integer that orders candidates: higher logit first, then lower token. Both zeros are one.
///
/// A logit's bits order as sign and magnitude; flipping them makes an order of unsigned integers, and the complement turns it round.
fn sort_key(token: u32, logit: f32) -> u64 {
    let bits = (logit + 0.0).to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 };
    (u64::from(!ascending) << 32) | u64::from(token)
}

fn from_key(key: u64) -> Candidate {
    let ascending = !((key >> 32) as u32);
    let bits = if ascending >> 31 == 1 { ascending & 0x7fff_ffff } else { !ascending };
    Candidate { token: key as u32, logit: f32::from_bits(bits) }
}

/// A sum in order, cut into chunks of 256: each chunk is summed from +0 and then added to the chunks before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunningSum {
    before: f32,
    chunk: f32,
    in_chunk: usize,
}

impl RunningSum {
    /// Adds a term; returns the sum so far.
    pub(super) fn add(&mut self, term: f32) -> f32 {
        if self.in_chunk == CHUNK {
            self.before += self.chunk;
            (self.chunk, self.in_chunk) = (0.0, 0);
        }
        self.chunk += term;
        self.in_chunk += 1;
        self.before + self.chunk
    }

    /// The sum of all of `terms`.
    pub(super) fn of(terms: impl IntoIterator<Item = f32>) -> f32 {
        let mut sum = Self::default();
        terms.into_iter().fold(0.0, |_, term| sum.add(term))
    }
}

/// The set of candidates, never empty once [`Candidates::fill`] has returned true, highest logit first.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    items: Vec<Candidate>,
    weights: Vec<f32>,
    keys: Vec<u64>,
}

impl Candidates {
    /// Takes the `limit` highest of the logits that are not `-inf`, in order; false if there is none.
    ///
    /// With `min_p` above zero only candidates that pass [`Candidates::keep_min_p`] are ordered. That step drops
    /// a tail, so asking for it here gives the same set sooner, if nothing between would look at that tail.
    pub(super) fn fill(&mut self, logits: &[f32], limit: usize, min_p: f32) -> bool {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.keys.clear();
        self.keys.extend(
            (0u32..)
                .zip(logits)
                .filter(|&(_, &logit)| {
                    logit > f32::NEG_INFINITY && (min_p <= 0.0 || exp::<Soft>(logit - highest) >= min_p)
                })
                .map(|(token, &logit)| sort_key(token, logit)),
        );
        if limit < self.keys.len() && limit > 0 {
            self.keys.select_nth_unstable(limit - 1);
            self.keys.truncate(limit);
        }
        self.keys.sort_unstable();
        self.items.clear();
        self.items.extend(self.keys.iter().copied().map(from_key));
        !self.items.is_empty()
    }

    /// The candidates, highest logit first.
    pub(super) fn items(&self) -> &[Candidate] {
        &self.items
    }

    /// `exp((logit - highest logit) / temperature)` of each candidate, and their sum.
    fn weigh(&mut self, temperature: f32) -> f32 {
        let highest = self.items.first().map_or(0.0, |first| first.logit);
        self.weights.clear();
        self.weights.extend(self.items.iter().map(|candidate| exp::<Soft>((candidate.logit - highest) / temperature)));
        RunningSum::of(self.weights.iter().copied())
    }

    /// Locally typical sampling (Meister et al., 2022): the fewest candidates, nearest to the entropy first, that hold more than `share`.
    pub(super) fn keep_typical(&mut self, share: f32) {
        let total = self.weigh(1.0);
        // (probability, information): an underflowed weight carries no entropy and is the least typical.
        let facts: Vec<(f32, f32)> = self
            .weights
            .iter()
            .map(|&weight| {
                let p = weight / total;
                (p, if p > 0.0 { -ln::<Soft>(p) } else { f32::INFINITY })
            })
            .collect();
        let entropy = RunningSum::of(facts.iter().map(|&(p, information)| if p > 0.0 { p * information } else { 0.0 }));
        let distance = |&index: &usize| (facts[index].1 - entropy).abs();
        let mut order: Vec<usize> = (0..facts.len()).collect();
        order.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        let mut sum = RunningSum::default();
        let kept = order.iter().position(|&index| sum.add(facts[index].0) > share).map_or(order.len(), |last| last + 1);
        order.truncate(kept);
        order.sort_unstable();
        self.items = order.into_iter().map(|index| self.items[index]).collect();
    }

    /// Nucleus sampling (Holtzman et al., 2019): the shortest prefix that holds at least `share`.
    pub(super) fn keep_top_p(&mut self, share: f32) {
        let wanted = share * self.weigh(1.0);
        let mut sum = RunningSum::default();
        if let Some(last) = self.weights.iter().position(|&w| sum.add(w) >= wanted) {
            self.items.truncate(last + 1);
        }
    }

    /// Min-p sampling (Nguyen et al., 2024): candidates at least `share` times as likely as the likeliest.
    pub(super) fn keep_min_p(&mut self, share: f32) {
        let Some(highest) = self.items.first().map(|first| first.logit) else {
            return;
        };
        // The likeliest has weight 1 and share is at most 1, so it stays.
        self.items.retain(|candidate| exp::<Soft>(candidate.logit - highest) >= share);
    }

    /// Exclude top choices: of the leading candidates with at least `threshold` of the probability only the last stays.
    pub(super) fn exclude_top(&mut self, threshold: f32) {
        let wanted = threshold * self.weigh(1.0);
        let leading = self.weights.iter().take_while(|&&w| w >= wanted).count();
        self.items.drain(..leading.saturating_sub(1));
    }

    /// The first candidate at which the running sum of weights exceeds `uniform` times their total.
    ///
    /// `uniform` is below 1 by at least 2^-24, so the product is below the total and the search ends; the last
    /// candidate is named for form's sake.
    pub(super) fn draw(&mut self, temperature: f32, uniform: f32) -> Option<u32> {
        let wanted = uniform * self.weigh(temperature);
        let mut sum = RunningSum::default();
        let index = self.weights.iter().position(|&w| sum.add(w) > wanted);
        match index {
            Some(index) => self.items.get(index),
            None => self.items.last(),
        }
        .map(|candidate| candidate.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_candidates_and_come_back() {
        let ordered = [
            (3, f32::MAX),
            (9, 1.0),
            (4, f32::MIN_POSITIVE),
            (2, 1e-45),
            (0, -0.0),
            (1, 0.0),
            (7, -1e-45),
            (5, -1.0),
            (6, f32::MIN),
        ];
        for pair in ordered.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|(token, logit)| sort_key(token, logit));
            assert!(a < b, "{pair:?}");
        }
        for (token, logit) in ordered {
            let back = from_key(sort_key(token, logit));
            assert_eq!((back.token, back.logit), (token, logit));
        }
    }

    #[test]
    fn fill_orders_and_cuts() {
        let mut set = Candidates::default();
        let logits = [0.0, 2.0, f32::NEG_INFINITY, -0.0, 2.0];
        assert!(set.fill(&logits, 0, 0.0));
        let tokens: Vec<u32> = set.items().iter().map(|c| c.token).collect();
        assert_eq!(tokens, [1, 4, 0, 3]);
        assert!(set.fill(&logits, 3, 0.0));
        assert_eq!(set.items().len(), 3);
        assert!(!set.fill(&[f32::NEG_INFINITY; 4], 0, 0.0));
    }

    #[test]
    fn running_sums_are_cut_by_256() {
        // 2^24 + 1 rounds to 2^24, so a chunk boundary before the ones saves them.
        let mut terms = vec![0.0f32; 256];
        terms[0] = 16_777_216.0;
        terms.extend([1.0; 2]);
        assert_eq!(RunningSum::of(terms.iter().copied()), 16_777_218.0);
        terms.remove(1);
        assert_eq!(RunningSum::of(terms), 16_777_216.0);
    }

    #[test]
    fn min_p_before_the_order_is_min_p_after_it() {
        let logits: Vec<f32> = (0..600u32).map(|i| (i * 7919 % 601) as f32 / 50.0).collect();
        for share in [0.01, 0.2, 1.0] {
            let (mut early, mut late) = (Candidates::default(), Candidates::default());
            assert!(early.fill(&logits, 0, share) && late.fill(&logits, 0, 0.0));
            late.keep_min_p(share);
            assert_eq!(early.items(), late.items());
        }
    }
}
