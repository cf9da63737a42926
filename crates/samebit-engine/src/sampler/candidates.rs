//! The candidates for the next token: their order, their weights and the order of every sum over them.
//!
//! Knows nothing of the settings. NUMERICS.md, "Sampling".

use samebit_numerics::arith::{Float32, Single, Soft};
use samebit_numerics::math::{exp, ln};
use samebit_numerics::reduce::{CHUNK, row_sum};

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) token: u32,
    pub(super) logit: f32,
}

/// Logits that are looked at together: a bound on all of them spares a look at each.
const BLOCK: usize = 64;
/// The rank of a token that may not be drawn.
const NOWHERE: i32 = rank(f32::NEG_INFINITY);

/// An integer that orders logits as they are ordered; both zeros are one. Not for NaN.
///
/// A logit's bits order as sign and magnitude; flipping a negative one's magnitude makes an order of integers, whose maxima, unlike
/// those of floats, vectors may take in any order.
const fn rank(logit: f32) -> i32 {
    let bits = (logit + 0.0).to_bits().cast_signed();
    bits ^ ((bits >> 31) & i32::MAX)
}

/// The highest rank in a block.
fn highest_rank(block: &[f32]) -> i32 {
    let (lanes, rest) = block.as_chunks::<16>();
    let mut highest = [NOWHERE; 16];
    for lanes in lanes {
        highest.iter_mut().zip(lanes).for_each(|(highest, &logit)| *highest = (*highest).max(rank(logit)));
    }
    highest.into_iter().chain(rest.iter().map(|&logit| rank(logit))).max().unwrap_or(NOWHERE)
}

/// The token of the highest logit, the lowest such; `None` if all are `-inf`.
pub(super) fn highest(logits: &[f32]) -> Option<u32> {
    let (mut best, mut at) = (NOWHERE, None);
    for (index, block) in logits.chunks(BLOCK).enumerate() {
        let here = highest_rank(block);
        if here > best {
            (best, at) = (here, Some(index * BLOCK));
        }
    }
    let first = at?;
    let within = logits[first..].iter().position(|&logit| rank(logit) == best)?;
    u32::try_from(first + within).ok()
}

/// Top-nσ sampling (Tang et al., 2024): the highest logit less `n` standard deviations of all that are not `-inf`; `-inf` where that
/// is no number.
pub(super) fn sigma_floor(logits: &[f32], n: f32) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut terms: Vec<f32> =
        logits.iter().filter(|logit| **logit > f32::NEG_INFINITY).map(|logit| logit - highest).collect();
    let count = terms.len() as f32;
    let mean = row_sum::<Single<Soft>>(&terms) / count;
    terms.iter_mut().for_each(|term| *term = (*term - mean) * (*term - mean));
    let floor = highest - n * Soft::sqrt(row_sum::<Single<Soft>>(&terms) / count);
    if floor.is_finite() { floor } else { f32::NEG_INFINITY }
}

/// One integer that orders candidates: higher logit first, then lower token.
fn sort_key(token: u32, logit: f32) -> u64 {
    let ascending = rank(logit).cast_unsigned() ^ 0x8000_0000;
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
    /// The highest rank of each block of the latest row.
    peaks: Vec<i32>,
    /// The same to be put in order.
    order: Vec<i32>,
}

