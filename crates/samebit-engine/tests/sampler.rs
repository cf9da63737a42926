//! The sampler against a naive second implementation of NUMERICS.md, "Sampling", and its promises one by one.
//!
//! The oracle shares only `exp`, `ln` and the random generator with the sampler, which have tests of their own.

use samebit_engine::sampler::{SampleError, Sampler, SamplerConfig};
use samebit_numerics::arith::Soft;
use samebit_numerics::math::{exp, ln};
use samebit_numerics::philox::philox4x32_10;
use std::collections::BTreeSet;

/// Test data: words of the generator under a key that no sampler test uses.
struct Noise(u32);

impl Noise {
    fn word(&mut self) -> u32 {
        self.0 += 1;
        philox4x32_10([self.0, 1, 2, 3], [0x5eed, 0xdada])[0]
    }
    fn below(&mut self, n: u32) -> u32 {
        self.word() % n
    }
    fn unit(&mut self) -> f32 {
        (self.word() >> 8) as f32 / 16_777_216.0
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }
}

/// The order of summation: as specified, or the negative controls.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Specified,
    Uncut,
    Backwards,
}

/// All prefix sums of `terms`.
fn prefix_sums(terms: &[f32], order: Order) -> Vec<f32> {
    let sum = |terms: &[f32]| match order {
        Order::Specified => {
            let partials = terms.chunks(256).map(|chunk| chunk.iter().fold(0.0f32, |a, b| a + b));
            partials.fold(0.0f32, |a, b| a + b)
        }
        Order::Uncut => terms.iter().fold(0.0f32, |a, b| a + b),
        Order::Backwards => terms.iter().rev().fold(0.0f32, |a, b| a + b),
    };
    (1..=terms.len()).map(|end| sum(&terms[..end])).collect()
}

fn oracle_uniform(config: &SamplerConfig, position: usize, purpose: u32) -> f32 {
    let counter = [position as u32, 0, config.sample_index, purpose];
    let key = [config.seed as u32, (config.seed >> 32) as u32];
    (philox4x32_10(counter, key)[0] / 256) as f32 / 16_777_216.0
}

/// Bias and penalties, by counting the window anew for each token.
fn oracle_logits(config: &SamplerConfig, logits: &[f32], history: &[u32]) -> Vec<f32> {
    let mut logits = logits.to_vec();
    for &(token, bias) in &config.logit_bias {
        logits[token as usize] += bias;
    }
    let seen = &history[history.len().saturating_sub(config.repeat_last_n)..];
    for (token, logit) in logits.iter_mut().enumerate() {
        let count = seen.iter().filter(|&&t| t as usize == token).count();
        if count == 0 {
            continue;
        }
        *logit = if *logit > 0.0 { *logit / config.repeat_penalty } else { *logit * config.repeat_penalty };
        *logit -= count as f32 * config.frequency_penalty + config.presence_penalty;
    }
    let window = &history[history.len().saturating_sub(config.dry_penalty_last_n)..];
    for (token, logit) in logits.iter_mut().enumerate() {
        *logit -= oracle_dry(config, window, token as u32);
    }
    logits
}

/// Breakers of the tests: 1 alone; 2, and 2 followed by 3.
const BREAKERS: [(u32, &[u32]); 3] = [(1, &[]), (2, &[3]), (2, &[3, 3])];

/// What DRY takes from a token: every end of the window is looked for before every place where the token stands.
fn oracle_dry(config: &SamplerConfig, window: &[u32], token: u32) -> f32 {
    if config.dry_multiplier == 0.0 || token == 1 {
        return 0.0;
    }
    let stands = |at: usize, tail: &[u32]| window[at + 1..].starts_with(tail);
    let end = (0..window.len()).rev().find_map(|at| {
        let tails = BREAKERS.iter().filter(|(head, tail)| *head == window[at] && stands(at, tail));
        tails.map(|(_, tail)| at + 1 + tail.len()).max()
    });
    let after = &window[end.unwrap_or(0)..];
    let repeated = (0..window.len())
        .filter(|&at| window[at] == token)
        .filter_map(|at| (1..=after.len()).filter(|&n| window[..at].ends_with(&after[after.len() - n..])).max());
    let Some(beyond) = repeated.max().and_then(|n| n.checked_sub(config.dry_allowed_length)) else { return 0.0 };
    (0..beyond).fold(config.dry_multiplier, |cost, _| (cost * config.dry_base).min((1u128 << 100) as f32))
}

