//! The command line: what may be said, with its help texts. Flags follow llama.cpp's names where it has one.
//!
//! Knows nothing of what the commands do. Every setting can come from `SAMEBIT_<FLAG>` in the environment too; the command line wins.

mod argv;
mod bench;
#[cfg(not(target_family = "wasm"))]
mod chat;
mod check_engine;
mod config;
mod diagnose;
mod doctor;
#[cfg(not(target_family = "wasm"))]
mod library;
mod model;
mod models;
mod prompt;
mod sampling;
#[cfg(not(target_family = "wasm"))]
mod serve;
mod shell;
mod trace;
mod values;

pub(crate) use argv::{config_file, normalise};
pub(crate) use bench::{BenchArgs, Format};
#[cfg(not(target_family = "wasm"))]
pub(crate) use chat::{ChatCommandArgs, Colour, FormArgs};
pub(crate) use check_engine::CheckEngineArgs;
pub(crate) use config::ConfigArgs;
pub(crate) use diagnose::DiagnoseArgs;
pub(crate) use doctor::DoctorArgs;
#[cfg(not(target_family = "wasm"))]
pub(crate) use library::{ListArgs, PullArgs, RmArgs};
pub(crate) use model::{ComputeArgs, KvArg, ModelArgs, NumericsArg, PinArgs};
pub(crate) use prompt::{ChatArgs, PromptArgs, TemplateArgs};
pub(crate) use sampling::SamplingArgs;
#[cfg(not(target_family = "wasm"))]
pub(crate) use serve::{BatchArgs, BoundArgs, ListenArgs, ServeArgs};
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use trace::{CompareArgs, TraceArgs};

use clap::{Args, Parser, Subcommand};
use samebit_engine::MOST_DRAFTED;
use std::ffi::OsString;
use std::path::PathBuf;
use values::{MOST, switch, within};

const TOP_HELP: &str = "\
Examples:
  samebit pull smollm2
  samebit run -m smollm2 --chat -p 'Why is the sky blue?'
  samebit run -m model.gguf -p 'The capital of France is' -n 16
  samebit run -m model.gguf -sys 'You are terse.' -p 'What is a monad?'
  samebit run -m model.gguf -f prompt.txt --temp 0 --json
  samebit chat -m model.gguf
  samebit inspect -m model.gguf
  samebit tokenize -m model.gguf -p 'Hello world' --json
  samebit bench -m model.gguf
  samebit serve -m model.gguf

Exit codes: 0 done; 1 the answer is no; 2 usage; 3 bad input; 130 after Ctrl-C.
A model run twice with the same prompt and seed gives the same bits: the seed is 0 unless you say
otherwise. What --help marks [env: SAMEBIT_…] can be given in the environment, such as
SAMEBIT_MODEL or SAMEBIT_TOP_K, or in a file: `samebit config --help`.";

/// Runs GGUF language models, and gives the same bits for the same model, prompt and seed, on any machine.
#[derive(Debug, Parser)]
#[command(args_override_self = true, name = "samebit", version, after_help = TOP_HELP, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    /// Settings from this file (TOML); `samebit config --help` tells of it
    // Read before the line is parsed: here it is for clap to accept, and for the help. Empty, which no path is, means none.
    #[arg(long, global = true, value_name = "FILE", env = "SAMEBIT_CONFIG")]
    pub(crate) config: Option<OsString>,
}

