//! Where the prompt comes from and what is done to it before the model sees it.

use super::values::{MOST, switch, within};
use clap::Args;
use samebit_text::template::CivilTime;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(next_help_heading = "Prompt")]
pub(crate) struct PromptArgs {
    /// The prompt
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["file", "tokens"])]
    pub(crate) prompt: Option<String>,
    /// Read the prompt from a file, byte for byte, the last line break included; `-` is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "tokens")]
    pub(crate) file: Option<PathBuf>,
    /// The prompt as token ids, such as 1,2,3; nothing is added to them
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = within::<u32>(0..=MOST))]
    pub(crate) tokens: Option<Vec<u32>>,
    /// Read \n, \t, \r, \\, \', \" in -p as the characters they stand for
    #[arg(short, long)]
    pub(crate) escape: bool,
    #[command(flatten)]
    pub(crate) special: SpecialArgs,
}

/// Which tokens text may become.
#[derive(Debug, Args)]
#[command(next_help_heading = "Prompt")]
pub(crate) struct SpecialArgs {
    /// Add no beginning-of-sequence (or other) token of the model's own accord
    #[arg(long, env = "SAMEBIT_NO_BOS", value_parser = switch)]
    pub(crate) no_bos: bool,
    /// Take the text of special tokens literally, as a user's text should be
    #[arg(long, env = "SAMEBIT_NO_SPECIAL", value_parser = switch)]
    pub(crate) no_special: bool,
    /// Turn the text of special tokens into those tokens: the default, and stronger than --no-special
    #[arg(long, env = "SAMEBIT_PARSE_SPECIAL", value_parser = switch)]
    pub(crate) parse_special: bool,
}

impl SpecialArgs {
    /// Whether the text of special tokens becomes those tokens.
    pub(crate) fn parse(&self) -> bool {
        self.parse_special || !self.no_special
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Chat")]
pub(crate) struct ChatArgs {
    /// System message (also -sys); with it the chat template is applied
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "system_prompt_file")]
    pub(crate) system_prompt: Option<String>,
    /// Read the system message from a file (also -sysf)
    #[arg(long, value_name = "FILE")]
    pub(crate) system_prompt_file: Option<PathBuf>,
    /// Apply the model's chat template to the prompt (also -cnv)
    #[arg(long, env = "SAMEBIT_CHAT", value_parser = switch)]
    pub(crate) chat: bool,
    /// Apply no template, whatever else is said (also -no-cnv)
    #[arg(long, visible_alias = "no-template", env = "SAMEBIT_RAW", value_parser = switch,
          conflicts_with_all = ["system_prompt", "system_prompt_file"])]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
}

/// What makes a prompt of messages: the same for every command that can chat.
#[derive(Debug, Args)]
#[command(next_help_heading = "Chat")]
pub(crate) struct TemplateArgs {
    /// Chat template instead of the model's: a built-in one (chatml, llama3, gemma, mistral-v7, …), another of the model's, or a file
    #[arg(long, alias = "chat-template-file", value_name = "NAME|FILE", env = "SAMEBIT_CHAT_TEMPLATE")]
    pub(crate) chat_template: Option<String>,
    /// The day that a template's clock shows; without one the clock is not there: today's date would change the prompt
    #[arg(long, value_name = "YYYY-MM-DD", env = "SAMEBIT_DATE", value_parser = date)]
    pub(crate) date: Option<CivilTime>,
}

/// A day of the calendar.
fn date(text: &str) -> Result<CivilTime, String> {
    let mut parts = text.split('-').map(str::parse::<u16>);
    let day = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Ok(year)), Some(Ok(month)), Some(Ok(day)), None) => u8::try_from(month)
            .ok()
            .zip(u8::try_from(day).ok())
            .and_then(|(month, day)| CivilTime::date(year, month, day)),
        _ => None,
    };
    day.ok_or_else(|| "no such day: give it as 2026-01-31".into())
}

impl ChatArgs {
    /// Whether the prompt is a user's message rather than a text to be continued.
    pub(crate) fn wanted(&self) -> bool {
        let asked = self.chat || self.template.chat_template.is_some();
        !self.raw && (asked || self.system_prompt.is_some() || self.system_prompt_file.is_some())
    }
}
