//! The known bugs, in one table: what each is called, where to read how it should be, and how it is made on purpose.
//!
//! A bug that changes nothing for a model is not tried there: `make` says so. To add one, add an entry to the module of its subject.

mod attention;
mod embedding;
mod feed_forward;
mod layers;
mod norms;
mod output;
mod products;
mod rope;

use samebit_model::Model;

use crate::evidence::Evidence;
use crate::suspect::Suspect;

/// What a bug is about; bugs of one topic are tried as pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Which tokens the model sees.
    Tokens,
    /// Which layer's weights stand where.
    Layers,
    /// Embeddings.
    Embedding,
    /// Norms.
    Norm,
    /// Products, their biases and weights.
    Product,
    /// Rotations.
    Rope,
    /// Attention.
    Attention,
    /// The key/value cache.
    Cache,
    /// The feed-forward network and the residual stream.
    FeedForward,
    /// The logits.
    Output,
    /// Decoding of quantised weights.
    Quant,
}

/// Makes the bug, or says that it would change nothing here.
pub type Make = Box<dyn Fn(&mut Suspect, &Model) -> bool + Send + Sync>;

/// A known bug.
pub struct Fault {
    /// Its name: `rope-pairing`.
    pub id: String,
    /// What it is about.
    pub topic: Topic,
    /// The finding, one sentence.
    pub finding: String,
    /// Where to read how it should be.
    pub reference: &'static str,
    /// Makes it.
    pub make: Make,
    /// Guesses of one number: of a series only the best is told, and it may be refined.
    pub number: Option<Number>,
    /// Too slow to be tried before others have failed.
    pub slow: bool,
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fault").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A number that a bug gets wrong.
#[derive(Clone, Debug)]
pub struct Number {
    /// The series that it belongs to.
    pub series: &'static str,
    /// What is right.
    pub right: f64,
    /// This guess.
    pub guess: f64,
    /// The same bug with another guess, where any number is possible.
    pub refine: Option<fn(&Model, f64) -> Fault>,
}

impl Fault {
    pub(crate) fn new(
        topic: Topic,
        id: impl Into<String>,
        finding: impl Into<String>,
        reference: &'static str,
        make: impl Fn(&mut Suspect, &Model) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            id: id.into(),
            topic,
            finding: finding.into(),
            reference,
            make: Box::new(make),
            number: None,
            slow: false,
        }
    }

    /// Whether its effect may be as small as a rounding.
    pub(crate) fn is_subtle(&self) -> bool {
        ["norm-epsilon", "norm-epsilon-outside", "gate-gelu-tanh", "gate-gelu-erf"].contains(&&*self.id)
    }

    pub(crate) fn number(mut self, number: Number) -> Self {
        self.number = Some(number);
        self
    }

    pub(crate) fn slow(mut self) -> Self {
        self.slow = true;
        self
    }
}

/// Every known bug, as far as it could show in this model.
pub fn all(model: &Model, evidence: &Evidence, readings: &[Reading]) -> Vec<Fault> {
    let mut faults = embedding::tokens(evidence, readings);
    faults.extend(embedding::faults(model));
    faults.extend(norms::faults(model));
    faults.extend(products::faults(model));
    faults.extend(rope::faults(model));
    faults.extend(attention::faults(model));
    faults.extend(feed_forward::faults(model));
    faults.extend(output::faults(model));
    faults.extend(layers::faults(model));
    faults
}

/// Another way to read the prompt: a list of tokens that a mistake leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The bug's name.
    pub id: &'static str,
    /// The finding.
    pub finding: String,
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
}
