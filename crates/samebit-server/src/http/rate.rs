//! How much a key, or an address where there are no keys, may ask in a minute: buckets that fill by themselves.
//!
//! Requests are paid for when they come, tokens when they are known: a bucket of tokens may be overdrawn by one answer, and then
//! refuses until it has filled up again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Payer {
    Key(usize),
    Address(IpAddr),
}

/// Addresses remembered at most; those whose buckets are full again are forgotten first.
const MOST_PAYERS: usize = 1 << 16;

/// What is left of this minute's measure.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    requests: f64,
    tokens: f64,
    seen: Instant,
}

pub(crate) struct Rates {
    requests: Option<f64>,
    tokens: Option<f64>,
    buckets: Mutex<HashMap<Payer, Bucket>>,
}

impl Rates {
    /// Requests and tokens a minute; `None`: as many as come.
    pub(crate) fn new(requests: Option<u32>, tokens: Option<u32>) -> Self {
        let (requests, tokens) = (requests.map(f64::from), tokens.map(f64::from));
        Self { requests, tokens, buckets: Mutex::default() }
    }

    /// Pays for a request.
    ///
    /// # Errors
    /// Seconds after which it is worth another try.
    pub(crate) fn request(&self, payer: Payer, now: Instant) -> Result<(), u64> {
        if self.requests.is_none() && self.tokens.is_none() {
            return Ok(());
        }
        self.with(payer, now, |rates, bucket| {
            let wait = |have: f64, need: f64, rate: Option<f64>| match rate {
                Some(rate) if have < need => ((need - have) * 60.0 / rate).ceil().max(1.0),
                _ => 0.0,
            };
            let seconds = wait(bucket.requests, 1.0, rates.requests).max(wait(bucket.tokens, 0.0, rates.tokens));
            if seconds > 0.0 {
                return Err(seconds as u64);
            }
            bucket.requests -= 1.0;
            Ok(())
        })
    }

    /// Pays for tokens.
    pub(crate) fn tokens(&self, payer: Payer, count: u64, now: Instant) {
        if self.tokens.is_some() {
            self.with(payer, now, |_, bucket| bucket.tokens -= count as f64);
        }
    }

    fn with<T>(&self, payer: Payer, now: Instant, act: impl FnOnce(&Self, &mut Bucket) -> T) -> T {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = (self.requests.unwrap_or(0.0).max(1.0), self.tokens.unwrap_or(0.0));
        if buckets.len() >= MOST_PAYERS && !buckets.contains_key(&payer) {
            // A minute fills a bucket of requests, and whoever overdrew the other by much is remembered for longer.
            buckets.retain(|_, bucket| (now - bucket.seen).as_secs() < 60 || bucket.tokens < 0.0);
            if buckets.len() >= MOST_PAYERS {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(payer).or_insert(Bucket { requests: full.0, tokens: full.1, seen: now });
        let minutes = now.saturating_duration_since(bucket.seen).as_secs_f64() / 60.0;
        bucket.requests = (bucket.requests + full.0 * minutes).min(full.0);
        bucket.tokens = (bucket.tokens + full.1 * minutes).min(full.1);
        bucket.seen = now;
        act(self, bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn requests_run_out_and_come_back() {
        let (rates, now) = (Rates::new(Some(2), None), Instant::now());
        let (one, other) = (Payer::Key(0), Payer::Address([127, 0, 0, 1].into()));
        assert_eq!((rates.request(one, now), rates.request(one, now)), (Ok(()), Ok(())));
        assert_eq!(rates.request(one, now), Err(30));
        assert_eq!(rates.request(other, now), Ok(()));
        assert_eq!(rates.request(one, now + Duration::from_secs(31)), Ok(()));
        assert!(rates.request(one, now + Duration::from_secs(32)).is_err());
    }

    #[test]
    fn tokens_are_paid_for_afterwards() {
        let (rates, now) = (Rates::new(None, Some(60)), Instant::now());
        let one = Payer::Key(7);
        assert_eq!(rates.request(one, now), Ok(()));
        rates.tokens(one, 70, now);
        assert_eq!(rates.request(one, now), Err(10));
        assert_eq!(rates.request(one, now + Duration::from_secs(10)), Ok(()));
    }
}
