//! The engine: one request at a time, from prompt tokens to generated ones.
//!
//! Knows prefill, decode and when to stop; nothing of text, files or time.

use std::ops::ControlFlow;
use std::sync::Arc;

use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics, float_env};
use samebit_model::{KvType, Model};

use crate::digest::LogitsDigest;
use crate::error::EngineError;
use crate::sampler::{Sampler, SamplerConfig};
use crate::sequence::{self, Sequence, TraceFn};

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
    /// Most tokens of a prefill pass.
    pub ubatch: usize,
    /// Without a cache everything is computed anew for each token: slow, and the simplest oracle there is.
    pub kv_cache: bool,
    /// Positions of the context; 0 is the model's own.
    pub context: usize,
}

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
        }
    }
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct Request {
    /// Most tokens to generate; the context bounds them too.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampler: SamplerConfig,
    /// Tokens that end the generation; the one that did is part of it.
    pub stop_tokens: Vec<u32>,
    /// Go on after such a token.
    pub ignore_eos: bool,
}

/// What happens while a request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many of the prompt's tokens have been taken in.
    Prefill {
        /// Tokens done.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A token was chosen.
    Token(u32),
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A stop token was chosen.
    Stop,
    /// The bound on tokens, or the context, was reached.
    Length,
    /// The caller broke it off.
    Cancelled,
}

impl Finish {
    /// The name in records: `stop`, `length`, `cancelled`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The tokens, a stop token included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// See [`LogitsDigest`].
    pub logits_digest: String,
}

/// Elements of the widest activation of a pass.
const MOST_ACTIVATIONS: usize = 1 << 24;

/// A model and how to run it.
#[derive(Clone, Debug)]
pub struct Engine {
    model: Arc<Model>,
    options: EngineOptions,
}

impl Engine {
    /// Loads a model; its matrices stay in the file.
    ///
    /// # Errors
    /// A file that is no model which can run here.
    pub fn load(gguf: Gguf, options: &EngineOptions) -> Result<Self, EngineError> {
        Ok(Self { model: Arc::new(Model::load(gguf)?), options: options.clone() })
    }

    /// The same model run in another way; nothing is loaded again.
    pub fn with_options(&self, options: &EngineOptions) -> Self {
        Self { model: Arc::clone(&self.model), options: options.clone() }
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

    /// Generates tokens after a prompt, telling `listener` what happens; it may break the generation off.
    ///
    /// # Errors
    /// An empty prompt or one longer than the context; sampling parameters out of range; a pass that stopped.
    pub fn generate(
        &self,
        prompt: &[u32],
        request: &Request,
        listener: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<Generation, EngineError> {
        self.check_prompt(prompt)?;
        let mut sampler = Sampler::new(&request.sampler, self.vocab_size())?;
        prompt.iter().for_each(|&token| sampler.accept(token));
        let mut sequence = self.sequence();
        let mut digest = LogitsDigest::default();
        let mut all = prompt.to_vec();
        let bound = request.max_tokens.min(self.context() - prompt.len());
        let mut finish = Finish::Length;
        let mut new = 0;
        while all.len() - prompt.len() < bound {
            let Some(logits) = self.advance(&mut *sequence, &all, new, listener)? else {
                finish = Finish::Cancelled;
                break;
            };
            digest.row(&logits);
            let token = float_env::with_default(|| sampler.sample(&logits, all.len()))?;
            sampler.accept(token);
            new = all.len();
            all.push(token);
            if listener(Event::Token(token)).is_break() {
                finish = Finish::Cancelled;
                break;
            }
            if request.stop_tokens.contains(&token) && !request.ignore_eos {
                finish = Finish::Stop;
                break;
            }
        }
        Ok(Generation { tokens: all.split_off(prompt.len()), finish, logits_digest: digest.hex() })
    }

    /// Logits after all of `tokens`, of which those from `new` on are not in the cache; `None` if broken off.
    fn advance(
        &self,
        sequence: &mut dyn Sequence,
        tokens: &[u32],
        new: usize,
        listener: &mut dyn FnMut(Event) -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let prompt = new == 0;
        let mut done = new;
        if !self.options.kv_cache {
            sequence.truncate(0);
            done = 0;
        }
        loop {
            let piece = &tokens[done..tokens.len().min(done + self.ubatch())];
            let last = done + piece.len() == tokens.len();
            let wanted = if last { &[piece.len() - 1][..] } else { &[] };
            let logits = sequence.pass(piece, wanted, None)?;
            done += piece.len();
            if prompt && listener(Event::Prefill { done, total: tokens.len() }).is_break() {
                return Ok(None);
            }
            if last {
                return Ok(Some(logits));
            }
        }
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
        let logits = self.advance(&mut *self.sequence(), &prompt[..=position], 0, listener)?;
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

    /// Tokens of a pass: what was asked for, unless the activations of so many would take memory without reason. No bit
    /// depends on it.
    fn ubatch(&self) -> usize {
        let config = self.model.config();
        let widest = config.width.max(config.feed_forward).max(config.heads * config.head_dim);
        self.options.ubatch.clamp(1, (MOST_ACTIVATIONS / widest).max(1))
    }

    fn sequence(&self) -> Box<dyn Sequence> {
        sequence::new(&self.model, &self.options, self.context())
    }

    fn check_prompt(&self, prompt: &[u32]) -> Result<(), EngineError> {
        if prompt.is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        if prompt.len() > self.context() {
            return Err(EngineError::PromptTooLong { tokens: prompt.len(), context: self.context() });
        }
        Ok(())
    }
}
