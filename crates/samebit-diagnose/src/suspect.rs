//! A forward pass with mistakes made on purpose: mostly other data, and other operations where the mistake is one.
//!
//! The pass is the production's own. A mistake is an edited configuration, an edited map of tensors, an edited table of functions,
//! other rows, or a [`Change`] made to a tensor as it passes a tap.

use std::collections::BTreeMap;
use std::sync::Arc;

use samebit_kernels::{Isa, Numerics, Pool, Table};
use samebit_model::config::Config;
use samebit_model::weights::{Layer, Weights};
use samebit_model::{Cache, ForwardError, KvType, Model, Row, Runner};

use crate::attention::Attention;
use crate::evidence::Evidence;
use crate::probe::Probe;
use crate::residual::Residual;

/// What a change may look at.
#[derive(Debug)]
pub struct Moment<'a> {
    /// The model as this pass has it.
    pub model: &'a Model,
    /// The layer, for a layer's tensors.
    pub layer: Option<usize>,
    /// Elements of a row.
    pub cols: usize,
    /// The positions of the rows.
    pub positions: &'a [usize],
    /// The tokens of the pass.
    pub tokens: &'a [u32],
    /// How many of them are the prompt.
    pub prompt: usize,
    /// The residual stream as it was last.
    pub stream: &'a [f32],
    /// Threads to work with.
    pub threads: usize,
    /// This layer's tensors so far.
    pub tensors: &'a BTreeMap<String, Vec<f32>>,
}

impl<'a> Moment<'a> {
    /// An earlier tensor of this layer; empty if there was none.
    pub fn earlier(&self, name: &str) -> &'a [f32] {
        self.tensors.get(name).map_or(&[], Vec::as_slice)
    }

    /// The model's constants.
    pub fn config(&self) -> &'a Config {
        self.model.config()
    }

    /// The layer's tensors.
    pub fn weights(&self) -> Option<&'a Layer> {
        self.model.weights().layers.get(self.layer?)
    }
}

/// Puts other values in a tensor's place.
pub type Change = Arc<dyn Fn(&Moment<'_>, &mut [f32]) + Send + Sync>;

/// A pass to be run.
#[derive(Clone)]
pub struct Suspect {
    /// Constants.
    pub config: Config,
    /// Tensors.
    pub weights: Weights,
    /// Functions.
    pub table: Table<f32>,
    /// Tokens.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt.
    pub prompt: usize,
    /// Tensors that become others, by the tap's name, in order.
    pub changes: Vec<(&'static str, Change)>,
    /// Attention, where it is not the production's.
    pub attention: Option<Attention>,
}

impl std::fmt::Debug for Suspect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suspect")
            .field("tokens", &self.tokens.len())
            .field("attention", &self.attention)
            .finish_non_exhaustive()
    }
}

/// The precision of a pass: products, and attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// Of the products.
    pub numerics: Numerics,
    /// Of attention.
    pub exactness: crate::attention::Exactness,
}

impl Suspect {
    /// The right pass over the tokens of `evidence`.
    pub fn innocent(model: &Model, evidence: &Evidence, isa: Isa, precision: Precision) -> Self {
        let attention = Attention { exactness: precision.exactness, ..Attention::default() };
        Self {
            config: model.config().clone(),
            weights: model.weights().clone(),
            table: Table { fast: None, ..Table::single(isa, precision.numerics) },
            tokens: evidence.tokens.clone(),
            prompt: evidence.prompt,
            changes: Vec::new(),
            attention: (attention != Attention::default()).then_some(attention),
        }
    }

    /// Attention to be edited.
    pub fn attention(&mut self) -> &mut Attention {
        self.attention.get_or_insert_default()
    }

    /// Changes a tensor as it passes a tap.
    pub fn change(&mut self, name: &'static str, change: impl Fn(&Moment<'_>, &mut [f32]) + Send + Sync + 'static) {
        self.changes.push((name, Arc::new(change)));
    }

    /// Edits every layer.
    pub fn each_layer(&mut self, edit: impl Fn(&mut Layer)) {
        self.weights.layers.iter_mut().for_each(edit);
    }
}

/// How far a pass goes and what comes of it.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Go on from the other engine's values wherever it gives them.
    pub forced: bool,
    /// Layers to run; the output follows only after all.
    pub layers: usize,
    /// Keep every tensor.
    pub keep: bool,
    /// Threads.
    pub threads: usize,
}

/// What came of a pass.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Distance of each of the evidence's tensors that the pass reached.
    pub residuals: Vec<Option<Residual>>,
    /// Every tensor with its layer and row length, in order, if asked for.
    pub kept: Vec<(String, Option<usize>, usize, Vec<f32>)>,
    /// How far the other engine's own choices of tokens are from this pass's, if there are any.
    pub choices: Option<f64>,
}

/// Runs a pass and compares it with what the other engine computed.
///
/// # Errors
/// An activation that is not finite: the mistake gives no answer at all.
pub fn run(model: &Model, suspect: Suspect, evidence: &Evidence, how: How) -> Result<Outcome, ForwardError> {
    let Suspect { config, weights, table, tokens, prompt, changes, attention } = suspect;
    let whole = how.layers >= weights.layers.len();
    let model = Arc::new(model.variant(|c, w| {
        (*c, *w) = (config, weights);
        w.layers.truncate(how.layers);
    }));
    let config = model.config();
    let mut caches = [Cache::new(KvType::F32, config.layers, config.kv_heads, config.head_dim)];
    let rows: Vec<Row> =
        tokens.iter().enumerate().map(|(position, &token)| Row { token, position, cache: 0 }).collect();
    let mut probe = Probe::new(&model, evidence, &tokens, prompt, changes, attention, how);
    let wanted = if whole { probe.wanted() } else { Vec::new() };
    let context = tokens.len().max(1);
    let mut runner = Runner::new(Arc::clone(&model), table, Pool::new(how.threads), context);
    runner.run(&rows, &mut caches, &wanted, &mut probe)?;
    Ok(probe.finish())
}