/// The row sum of NUMERICS.md 2.3, from the absolute index.
fn row_sum(terms: &[f32]) -> f32 {
    let chunk = |chunk: &[f32]| {
        let mut lanes = [0.0f32; 16];
        chunk.iter().enumerate().for_each(|(i, term)| lanes[i % 16] += term);
        for width in [8, 4, 2, 1] {
            (0..width).for_each(|lane| lanes[lane] += lanes[lane + width]);
        }
        lanes[0]
    };
    terms.chunks(256).fold(0.0, |sum, terms| sum + chunk(terms))
}

/// The lowest logit that top-nσ keeps of candidates in the order of their ids.
fn oracle_floor(set: &[(u32, f32)], n: f32) -> f32 {
    let highest = set.iter().map(|c| c.1).fold(f32::NEG_INFINITY, f32::max);
    let below: Vec<f32> = set.iter().map(|c| c.1 - highest).collect();
    let mean = row_sum(&below) / below.len() as f32;
    let squares: Vec<f32> = below.iter().map(|d| (d - mean) * (d - mean)).collect();
    // The platform's square root is the correctly rounded one.
    #[allow(clippy::disallowed_methods)]
    let sigma = (row_sum(&squares) / squares.len() as f32).sqrt();
    highest - n * sigma
}

/// The temperature that the present candidates are drawn with.
fn oracle_temperature(config: &SamplerConfig, set: &[(u32, f32)], order: Order) -> f32 {
    let (middle, range) = (config.temperature, config.dynatemp_range);
    if range == 0.0 || set.len() == 1 {
        return middle;
    }
    let share = oracle_entropy(set, order).1 / ln::<Soft>(set.len() as f32);
    let power = match config.dynatemp_exponent {
        0.0 => 1.0,
        _ if share <= 0.0 => 0.0,
        exponent => exp::<Soft>(exponent * ln::<Soft>(share)),
    };
    let lowest = if middle - range > 0.0 { middle - range } else { 0.0 };
    lowest + ((middle + range) - lowest) * power
}

fn softmax_parts(set: &[(u32, f32)], temperature: f32) -> Vec<f32> {
    set.iter().map(|c| exp::<Soft>((c.1 - set[0].1) / temperature)).collect()
}

fn information(p: f32) -> f32 {
    if p == 0.0 { f32::INFINITY } else { -ln::<Soft>(p) }
}

/// Probabilities, and their entropy.
fn oracle_entropy(set: &[(u32, f32)], order: Order) -> (Vec<f32>, f32) {
    let weights = softmax_parts(set, 1.0);
    let total = *prefix_sums(&weights, order).last().expect("not empty");
    let p: Vec<f32> = weights.iter().map(|w| w / total).collect();
    let terms: Vec<f32> = p.iter().map(|&p| if p == 0.0 { 0.0 } else { p * information(p) }).collect();
    let entropy = *prefix_sums(&terms, order).last().expect("not empty");
    (p, entropy)
}

fn oracle_typical(set: &mut Vec<(u32, f32)>, share: f32, order: Order) {
    let (p, entropy) = oracle_entropy(set, order);
    let mut by_distance: Vec<(f32, usize)> =
        p.iter().enumerate().map(|(i, &p)| ((information(p) - entropy).abs(), i)).collect();
    by_distance.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    let shares: Vec<f32> = by_distance.iter().map(|&(_, i)| p[i]).collect();
    let sums = prefix_sums(&shares, order);
    let kept = sums.iter().position(|&s| s > share).map_or(p.len(), |i| i + 1);
    let kept: BTreeSet<usize> = by_distance[..kept].iter().map(|&(_, i)| i).collect();
    let mut index = 0;
    set.retain(|_| {
        index += 1;
        kept.contains(&(index - 1))
    });
}

