//! Counters, gauges and histograms in Prometheus' text format. Every one is an atomic: nobody waits for a reader.

use samebit_engine::Counts;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of a histogram's buckets, in seconds.
const BOUNDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 120.0];

/// How often something took how long.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(at) = BOUNDS.iter().position(|&bound| seconds <= bound) {
            self.buckets[at].fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    fn write(&self, out: &mut String, name: &str, help: &str) {
        head(out, name, "histogram", help);
        let mut sum = 0;
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            sum += bucket.load(Relaxed);
            line(out, &format!("{name}_bucket{{le=\"{bound}\"}}"), sum);
        }
        let count = self.count.load(Relaxed);
        line(out, &format!("{name}_bucket{{le=\"+Inf\"}}"), count);
        line(out, &format!("{name}_sum"), self.micros.load(Relaxed) as f64 / 1e6);
        line(out, &format!("{name}_count"), count);
    }
}

/// What the server counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    responses: [AtomicU64; 6],
    connections: AtomicU64,
    submitted: AtomicU64,
    asked_tokens: AtomicU64,
    cancelled: AtomicU64,
    first_token: Histogram,
    answer: Histogram,
    step: Histogram,
    /// The batch's own counts, as they were after its last step.
    counts: [AtomicU64; NAMES.len()],
}

/// Name, kind and help of each of the batch's counts, in the order of [`values`].
const NAMES: [(&str, &str, &str); 12] = [
    ("samebit_running", "gauge", "Answers that have a place in the batch"),
    ("samebit_waiting", "gauge", "Submissions and preempted answers that wait for a place"),
    ("samebit_cache_pages", "gauge", "Pages that the key/value cache may have"),
    ("samebit_cache_pages_used", "gauge", "Pages of running answers"),
    ("samebit_cache_pages_kept", "gauge", "Pages kept for prompts that begin alike"),
    ("samebit_prompt_tokens_total", "counter", "Prompt tokens taken in, cached ones included"),
    ("samebit_prompt_tokens_cached_total", "counter", "Prompt tokens found in the prefix cache"),
    ("samebit_generated_tokens_total", "counter", "Tokens generated"),
    ("samebit_drafted_tokens_total", "counter", "Tokens guessed"),
    ("samebit_accepted_tokens_total", "counter", "Guessed tokens that were right"),
    ("samebit_preemptions_total", "counter", "Answers that gave their pages back and were computed again"),
    ("samebit_passes_total", "counter", "Passes over the model"),
];

fn values(counts: &Counts) -> [u64; NAMES.len()] {
    [
        counts.running as u64,
        counts.waiting as u64,
        counts.pages as u64,
        counts.pages_used as u64,
        counts.pages_cached as u64,
        counts.prompt_tokens,
        counts.cached_tokens,
        counts.generated_tokens,
        counts.drafted_tokens,
        counts.accepted_tokens,
        counts.preemptions,
        counts.passes,
    ]
}

impl Metrics {
    pub(crate) fn publish(&self, counts: &Counts) {
        for (cell, value) in self.counts.iter().zip(values(counts)) {
            cell.store(value, Relaxed);
        }
    }

    /// Answers that have a place, and submissions that wait for one.
    pub(crate) fn load(&self) -> (u64, u64) {
        (self.counts[0].load(Relaxed), self.counts[1].load(Relaxed))
    }

    pub(crate) fn submitted(&self, prompt: usize) {
        self.submitted.fetch_add(1, Relaxed);
        self.asked_tokens.fetch_add(prompt as u64, Relaxed);
    }

    pub(crate) fn cancelled(&self) {
        self.cancelled.fetch_add(1, Relaxed);
    }

    /// A token came; if it was an answer's first, after so long.
    pub(crate) fn token(&self, first: Option<Duration>) {
        if let Some(took) = first {
            self.first_token.observe(took);
        }
    }

    pub(crate) fn finished(&self, took: Duration) {
        self.answer.observe(took);
    }

    pub(crate) fn step(&self, took: Duration) {
        self.step.observe(took);
    }

    /// A response was begun with this status.
    pub(crate) fn response(&self, status: u16) {
        let class = usize::from(status / 100).min(self.responses.len() - 1);
        self.responses[class].fetch_add(1, Relaxed);
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    /// Prometheus' text format, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for ((name, kind, help), value) in NAMES.iter().zip(&self.counts) {
            head(&mut out, name, kind, help);
            line(&mut out, name, value.load(Relaxed));
        }
        head(&mut out, "samebit_responses_total", "counter", "Responses begun, by class of status");
        for (class, count) in self.responses.iter().enumerate().skip(2) {
            line(&mut out, &format!("samebit_responses_total{{status=\"{class}xx\"}}"), count.load(Relaxed));
        }
        for (name, kind, help, value) in [
            ("samebit_connections", "gauge", "Open connections", &self.connections),
            ("samebit_submissions_total", "counter", "Prompts that the batch has taken", &self.submitted),
            ("samebit_submitted_tokens_total", "counter", "Tokens of these prompts", &self.asked_tokens),
            ("samebit_cancelled_total", "counter", "Prompts whose client left", &self.cancelled),
        ] {
            head(&mut out, name, kind, help);
            line(&mut out, name, value.load(Relaxed));
        }
        self.first_token.write(&mut out, "samebit_first_token_seconds", "From arrival to the first token");
        self.answer.write(&mut out, "samebit_answer_seconds", "From arrival to the last choice's end");
        self.step.write(&mut out, "samebit_step_seconds", "One step of the batch");
        out
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(out, "{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_prometheus() {
        let metrics = Metrics::default();
        metrics.publish(&Counts { running: 3, passes: 7, ..Counts::default() });
        metrics.token(Some(Duration::from_millis(30)));
        metrics.token(Some(Duration::from_secs(1000)));
        metrics.token(None);
        metrics.response(429);
        let text = metrics.text();
        for wanted in [
            "# TYPE samebit_running gauge\nsamebit_running 3\n",
            "samebit_passes_total 7\n",
            "samebit_responses_total{status=\"4xx\"} 1\n",
            "samebit_first_token_seconds_bucket{le=\"0.025\"} 0\n",
            "samebit_first_token_seconds_bucket{le=\"0.05\"} 1\n",
            "samebit_first_token_seconds_bucket{le=\"120\"} 1\n",
            "samebit_first_token_seconds_bucket{le=\"+Inf\"} 2\n",
            "samebit_first_token_seconds_sum 1000.03\n",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        assert!(text.lines().all(|line| line.starts_with("# ") || line.split(' ').count() == 2));
    }
}
