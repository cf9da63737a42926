//! `samebit completions` and `samebit man`: what shells and manuals want to know of the flags.

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::failure::Failure;
use crate::output;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::io::Write;

/// The program's name.
const NAME: &str = "samebit";

pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    output::write(&script)
}

pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    if args.folder.exists() && !args.folder.is_dir() {
        return Err(Failure::at(
            &args.folder,
            "is no folder: name one for the pages, which is made if it is not there",
        ));
    }
    std::fs::create_dir_all(&args.folder).map_err(|error| Failure::at(&args.folder, error))?;
    let mut root = Cli::command();
    root.build();
    let commands = root.get_subcommands().filter(|command| command.get_name() != "help");
    for command in std::iter::once(&root).chain(commands) {
        let name = match command.get_name() {
            NAME => NAME.to_owned(),
            other => format!("{NAME}-{other}"),
        };
        let path = args.folder.join(format!("{name}.1"));
        let page = page(command, &name).and_then(|page| std::fs::write(&path, page));
        page.map_err(|error| Failure::at(&path, error))?;
    }
    Ok(())
}

/// One page. What --help says last is mostly lines to be typed, which must stay lines.
fn page(command: &Command, name: &str) -> std::io::Result<Vec<u8>> {
    let spoken = command.get_bin_name().unwrap_or(name).to_owned();
    let man = Man::new(command.clone().name(name.to_owned()).bin_name(spoken)).title(name.to_owned()).source("samebit");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_help() {
        writeln!(page, ".SH NOTES\n.nf")?;
        for line in text.to_string().lines() {
            writeln!(page, "{}", literal(line))?;
        }
        writeln!(page, ".fi")?;
    }
    Ok(page)
}

/// A line that troff shows as it is.
fn literal(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    // At a line's beginning it would be a request.
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_literal() {
        assert_eq!(literal(".a \\n -b 'c'"), "\\&.a \\en \\-b \\(aqc\\(aq");
    }
}