impl Candidates {
    /// Takes the `limit` highest of the logits that are not `-inf` nor below `floor`, in order; false if there is none. No limit: 0.
    ///
    /// With `min_p` above zero only candidates that pass [`Candidates::keep_min_p`] are ordered. That step drops
    /// a tail, so asking for it here gives the same set sooner, if nothing between would look at that tail.
    pub(super) fn fill(&mut self, logits: &[f32], floor: f32, limit: usize, min_p: f32) -> bool {
        self.peaks.clear();
        self.peaks.extend(logits.chunks(BLOCK).map(highest_rank));
        let least = self.least(limit).max(rank(floor));
        let highest = self.peaks.iter().zip(logits.chunks(BLOCK)).max_by_key(|&(&peak, _)| peak);
        let highest = highest.map_or(0.0, |(_, block)| block.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        // exp's error is far below the factor e that is left here: what lies lower has no chance.
        let hopeless = if min_p > 0.0 { ln::<Soft>(min_p) - 1.0 } else { f32::NEG_INFINITY };
        let likely = |logit: f32| {
            let below = logit - highest;
            min_p <= 0.0 || (below >= hopeless && exp::<Soft>(below) >= min_p)
        };
        self.keys.clear();
        for ((index, block), &peak) in logits.chunks(BLOCK).enumerate().zip(&self.peaks) {
            if peak >= least {
                let candidates = block.iter().zip(index * BLOCK..).filter(|&(&logit, _)| rank(logit) >= least);
                let candidates = candidates.filter(|&(&logit, _)| likely(logit));
                self.keys.extend(candidates.map(|(&logit, token)| sort_key(token as u32, logit)));
            }
        }
        if limit < self.keys.len() && limit > 0 {
            self.keys.select_nth_unstable(limit - 1);
            self.keys.truncate(limit);
        }
        self.keys.sort_unstable();
        self.items.clear();
        self.items.extend(self.keys.iter().copied().map(from_key));
        !self.items.is_empty()
    }

    /// A rank that the `limit` highest logits reach, above that of `-inf`: the `limit` highest peaks are logits themselves.
    fn least(&mut self, limit: usize) -> i32 {
        if limit == 0 || limit > self.peaks.len() {
            return NOWHERE + 1;
        }
        self.order.clone_from(&self.peaks);
        let (_, &mut least, _) = self.order.select_nth_unstable_by(limit - 1, |a, b| b.cmp(a));
        least.max(NOWHERE + 1)
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

    /// Each candidate's probability and information, and their entropy. An underflowed weight carries none and is the least typical.
    fn entropy(&mut self) -> (Vec<(f32, f32)>, f32) {
        let total = self.weigh(1.0);
        let fact = |&weight: &f32| {
            let p = weight / total;
            (p, if p > 0.0 { -ln::<Soft>(p) } else { f32::INFINITY })
        };
        let facts: Vec<(f32, f32)> = self.weights.iter().map(fact).collect();
        let entropy = RunningSum::of(facts.iter().map(|&(p, information)| if p > 0.0 { p * information } else { 0.0 }));
        (facts, entropy)
    }

    /// Locally typical sampling (Meister et al., 2022): the fewest candidates, nearest to the entropy first, that hold more than `share`.
    pub(super) fn keep_typical(&mut self, share: f32) {
        let (facts, entropy) = self.entropy();
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

    /// Dynamic temperature: from `middle - range`, but not below 0, where one candidate is certain, to `middle + range` where all are alike.
    pub(super) fn temperature(&mut self, middle: f32, range: f32, exponent: f32) -> f32 {
        if self.items.len() < 2 {
            return middle;
        }
        let (_, entropy) = self.entropy();
        let share = entropy / ln::<Soft>(self.items.len() as f32);
        let power = match (share > 0.0, exponent) {
            (_, 0.0) => 1.0,
            (true, exponent) => exp::<Soft>(exponent * ln::<Soft>(share)),
            (false, _) => 0.0,
        };
        let lowest = (middle - range).max(0.0);
        lowest + ((middle + range) - lowest) * power
    }

    /// The first candidate at which the running sum of weights exceeds `uniform` times their total.
    ///
    /// `uniform` is below 1 by at least 2^-24, so the product is below the total and the search ends; the last
    /// candidate is named for form's sake.
    pub(super) fn draw(&mut self, temperature: f32, uniform: f32) -> Option<u32> {
        if temperature <= 0.0 {
            return self.items.first().map(|candidate| candidate.token);
        }
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
    use samebit_numerics::philox::philox4x32_10;

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
        assert!(set.fill(&logits, f32::NEG_INFINITY, 0, 0.0));
        let tokens: Vec<u32> = set.items().iter().map(|c| c.token).collect();
        assert_eq!(tokens, [1, 4, 0, 3]);
        assert!(set.fill(&logits, f32::NEG_INFINITY, 3, 0.0));
        assert_eq!(set.items().len(), 3);
        assert!(!set.fill(&[f32::NEG_INFINITY; 4], f32::NEG_INFINITY, 0, 0.0));
    }

    /// Rows of many lengths with ties, both zeros and tokens that are banned.
    fn rows() -> Vec<Vec<f32>> {
        let logit = |index: usize, row: usize| match philox4x32_10([index as u32, row as u32, 0, 0], [1, 2])[0] {
            bits if bits % 7 < row as u32 % 9 => f32::NEG_INFINITY,
            bits if row.is_multiple_of(2) => f32::from((bits >> 8) as i8) * 0.25,
            bits => (f64::from(bits) / f64::from(u32::MAX) - 0.5) as f32 * 40.0,
        };
        let lengths = [1, 15, 16, 63, 64, 65, 200, 1000, 4099];
        (0..90).map(|row| (0..lengths[row / 10]).map(|index| logit(index, row)).collect()).collect()
    }

    #[test]
    fn bounds_by_blocks_change_nothing() {
        for logits in rows() {
            let mut plain: Vec<u64> =
                (0..).zip(&logits).filter(|(_, l)| l.is_finite()).map(|(token, &l)| sort_key(token, l)).collect();
            plain.sort_unstable();
            assert_eq!(highest(&logits), plain.first().map(|&key| from_key(key).token));
            let mut set = Candidates::default();
            for limit in [0, 1, 2, 3, 40, 64, 65, 5000] {
                assert_eq!(set.fill(&logits, f32::NEG_INFINITY, limit, 0.0), !plain.is_empty());
                let most = if limit == 0 { plain.len() } else { limit.min(plain.len()) };
                let wanted: Vec<Candidate> = plain[..most].iter().copied().map(from_key).collect();
                assert_eq!(set.items(), wanted, "{} logits, limit {limit}", logits.len());
            }
        }
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
            assert!(early.fill(&logits, f32::NEG_INFINITY, 0, share) && late.fill(&logits, f32::NEG_INFINITY, 0, 0.0));
            late.keep_min_p(share);
            assert_eq!(early.items(), late.items());
        }
    }
}
