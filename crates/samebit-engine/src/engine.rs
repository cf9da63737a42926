//! The engine: a model, how it is run, and what may be asked of it.
//!
//! Knows options and bounds; how an answer comes about is `batch/`. Nothing of text, files or time.

use core::time::Duration;
use std::ops::ControlFlow;
use std::sync::Arc;

use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics, PinError, Pool, Table};
use samebit_model::{ForwardError, KvType, Model};

use crate::batch::{Batch, Happening, Limits, Submission};
use crate::error::EngineError;
use crate::request::{Event, Generation, Request};
use crate::sequence::{self, Sequence, TraceFn};
use crate::session::Session;

/// How a model is run. Only `numerics` and `kv` may change any bit (and `context`, for models with LongRoPE factors).
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Precision mode.
    pub numerics: Numerics,
    /// Type of the key/value cache.
    pub kv: KvType,
    /// Instruction set.
    pub isa: Isa,
    /// Threads.
    pub threads: usize,
    /// Most tokens of a pass.
    pub ubatch: usize,
    /// Without a cache everything is computed anew for each token: slow, and the simplest oracle there is.
    pub kv_cache: bool,
    /// Positions of the context; 0 is the model's own.
    pub context: usize,
    /// Most tokens to guess ahead of the one that is due, from what the text had before; 0 is none. Guesses are verified in
    /// one pass, at most [`MOST_DRAFTED`] of them.
    pub speculation: usize,
}

/// Most tokens of one guess: each costs a row of logits.
pub const MOST_DRAFTED: usize = 64;

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            numerics: Numerics::V1,
            kv: KvType::F16,
            isa: Isa::native(),
            threads: 1,
            ubatch: 512,
            kv_cache: true,
            context: 0,
            speculation: 0,
        }
    }
}

/// Elements of the widest activation of a pass.
const MOST_ACTIVATIONS: usize = 1 << 24;

/// A model and how to run it.
#[derive(Clone, Debug)]
pub struct Engine {
    model: Arc<Model>,
    options: EngineOptions,
    /// One for all sequences.
    pool: Pool,
}

impl Engine {
    /// Loads a model; its matrices stay in the file until [`Engine::prepare`] or the second pass.
    ///
    /// # Errors
    /// A file that is no model which can run here.
    pub fn load(gguf: Gguf, options: &EngineOptions) -> Result<Self, EngineError> {
        let pool = Pool::new(options.threads);
        Ok(Self { model: Arc::new(Model::load(gguf)?), options: options.clone(), pool })
    }

    /// Puts the weights into the form that the instruction set wants, where it wants another than the file's, on all threads.
    /// The first pass does without, and the second would do it otherwise. Tells `progress` how many bytes of how many are done.
    pub fn prepare(&self, progress: &mut dyn FnMut(usize, usize)) {
        let wanted = match self.options.numerics {
            Numerics::F64 => false,
            mode => Table::single(self.options.isa, mode).fast.is_some(),
        };
        if wanted {
            self.model.pack(&self.pool, progress);
        }
    }

    /// The same model run in another way; nothing is loaded again.
    pub fn with_options(&self, options: &EngineOptions) -> Self {
        let same = options.threads == self.options.threads;
        let pool = if same { self.pool.clone() } else { Pool::new(options.threads) };
        Self { model: Arc::clone(&self.model), options: options.clone(), pool }
    }

