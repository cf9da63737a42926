//! Settings from a file, below the environment and the command line: its values become the flags' defaults before the line is parsed,
//! so that every flag of every command has one, and clap goes on to say who wins.
//!
//! Knows flags by what clap says of them; nothing of what they mean.

mod file;

use crate::args::{self, Cli};
use crate::failure::Failure;
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub(crate) use file::default_path;

/// The variable that names the file; empty: no file.
const VARIABLE: &str = "SAMEBIT_CONFIG";

/// What a file says of one flag.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    /// The command that it is for; none: all that have the flag.
    pub(crate) table: Option<String>,
    /// The flag's long name.
    pub(crate) key: String,
    /// Its value, or values.
    pub(crate) values: Vec<String>,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Config {
    /// Where it lies, if there is one.
    pub(crate) path: Option<PathBuf>,
    pub(crate) settings: Vec<Setting>,
}

/// Why there is no command to run.
pub(crate) enum Stop {
    /// Help, the version, or a mistake in the line.
    Clap(clap::Error),
    /// A mistake in the file.
    Failure(Failure),
}

impl From<clap::Error> for Stop {
    fn from(error: clap::Error) -> Self {
        Self::Clap(error)
    }
}

/// Reads the file that the line, the environment or the custom names, and then the line.
pub(crate) fn parse(argv: &[OsString]) -> Result<(Cli, Config), Stop> {
    let plain = Cli::command();
    let config = match load(&plain, argv) {
        Ok(config) => config,
        Err(failure) => return Err(help_anyway(plain, argv).map_or(Stop::Failure(failure), Stop::Clap)),
    };
    let matches = match config.defaults(plain.clone(), &BTreeSet::new()).try_get_matches_from(argv) {
        Ok(matches) => matches,
        Err(error) => return Err(config.blame(plain, argv, error)),
    };
    let overruled = config.overruled(&plain, &matches);
    let matches = match overruled.is_empty() {
        true => matches,
        false => config.defaults(plain, &overruled).try_get_matches_from(argv)?,
    };
    Ok((Cli::from_arg_matches(&matches)?, config))
}

/// Help and the version, where they are asked for: no file is too wrong for that.
fn help_anyway(plain: Command, argv: &[OsString]) -> Option<clap::Error> {
    plain.try_get_matches_from(argv).err().filter(|error| !error.use_stderr())
}

fn load(plain: &Command, argv: &[OsString]) -> Result<Config, Failure> {
    let named = args::config_file(argv).or_else(|| std::env::var_os(VARIABLE)).map(PathBuf::from);
    match named {
        Some(path) if path.as_os_str().is_empty() => Ok(Config::default()),
        Some(path) => file::read(plain, &path),
        None => match default_path().filter(|path| path.exists()) {
            Some(path) => file::read(plain, &path),
            None => Ok(Config::default()),
        },
    }
}

/// The flags of a command that are settings: what names the work itself has no environment variable, and no place in a file.
pub(crate) fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.get_long().is_some() && arg.get_env().is_some_and(|name| name != VARIABLE))
}

/// Whether the flag is either there or not.
fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

impl Config {
    /// What is said for a flag of a command, or for one of all commands: the narrower word counts.
    pub(crate) fn find(&self, command: Option<&str>, arg: &Arg) -> Option<&Setting> {
        let said = |table: Option<&str>| {
            self.settings.iter().find(|s| s.table.as_deref() == table && Some(s.key.as_str()) == arg.get_long())
        };
        command.and_then(|name| said(Some(name))).or_else(|| said(None))
    }

    /// The command line's definition with this file's values as defaults, but for these flags of the command that runs.
    fn defaults(&self, mut root: Command, but: &BTreeSet<String>) -> Command {
        root = self.set(root, None, but);
        let names: Vec<String> = root.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for name in names {
            root = root.mut_subcommand(&name, |command| self.set(command, Some(&name), but));
        }
        root
    }

    fn set(&self, mut command: Command, name: Option<&str>, but: &BTreeSet<String>) -> Command {
        let found: Vec<(String, Vec<String>, bool)> = settings(&command)
            .filter(|arg| !but.contains(arg.get_id().as_str()))
            .filter_map(|arg| Some((arg, self.find(name, arg)?)))
            .map(|(arg, setting)| (arg.get_id().to_string(), setting.values.clone(), arg.is_hide_env_values_set()))
            .collect();
        for (id, values, secret) in found {
            command = command.mut_arg(id, |arg| arg.required(false).default_values(values).hide_default_value(secret));
        }
        command
    }

