//! The answer: what was found, the evidence for it, and what was ruled out; for a person and for a program.

use serde::Serialize;

use samebit_kernels::Numerics;

use crate::attention::Exactness;
use crate::evidence::Evidence;
use crate::suspect::Precision;

/// What one rounding to bfloat16 may change, relative.
const BFLOAT: f64 = 2.0 / 512.0;

/// The answer in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole difference is precision.
    NoBug,
    /// A known bug explains it, or most of it.
    Bug,
    /// Nothing known explains it.
    Unexplained,
}

/// A bug, or a pair that only together explains.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Names.
    pub ids: Vec<String>,
    /// Sentences.
    pub findings: Vec<String>,
    /// Where to read how it should be.
    pub references: Vec<&'static str>,
    /// The number found, where the bug is one.
    pub number: Option<f64>,
    /// The first tensor that departed.
    pub tensor: String,
    /// Its distance without the bug.
    pub before: f64,
    /// And with it.
    pub after: f64,
    /// How much nearer all tensors are.
    pub nats: f64,
    /// The tensor is still further off than precision explains: something like this bug, not this bug itself.
    pub partial: bool,
    /// Bugs that have the same effect on this input.
    pub cannot_be_told_from: Vec<Vec<String>>,
}

/// Where the passes part for a reason unknown.
#[derive(Clone, Debug, Serialize)]
pub struct Departure {
    /// The first tensor.
    pub tensor: String,
    /// Its distance from what it should be, given its inputs.
    pub distance: f64,
    /// Distances up to this are precision.
    pub explained_by_precision: f64,
    /// What its values look like.
    pub partly_right: Option<String>,
}

/// A bug that does not explain.
#[derive(Clone, Debug, Serialize)]
pub struct RuledOut {
    /// Its name.
    pub id: String,
    /// What is left with it.
    pub distance: f64,
    /// How much nearer all tensors are with it; negative is further.
    pub nats: f64,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// In a word.
    pub verdict: Verdict,
    /// The precision that the other engine seems to have.
    pub precision: String,
    /// Mean distance from a right pass in floats throughout.
    pub exact_distance: f64,
    /// From a right pass in that precision.
    pub clean_distance: f64,
    /// With what was found.
    pub distance: f64,
    /// Bugs, the first departure's first.
    pub findings: Vec<Finding>,
    /// What is left unexplained.
    pub departure: Option<Departure>,
    /// What was tried and does not explain, the nearest first.
    pub ruled_out: Vec<RuledOut>,
    /// Tensors compared.
    pub tensors: usize,
    /// Tokens of the pass.
    pub tokens: usize,
    /// Passes run.
    pub passes: usize,
}

impl Diagnosis {
    /// No pass of ours came to an end.
    pub(crate) fn stuck(evidence: &Evidence) -> Self {
        Self {
            verdict: Verdict::Unexplained,
            precision: "unknown: no right pass comes to an end from these values".into(),
            exact_distance: f64::NAN,
            clean_distance: f64::NAN,
            distance: f64::NAN,
            findings: Vec::new(),
            departure: None,
            ruled_out: Vec::new(),
            tensors: evidence.tensors().len(),
            tokens: evidence.tokens.len(),
            passes: 0,
        }
    }

    /// For a person.
    pub fn text(&self) -> String {
        let mut out = String::new();
        match self.verdict {
            Verdict::NoBug => {
                out.push_str(&format!("No bug found: the difference is precision ({}).\n", self.precision))
            }
            Verdict::Bug => self.tell_findings(&mut out),
            Verdict::Unexplained if self.findings.is_empty() => out.push_str("Nothing known explains it.\n"),
            Verdict::Unexplained => {
                out.push_str("Nothing known explains all of it. Nearest, but not it:\n\n");
                self.tell_findings(&mut out);
            }
        }
        if let Some(departure) = &self.departure {
            let rest = match (self.findings.is_empty(), self.verdict) {
                (true, _) => "The first departing operation is",
                (false, Verdict::Unexplained) => "With that in place of what is right, what still departs first is",
                (false, _) => "With that mended, the next departure is",
            };
            let Departure { tensor, distance, explained_by_precision: limit, partly_right } = departure;
            out.push_str(&format!(
                "{rest} {tensor}: distance {distance:.2e}, of which precision explains {limit:.1e}.\n"
            ));
            if *distance < BFLOAT {
                out.push_str("  It is no more than rounding to bfloat16 would make.\n");
            }
            if let Some(look) = partly_right {
                out.push_str(&format!("  {look}.\n"));
            }
        }
        out.push_str(&format!(
            "\nMean distance: {:.2e} from floats throughout, {:.2e} from the right pass in its precision ({}){}.\n",
            self.exact_distance,
            self.clean_distance,
            self.precision,
            if self.findings.is_empty() {
                String::new()
            } else {
                format!(", {:.2e} with what was found", self.distance)
            }
        ));
        out.push_str(&format!(
            "{} tensors of {} tokens compared in {} passes.\n",
            self.tensors, self.tokens, self.passes
        ));
        self.tell_ruled_out(&mut out);
        out
    }

    fn tell_findings(&self, out: &mut String) {
        for finding in &self.findings {
            for sentence in &finding.findings {
                let mut letters = sentence.chars();
                let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
                out.push_str(&format!("{first}{}.\n", letters.as_str()));
            }
            out.push_str(&format!("  bug       {}\n", finding.ids.join(" and ")));
            out.push_str(&format!(
                "  evidence  {}: distance {:.2e} without it, {:.2e} with it\n",
                finding.tensor, finding.before, finding.after
            ));
            out.push_str(&format!("  read      {}\n", finding.references.join("; ")));
            if !finding.cannot_be_told_from.is_empty() {
                let ties: Vec<String> = finding.cannot_be_told_from.iter().map(|ids| ids.join(" and ")).collect();
                out.push_str(&format!("  or else   {} (the same effect on this input)\n", ties.join(", ")));
            }
        }
    }

    fn tell_ruled_out(&self, out: &mut String) {
        // Those that change nothing here are no nearer than no bug at all.
        let mut near: Vec<&RuledOut> = self.ruled_out.iter().filter(|r| r.nats.abs() > 1e-3).collect();
        near.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        let nearest: Vec<String> = near.iter().take(5).map(|r| format!("{} {:.1e}", r.id, r.distance)).collect();
        if !nearest.is_empty() {
            out.push_str(&format!(
                "Ruled out: {} other bugs; the nearest leave {}.\n",
                self.ruled_out.len(),
                nearest.join(", ")
            ));
        }
    }
}

/// A precision in words.
pub(crate) fn precision(precision: Precision, quantised: bool) -> String {
    let products = match precision.numerics {
        Numerics::A8 if quantised => "8-bit activations",
        _ => "activations in floats",
    };
    let attention = match precision.exactness {
        Exactness::Full => "attention in floats",
        Exactness::HalfCache => "an f16 cache",
        Exactness::ByteCache => "a Q8_0 cache",
        Exactness::HalfProducts => "f16 attention: cache, queries and weights",
        Exactness::HalfSums => "flash attention's f16 sums",
    };
    format!("{products}, {attention}")
}