/// How much to say on stderr.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Verbosity {
    /// Say nothing on stderr but errors: no progress, no notes
    #[arg(short, long, global = true, env = "SAMEBIT_QUIET", value_parser = switch, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more on stderr: the model, timings
    #[arg(short, long, global = true, env = "SAMEBIT_VERBOSE", value_parser = switch)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<RunArgs>),
    #[cfg(not(target_family = "wasm"))]
    Chat(Box<ChatCommandArgs>),
    #[cfg(not(target_family = "wasm"))]
    Serve(Box<ServeArgs>),
    Logits(Box<LogitsArgs>),
    Bench(Box<BenchArgs>),
    Tokenize(TokenizeArgs),
    Detokenize(DetokenizeArgs),
    Inspect(InspectArgs),
    Synth(SynthArgs),
    Trace(Box<TraceArgs>),
    Compare(Box<CompareArgs>),
    Diagnose(Box<DiagnoseArgs>),
    CheckEngine(Box<CheckEngineArgs>),
    Config(ConfigArgs),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    #[cfg(not(target_family = "wasm"))]
    Pull(PullArgs),
    #[cfg(not(target_family = "wasm"))]
    List(ListArgs),
    #[cfg(not(target_family = "wasm"))]
    Rm(RmArgs),
}

const RUN_HELP: &str = "\
Examples:
  samebit run -m model.gguf -p 'Once upon a time' -n 64       continue a text
  samebit run -m model.gguf -sys 'Be brief.' -p 'Why is the sky blue?'
                                                              ask: the chat template is applied
  samebit run -m model.gguf --chat -p 'Hello!'                the same without a system message
  samebit run -m model.gguf -f - < prompt.txt                 from standard input, byte for byte
  samebit run -m model.gguf --tokens 1,2,3 -n 8 --temp 0      the prompt as token ids
  samebit run -m model.gguf -p hi --json | jq .logits_digest  what the promises are tested with
  samebit run -m model.gguf -f code.txt --spec                guess ahead: the same answer, sooner
                                                              where the text repeats itself

Without --chat or -sys the prompt is continued as it is; with one of them the model's chat template
is applied. --json prints one object: model (path, digest), numerics, prompt_tokens, tokens, text,
finish_reason (\"stop\", \"length\" or \"cancelled\"), logits_digest, timings; with --spec also
speculation (passes, drafted, accepted). The digest of the model is BLAKE3 over its file, or its
files in order. Ctrl-C ends cleanly: what was generated has been printed (with --json: is printed,
as \"cancelled\"), and the exit code is 130.";

/// Runs a prompt through a model and prints the answer as it comes
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
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
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Tokens to generate at most; -1: until the model ends its answer or the context is full
    #[arg(short = 'n', long, alias = "n-predict", value_name = "N", default_value_t = -1, env = "SAMEBIT_PREDICT",
          allow_negative_numbers = true, value_parser = within::<i64>(-1..=MOST))]
    pub(crate) predict: i64,
    /// Go on past the end-of-generation tokens: they are never drawn
    #[arg(long, env = "SAMEBIT_IGNORE_EOS", value_parser = switch)]
    pub(crate) ignore_eos: bool,
    /// Guess up to N tokens ahead (8 if N is not given; 0: none) from what the text had before, and verify them in one pass: the
    /// same answer, sooner where it repeats itself or quotes the prompt
    #[arg(long, value_name = "N", num_args = 0..=1, default_value_t = 0, default_missing_value = "8", env = "SAMEBIT_SPEC",
          value_parser = drafted)]
    pub(crate) spec: usize,
    /// Print one JSON object when done, instead of the text as it comes
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
}

fn drafted(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= MOST_DRAFTED => Ok(count),
        _ => Err(format!("give a number from 0 to {MOST_DRAFTED}")),
    }
}

const LOGITS_HELP: &str = "\
Examples:
  samebit logits -m model.gguf -p 'The capital of France is'
  samebit logits -m model.gguf --tokens 1,2,3 --position 0 --top 5 --json

The row at position i follows the prompt's tokens 0 to i: it scores the token at i + 1.
--json prints {prompt_tokens, position, top: [{id, piece, logit, bits, logprob}]}; bits are the
logit's f32 in hexadecimal.";

/// Shows the highest logits at a position of a prompt, bit for bit
#[derive(Debug, Args)]
#[command(after_help = LOGITS_HELP)]
pub(crate) struct LogitsArgs {
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
    /// Which token of the prompt to look after: an index from 0, or `last`
    #[arg(long, value_name = "N", default_value = "last", env = "SAMEBIT_POSITION", value_parser = position)]
    pub(crate) position: Position,
    /// How many logits to show, highest first
    #[arg(long, value_name = "K", default_value_t = 10, env = "SAMEBIT_TOP", value_parser = within::<u32>(1..=MOST))]
    pub(crate) top: u32,
    /// Print one JSON object
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
}

