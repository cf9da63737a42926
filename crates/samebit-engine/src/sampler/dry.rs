//! DRY ("don't repeat yourself"): what it costs a token to go on with what stood before, the dearer the longer that is.
//!
//! Knows tokens and lengths; nothing of texts, candidates or chance. NUMERICS.md, "Sampling", step 3.

use super::SamplerConfig;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The highest cost: far from where a subtraction of it would overflow.
const MOST: f32 = (1u128 << 100) as f32;

/// Where a repetition is not counted beyond, as tokens: each a head, and the tail that must follow it (none: the head alone will do).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Breakers(Arc<BTreeMap<u32, Vec<Vec<u32>>>>);

impl FromIterator<(u32, Vec<u32>)> for Breakers {
    fn from_iter<T: IntoIterator<Item = (u32, Vec<u32>)>>(breakers: T) -> Self {
        let mut tails: BTreeMap<u32, Vec<Vec<u32>>> = BTreeMap::new();
        for (head, tail) in breakers {
            tails.entry(head).or_default().push(tail);
        }
        Self(Arc::new(tails))
    }
}

impl Breakers {
    /// How many of the latest tokens stand after the last breaker; all of them if there is none.
    fn after_last(&self, tokens: &[u32]) -> usize {
        let longest_tail = |at: usize| {
            let tails = self.0.get(&tokens[at])?;
            tails.iter().filter(|tail| tokens[at + 1..].starts_with(tail)).map(Vec::len).max()
        };
        let ends = (0..tokens.len()).rev().find_map(|at| Some(at + 1 + longest_tail(at)?));
        tokens.len() - ends.unwrap_or(0)
    }

    /// Whether a token breaks by itself.
    fn breaks(&self, token: u32) -> bool {
        self.0.get(&token).is_some_and(|tails| tails.iter().any(Vec::is_empty))
    }
}

/// Lowers the logits of tokens that would prolong a repetition within the latest [`SamplerConfig::dry_penalty_last_n`] of `tokens`.
pub(super) fn apply(config: &SamplerConfig, tokens: &[u32], logits: &mut [f32]) {
    let window = &tokens[tokens.len().saturating_sub(config.dry_penalty_last_n)..];
    let most = config.dry_breakers.after_last(window);
    for (token, length) in prolonged(window, most) {
        let Some(beyond) = length.checked_sub(config.dry_allowed_length) else { continue };
        if let Some(logit) = logits.get_mut(token as usize).filter(|_| !config.dry_breakers.breaks(token)) {
            *logit -= cost(config, beyond);
        }
    }
}

/// `multiplier · base^beyond`, one factor after another.
fn cost(config: &SamplerConfig, beyond: usize) -> f32 {
    let mut cost = config.dry_multiplier.min(MOST);
    for _ in 0..beyond {
        let next = (cost * config.dry_base).min(MOST);
        if next == cost {
            break;
        }
        cost = next;
    }
    cost
}

/// Each token that followed an earlier occurrence of the window's end, with the length of the longest such end, at most `most`.
///
/// The window's end is a beginning of the reversed window, so one run of the Z algorithm (Gusfield, 1997) measures all occurrences.
fn prolonged(window: &[u32], most: usize) -> BTreeMap<u32, usize> {
    let reversed: Vec<u32> = window.iter().rev().copied().collect();
    let mut lengths = vec![0; reversed.len()];
    // The occurrence found so far that reaches furthest.
    let (mut from, mut to) = (0, 0);
    let mut longest = BTreeMap::new();
    for at in 1..reversed.len() {
        let known: usize = if at < to { lengths[at - from].min(to - at) } else { 0 };
        let more = reversed[known..].iter().zip(&reversed[at + known..]).take_while(|(a, b)| a == b).count();
        lengths[at] = known + more;
        if at + lengths[at] > to {
            (from, to) = (at, at + lengths[at]);
        }
        let length = lengths[at].min(most);
        if length > 0 {
            let before = longest.entry(reversed[at - 1]).or_default();
            *before = length.max(*before);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebit_numerics::philox::philox4x32_10;

    /// By the definition: every earlier place, and every length.
    fn plainly(window: &[u32], most: usize) -> BTreeMap<u32, usize> {
        let mut longest = BTreeMap::new();
        for next in 1..window.len() {
            let fits = |length: &usize| window[..next].ends_with(&window[window.len() - length..]);
            let Some(length) = (1..=next.min(most)).filter(fits).max() else { continue };
            let before = longest.entry(window[next]).or_default();
            *before = length.max(*before);
        }
        longest
    }

    #[test]
    fn lengths_are_those_of_the_definition() {
        for case in 0..3000u32 {
            let word = |index: u32| philox4x32_10([index, case, 0, 0], [0xd, 0x17])[0];
            let window: Vec<u32> = (0..word(900) % 60).map(|index| word(index) % (1 + case % 4)).collect();
            let most = [usize::MAX, 0, 1, 5][case as usize % 4];
            assert_eq!(prolonged(&window, most), plainly(&window, most), "{window:?}");
        }
        let long = vec![1; 200_000];
        assert_eq!(prolonged(&long, usize::MAX), BTreeMap::from([(1, 199_999)]), "linear, or this does not end");
    }

    #[test]
    fn what_stands_before_a_breaker_does_not_count() {
        let breakers: Breakers = [(9, vec![]), (7, vec![8, 8]), (7, vec![8])].into_iter().collect();
        assert_eq!(breakers.after_last(&[1, 2, 3]), 3);
        assert_eq!(breakers.after_last(&[1, 9, 3]), 1);
        assert_eq!(breakers.after_last(&[1, 9]), 0);
        assert_eq!(breakers.after_last(&[7, 8, 8, 3, 3]), 2, "the longest tail");
        assert_eq!(breakers.after_last(&[7, 8, 3]), 1);
        assert_eq!(breakers.after_last(&[7, 3]), 2);
        assert_eq!(Breakers::default().after_last(&[]), 0);
        assert!(breakers.breaks(9) && !breakers.breaks(7));
    }

    #[test]
    fn the_cost_grows_with_the_length() {
        let config = SamplerConfig {
            dry_multiplier: 0.5,
            dry_base: 2.0,
            dry_breakers: [(3, vec![])].into_iter().collect(),
            ..SamplerConfig::default()
        };
        // 1 2 came twice; 4 followed `5 1 2`, 6 followed `1 2` alone; 8 is beyond the vocabulary.
        let tokens = [1, 2, 8, 5, 1, 2, 4, 1, 2, 6, 5, 1, 2];
        let mut logits = [0.0; 8];
        apply(&config, &tokens, &mut logits);
        assert_eq!(logits, [0.0, 0.0, 0.0, 0.0, -1.0, 0.0, -0.5, 0.0]);
        let mut logits = [0.0; 8];
        apply(&config, &[1, 2, 3, 1, 2], &mut logits);
        assert_eq!(logits, [0.0; 8], "a breaker costs nothing itself");
        apply(&config, &[1, 2, 4, 3, 2], &mut logits);
        assert_eq!(logits, [0.0; 8], "one token after the breaker is below the length allowed");
        let repeated = vec![0; 1000];
        apply(&config, &repeated, &mut logits);
        assert_eq!(logits[0], -MOST);
        assert_eq!(cost(&SamplerConfig { dry_base: 1.0, ..config }, usize::MAX), 0.5);
    }
}
