//! The tokens seen lately, and what having been seen costs a token's logit.
//!
//! Knows nothing of candidates or chance. NUMERICS.md, "Sampling", step 2.

use super::SamplerConfig;
use std::collections::{BTreeMap, VecDeque};

/// The latest tokens of a sequence, at most [`SamplerConfig::repeat_last_n`], with their counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    tokens: VecDeque<u32>,
    counts: BTreeMap<u32, u32>,
}

impl Window {
    /// Appends a token; the oldest leaves once there are more than `last_n`.
    pub(super) fn push(&mut self, token: u32, last_n: usize) {
        self.tokens.push_back(token);
        let count = self.counts.entry(token).or_default();
        *count = count.saturating_add(1);
        while self.tokens.len() > last_n {
            let Some(oldest) = self.tokens.pop_front() else {
                return;
            };
            let left = self.counts.get(&oldest).map_or(0, |count| count - 1);
            if left == 0 {
                self.counts.remove(&oldest);
            } else {
                self.counts.insert(oldest, left);
            }
        }
    }

    /// Lowers the logits of the tokens in the window. Tokens outside the vocabulary are passed over.
    pub(super) fn apply(&self, config: &SamplerConfig, logits: &mut [f32]) {
        for (&token, &count) in &self.counts {
            let Some(logit) = logits.get_mut(token as usize) else {
                continue;
            };
            let scaled = if *logit <= 0.0 { *logit * config.repeat_penalty } else { *logit / config.repeat_penalty };
            let cost = count as f32 * config.frequency_penalty + config.presence_penalty;
            *logit = scaled - cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_token_leaves() {
        let mut window = Window::default();
        for token in [7, 7, 5, 6] {
            window.push(token, 3);
        }
        assert_eq!(window.tokens, [7, 5, 6]);
        assert_eq!(window.counts.into_iter().collect::<Vec<_>>(), [(5, 1), (6, 1), (7, 1)]);
    }

    #[test]
    fn positive_logits_are_divided_and_negative_multiplied() {
        let config = SamplerConfig {
            repeat_penalty: 2.0,
            frequency_penalty: 0.5,
            presence_penalty: 0.25,
            ..SamplerConfig::default()
        };
        let mut window = Window::default();
        for token in [0, 0, 1, 9] {
            window.push(token, 64);
        }
        let mut logits = [4.0, -4.0, 4.0];
        window.apply(&config, &mut logits);
        assert_eq!(logits, [2.0 - 1.25, -8.0 - 0.75, 4.0]);
    }
}
