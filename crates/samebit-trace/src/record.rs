//! Recording our own forward pass: a tap that keeps tensors, and the passes that it listens to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use samebit_kernels::{Isa, Numerics, Pool, Table};
use samebit_model::forward::Real;
use samebit_model::{Cache, KvType, Model, Row, Runner, Tap};

use crate::error::TraceError;
use crate::names;
use crate::trace::{Entry, Meta, Trace, Values};

/// Rows of a pass.
const BATCH: usize = 256;
/// Elements that a trace holds at most: 4 GiB.
const MOST_ELEMENTS: usize = 1 << 30;

/// How a model is run.
#[derive(Clone, Debug)]
pub struct How {
    /// Precision mode.
    pub numerics: Numerics,
    /// Type of the cache; the binary64 mode has its own.
    pub kv: KvType,
    /// Instruction set.
    pub isa: Isa,
    /// Threads.
    pub threads: usize,
    /// CPUs to bind the threads to, one each; none: as the system places them.
    pub cpus: Vec<usize>,
    /// Positions of the context; 0 is the model's own.
    pub context: usize,
}

impl Default for How {
    fn default() -> Self {
        Self { numerics: Numerics::V1, kv: KvType::F16, isa: Isa::native(), threads: 1, cpus: Vec::new(), context: 0 }
    }
}

impl How {
    /// In a precision mode, with the cache that goes with it where nothing else is said.
    #[must_use]
    pub fn mode(&self, numerics: Numerics, kv: KvType) -> Self {
        Self { numerics, kv, ..self.clone() }
    }
}

/// What is run: a prompt, and how many tokens are generated after it, greedily.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    /// The prompt's tokens.
    pub prompt: &'a [u32],
    /// Steps of generation after it; the token of the last is not run itself.
    pub decode: usize,
    /// Logits of all positions, not only of the prompt's last and of those that follow.
    pub all_logits: bool,
}

/// Which tensors to keep.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// These layers; empty: all. Tensors of no layer stay.
    pub layers: BTreeSet<usize>,
    /// These names (canonical); empty: all.
    pub names: BTreeSet<String>,
    /// These positions; empty: all.
    pub positions: BTreeSet<usize>,
    /// Only summaries.
    pub summary: bool,
    /// RoPE's tables too.
    pub tables: bool,
    /// The cache's contents too, as they are after the last pass.
    pub cache: bool,
}

impl Filter {
    fn takes(&self, name: &str, layer: Option<usize>) -> bool {
        let of_layer = layer.is_none_or(|layer| self.layers.is_empty() || self.layers.contains(&layer));
        of_layer && (self.names.is_empty() || self.names.contains(name))
    }

    fn takes_position(&self, position: usize) -> bool {
        self.positions.is_empty() || self.positions.contains(&position)
    }
}

/// A tap that is told which positions its tensors belong to.
pub trait Listener: Tap<f32> + Tap<f64> {
    /// A pass over these positions begins; those of `logits` go on to the output.
    fn begin(&mut self, positions: &[usize], logits: &[usize]);

    /// Whether it wants RoPE's tables and the cache after the last pass.
    fn wants_state(&self) -> (bool, bool) {
        (false, false)
    }

    /// A table or a part of the cache: a row for each position that was run.
    fn state(&mut self, _name: &str, _layer: Option<usize>, _cols: usize, _values: &[f32]) {}
}

/// Keeps tensors.
#[derive(Debug, Default)]
pub struct Recorder {
    filter: Filter,
    positions: Vec<usize>,
    logits: Vec<usize>,
    entries: Vec<Entry>,
    index: BTreeMap<(String, Option<usize>), usize>,
    elements: usize,
}