    /// Binds each thread to one of `cpus`, the calling thread to the first; see [`Pool::pin`].
    ///
    /// # Errors
    /// As there.
    pub fn pin(&self, cpus: &[usize]) -> Result<(), PinError> {
        self.pool.pin(cpus)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How it is run.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Tokens that the model knows.
    pub fn vocab_size(&self) -> usize {
        self.model.vocabulary()
    }

    /// Positions of the context.
    pub fn context(&self) -> usize {
        match self.options.context {
            0 => self.model.config().context,
            // Positions are 32-bit numbers in RoPE's tables.
            positions => positions.min(1 << 30),
        }
    }

    /// Generates tokens after a prompt, telling `listener` what happens; it may break the generation off. A batch of one.
    ///
    /// # Errors
    /// An empty prompt or one longer than the context; sampling parameters out of range; a pass that stopped.
    pub fn generate(
        &self,
        prompt: &[u32],
        request: &Request,
        listener: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        let rows = self.options.ubatch;
        let limits = Limits { rows, sequences: 1, pages: 1, queue: 1, prefix_cache: false };
        let mut batch = Batch::new(self, limits);
        batch.submit(Submission::new(prompt.to_vec(), request.clone()), Duration::ZERO)?;
        let mut result = None;
        while result.is_none() && !batch.is_idle() {
            batch.step(Duration::ZERO, &mut |_, happening| match happening {
                Happening::Prefill { done, total, .. } => listener(Event::Prefill { done, total }),
                Happening::Token { token, .. } => listener(Event::Token(token)),
                Happening::Done { generation, .. } => {
                    result = Some(Ok(generation));
                    ControlFlow::Continue(())
                }
                Happening::Failed(error) => {
                    result = Some(Err(error));
                    ControlFlow::Continue(())
                }
                Happening::PromptLogprobs(_) | Happening::Embedding(_) => ControlFlow::Continue(()),
            })?;
        }
        // A submission ends in one of the two.
        result.unwrap_or(Err(EngineError::EmptyPrompt))
    }

    /// A new, empty sequence for a caller that chooses the tokens. `kv_cache` and `speculation` mean nothing to it.
    pub fn session(&self) -> Session {
        Session::new(self.sequence(), self.most_rows(self.options.ubatch), self.context())
    }

    /// The logits that follow the prompt's tokens up to and including `position`.
    ///
    /// # Errors
    /// As [`Engine::generate`]; a position that the prompt does not have.
    pub fn logits(
        &self,
        prompt: &[u32],
        position: usize,
        listener: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<Vec<f32>, EngineError> {
        self.check_prompt(prompt)?;
        if position >= prompt.len() {
            return Err(EngineError::Position { position, tokens: prompt.len() });
        }
        let total = position + 1;
        let mut progress = |done| listener(Event::Prefill { done, total });
        let logits = self.session().feed(&prompt[..total], 1, &mut progress)?;
        Ok(logits.unwrap_or_default())
    }

    /// Runs a prompt in one pass and tells `trace` every named tensor on the way; the logits of the last token.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn trace(&self, prompt: &[u32], trace: &mut TraceFn<'_>) -> Result<Vec<f32>, EngineError> {
        self.check_prompt(prompt)?;
        Ok(self.sequence().pass(prompt, &[prompt.len() - 1], Some(trace))?)
    }

    /// Rows of a pass: what was asked for, unless the activations of so many would take memory without reason. No bit
    /// depends on it.
    pub(crate) fn most_rows(&self, asked: usize) -> usize {
        let config = self.model.config();
        let widest = config.width.max(config.feed_forward).max(config.heads * config.head_dim);
        asked.clamp(1, (MOST_ACTIVATIONS / widest).max(1))
    }

    pub(crate) fn shared_model(&self) -> &Arc<Model> {
        &self.model
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    fn sequence(&self) -> Box<dyn Sequence> {
        sequence::new(&self.model, &self.options, &self.pool, self.context())
    }

    pub(crate) fn check_prompt(&self, prompt: &[u32]) -> Result<(), EngineError> {
        if prompt.is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        if prompt.len() > self.context() {
            return Err(EngineError::PromptTooLong { tokens: prompt.len(), context: self.context() });
        }
        let vocabulary = self.vocab_size();
        match prompt.iter().find(|&&token| token as usize >= vocabulary) {
            Some(&token) => Err(ForwardError::Token { token, vocabulary }.into()),
            None => Ok(()),
        }
    }
}
