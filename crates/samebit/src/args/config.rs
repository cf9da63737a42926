//! What may be said to `config`.

use clap::Args;

const CONFIG_HELP: &str = "\
Examples:
  samebit config                              the file, and what it and the environment set
  samebit config run                          every setting of `run`, and where its value comes from
  samebit --config other.toml config run --json

The file is --config's, or SAMEBIT_CONFIG's (empty: none), or samebit/config.toml in
XDG_CONFIG_HOME or ~/.config. Its keys are flags' long names; a command's table is for it alone:

  threads = 4
  model = \"smollm2\"
  [run]
  temp = 0.2
  [serve]
  port = 9000

Environment variables count more than the file, and the command line counts most. What names the
work itself (a prompt, an output) is no setting. An unknown key is an error.";

/// Shows the settings, and where each value comes from
#[derive(Debug, Args)]
#[command(after_help = CONFIG_HELP)]
pub(crate) struct ConfigArgs {
    /// All settings of this command, defaults included
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    /// Print one JSON object: file, settings of {command, key, value, source}
    #[arg(long, env = "SAMEBIT_JSON", value_parser = super::values::switch)]
    pub(crate) json: bool,
}