impl Recorder {
    /// Keeps what the filter takes.
    pub fn new(filter: Filter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// The tensors, in the order of the computation.
    pub fn finish(self) -> Vec<Entry> {
        let mut trace = Trace { entries: self.entries, ..Trace::default() };
        trace.sort();
        trace.entries
    }

    /// Whether there was more than a trace may hold; the rest was not kept.
    pub fn full(&self) -> bool {
        self.elements > MOST_ELEMENTS
    }

    fn keep<R: Real>(&mut self, name: &str, layer: Option<usize>, cols: usize, values: &[R]) {
        let Some((name, layer)) = names::canonical(&names::label(name, layer)) else { return };
        if !self.filter.takes(&name, layer) {
            return;
        }
        let of_logits = name.starts_with("result_");
        let positions = if of_logits { self.logits.clone() } else { self.positions.clone() };
        let kept: Vec<usize> = (0..positions.len()).filter(|&r| self.filter.takes_position(positions[r])).collect();
        if kept.is_empty() {
            return;
        }
        self.elements = self.elements.saturating_add(kept.len() * cols);
        if !self.filter.summary && self.full() {
            return;
        }
        let scores = matches!(names::kind(&name), names::Kind::Scores | names::Kind::Softmax);
        let shape = match self.positions.iter().max() {
            Some(&last) if scores => vec![cols / (last + 1), last + 1],
            _ => vec![cols],
        };
        let rows = kept.iter().flat_map(|&r| &values[r * cols..(r + 1) * cols]).map(|v| v.to_f32()).collect();
        let positions = kept.iter().map(|&r| positions[r]).collect();
        let mut new = Entry { name, layer, positions, shape, values: Values::All(rows), summaries: Vec::new() };
        if self.filter.summary {
            new.summarise();
        }
        self.join(new);
    }

    /// Adds rows to what is there of a tensor already.
    fn join(&mut self, new: Entry) {
        let key = (new.name.clone(), new.layer);
        let Some(&at) = self.index.get(&key) else {
            self.index.insert(key, self.entries.len());
            self.entries.push(new);
            return;
        };
        let old = &mut self.entries[at];
        let mut new = new;
        if old.shape != new.shape {
            // Scores of later passes have more keys.
            widen(old, new.shape.last().copied().unwrap_or(0));
            widen(&mut new, old.shape.last().copied().unwrap_or(0));
        }
        old.positions.extend(new.positions);
        old.summaries.extend(new.summaries);
        if let (Values::All(old), Values::All(new)) = (&mut old.values, new.values) {
            old.extend(new);
        }
    }
}

/// Gives scores room for more keys, hidden ones.
fn widen(entry: &mut Entry, keys: usize) {
    let had = entry.shape.last().copied().unwrap_or(0);
    if had >= keys {
        return;
    }
    if let Values::All(values) = &mut entry.values {
        let padding = vec![0.0; keys - had];
        *values = values.chunks_exact(had.max(1)).flat_map(|row| row.iter().chain(&padding)).copied().collect();
    }
    if let Some(last) = entry.shape.last_mut() {
        *last = keys;
    }
}

impl<R: Real> Tap<R> for Recorder {
    fn tensor(&mut self, name: &str, layer: Option<usize>, cols: usize, values: &mut [R]) {
        self.keep(name, layer, cols, values);
    }

    fn wants(&self, name: &str, layer: usize) -> bool {
        self.filter.takes(name, Some(layer))
    }
}

impl Listener for Recorder {
    fn begin(&mut self, positions: &[usize], logits: &[usize]) {
        (self.positions, self.logits) = (positions.to_vec(), logits.to_vec());
    }

    fn wants_state(&self) -> (bool, bool) {
        (self.filter.tables, self.filter.cache)
    }

    fn state(&mut self, name: &str, layer: Option<usize>, cols: usize, values: &[f32]) {
        self.positions = (0..values.len() / cols.max(1)).collect();
        self.keep(name, layer, cols, values);
    }
}

/// Runs a script with a listener; the tokens of all positions that were run, and those that were generated.
///
/// # Errors
/// An empty prompt, one beyond the context, or a pass that stopped.
pub fn run<L: Listener>(
    model: &Arc<Model>,
    how: &How,
    script: &Script<'_>,
    listener: &mut L,
) -> Result<(Vec<u32>, Vec<u32>), TraceError> {
    let context = if how.context == 0 { model.config().context } else { how.context.min(1 << 30) };
    let wanted = script.prompt.len().saturating_add(script.decode);
    if script.prompt.is_empty() {
        return Err(TraceError::at("prompt", "has no tokens: give some text, or a token to begin with"));
    }
    if wanted > context {
        return Err(TraceError::at(
            "prompt",
            format!("{wanted} tokens are more than the context's {context}: raise -c"),
        ));
    }
    match how.numerics {
        Numerics::F64 => Passes::new(model, Table::double(), KvType::F32, how, context)?.run(script, listener),
        mode => Passes::new(model, Table::single(how.isa, mode), how.kv, how, context)?.run(script, listener),
    }
}

/// Runs a script and keeps what the filter takes.
///
/// # Errors
/// As [`run`]; a trace too large to hold.
pub fn record(model: &Arc<Model>, how: &How, script: &Script<'_>, filter: Filter) -> Result<Trace, TraceError> {
    let mut recorder = Recorder::new(filter);
    let (tokens, generated) = run(model, how, script, &mut recorder)?;
    if recorder.full() && !recorder.filter.summary {
        return Err(TraceError::at(
            "trace",
            "would take more than 4 GiB: choose layers, names or positions, or --summary",
        ));
    }
    let meta = Meta {
        engine: Some(format!("samebit {}", env!("CARGO_PKG_VERSION"))),
        model_digest: None,
        architecture: Some(model.config().architecture.name.into()),
        numerics: Some(how.numerics.name().into()),
        tokens,
        generated,
        more: [("kv".to_owned(), how.kv.name().to_owned()), ("isa".to_owned(), how.isa.to_string())].into(),
    };
    Ok(Trace { meta, entries: recorder.finish(), unknown: Vec::new() })
}

/// One sequence in one precision.
struct Passes<R: 'static> {
    runner: Runner<R>,
    cache: Cache<R>,
}

