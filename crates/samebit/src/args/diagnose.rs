//! What may be said to `diagnose`.

use super::values::{MOST, switch, within};
use super::{ChatArgs, ModelArgs, PromptArgs};
use clap::Args;
use std::path::PathBuf;

const HELP: &str = "\
Examples:
  samebit diagnose --trace theirs.safetensors -m model.gguf
  samebit diagnose --trace eval-callback.txt -m model.gguf --tokens 504,3575
  samebit diagnose --trace theirs.json -m model.gguf
                                   {prompt_tokens, tokens, logits}: generated tokens and logits only
  samebit diagnose --trace theirs.safetensors -m model.gguf -p 'The capital of France is'
                                   also: were these the right tokens?
  samebit diagnose --list -m model.gguf
                                   the bugs that are known for this model

Runs our forward pass with each known bug on purpose, and says which one explains what the other
engine computed: the finding, the evidence (its distance from the right pass without the bug and
with it), what was ruled out, and where to read how it should be. Tensors are judged from the other
engine's own inputs where it gives them, so that the first operation that departs is the one named.
docs/traces.md says how any engine writes a trace, docs/porting.md how to work with them.

Exit codes: 0 no bug: the difference is precision; 1 a bug, or a departure that nothing known
explains; 2 usage; 3 bad input.";

/// Finds the bug that explains another engine's trace
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct DiagnoseArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The other engine's trace: safetensors, a folder of .npy, llama-eval-callback's text, a list of tokens, a JSON record
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    pub(crate) trace: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    #[command(flatten)]
    pub(crate) chat: ChatArgs,
    /// How many of the trace's tokens are the prompt, if it does not say; the others were generated one by one
    #[arg(long, value_name = "N", value_parser = within::<usize>(0..=MOST))]
    pub(crate) prompt_length: Option<usize>,
    /// A name map, in JSON: {"their-name-{}": "attn_norm-{}"}
    #[arg(long, value_name = "FILE", env = "SAMEBIT_NAMES")]
    pub(crate) names: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
    /// List the known bugs of this model, and do nothing else
    #[arg(long)]
    pub(crate) list: bool,
    /// Threads; 0: one per core
    #[arg(short, long, value_name = "N", default_value_t = 0, env = "SAMEBIT_THREADS", value_parser = super::model::threads)]
    pub(crate) threads: usize,
}
