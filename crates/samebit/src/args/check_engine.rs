//! What may be said to `check-engine`.

use super::values::{MOST, switch, within};
use clap::Args;

const HELP: &str = "\
Examples:
  samebit check-engine --url http://127.0.0.1:8080
  samebit check-engine --url http://127.0.0.1:8080 -n 64 --repeats 5 --concurrency 8 --json
  samebit check-engine -- llama-completion -m model.gguf -no-cnv --temp 0 \\
                          -n {n} -t {threads} -p {prompt}
  samebit check-engine -- ./my-engine --prompt {prompt}

In a COMMAND, {prompt}, {n} and {threads} stand for the prompt, the number of tokens and the number
of threads; what it prints on standard output is its answer. At a URL the OpenAI API is spoken
(/v1/completions, or /v1/chat/completions with --chat), with temperature 0 and seed 0.

What is tried: the same prompt again (promise R); with other numbers of threads (T, commands
alone); while other requests run (B); with its prompt cut by a longer one before it, and with the
cache of prompts on and off (K, servers alone); in another order (R).

Exit codes: 0 no promise was seen to be broken; 1 one was; 2 usage; 3 the engine cannot be asked.";

/// Asks any engine the same things in several ways, and says which promise of determinism it breaks
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct CheckEngineArgs {
    /// The server, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL", conflicts_with = "command", required_unless_present = "command")]
    pub(crate) url: Option<String>,
    /// The command, with {prompt}, {n} and {threads}
    #[arg(value_name = "COMMAND", last = true)]
    pub(crate) command: Vec<String>,
    /// Ask the server by /v1/chat/completions
    #[arg(long, env = "SAMEBIT_CHAT", value_parser = switch, conflicts_with = "command")]
    pub(crate) chat: bool,
    /// A prompt; may be given several times
    #[arg(short = 'p', long = "prompt", value_name = "TEXT")]
    pub(crate) prompts: Vec<String>,
    /// Tokens of an answer
    #[arg(short = 'n', long, value_name = "N", default_value_t = 48, env = "SAMEBIT_PREDICT", value_parser = within::<u32>(1..=4096))]
    pub(crate) predict: u32,
    /// How often each prompt is repeated
    #[arg(long, value_name = "N", default_value_t = 3, env = "SAMEBIT_REPEATS", value_parser = within::<u32>(1..=1000))]
    pub(crate) repeats: u32,
    /// Requests at once
    #[arg(long, value_name = "N", default_value_t = 4, env = "SAMEBIT_CONCURRENCY", value_parser = within::<u32>(1..=256))]
    pub(crate) concurrency: u32,
    /// Numbers of threads to try in commands
    #[arg(short, long, value_name = "LIST", value_delimiter = ',', default_values_t = [1, 2, 4], env = "SAMEBIT_THREADS", value_parser = within::<u32>(0..=MOST))]
    pub(crate) threads: Vec<u32>,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "S", default_value_t = 300, env = "SAMEBIT_TIMEOUT", value_parser = within::<u64>(1..=86400))]
    pub(crate) timeout: u64,
    /// The model's name in requests
    #[arg(long, value_name = "NAME", env = "SAMEBIT_MODEL_NAME")]
    pub(crate) model_name: Option<String>,
    /// Print one JSON object
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
}