/// Everything, the obvious way. Returns the token and the set it was drawn from.
fn oracle(
    config: &SamplerConfig,
    logits: &[f32],
    history: &[u32],
    position: usize,
    order: Order,
) -> (u32, Vec<(u32, f32)>) {
    let logits = oracle_logits(config, logits, history);
    let mut set: Vec<(u32, f32)> = (0..).zip(logits).filter(|c| c.1 > f32::NEG_INFINITY).collect();
    if config.top_n_sigma > 0.0 {
        let floor = oracle_floor(&set, config.top_n_sigma);
        set.retain(|c| c.1 >= floor);
    }
    set.sort_by(|a, b| b.1.partial_cmp(&a.1).expect("no NaN").then(a.0.cmp(&b.0)));
    if config.temperature <= 0.0 {
        return (set[0].0, set);
    }
    if config.top_k > 0 {
        set.truncate(config.top_k);
    }
    if config.typical_p < 1.0 {
        oracle_typical(&mut set, config.typical_p, order);
    }
    if config.top_p < 1.0 {
        let sums = prefix_sums(&softmax_parts(&set, 1.0), order);
        let wanted = config.top_p * sums[sums.len() - 1];
        let kept = sums.iter().position(|&s| s >= wanted).map_or(set.len(), |i| i + 1);
        set.truncate(kept);
    }
    let weights = softmax_parts(&set, 1.0);
    let mut weight = weights.iter();
    set.retain(|_| *weight.next().expect("as long") >= config.min_p);
    if config.xtc_threshold <= 0.5 && oracle_uniform(config, position, 1) < config.xtc_probability {
        let weights = softmax_parts(&set, 1.0);
        let wanted = config.xtc_threshold * prefix_sums(&weights, order)[weights.len() - 1];
        let leading = weights.iter().position(|&w| w < wanted).unwrap_or(weights.len());
        set.drain(..leading.max(1) - 1);
    }
    let temperature = oracle_temperature(config, &set, order);
    if temperature <= 0.0 {
        return (set[0].0, set);
    }
    let sums = prefix_sums(&softmax_parts(&set, temperature), order);
    let wanted = oracle_uniform(config, position, 0) * sums[sums.len() - 1];
    let index = sums.iter().position(|&s| s > wanted).unwrap_or(set.len() - 1);
    (set[index].0, set)
}

fn random_config(noise: &mut Noise, vocab: u32) -> SamplerConfig {
    SamplerConfig {
        seed: u64::from(noise.word()) << 32 | u64::from(noise.word()),
        sample_index: noise.below(3),
        temperature: noise.pick(&[0.0, 0.2, 0.8, 1.0, 1.0, 1.7, 20.0]),
        dynatemp_range: noise.pick(&[0.0, 0.0, 0.2, 0.9, 3.0]),
        dynatemp_exponent: noise.pick(&[0.0, 0.5, 1.0, 3.0]),
        top_n_sigma: noise.pick(&[-1.0, 0.0, 0.5, 1.0, 3.0]),
        top_k: noise.pick(&[0, 0, 1, 5, 40, 300, 5000]),
        top_p: noise.pick(&[0.0, 0.5, 0.9, 0.95, 1.0, 1.0]),
        min_p: noise.pick(&[0.0, 0.0, 0.05, 0.3, 1.0]),
        typical_p: noise.pick(&[1.0, 1.0, 0.0, 0.3, 0.9]),
        xtc_probability: noise.pick(&[0.0, 0.0, 0.5, 1.0]),
        xtc_threshold: noise.pick(&[0.0, 0.01, 0.1, 0.5, 0.6]),
        repeat_last_n: noise.pick(&[0, 4, 64, usize::MAX]),
        repeat_penalty: noise.pick(&[1.0, 1.0, 1.1, 0.8]),
        frequency_penalty: noise.pick(&[0.0, 0.0, 0.3, -0.2]),
        presence_penalty: noise.pick(&[0.0, 0.0, 0.5]),
        dry_multiplier: noise.pick(&[0.0, 0.3, 3.0]),
        dry_base: noise.pick(&[1.0, 1.75, 4.0]),
        dry_allowed_length: noise.pick(&[0, 1, 2, 5]),
        dry_penalty_last_n: noise.pick(&[0, 20, usize::MAX]),
        dry_breakers: BREAKERS.iter().map(|&(head, tail)| (head, tail.to_vec())).collect(),
        logit_bias: (0..noise.pick(&[0, 0, 3]))
            .map(|_| (noise.below(vocab), noise.pick(&[1.5, -0.5, f32::NEG_INFINITY])))
            .collect(),
    }
}

