//! `samebit pull`, `samebit list` and `samebit rm`: the models of this machine.

use crate::args::{ListArgs, PullArgs, RmArgs, Verbosity};
use crate::failure::Failure;
use crate::library::{failure, open};
use crate::output;
use crate::progress::{Progress, Unit};
use samebit_gguf::report::escaped;
use samebit_hub::{Event, Library, Name, Pulled};
use serde_json::json;
use std::path::Path;

/// The bars of one pull: one at a time, for what happens now.
struct Bars {
    quiet: bool,
    current: Option<(String, Progress)>,
}

impl Bars {
    fn told(&mut self, event: Event<'_>) {
        let (label, unit, done, total) = match event {
            Event::Fetching { file, done, total } => (escaped(file), Unit::Fetched, done, total.unwrap_or(done)),
            Event::Verifying { file, done, total } => {
                (format!("verifying {}", escaped(file)), Unit::Bytes, done, total)
            }
            Event::Note(line) => {
                self.current = None;
                return output::note(self.quiet, line);
            }
        };
        if self.current.as_ref().is_none_or(|(shown, _)| *shown != label) {
            // The old bar goes before the new one comes.
            self.current = None;
            self.current = Some((label.clone(), Progress::new(label, unit, self.quiet)));
        }
        if let Some((_, bar)) = &mut self.current {
            bar.at(done, total);
        }
    }
}

fn names(texts: &[String]) -> Result<Vec<Name>, Failure> {
    texts.iter().map(|text| Name::require(text)).collect::<Result<_, _>>().map_err(failure)
}

pub(crate) fn pull(args: &PullArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let names = names(&args.names)?;
    let library = open(verbosity.quiet)?;
    for (name, text) in names.iter().zip(&args.names) {
        let pulled = fetch(&library, name, verbosity)?;
        let path = pulled.path.display().to_string();
        if args.json {
            let Pulled { bytes, sha256, fetched, .. } = &pulled;
            output::write_json(
                &json!({"name": text, "path": path, "bytes": bytes, "sha256": sha256, "fetched": fetched}),
            )?;
            continue;
        }
        output::note(verbosity.quiet, &told(name, &pulled));
        output::write(format!("{path}\n").as_bytes())?;
    }
    Ok(())
}

/// Fetches a model and shows how far it is.
pub(super) fn fetch(library: &Library, name: &Name, verbosity: Verbosity) -> Result<Pulled, Failure> {
    let mut bars = Bars { quiet: verbosity.quiet, current: None };
    library.pull(name, &mut |event| bars.told(event)).map_err(failure)
}

/// What to say of a model that is here now.
fn told(name: &Name, pulled: &Pulled) -> String {
    let how = if pulled.fetched { "fetched" } else { "was here already" };
    let size = size(pulled.bytes);
    let digests = pulled.sha256.join(", ");
    match pulled.expected {
        true => format!("{name}: {size}, {how}, SHA-256 verified; use it with -m {name}"),
        false => format!(
            "{name}: {size}, {how}; nobody said what its SHA-256 should be: it is {digests}; use it with -m {name}"
        ),
    }
}

pub(crate) fn list(args: &ListArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let library = open(verbosity.quiet)?;
    let entries = library.list();
    if args.json {
        let rows: Vec<_> = entries
            .iter()
            .map(|entry| json!({"name": entry.name, "path": entry.path.display().to_string(), "bytes": entry.bytes}))
            .collect();
        return output::write_json(&rows);
    }
    if entries.is_empty() {
        output::note(verbosity.quiet, "no models are here: `samebit pull smollm2` fetches a small one");
    }
    let width = entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for entry in &entries {
        let path =
            if verbosity.verbose { format!("  {}", escaped(&entry.path.display().to_string())) } else { String::new() };
        text.push_str(&format!("{:<width$}  {:>8}{path}\n", escaped(&entry.name), size(entry.bytes)));
    }
    output::write(text.as_bytes())
}

pub(crate) fn rm(args: &RmArgs, verbosity: Verbosity) -> Result<(), Failure> {
    if let Some(file) = args.names.iter().find(|text| text.contains('/') && Path::new(text).exists()) {
        let what = "is a file: `samebit rm` takes the names of fetched models, as `samebit list` shows them";
        return Err(Failure::at(Path::new(file), what));
    }
    let names = names(&args.names)?;
    let library = open(verbosity.quiet)?;
    for name in &names {
        let mut waiting = |event: Event<'_>| {
            if let Event::Note(line) = event {
                output::note(verbosity.quiet, line);
            }
        };
        let removed = library.remove(name, &mut waiting).map_err(failure)?;
        output::note(verbosity.quiet, &format!("{name}: removed, {} free", size(removed.bytes)));
    }
    Ok(())
}

/// `98 MB`, as shops and hubs count.
fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{:.2} GB", bytes as f64 / 1e9),
        1_000_000.. => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{} kB", bytes.div_ceil(1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!([size(5), size(98_362_432), size(4_100_000_000)], ["1 kB", "98 MB", "4.10 GB"]);
    }
}
