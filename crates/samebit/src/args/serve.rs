//! How to serve. Names are llama-server's where it has one.

use super::model::at_least_one;
use super::values::{MOST, switch, within};
use super::{ComputeArgs, ModelArgs, PinArgs, SamplingArgs, TemplateArgs, drafted};
use clap::Args;
use std::path::PathBuf;

const SERVE_HELP: &str = "\
Examples:
  samebit serve -m model.gguf                             on http://127.0.0.1:8080, with a chat page
  samebit serve -m model.gguf --port 9000 -c 8192 -np 32  32 answers at once, 8192 positions each
  samebit serve -m model.gguf --host 0.0.0.0 --api-key-file keys.txt
                                                          for others, who must bear one of the keys
  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\
       -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello!\"}], \"seed\": 7, \"samebit\": true}'

The same request gives the same bits, whoever else is served: `samebit: true` shows the digest that
proves it. Ctrl-C or SIGTERM finishes the running answers first; the second time ends at once.
docs/serving.md tells all of it.";

/// Serves a model over HTTP: OpenAI's interface, and llama.cpp's
#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    #[command(flatten)]
    pub(crate) bounds: BoundArgs,
    #[command(flatten)]
    pub(crate) batch: BatchArgs,
    /// The model's name for clients; its file's name unless given
    #[arg(short, long, value_name = "NAME", env = "SAMEBIT_ALIAS")]
    pub(crate) alias: Option<String>,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// Tokens to generate at most where a request does not say; -1: until the model ends its answer or the context is full
    #[arg(short = 'n', long, alias = "n-predict", value_name = "N", default_value_t = -1, env = "SAMEBIT_PREDICT",
          allow_negative_numbers = true, value_parser = within::<i64>(-1..=MOST))]
    pub(crate) predict: i64,
    /// OpenTelemetry collector that is told of every request (OTLP over HTTP), such as http://127.0.0.1:4318; in builds with
    /// the feature `otel`
    #[arg(long, value_name = "URL", env = "SAMEBIT_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Write logs as JSON, an object on each line
    #[arg(long, env = "SAMEBIT_LOG_JSON", value_parser = switch)]
    pub(crate) log_json: bool,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) place: PinArgs,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

/// Where to listen, and to whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct ListenArgs {
    /// Address to listen on; anything but this machine's own lets others in: give them keys
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", env = "SAMEBIT_HOST")]
    pub(crate) host: String,
    /// Port to listen on; 0: any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8080, env = "SAMEBIT_PORT")]
    pub(crate) port: u16,
    /// Keys that requests must bear one of
    #[arg(long, value_name = "KEY,…", value_delimiter = ',', env = "SAMEBIT_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Vec<String>,
    /// A file with a key on each line
    #[arg(long, value_name = "FILE", env = "SAMEBIT_API_KEY_FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Origins whose pages may ask, such as https://example.com; *: all
    #[arg(long, value_name = "ORIGIN,…", value_delimiter = ',', env = "SAMEBIT_CORS_ORIGIN")]
    pub(crate) cors_origin: Vec<String>,
    /// Names that requests may call this server by, besides this machine's own, where it has no keys
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', env = "SAMEBIT_ALLOWED_HOST")]
    pub(crate) allowed_host: Vec<String>,
    /// Serve no chat page
    #[arg(long, env = "SAMEBIT_NO_WEBUI", value_parser = switch)]
    pub(crate) no_webui: bool,
    /// Have no /slots, which tells who is being served
    #[arg(long, env = "SAMEBIT_NO_SLOTS", value_parser = switch)]
    pub(crate) no_slots: bool,
    /// Have no /metrics
    #[arg(long, env = "SAMEBIT_NO_METRICS", value_parser = switch)]
    pub(crate) no_metrics: bool,
}