/// A place in a prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Position {
    Index(usize),
    Last,
}

fn position(text: &str) -> Result<Position, String> {
    if text == "last" {
        return Ok(Position::Last);
    }
    let index = text.parse().map_err(|_| "give an index from 0, or `last`".to_owned())?;
    Ok(Position::Index(index))
}

const TOKENIZE_HELP: &str = "\
Examples:
  samebit tokenize -m model.gguf -p 'Hello world'
  samebit tokenize -m model.gguf -f - --json < text.txt
  samebit tokenize -m model.gguf -p 'a b c' --ids | samebit detokenize -m model.gguf

Texts of special tokens (such as <|im_start|>) become those tokens unless --no-special is given.
Only the vocabulary is read: a model's weights may be missing.";

/// Turns text into token ids
#[derive(Debug, Args)]
#[command(after_help = TOKENIZE_HELP)]
pub(crate) struct TokenizeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) prompt: PromptArgs,
    /// Print the ids alone, on one line
    #[arg(long, env = "SAMEBIT_IDS", value_parser = switch)]
    pub(crate) ids: bool,
    /// Print {"tokens": [ids], "pieces": [texts]}
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch, conflicts_with = "ids")]
    pub(crate) json: bool,
}

const DETOKENIZE_HELP: &str = "\
Examples:
  samebit detokenize -m model.gguf 9906 1917
  echo '[9906, 1917]' | samebit detokenize -m model.gguf

The bytes are written as they are, without a line break of our own (on a terminal one is added).";

/// Turns token ids into text
#[derive(Debug, Args)]
#[command(after_help = DETOKENIZE_HELP)]
pub(crate) struct DetokenizeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Token ids; without any they are read from standard input, separated by spaces, commas or line breaks, perhaps in [ ]
    #[arg(value_name = "ID", value_parser = within::<u32>(0..=MOST))]
    pub(crate) ids: Vec<u32>,
    /// Leave out special tokens instead of writing their text
    #[arg(long, env = "SAMEBIT_NO_SPECIAL", value_parser = switch)]
    pub(crate) no_special: bool,
    /// Print {"tokens": [ids], "text": "…"}
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
}

const INSPECT_HELP: &str = "\
Examples:
  samebit inspect -m model.gguf
  samebit inspect -m model.gguf -c 32768 --json | jq .memory";

/// Shows what is in a GGUF file: metadata, tensors, types, memory need
#[derive(Debug, Args)]
#[command(after_help = INSPECT_HELP)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Context to reckon the memory need for; 0: the model's own
    #[arg(short, long, value_name = "N", default_value_t = 0, env = "SAMEBIT_CTX_SIZE",
          value_parser = within::<u64>(0..=1 << 32))]
    pub(crate) ctx_size: u64,
    /// Show arrays in full, vocabulary included, instead of their first elements
    #[arg(long, env = "SAMEBIT_FULL", value_parser = switch)]
    pub(crate) full: bool,
    /// Print one JSON object
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
}

const SYNTH_HELP: &str = "\
Examples:
  samebit synth --list
  samebit synth tiny-llama -o tiny.gguf
  samebit synth tinyllama-1.1b --type Q4_K_M -o speed.gguf
  samebit synth tiny-qwen3-256 --type Q6_K --pure --seed 7 -o test.gguf

The same shape, type and seed give the same bytes on every machine. The weights are noise: such a
model is for tests and measurements, and what it writes means nothing. Types are llama-quantize's:
Q4_K_M and its like are mixes, and even Q4_0 stores the output matrix as Q6_K; --pure stores every
matrix in the one type. Rows that a type's blocks do not divide take the type that llama-quantize
would fall back to.";

