//! How to chat. Names are ollama's and llama.cpp's where these have one.

use super::prompt::date;
use super::{ComputeArgs, PinArgs, SamplingArgs};
use clap::Args;
use clap::builder::FalseyValueParser;
use samebit_text::template::CivilTime;
use std::path::PathBuf;

const CHAT_HELP: &str = "\
Examples:
  samebit chat                                                 talk with a small model, fetched once
  samebit chat -m model.gguf                                   talk; /help lists the commands, Ctrl-D leaves
  samebit chat -m model.gguf -sys 'Be brief.' -s 7             with a system prompt and another seed
  samebit chat -m model.gguf --session talk.jsonl              kept in a file after each turn; the next time it goes on
  samebit chat -m model.gguf --replay talk.jsonl               compute it again: the same, or where not (exit code 1)
  samebit chat -m model.gguf 'Why is the sky blue?'            one answer, and no conversation
  git diff | samebit chat -m model.gguf 'Write a commit message:'
                                                               standard input comes before the words

On a terminal the answer is shown as markdown; in a pipe, with NO_COLOR or TERM=dumb, it is the plain text.
A session that is gone on with has its own settings: the flags of sampling and -sys are for a new one.
docs/chat.md tells of sessions, seeds and keys.";

/// Talks with a model in the terminal
#[derive(Debug, Args)]
#[command(after_help = CHAT_HELP)]
pub(crate) struct ChatCommandArgs {
    /// The model: a GGUF file, the first one if it is split; or the name of one that `samebit pull` fetched. Without one: smollm2, a
    /// small one, which a person is asked whether to fetch
    #[arg(short = 'm', long, value_name = "FILE", env = "SAMEBIT_MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// One message: it is answered, and that is all
    #[arg(value_name = "PROMPT")]
    pub(crate) message: Vec<String>,
    /// System prompt (also -sys)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "system_prompt_file")]
    pub(crate) system_prompt: Option<String>,
    /// Read the system prompt from a file (also -sysf)
    #[arg(long, value_name = "FILE")]
    pub(crate) system_prompt_file: Option<PathBuf>,
    /// Chat template instead of the model's: a built-in one (chatml, llama3, gemma, mistral-v7, …), another of the model's, or a file
    #[arg(long, value_name = "NAME|FILE", env = "SAMEBIT_CHAT_TEMPLATE")]
    pub(crate) chat_template: Option<String>,
    /// The day that a template's clock shows; without one the clock is not there: today's date would change the prompt
    #[arg(long, value_name = "YYYY-MM-DD", env = "SAMEBIT_DATE", value_parser = date)]
    pub(crate) date: Option<CivilTime>,
    /// Tokens of an answer at most; -1: until the model ends it or the context is full
    #[arg(short = 'n', long, alias = "n-predict", value_name = "N", default_value_t = -1, env = "SAMEBIT_PREDICT",
          allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
    pub(crate) predict: i64,
    /// Keep the conversation in a file, and go on with it if the file is there
    #[arg(long, value_name = "FILE")]
    pub(crate) session: Option<PathBuf>,
    /// Compute a session again, and say whether it is the same
    #[arg(long, value_name = "FILE", conflicts_with_all = ["session", "message"])]
    pub(crate) replay: Option<PathBuf>,
    /// Let a model that can think first do so, or not
    #[arg(long, value_name = "BOOL", env = "SAMEBIT_THINK")]
    pub(crate) think: Option<bool>,
    /// Each answer is one JSON object
    #[arg(long, value_name = "FORM", value_parser = ["json"])]
    pub(crate) format: Option<String>,
    /// Remember nothing of what is typed beyond the conversation
    #[arg(long, env = "SAMEBIT_NO_HISTORY", value_parser = FalseyValueParser::new())]
    pub(crate) no_history: bool,
    /// Let the terminal break lines, anywhere
    #[arg(long, alias = "nowordwrap", env = "SAMEBIT_NO_WORDWRAP", value_parser = FalseyValueParser::new())]
    pub(crate) no_wordwrap: bool,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) place: PinArgs,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}