/// Logits with ties, both zeros, and sometimes so far apart that weights underflow.
fn random_logits(noise: &mut Noise, vocab: u32) -> Vec<f32> {
    let spread = noise.pick(&[1.0, 4.0, 16.0, 300.0]);
    let grain = noise.pick(&[0.0, 0.5]);
    (0..vocab)
        .map(|_| {
            let sum = noise.unit() + noise.unit() + noise.unit() - 1.5;
            let logit = sum * spread;
            if grain > 0.0 { (logit / grain).round() * grain } else { logit }
        })
        .collect()
}

/// Tokens, sometimes few of them, that come back in the same order.
fn random_history(noise: &mut Noise, vocab: u32) -> Vec<u32> {
    let vocab = noise.pick(&[vocab, 4]);
    let mut history: Vec<u32> = (0..noise.below(90)).map(|_| noise.below(vocab)).collect();
    if !history.is_empty() {
        let from = noise.below(history.len() as u32) as usize;
        let again = from..(from + noise.below(30) as usize).min(history.len());
        history.extend_from_within(again);
    }
    history
}

struct Case {
    config: SamplerConfig,
    logits: Vec<f32>,
    history: Vec<u32>,
    position: usize,
}

impl Case {
    fn random(noise: &mut Noise) -> Self {
        // At most three tokens are banned, so at least one candidate is left.
        let vocab = 4 + noise.pick(&[0, 3, 40, 252, 253, 700]);
        Self {
            config: random_config(noise, vocab),
            logits: random_logits(noise, vocab),
            history: random_history(noise, vocab),
            position: noise.word() as usize,
        }
    }
    fn sample(&self) -> u32 {
        let mut sampler = Sampler::new(&self.config, self.logits.len()).expect("valid settings");
        for &token in &self.history {
            sampler.accept(token);
        }
        sampler.sample(&self.logits, self.position).expect("finite logits")
    }
    fn oracle(&self, order: Order) -> (u32, Vec<(u32, f32)>) {
        oracle(&self.config, &self.logits, &self.history, self.position, order)
    }
}

#[test]
fn equals_the_naive_oracle() {
    let mut noise = Noise(0);
    for number in 0..4000 {
        let case = Case::random(&mut noise);
        let (token, set) = case.oracle(Order::Specified);
        assert_eq!(case.sample(), token, "case {number}: {:?}", case.config);
        assert!(set.iter().any(|c| c.0 == token), "case {number}");
    }
}

/// An oracle that leaves a step out is noticed, so the cases above reach every step.
#[test]
fn a_missing_step_is_noticed() {
    type Without = fn(&mut SamplerConfig);
    let steps: [(&str, Without); 11] = [
        ("bias", |c| c.logit_bias.clear()),
        ("penalties", |c| c.repeat_last_n = 0),
        ("DRY", |c| c.dry_multiplier = 0.0),
        ("the length that DRY allows", |c| c.dry_allowed_length = 0),
        ("top-nσ", |c| c.top_n_sigma = 0.0),
        ("top-k", |c| c.top_k = 0),
        ("typical", |c| c.typical_p = 1.0),
        ("top-p", |c| c.top_p = 1.0),
        ("min-p", |c| c.min_p = 0.0),
        ("XTC", |c| c.xtc_probability = 0.0),
        ("dynamic temperature", |c| c.dynatemp_range = 0.0),
    ];
    for (name, without) in steps {
        let mut noise = Noise(3);
        let noticed = (0..4000).any(|_| {
            let mut case = Case::random(&mut noise);
            let token = case.sample();
            without(&mut case.config);
            case.oracle(Order::Specified).0 != token
        });
        assert!(noticed, "{name}");
    }
}

