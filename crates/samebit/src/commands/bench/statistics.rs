//! Mean, deviation and median of a few samples.

/// A summary of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Summary {
    pub(super) mean: f64,
    /// Of the sample (n - 1); 0 for one.
    pub(super) deviation: f64,
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

/// The summary of samples; all 0 if there are none.
pub(super) fn summary(samples: &[f64]) -> Summary {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
        return Summary::default();
    };
    let count = sorted.len();
    let mean = sorted.iter().sum::<f64>() / count as f64;
    let squares: f64 = sorted.iter().map(|sample| (sample - mean) * (sample - mean)).sum();
    let deviation = (squares / count.saturating_sub(1).max(1) as f64).sqrt();
    let median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0;
    Summary { mean, deviation, median, least, most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        let four = Summary { mean: 4.0, deviation: (20.0f64 / 3.0).sqrt(), median: 4.0, least: 1.0, most: 7.0 };
        assert_eq!(summary(&[7.0, 1.0, 5.0, 3.0]), four);
        assert_eq!(summary(&[1.0, 9.0, 2.0]).median, 2.0);
        assert_eq!(summary(&[3.0]), Summary { mean: 3.0, deviation: 0.0, median: 3.0, least: 3.0, most: 3.0 });
        assert_eq!(summary(&[]), Summary::default());
    }
}
