//! Which model, and how to compute with it.

use super::values::{MOST, switch, within};
use clap::{Args, ValueEnum};
use samebit_model::KvType;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// The model: a GGUF file, the first one if it is split; or the name of one that `samebit pull` fetched
    #[arg(short = 'm', long = "model", value_name = "FILE", env = "SAMEBIT_MODEL")]
    pub(crate) path: PathBuf,
}

/// None of these changes a bit of the answer, `--numerics` and `--kv` aside.
#[derive(Debug, Args)]
#[command(next_help_heading = "Computation")]
pub(crate) struct ComputeArgs {
    /// Tokens that prompt and answer may take together; 0: the model's own limit. Costs nothing until it is used
    #[arg(short, long, value_name = "N", default_value_t = 0, env = "SAMEBIT_CTX_SIZE", value_parser = within::<usize>(0..=MOST))]
    pub(crate) ctx_size: usize,
    /// Threads; 0: one per core
    #[arg(short, long, value_name = "N", default_value_t = 0, env = "SAMEBIT_THREADS", value_parser = threads)]
    pub(crate) threads: usize,
    /// Prompt tokens computed at once, at most; here only an upper bound on -ub
    #[arg(short, long, value_name = "N", default_value_t = 2048, env = "SAMEBIT_BATCH_SIZE", value_parser = at_least_one)]
    pub(crate) batch_size: usize,
    /// Prompt tokens computed at once (also -ub): the prompt is cut into pieces of this size, and Ctrl-C is heard between them
    #[arg(long, value_name = "N", default_value_t = 512, env = "SAMEBIT_UBATCH_SIZE", value_parser = at_least_one)]
    pub(crate) ubatch_size: usize,
    /// Numerics: v1 is samebit's own; the others are slow and for study
    #[arg(long, value_enum, default_value_t = NumericsArg::V1, env = "SAMEBIT_NUMERICS")]
    pub(crate) numerics: NumericsArg,
    /// Type of the key/value cache; part of the numerics. f16 unless --numerics is f32 or f64
    #[arg(long, value_enum, env = "SAMEBIT_KV")]
    pub(crate) kv: Option<KvArg>,
    /// Use nothing beyond this instruction set: reference; avx2, avxvnni, avx512, avx512vnni; neon, dotprod, i8mm; simd128; or native (the best there is)
    #[arg(long, value_name = "ISA", default_value = "native", env = "SAMEBIT_ISA")]
    pub(crate) isa: String,
    /// Keep no key/value cache: compute everything anew for every token. Slow; for tests
    #[arg(long, env = "SAMEBIT_NO_KV_CACHE", value_parser = switch)]
    pub(crate) no_kv_cache: bool,
}

/// Where threads run: no bit depends on it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Computation")]
pub(crate) struct PinArgs {
    /// Bind each thread to a core of its own, of those that this process may use (llama.cpp: --cpu-strict 1). Linux only
    #[arg(long, env = "SAMEBIT_PIN", value_parser = switch)]
    pub(crate) pin: bool,
}

/// Precision of the computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NumericsArg {
    /// 16-bit activations against the weights as stored; the default
    V1,
    /// Weights as f32, activations as f32
    F32,
    /// Everything in double precision
    F64,
    /// 8-bit activations, as llama.cpp's CPU code has them
    A8,
}

/// Type of the key/value cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KvArg {
    F16,
    F32,
    /// Bytes, in blocks of 32 with a scale; integer attention
    #[value(name = "q8_0")]
    Q8_0,
}

impl KvArg {
    /// The type that is meant.
    pub(crate) fn kind(self) -> KvType {
        match self {
            Self::F16 => KvType::F16,
            Self::F32 => KvType::F32,
            Self::Q8_0 => KvType::Q8_0,
        }
    }
}

impl NumericsArg {
    /// The name that the record carries.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::A8 => "a8",
        }
    }
}

/// More threads than this is a slip of the keyboard.
const MOST_THREADS: usize = 1024;

pub(super) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= MOST_THREADS => Ok(count),
        _ => Err(format!("give a number from 0 to {MOST_THREADS}")),
    }
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("give a whole number, at least 1".to_owned()),
    }
}
