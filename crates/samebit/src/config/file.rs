//! The file: TOML, with flags' long names as keys; a table for each command whose values differ.

use super::{Config, Setting, VARIABLE, is_switch, settings};
use crate::failure::Failure;
use crate::prompt;
use clap::{Arg, ArgAction, Command};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Nobody says so much.
const MOST_BYTES: u64 = 1 << 20;
/// Names less alike than this are not what was meant.
const ALIKE: f64 = 0.5;

/// Where the file lies unless another is named.
pub(crate) fn default_path() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = named.or_else(|| Some(std::env::home_dir()?.join(".config")))?;
    Some(folder.join("samebit/config.toml"))
}

/// Reads a file, whose keys must be flags.
pub(super) fn read(root: &Command, path: &Path) -> Result<Config, Failure> {
    let bytes = prompt::bounded(path, MOST_BYTES, "configuration file").map_err(|error| {
        Failure::Input(format!("configuration file {error} (--config and {VARIABLE} name it; {VARIABLE}= is none)"))
    })?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::at(path, "not UTF-8: convert the file to UTF-8"))?;
    let settings = interpret(root, &text).map_err(|why| Failure::at(path, why))?;
    Ok(Config { path: Some(path.to_path_buf()), settings })
}

fn interpret(root: &Command, text: &str) -> Result<Vec<Setting>, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count()) + 1;
        format!("line {line}: {}", error.message())
    })?;
    let mut found = Vec::new();
    for (key, value) in &table {
        match (value, root.find_subcommand(key)) {
            (Value::Table(inner), Some(command)) => {
                let name = command.get_name();
                for (key, value) in inner {
                    found.push(setting(&[command], Some(name), key, value)?);
                }
            }
            (Value::Table(_), None) => {
                let names = root.get_subcommands().map(Command::get_name);
                return Err(format!("[{key}] is no command{}", nearest(key, names)));
            }
            _ => {
                let commands: Vec<&Command> = std::iter::once(root).chain(root.get_subcommands()).collect();
                found.push(setting(&commands, None, key, value)?);
            }
        }
    }
    Ok(found)
}

/// One key, which must be a setting of one of these commands.
fn setting(commands: &[&Command], table: Option<&str>, key: &str, value: &Value) -> Result<Setting, String> {
    let place = table.map_or_else(String::new, |name| format!(" in [{name}]"));
    let flags = || commands.iter().flat_map(|command| settings(command));
    let name = key.replace('_', "-");
    let Some(arg) = flags().find(|arg| arg.get_long() == Some(&name)) else {
        return Err(format!("`{key}`{place} is no setting{}", nearest(&name, flags().filter_map(Arg::get_long))));
    };
    let wrong = |why: &str| format!("`{key}`{place}: {why}");
    let values = match value {
        Value::Boolean(value) if is_switch(arg) => vec![value.to_string()],
        _ if is_switch(arg) => return Err(wrong("is true or false")),
        Value::Array(values) if values.is_empty() => {
            return Err(wrong("an empty list says nothing: leave the key out"));
        }
        Value::Array(_) if !takes_list(arg) => return Err(wrong("has one value, and no list")),
        Value::Array(values) => {
            values.iter().map(scalar).collect::<Option<_>>().ok_or_else(|| wrong("a list of what?"))?
        }
        value => vec![scalar(value).ok_or_else(|| wrong("a table is no value"))?],
    };
    Ok(Setting { table: table.map(str::to_owned), key: name, values })
}

/// Whether a flag may have several values.
fn takes_list(arg: &Arg) -> bool {
    let several = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    matches!(arg.get_action(), ArgAction::Append) || arg.get_value_delimiter().is_some() || several
}

/// As it would stand on the command line.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(value) => Some(value.to_string()),
        Value::Datetime(day) => Some(day.to_string()),
        Value::Array(_) | Value::Table(_) => None,
    }
}

/// `: did you mean …?`, if something is alike.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    let alike = names
        .map(|name| (strsim::normalized_damerau_levenshtein(wrong, name), name))
        .filter(|(alike, _)| *alike >= ALIKE);
    match alike.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        Some((_, name)) => format!(": did you mean `{name}`?"),
        None => ": `samebit config COMMAND` lists all".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;

    fn read(text: &str) -> Result<Vec<Setting>, String> {
        interpret(&Cli::command(), text)
    }

    fn setting(table: Option<&str>, key: &str, values: &[&str]) -> Setting {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Setting { table: table.map(str::to_owned), key: key.to_owned(), values }
    }

    #[test]
    fn values_are_as_on_the_command_line() {
        let text =
            "temp = 0.5\ntop_k = 7\nquiet = true\n[bench]\nthreads = [1, 2]\n[run]\ndate = 2026-01-31\nmodel = \"m\"\n";
        let mut found = read(text).expect("good");
        found.sort_by(|a, b| a.key.cmp(&b.key));
        let expected = [
            setting(Some("run"), "date", &["2026-01-31"]),
            setting(Some("run"), "model", &["m"]),
            setting(None, "quiet", &["true"]),
            setting(None, "temp", &["0.5"]),
            setting(Some("bench"), "threads", &["1", "2"]),
            setting(None, "top-k", &["7"]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn mistakes_are_named_with_what_was_meant() {
        for (text, words) in [
            ("tempo = 1", &["`tempo` is no setting", "did you mean `temp`?"][..]),
            ("[run]\nport = 1", &["`port` in [run] is no setting"]),
            ("[rnu]\ntemp = 1", &["[rnu] is no command", "`run`"]),
            ("prompt = \"x\"", &["`prompt` is no setting"]),
            ("json = 1", &["`json`: is true or false"]),
            ("threads = []", &["empty list"]),
            ("temp = [1, 2]", &["`temp`", "one value"]),
            ("temp = {a = 1}", &["[temp] is no command"]),
            ("a = 1\nb = = 2", &["line 2"]),
        ] {
            let error = read(text).expect_err(text);
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
    }
}
