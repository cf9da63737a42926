//! How to chat. Names are ollama's and llama.cpp's where these have one.

use super::values::{MOST, switch, within};
use super::{ComputeArgs, PinArgs, SamplingArgs, TemplateArgs, drafted};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

const CHAT_HELP: &str = "\
Examples:
  samebit chat                                     talk with a small model, fetched once
  samebit chat -m model.gguf                       talk; /help lists the commands, Ctrl-D leaves
  samebit chat -m model.gguf -sys 'Be brief.' -s 7 with a system prompt and another seed
  samebit chat -m model.gguf -p 'Hello!'           begin with this message, and go on
  samebit chat -m model.gguf --session talk.jsonl  kept in a file; next time it goes on
  samebit chat -m model.gguf --replay talk.jsonl   compute it again: the same, or where not (code 1)
  samebit chat -m model.gguf 'Why is the sky blue?'
                                                   one answer, and no conversation
  git diff | samebit chat -m model.gguf 'Write a commit message:'
                                                   standard input comes before the words
  samebit chat -m model.gguf --format '{\"enum\": [\"yes\", \"no\"]}' 'Is water wet?'
                                                   an answer of this form

On a terminal the answer is shown as markdown; in a pipe, with NO_COLOR or TERM=dumb, it is the
plain text. A session that is gone on with has its own settings: the flags of sampling and -sys
are for a new one. docs/chat.md tells of sessions, seeds and keys, and compares with others.";

/// Talks with a model in the terminal
#[derive(Debug, Args)]
#[command(after_help = CHAT_HELP)]
pub(crate) struct ChatCommandArgs {
    /// The model: a GGUF file, the first one if it is split; or a name that `samebit pull` knows. Without one: smollm2, a small one. A
    /// person is asked before what is not here is fetched
    #[arg(short = 'm', long, value_name = "FILE", env = "SAMEBIT_MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// One message: it is answered, and that is all
    #[arg(value_name = "PROMPT")]
    pub(crate) message: Vec<String>,
    /// The first message of a conversation
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["message", "replay"])]
    pub(crate) prompt: Option<String>,
    /// Leave after the first answer (also -st)
    #[arg(long, conflicts_with = "replay")]
    pub(crate) single_turn: bool,
    /// System prompt (also -sys)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "system_prompt_file")]
    pub(crate) system_prompt: Option<String>,
    /// Read the system prompt from a file (also -sysf)
    #[arg(long, alias = "system-file", value_name = "FILE")]
    pub(crate) system_prompt_file: Option<PathBuf>,
    /// Tokens of an answer at most; -1: until the model ends it or the context is full
    #[arg(short = 'n', long, alias = "n-predict", value_name = "N", default_value_t = -1, env = "SAMEBIT_PREDICT",
          allow_negative_numbers = true, value_parser = within::<i64>(-1..=MOST))]
    pub(crate) predict: i64,
    /// A text that ends an answer, and is no part of it; may be repeated
    #[arg(short = 'r', long, alias = "reverse-prompt", value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) stop: Vec<String>,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// Further variables for the template: a JSON object
    #[arg(long, value_name = "JSON", env = "SAMEBIT_CHAT_TEMPLATE_KWARGS", help_heading = "Chat")]
    pub(crate) chat_template_kwargs: Option<String>,
    #[command(flatten)]
    pub(crate) thinking: ThinkArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
    #[command(flatten)]
    pub(crate) looks: LookArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) place: PinArgs,
    /// Guess up to N tokens ahead (8 if N is not given; 0: none) from what the text had before: the same answers, sooner where they
    /// repeat themselves
    #[arg(long, value_name = "N", num_args = 0..=1, default_value_t = 0, default_missing_value = "8", env = "SAMEBIT_SPEC",
          value_parser = drafted, require_equals = true, help_heading = "Computation")]
    pub(crate) spec: usize,
    /// A smaller model of the same vocabulary that guesses ahead (also -md), 8 tokens unless --spec says otherwise
    #[arg(long, value_name = "FILE", env = "SAMEBIT_MODEL_DRAFT", help_heading = "Computation")]
    pub(crate) model_draft: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

/// Whether, and how long, a model thinks before it answers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Thinking")]
pub(crate) struct ThinkArgs {
    /// Let a model that can think first do so (true), or not (false); or how hard: low, medium, high, as its template has it
    #[arg(long, value_name = "HOW", num_args = 0..=1, default_missing_value = "true", require_equals = true, env = "SAMEBIT_THINK")]
    pub(crate) think: Option<String>,
    /// Tokens of a thought at most: then it is ended, and the answer comes
    #[arg(long, alias = "reasoning-budget", value_name = "N", env = "SAMEBIT_THINK_BUDGET", value_parser = within::<u32>(0..=MOST))]
    pub(crate) think_budget: Option<u32>,
    /// Show no thoughts
    #[arg(long, alias = "hidethinking", env = "SAMEBIT_HIDE_THINKING", value_parser = switch)]
    pub(crate) hide_thinking: bool,
}

/// The form that answers must have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Form")]
#[group(multiple = false)]
pub(crate) struct FormArgs {
    /// Each answer is of this form: `json`, any object; a JSON schema, or a file with one
    #[arg(long, value_name = "FORM")]
    pub(crate) format: Option<String>,
    /// Each answer is JSON of this schema (also -j)
    #[arg(long, value_name = "SCHEMA")]
    pub(crate) json_schema: Option<String>,
    /// The schema is in a file (also -jf)
    #[arg(long, value_name = "FILE")]
    pub(crate) json_schema_file: Option<PathBuf>,
    /// Each answer is of this grammar, in llguidance's Lark or llama.cpp's GBNF
    #[arg(long, value_name = "GRAMMAR")]
    pub(crate) grammar: Option<String>,
    /// The grammar is in a file
    #[arg(long, value_name = "FILE")]
    pub(crate) grammar_file: Option<PathBuf>,
}

/// What is kept of a conversation.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct KeptArgs {
    /// Keep the conversation in a file, and go on with it if the file is there
    #[arg(long, value_name = "FILE")]
    pub(crate) session: Option<PathBuf>,
    /// Compute a session again, and say whether it is the same
    #[arg(long, value_name = "FILE", conflicts_with_all = ["session", "message"])]
    pub(crate) replay: Option<PathBuf>,
    /// Write the conversation to a file as markdown, after each turn
    #[arg(short, long, alias = "output-file", value_name = "FILE", conflicts_with = "replay")]
    pub(crate) output: Option<PathBuf>,
    /// Remember nothing of what is typed beyond the conversation
    #[arg(long, env = "SAMEBIT_NO_HISTORY", value_parser = switch)]
    pub(crate) no_history: bool,
}

/// How a conversation looks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Looks")]
pub(crate) struct LookArgs {
    /// Colours and other styles: where the terminal can, always, or never
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto, env = "SAMEBIT_COLOR")]
    pub(crate) color: Colour,
    /// Let the terminal break lines, anywhere
    #[arg(long, alias = "nowordwrap", env = "SAMEBIT_NO_WORDWRAP", value_parser = switch)]
    pub(crate) no_wordwrap: bool,
    /// Plain lines, no editor, no styles: as with TERM=dumb
    #[arg(long, env = "SAMEBIT_SIMPLE_IO", value_parser = switch)]
    pub(crate) simple_io: bool,
}

/// When styles are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal that can, unless NO_COLOR is set
    Auto,
    #[value(alias = "on")]
    Always,
    #[value(alias = "off")]
    Never,
}