/// What is too much.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct BoundArgs {
    /// Seconds that an answer may take, waiting included (also -to)
    #[arg(long, value_name = "S", default_value_t = 600, env = "SAMEBIT_TIMEOUT", value_parser = seconds)]
    pub(crate) timeout: u64,
    /// Seconds for a request to come in, and for a connection to idle or to take nothing
    #[arg(long, value_name = "S", default_value_t = 60, env = "SAMEBIT_IO_TIMEOUT", value_parser = seconds)]
    pub(crate) io_timeout: u64,
    /// Seconds for running answers after the server was asked to end
    #[arg(long, value_name = "S", default_value_t = 30, env = "SAMEBIT_GRACE", value_parser = within::<u64>(0..=i128::from(MOST_SECONDS)))]
    pub(crate) grace: u64,
    /// Bytes of a request
    #[arg(long, value_name = "BYTES", default_value_t = 32 << 20, env = "SAMEBIT_MAX_BODY", value_parser = at_least_one)]
    pub(crate) max_body: usize,
    /// Connections at once; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 16_384, env = "SAMEBIT_CONNECTIONS", value_parser = connections)]
    pub(crate) connections: usize,
    /// Requests a minute for each key, or for each address where there are no keys
    #[arg(long, value_name = "N", env = "SAMEBIT_RATE_LIMIT", value_parser = within::<u32>(1..=MOST))]
    pub(crate) rate_limit: Option<u32>,
    /// Tokens a minute, of prompts and answers, for each key or address
    #[arg(long, value_name = "N", env = "SAMEBIT_TOKEN_RATE_LIMIT", value_parser = within::<u32>(1..=MOST))]
    pub(crate) token_rate_limit: Option<u32>,
}

/// What the batch may hold. None of it changes a bit of an answer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Batch")]
pub(crate) struct BatchArgs {
    /// Answers that are computed at once (also -np)
    #[arg(long, value_name = "N", default_value_t = 16, env = "SAMEBIT_PARALLEL", value_parser = parallel)]
    pub(crate) parallel: usize,
    /// Prompts that wait at most; more are told to come again (429)
    #[arg(long, value_name = "N", default_value_t = 2048, env = "SAMEBIT_QUEUE", value_parser = connections)]
    pub(crate) queue: usize,
    /// Pages of the key/value cache, 256 positions each; 0: enough for --parallel contexts, within reason
    #[arg(long, value_name = "N", default_value_t = 0, env = "SAMEBIT_PAGES", value_parser = within::<usize>(0..=MOST))]
    pub(crate) pages: usize,
    /// Keep nothing of one prompt for others that begin alike
    #[arg(long, env = "SAMEBIT_NO_CACHE_PROMPT", value_parser = switch)]
    pub(crate) no_cache_prompt: bool,
    /// A smaller model of the same vocabulary that guesses ahead (also -md), 8 tokens unless --spec says otherwise
    #[arg(long, value_name = "FILE", env = "SAMEBIT_MODEL_DRAFT")]
    pub(crate) model_draft: Option<PathBuf>,
    /// Guess up to N tokens ahead (8 if N is not given; 0: none) from what the text had before: the same answers, sooner where
    /// they repeat themselves and few are computed at once
    #[arg(long, value_name = "N", num_args = 0..=1, default_value_t = 0, default_missing_value = "8", env = "SAMEBIT_SPEC",
          value_parser = drafted)]
    pub(crate) spec: usize,
    /// Threads that work out which tokens a grammar allows, while the model computes
    #[arg(long, value_name = "N", default_value_t = 1, env = "SAMEBIT_GRAMMAR_THREADS", value_parser = parallel)]
    pub(crate) grammar_threads: usize,
}

/// A day. Longer is for ever.
const MOST_SECONDS: u64 = 86_400;

fn seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds @ 1..=MOST_SECONDS) => Ok(seconds),
        _ => Err(format!("give seconds, from 1 to {MOST_SECONDS}")),
    }
}

fn parallel(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("give a number from 1 to 1024".into()),
    }
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1_000_000) => Ok(count),
        _ => Err("give a number from 1 to 1000000".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!((seconds("1"), parallel("1024"), connections("1")), (Ok(1), Ok(1024), Ok(1)));
        assert!(
            seconds("0").is_err() && seconds("86401").is_err() && parallel("0").is_err() && connections("-1").is_err()
        );
    }
}