/// A check that cannot fail is no check: other orders of summation must be noticed.
#[test]
fn another_order_of_summation_is_noticed() {
    for order in [Order::Uncut, Order::Backwards] {
        let mut noise = Noise(7);
        let noticed = (0..200_000).any(|_| {
            let vocab = 900;
            let case = Case {
                config: SamplerConfig {
                    seed: u64::from(noise.word()),
                    top_k: 0,
                    top_p: 1.0,
                    min_p: 0.0,
                    temperature: 1.0,
                    ..SamplerConfig::default()
                },
                logits: (0..vocab).map(|_| noise.unit()).collect(),
                history: Vec::new(),
                position: 0,
            };
            fast_oracle(&case, order) != case.sample()
        });
        assert!(noticed);
    }
}

/// The oracle's draw alone, linear in the vocabulary.
fn fast_oracle(case: &Case, order: Order) -> u32 {
    let mut set: Vec<(u32, f32)> = (0..).zip(case.logits.iter().copied()).collect();
    set.sort_by(|a, b| b.1.partial_cmp(&a.1).expect("no NaN").then(a.0.cmp(&b.0)));
    let weights = softmax_parts(&set, 1.0);
    let total = match order {
        Order::Backwards => weights.iter().rev().fold(0.0f32, |a, b| a + b),
        _ => weights.iter().fold(0.0f32, |a, b| a + b),
    };
    let wanted = oracle_uniform(&case.config, case.position, 0) * total;
    let mut sum = 0.0;
    let index = weights.iter().position(|w| {
        sum += w;
        sum > wanted
    });
    set[index.unwrap_or(set.len() - 1)].0
}

#[test]
fn top_k_of_one_is_greedy() {
    let mut noise = Noise(1);
    for _ in 0..500 {
        let mut case = Case::random(&mut noise);
        case.config.xtc_probability = 0.0;
        (case.config.top_k, case.config.temperature) = (1, 0.8);
        let one = case.sample();
        (case.config.top_k, case.config.temperature) = (0, 0.0);
        assert_eq!(case.sample(), one);
    }
}

#[test]
fn ties_go_to_the_lowest_token_and_the_zeros_are_equal() {
    let greedy = |logits: &[f32]| {
        let mut sampler = Sampler::new(&SamplerConfig::greedy(), logits.len()).expect("valid");
        sampler.sample(logits, 0)
    };
    assert_eq!(greedy(&[1.0, 3.0, 3.0, 2.0]), Ok(1));
    assert_eq!(greedy(&[-0.0, 0.0]), Ok(0));
    assert_eq!(greedy(&[0.0, -0.0]), Ok(0));
    assert_eq!(greedy(&[-1.0, -0.0, 0.0]), Ok(1));
}

/// Looser cut-offs keep every candidate that tighter ones keep, seen through thousands of draws at a high temperature.
#[test]
fn cut_offs_are_monotone() {
    type Set = fn(&mut SamplerConfig, f32);
    let settings: [(Set, [f32; 4]); 5] = [
        (|c, v| c.top_k = v as usize, [1.0, 4.0, 20.0, 60.0]),
        (|c, v| c.top_p = v, [0.1, 0.5, 0.9, 0.999]),
        (|c, v| c.min_p = v, [0.9, 0.3, 0.05, 0.001]),
        (|c, v| c.typical_p = v, [0.1, 0.5, 0.9, 0.999]),
        (|c, v| c.top_n_sigma = v, [0.1, 1.0, 2.0, 3.0]),
    ];
    let mut noise = Noise(2);
    let logits: Vec<f32> = (0..80).map(|_| noise.unit() * 6.0).collect();
    for (set, values) in settings {
        let drawn: Vec<BTreeSet<u32>> = values
            .into_iter()
            .map(|value| {
                let mut config =
                    SamplerConfig { temperature: 1000.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..SamplerConfig::default() };
                set(&mut config, value);
                let mut sampler = Sampler::new(&config, logits.len()).expect("valid");
                (0..4000).map(|p| sampler.sample(&logits, p).expect("finite")).collect()
            })
            .collect();
        for pair in drawn.windows(2) {
            assert!(pair[0].is_subset(&pair[1]), "{pair:?}");
            assert!(pair[0].len() < pair[1].len(), "{pair:?}");
        }
    }
}