/// Writes a model of random weights: a named shape, a type, the same bytes everywhere
#[derive(Debug, Args)]
#[command(after_help = SYNTH_HELP)]
pub(crate) struct SynthArgs {
    /// The shape; see --list
    #[arg(value_name = "SHAPE", required_unless_present = "list")]
    pub(crate) shape: Option<String>,
    /// Where to write the model
    #[arg(short, long, value_name = "FILE", required_unless_present = "list")]
    pub(crate) output: Option<PathBuf>,
    /// Type of the matrices: F32, F16, BF16, Q4_0 … Q8_0, Q2_K … Q6_K, IQ4_NL, IQ4_XS, Q4_K_S, Q4_K_M, … ; see --list
    #[arg(long = "type", value_name = "TYPE", default_value = "F32", env = "SAMEBIT_TYPE")]
    pub(crate) quant: String,
    /// Store every matrix in that one type
    #[arg(long, env = "SAMEBIT_PURE", value_parser = switch)]
    pub(crate) pure: bool,
    /// Seed of the weights
    #[arg(short, long, value_name = "N", default_value_t = 0, env = "SAMEBIT_SEED", value_parser = within::<u64>(0..=u64::MAX.into()))]
    pub(crate) seed: u64,
    /// Take the vocabulary and chat template of this model instead of making them up
    #[arg(long, value_name = "MODEL", env = "SAMEBIT_VOCAB_FROM")]
    pub(crate) vocab_from: Option<PathBuf>,
    /// Number of layers, instead of the shape's own
    #[arg(long, value_name = "N", value_parser = within::<u32>(1..=1024))]
    pub(crate) layers: Option<u32>,
    /// Threads; 0: one per core
    #[arg(short, long, value_name = "N", default_value_t = 0, env = "SAMEBIT_THREADS", value_parser = within::<usize>(0..=MOST))]
    pub(crate) threads: usize,
    /// Overwrite the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// List the shapes and types, and do nothing else
    #[arg(long, conflicts_with_all = ["shape", "output"])]
    pub(crate) list: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    /// At 100 columns no line is broken by the terminal, and none in a place that was not chosen.
    #[test]
    fn help_fits_into_100_columns_and_has_examples() {
        for mut command in Cli::command().get_subcommands().cloned() {
            let name = command.get_name().to_owned();
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(text.contains("Examples:"), "{name}");
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{name}: {line}");
            }
            command = command.term_width(100);
            for help in [command.render_help(), command.render_long_help()] {
                for line in help.to_string().lines() {
                    assert!(line.chars().count() <= 100, "{name}: {line}");
                }
            }
        }
    }

    #[test]
    fn positions() {
        assert_eq!(position("last"), Ok(Position::Last));
        assert_eq!(position("7"), Ok(Position::Index(7)));
        assert!(position("-1").is_err());
    }

    #[test]
    fn every_setting_has_an_environment_variable() {
        // What names the work itself, and what should not linger in an environment.
        let without = [
            "output",
            "prompt",
            "file",
            "tokens",
            "ids",
            "shape",
            "output",
            "layers",
            "force",
            "list",
            "help",
            "version",
            "system_prompt",
            "system_prompt_file",
            "escape",
            "n_prompt",
            "n_gen",
            "n_depth",
            "mixed",
            "against",
            "against_args",
            "trace",
            "prompt_length",
            "url",
            "prompts",
            "session",
            "replay",
            "format",
            "single_turn",
            "stop",
            "json_schema",
            "json_schema_file",
            "grammar",
            "grammar_file",
        ];
        for command in Cli::command().get_subcommands() {
            for arg in command.get_arguments().filter(|a| a.get_long().is_some()) {
                let id = arg.get_id().as_str();
                let expected = arg.get_long().unwrap_or_default().to_uppercase().replace('-', "_");
                match arg.get_env() {
                    Some(name) => assert_eq!(name.to_str(), Some(format!("SAMEBIT_{expected}").as_str())),
                    None => assert!(without.contains(&id), "{} --{id}", command.get_name()),
                }
            }
        }
    }
}
