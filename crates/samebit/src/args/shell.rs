//! What may be said to `completions` and `man`.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

const COMPLETIONS_HELP: &str = "\
Examples:
  samebit completions bash > ~/.local/share/bash-completion/completions/samebit
  samebit completions zsh > ~/.zfunc/_samebit    with fpath+=(~/.zfunc) before compinit in ~/.zshrc
  samebit completions fish > ~/.config/fish/completions/samebit.fish
  samebit completions powershell >> $PROFILE";

/// Prints a script that completes commands and flags in a shell
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

const MAN_HELP: &str = "\
Examples:
  samebit man ~/.local/share/man/man1 && man samebit-run

One page for samebit and one for each command, made from the same words as --help.";

/// Writes the manual's pages
#[derive(Debug, Args)]
#[command(after_help = MAN_HELP)]
pub(crate) struct ManArgs {
    /// The folder to write them to; it is made if it is not there
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