impl<R: Real> Passes<R> {
    fn new(model: &Arc<Model>, table: Table<R>, kv: KvType, how: &How, context: usize) -> Result<Self, TraceError> {
        let config = model.config();
        let cache = Cache::new(kv, config.layers, config.kv_heads, config.head_dim);
        let pool = Pool::new(how.threads);
        if !how.cpus.is_empty() {
            pool.pin(&how.cpus).map_err(|error| TraceError::at("--pin", error.to_string()))?;
        }
        Ok(Self { runner: Runner::new(Arc::clone(model), table, pool, context), cache })
    }

    fn run<L: Listener + Tap<R>>(
        mut self,
        script: &Script<'_>,
        listener: &mut L,
    ) -> Result<(Vec<u32>, Vec<u32>), TraceError> {
        let mut tokens = script.prompt.to_vec();
        let mut generated = Vec::new();
        let mut last = Vec::new();
        for (batch, part) in script.prompt.chunks(BATCH).enumerate() {
            let first = batch * BATCH;
            let ends = first + part.len() == script.prompt.len();
            let wanted: Vec<usize> = match script.all_logits {
                true => (0..part.len()).collect(),
                false => {
                    if ends {
                        vec![part.len() - 1]
                    } else {
                        Vec::new()
                    }
                }
            };
            last = self.pass(part, first, &wanted, listener)?;
        }
        for step in 0..script.decode {
            let row = &last[last.len().saturating_sub(self.runner.model().vocabulary())..];
            let token = greedy(row);
            generated.push(token);
            if step + 1 < script.decode {
                last = self.pass(&[token], tokens.len(), &[0], listener)?;
                tokens.push(token);
            }
        }
        self.state(tokens.len(), listener);
        Ok((tokens, generated))
    }

    /// Tells tables and cache, where the listener wants them.
    fn state<L: Listener>(&self, positions: usize, listener: &mut L) {
        let config = self.runner.model().config();
        let (tables, cache) = listener.wants_state();
        if tables {
            let kinds = [(false, "rope_cos", "rope_sin"), (true, "rope_cos_swa", "rope_sin_swa")];
            for (windowed, cos, sin) in kinds.into_iter().filter(|(w, ..)| !w || config.rope.window_base.is_some()) {
                let (mut cosines, mut sines) = (Vec::new(), Vec::new());
                for position in 0..positions {
                    let (cos, sin) = self.runner.rope(windowed, position);
                    cosines.extend(cos.iter().map(|v| v.to_f32()));
                    sines.extend(sin.iter().map(|v| v.to_f32()));
                }
                listener.state(cos, None, config.rope.dims / 2, &cosines);
                listener.state(sin, None, config.rope.dims / 2, &sines);
            }
        }
        let width = config.kv_heads * config.head_dim;
        for layer in (0..config.layers).filter(|_| cache) {
            let (keys, values) = crate::cache::contents(&self.cache, layer, positions, config);
            listener.state("cache_k", Some(layer), width, &keys);
            listener.state("cache_v", Some(layer), width, &values);
        }
    }

    fn pass<L: Listener + Tap<R>>(
        &mut self,
        tokens: &[u32],
        first: usize,
        wanted: &[usize],
        listener: &mut L,
    ) -> Result<Vec<R>, TraceError> {
        let positions: Vec<usize> = (first..first + tokens.len()).collect();
        let logits: Vec<usize> = wanted.iter().map(|row| first + row).collect();
        listener.begin(&positions, &logits);
        let row = |(&token, &position)| Row { token, position, cache: 0 };
        let rows: Vec<Row> = tokens.iter().zip(&positions).map(row).collect();
        Ok(self.runner.run(&rows, std::slice::from_mut(&mut self.cache), wanted, listener)?)
    }
}

/// The highest logit, the lowest id where several are.
fn greedy<R: Real>(row: &[R]) -> u32 {
    let mut best = 0;
    for (id, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = id;
        }
    }
    best as u32
}