    /// The flags whose values in the file give way to others that conflict with them and were asked for.
    fn overruled(&self, root: &Command, matches: &ArgMatches) -> BTreeSet<String> {
        let mut ids = overruled_in(root, matches, |arg| self.find(None, arg).is_some());
        if let Some((name, matches)) = matches.subcommand()
            && let Some(command) = root.find_subcommand(name)
        {
            ids.extend(overruled_in(command, matches, |arg| self.find(Some(name), arg).is_some()));
        }
        ids
    }

    /// Whose mistake it is: the line's, the environment's, or the file's.
    fn blame(&self, plain: Command, argv: &[OsString], error: clap::Error) -> Stop {
        let kinds = [ErrorKind::InvalidValue, ErrorKind::ValueValidation, ErrorKind::InvalidUtf8];
        if !kinds.contains(&error.kind()) {
            return Stop::Clap(error);
        }
        let same = |command: Command| command.try_get_matches_from(argv).err().filter(|own| own.kind() == error.kind());
        if let Some(own) = same(without_environment(plain.clone())) {
            return Stop::Clap(own);
        }
        match (same(plain.clone()), &self.path) {
            (Some(own), _) => match culprit(&plain, &own) {
                Some(name) if own.kind() == ErrorKind::InvalidUtf8 => {
                    Stop::Failure(Failure::Usage(format!("{name}: its value is not UTF-8")))
                }
                Some(name) => Stop::Failure(Failure::Usage(format!("{name}: {}", first_line(&own)))),
                None => Stop::Clap(own),
            },
            (None, Some(path)) => Stop::Failure(Failure::at(path, first_line(&error))),
            (None, None) => Stop::Clap(error),
        }
    }

    /// What is wrong with the settings of a command, or of all: of each the first mistake.
    pub(crate) fn mistakes(&self, command: Option<&str>) -> Vec<String> {
        let plain = Cli::command();
        let names =
            plain.get_subcommands().map(Command::get_name).filter(|name| command.is_none_or(|only| only == *name));
        let mut found = Vec::new();
        for name in names {
            let argv = ["samebit", name].map(OsString::from);
            let Err(error) = self.defaults(plain.clone(), &BTreeSet::new()).try_get_matches_from(&argv) else {
                continue;
            };
            if let Stop::Failure(failure) = self.blame(plain.clone(), &argv, error) {
                found.push(failure.to_string());
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// The same commands, that look at no variables.
fn without_environment(command: Command) -> Command {
    command.mut_args(|arg| arg.env(Resettable::Reset)).mut_subcommands(without_environment)
}

/// What an error says before it goes on to tell of the help.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let what = lines.join(" ");
    what.strip_prefix("error: ").unwrap_or(&what).to_owned()
}

/// The variable whose value is the mistake.
fn culprit(plain: &Command, error: &clap::Error) -> Option<String> {
    let mut all = std::iter::once(plain).chain(plain.get_subcommands()).flat_map(settings);
    let value = |arg: &Arg| arg.get_env().and_then(std::env::var_os);
    let found = match error.get(ContextKind::InvalidArg) {
        // As in `--temp <T>` and `--think[=<HOW>]`.
        Some(ContextValue::String(flag)) => {
            let name = flag.trim_start_matches('-').split([' ', '=', '[']).next();
            all.find(|arg| value(arg).is_some() && arg.get_long() == name)
        }
        _ => all.find(|arg| value(arg).is_some_and(|value| value.to_str().is_none())),
    };
    Some(found?.get_env()?.to_string_lossy().into_owned())
}

/// Flags of one command that the file sets, and that conflict with one that the line or the environment gives.
fn overruled_in(command: &Command, matches: &ArgMatches, said: impl Fn(&Arg) -> bool) -> BTreeSet<String> {
    let source = |arg: &Arg| {
        matches.try_contains_id(arg.get_id().as_str()).ok().and(matches.value_source(arg.get_id().as_str()))
    };
    let asked = |arg: &&Arg| matches!(source(arg), Some(ValueSource::CommandLine | ValueSource::EnvVariable));
    let conflict = |a: &Arg, b: &Arg| {
        let one = |a: &Arg, b: &Arg| command.get_arg_conflicts_with(a).iter().any(|other| other.get_id() == b.get_id());
        one(a, b) || one(b, a)
    };
    let set = settings(command).filter(|arg| said(arg) && source(arg) == Some(ValueSource::DefaultValue));
    set.filter(|arg| command.get_arguments().filter(asked).any(|other| conflict(arg, other)))
        .map(|arg| arg.get_id().to_string())
        .collect()
}

/// The value of a variable that counts.
pub(crate) fn variable(name: &OsStr) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
