//! What may be said to `trace` and `compare`.

use super::values::{MOST, switch, within};
use super::{ChatArgs, ComputeArgs, KvArg, ModelArgs, NumericsArg, PinArgs, PromptArgs};
use clap::Args;
use std::path::PathBuf;

const TRACE_HELP: &str = "\
Examples:
  samebit trace -m model.gguf -p 'The capital of France is' -o ours.safetensors
  samebit trace -m model.gguf -p 'The capital of France is' -n 8 --summary -o ours.safetensors
  samebit trace -m model.gguf -p 'Hello' --layers 0-2 --only Qcur,Qcur_rope -o ours.safetensors
  samebit trace -m model.gguf -p 'Hello' --tables --cache --weights -o all.safetensors

The file is safetensors: tensors named as llama.cpp names them (attn_norm-0, Qcur-0, Qcur_rope-0,
kq-0, kq_soft_max-0, kqv_out-0, ffn_inp-0, l_out-0, result_norm, result_output, …), one row per
position, and metadata: engine, model, numerics, tokens, positions. Logits are kept of the prompt's
last token and of each that is generated.";

/// Runs a prompt and writes every tensor on the way to a file
#[derive(Debug, Args)]
#[command(after_help = TRACE_HELP)]
pub(crate) struct TraceArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    #[command(flatten)]
    pub(crate) chat: ChatArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) place: PinArgs,
    /// Tokens to generate after the prompt, always the highest logit's
    #[arg(short = 'n', long, value_name = "N", default_value_t = 0, env = "SAMEBIT_PREDICT", value_parser = within::<usize>(0..=MOST))]
    pub(crate) predict: usize,
    /// Where to write the trace
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only these layers, such as 0-2,7
    #[arg(long, value_name = "LIST", env = "SAMEBIT_LAYERS", value_parser = list)]
    pub(crate) layers: Option<List>,
    /// Only these positions, such as 0-2,7
    #[arg(long, value_name = "LIST", env = "SAMEBIT_POSITIONS", value_parser = list)]
    pub(crate) positions: Option<List>,
    /// Only tensors of these names, without their layers
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "SAMEBIT_ONLY")]
    pub(crate) only: Vec<String>,
    /// Keep a summary of each row (RMS, mean, smallest, largest, first values, digest) and not the values
    #[arg(long, env = "SAMEBIT_SUMMARY", value_parser = switch)]
    pub(crate) summary: bool,
    /// Keep the logits of every position of the prompt
    #[arg(long, env = "SAMEBIT_ALL_LOGITS", value_parser = switch)]
    pub(crate) all_logits: bool,
    /// Keep RoPE's tables too
    #[arg(long, env = "SAMEBIT_TABLES", value_parser = switch)]
    pub(crate) tables: bool,
    /// Keep the key/value cache's contents too
    #[arg(long, env = "SAMEBIT_CACHE", value_parser = switch)]
    pub(crate) cache: bool,
    /// Keep a summary of every dequantised weight too
    #[arg(long, env = "SAMEBIT_WEIGHTS", value_parser = switch)]
    pub(crate) weights: bool,
}

const COMPARE_HELP: &str = "\
Examples:
  samebit compare theirs.safetensors -m model.gguf
                                  ours is run on the spot; each of their operations is judged
  samebit compare ours.safetensors theirs.txt -m model.gguf
                                  theirs is llama-eval-callback's output
  samebit compare run1.safetensors run2.safetensors
                                  two runs of one engine: the first tensor whose bits differ
  samebit compare theirs/ -m model.gguf --names map.json --html report.html
  samebit compare ours.json theirs.json
                                  records of `run --json`: tokens alone

A trace is a safetensors file, a folder of .npy files, llama-eval-callback's text, a list of
tokens, a record in JSON. With -m every operation of theirs is done again from their own inputs, in
binary64, binary32, with 16-bit and 8-bit activations, in binary16 and bfloat16: what it adds is
told from what it inherits, and what no precision explains departs.

Exit codes: 0 the same, or explained; 1 something departs; 2 usage; 3 bad input.";

/// Finds the first operation in which two traces part
#[derive(Debug, Args)]
#[command(after_help = COMPARE_HELP)]
pub(crate) struct CompareArgs {
    /// The traces: the one to trust and the one in doubt, or with -m the latter alone
    #[arg(value_name = "TRACE", num_args = 1..=2, required = true)]
    pub(crate) traces: Vec<PathBuf>,
    /// The model, to run each operation from their inputs
    #[arg(short = 'm', long = "model", value_name = "FILE", env = "SAMEBIT_MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// The tokens that the trace in doubt was made of, if it does not say
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub(crate) tokens: Option<Vec<u32>>,
    /// A name map, in JSON: {"their-name-{}": "attn_norm-{}"}
    #[arg(long, value_name = "FILE", env = "SAMEBIT_NAMES")]
    pub(crate) names: Option<PathBuf>,
    /// Without a model: the relative error beyond which a tensor departs; 0 asks for the same bits
    #[arg(long, value_name = "X", default_value_t = 1e-3, env = "SAMEBIT_TOLERANCE", value_parser = tolerance)]
    pub(crate) tolerance: f64,
    /// Numerics of our own run, where only one trace is given
    #[arg(long, value_enum, default_value_t = NumericsArg::F32, env = "SAMEBIT_NUMERICS")]
    pub(crate) numerics: NumericsArg,
    /// Type of our own run's cache; f16 unless --numerics is f32 or f64
    #[arg(long, value_enum, env = "SAMEBIT_KV")]
    pub(crate) kv: Option<KvArg>,
    /// Show every operation of every layer
    #[arg(long, env = "SAMEBIT_ALL", value_parser = switch)]
    pub(crate) all: bool,
    /// Print one JSON object
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
    /// Write a page with the whole comparison
    #[arg(long, value_name = "FILE", env = "SAMEBIT_HTML")]
    pub(crate) html: Option<PathBuf>,
    /// Write a picture of the error's growth
    #[arg(long, value_name = "FILE", env = "SAMEBIT_SVG")]
    pub(crate) svg: Option<PathBuf>,
    /// Threads; 0: one per core
    #[arg(short, long, value_name = "N", default_value_t = 0, env = "SAMEBIT_THREADS", value_parser = super::model::threads)]
    pub(crate) threads: usize,
    #[command(flatten)]
    pub(crate) place: PinArgs,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 => Ok(value),
        _ => Err("give a number from 0 on".into()),
    }
}

/// Numbers and ranges of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List(pub(crate) std::collections::BTreeSet<usize>);

fn list(text: &str) -> Result<List, String> {
    const MOST: usize = 1 << 20;
    let mut all = std::collections::BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        match (from.parse::<usize>(), to.parse::<usize>()) {
            (Ok(from), Ok(to)) if from <= to && to < MOST => all.extend(from..=to),
            _ => return Err(format!("`{part}` is no number or range: write 0-2,7")),
        }
    }
    Ok(List(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(list("0-2,7"), Ok(List([0, 1, 2, 7].into())));
        assert!(list("2-0").is_err() && list("x").is_err() && list("0-99999999").is_err());
        assert!(tolerance("-1").is_err() && tolerance("nan").is_err() && tolerance("0").is_ok());
    }
}
