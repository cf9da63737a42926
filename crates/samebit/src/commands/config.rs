//! `samebit config`: every setting, and where its value comes from.

use crate::args::{Cli, ConfigArgs};
use crate::config::{self, Config, Setting};
use crate::failure::Failure;
use crate::output;
use clap::{Arg, Command, CommandFactory};
use samebit_gguf::report::escaped;
use serde::Serialize;
use serde_json::json;

/// One setting of one command.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    /// None: of all commands.
    command: Option<String>,
    key: String,
    /// None: not set, and without a default.
    value: Option<String>,
    source: String,
    #[serde(skip)]
    is_default: bool,
}

pub(crate) fn run(args: &ConfigArgs, config: &Config) -> Result<(), Failure> {
    let root = Cli::command();
    let rows = match &args.command {
        Some(name) => {
            let command = root.find_subcommand(name).ok_or_else(|| {
                let names: Vec<&str> = root.get_subcommands().map(Command::get_name).collect();
                Failure::Usage(format!("`{name}` is no command: there are {}", names.join(", ")))
            })?;
            [rows(&root, None, config), rows(command, Some(command.get_name()), config)].concat()
        }
        None => {
            let commands = root.get_subcommands().flat_map(|command| rows(command, Some(command.get_name()), config));
            let rows = rows(&root, None, config).into_iter().chain(commands);
            rows.filter(|row| !row.is_default).collect()
        }
    };
    for mistake in config.mistakes(args.command.as_deref()) {
        output::note(false, &mistake);
    }
    if args.json {
        return output::write_json(&json!({"file": config.path, "settings": rows}));
    }
    output::write((heading(config, rows.is_empty()) + &table(&rows)).as_bytes())
}

fn rows(command: &Command, name: Option<&str>, config: &Config) -> Vec<Row> {
    config::settings(command).map(|arg| row(arg, name, config)).collect()
}

fn row(arg: &Arg, name: Option<&str>, config: &Config) -> Row {
    let variable = arg.get_env().unwrap_or_default();
    let (value, source) = match (config::variable(variable), config.find(name, arg)) {
        (Some(value), _) => (Some(value), variable.to_string_lossy().into_owned()),
        (None, Some(setting)) => (Some(setting.values.join(",")), place(config, setting)),
        (None, None) => (default(arg), "default".to_owned()),
    };
    let is_default = source == "default";
    let secret = arg.is_hide_env_values_set() && !is_default;
    Row {
        command: name.map(str::to_owned),
        key: arg.get_long().unwrap_or_default().to_owned(),
        value: if secret { Some("(hidden)".to_owned()) } else { value },
        source,
        is_default,
    }
}

/// The file, and its table.
fn place(config: &Config, setting: &Setting) -> String {
    let path = config.path.as_ref().map_or_else(String::new, |path| path.display().to_string());
    setting.table.as_ref().map_or_else(|| path.clone(), |table| format!("{path} [{table}]"))
}

fn default(arg: &Arg) -> Option<String> {
    let values: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    match arg.get_action() {
        // A switch that nobody touched is off.
        clap::ArgAction::SetTrue => Some("false".to_owned()),
        _ => (!values.is_empty()).then(|| values.join(",")),
    }
}

fn heading(config: &Config, none: bool) -> String {
    let file = match (&config.path, config::default_path()) {
        (Some(path), _) => format!("file: {}\n", escaped(&path.display().to_string())),
        (None, Some(path)) => format!("file: none; it would be {}\n", escaped(&path.display().to_string())),
        (None, None) => "file: none\n".to_owned(),
    };
    let all = if none { "nothing is set: all values are defaults; `samebit config COMMAND` shows them\n" } else { "" };
    file + all
}

fn table(rows: &[Row]) -> String {
    let name =
        |row: &Row| row.command.as_ref().map_or_else(|| row.key.clone(), |command| format!("{command} {}", row.key));
    let names: Vec<String> = rows.iter().map(name).collect();
    let values: Vec<String> = rows.iter().map(|row| escaped(row.value.as_deref().unwrap_or("-"))).collect();
    let wide = |texts: &[String]| texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let (first, second) = (wide(&names), wide(&values).min(40));
    let line = |((name, value), row): ((&String, &String), &Row)| {
        format!("{name:<first$}  {value:<second$}  {}\n", escaped(&row.source))
    };
    names.iter().zip(&values).zip(rows).map(line).collect()
}