/// Pearson's statistic over 20,000 draws with seven degrees of freedom: 24.3 has a chance of one in a thousand, and the seed is fixed.
#[test]
fn frequencies_follow_the_probabilities() {
    let logits = [0.0f32, 1.0, 2.0, 0.5, -1.0, 1.5, 0.25, -0.5];
    for (seed, sample_index, temperature) in [(0, 0, 1.0), (1, 0, 0.7), (1, 5, 1.6), (u64::MAX, 0, 1.0)] {
        let config = SamplerConfig {
            seed,
            sample_index,
            temperature,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            ..SamplerConfig::default()
        };
        let mut sampler = Sampler::new(&config, logits.len()).expect("valid");
        let draws = 20_000;
        let mut counts = [0.0f64; 8];
        for position in 0..draws {
            counts[sampler.sample(&logits, position).expect("finite") as usize] += 1.0;
        }
        // An oracle of probabilities: the platform's exp is near enough for statistics.
        #[allow(clippy::disallowed_methods)]
        let weights = logits.map(|l| f64::from(l / temperature).exp());
        let total: f64 = weights.iter().sum();
        let statistic: f64 = (0..8)
            .map(|i| {
                let expected = weights[i] / total * draws as f64;
                (counts[i] - expected) * (counts[i] - expected) / expected
            })
            .sum();
        assert!(statistic < 24.3, "{statistic} for seed {seed}");
        assert!(statistic > 0.6, "{statistic} for seed {seed}: too good to be chance");
    }
}

#[test]
fn a_draw_depends_on_position_and_index_and_not_on_draws_before() {
    let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32 * 0.1).collect();
    let config = SamplerConfig { temperature: 2.0, ..SamplerConfig::default() };
    let mut sampler = Sampler::new(&config, logits.len()).expect("valid");
    let forward: Vec<u32> = (0..100).map(|p| sampler.sample(&logits, p).expect("finite")).collect();
    let mut backward: Vec<u32> = (0..100).rev().map(|p| sampler.sample(&logits, p).expect("finite")).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    assert!(forward.iter().collect::<BTreeSet<_>>().len() > 5, "positions differ");
    let other = SamplerConfig { sample_index: 1, ..config };
    let mut other = Sampler::new(&other, logits.len()).expect("valid");
    let second: Vec<u32> = (0..100).map(|p| other.sample(&logits, p).expect("finite")).collect();
    assert_ne!(forward, second);
}

#[test]
fn banned_tokens_are_never_drawn_and_bad_logits_are_named() {
    let config = SamplerConfig {
        temperature: 5.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        logit_bias: vec![(0, f32::NEG_INFINITY), (2, f32::NEG_INFINITY)],
        ..SamplerConfig::default()
    };
    let mut sampler = Sampler::new(&config, 3).expect("valid");
    for position in 0..300 {
        assert_eq!(sampler.sample(&[9.0, 0.0, 9.0], position), Ok(1));
    }
    let nothing = [0.0, f32::NEG_INFINITY, 0.0];
    assert_eq!(sampler.sample(&nothing, 4), Err(SampleError::NothingLeft { position: 4 }));
    let overflow = sampler.sample(&[0.0, f32::INFINITY, 0.0], 6).expect_err("+inf");
    assert_eq!(overflow.to_string(), "the logit of token 1 at position 6 is inf: the model's numbers overflowed");
    let nan = sampler.sample(&[f32::NAN, 0.0, 0.0], 6);
    assert!(matches!(nan, Err(SampleError::NotFinite { token: 0, .. })));
    assert!(matches!(sampler.sample(&[0.0; 4], 0), Err(SampleError::Length { .. })));
}
