//! What is played: a file of lines, each a word and what it is about.
//!
//! Knows words; nothing of terminals.

use std::num::NonZeroU16;

use anyhow::{Context, Result, bail};

/// A script, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Script {
    /// What stands above the terminal.
    pub(crate) title: String,
    /// Of the terminal.
    pub(crate) columns: NonZeroU16,
    pub(crate) rows: NonZeroU16,
    /// The name of the recording, if one is wanted.
    pub(crate) cast: Option<String>,
    /// In order, each with its line's number.
    pub(crate) steps: Vec<(usize, Step)>,
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Type a command of the shell and start it.
    Shell(String),
    /// Type a text, key by key; each must appear.
    Type(String),
    /// Press a key that does something.
    Press(Key),
    /// Until the cursor stands in a line that is this prompt, a space, and nothing else; what came is shown at once.
    Wait(String),
    /// The same; what came is shown word by word.
    Stream(String),
    /// Until the program has ended, as it should.
    End,
    /// Nothing happens, for so many milliseconds of the recording.
    Pause(u64),
    /// A picture of the screen: its file, and what it is called.
    Picture(String, String),
}

/// A key that is no character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Enter,
    Tab,
    CtrlC,
    CtrlD,
    CtrlL,
    Up,
}

/// Names of the keys, and what a terminal sends for them.
const KEYS: [(&str, Key, &[u8]); 6] = [
    ("enter", Key::Enter, b"\r"),
    ("tab", Key::Tab, b"\t"),
    ("ctrl-c", Key::CtrlC, b"\x03"),
    ("ctrl-d", Key::CtrlD, b"\x04"),
    ("ctrl-l", Key::CtrlL, b"\x0c"),
    ("up", Key::Up, b"\x1b[A"),
];

impl Key {
    /// What a terminal sends.
    pub(crate) fn bytes(self) -> &'static [u8] {
        KEYS.iter().find(|(_, key, _)| *key == self).map_or(b"", |(_, _, bytes)| bytes)
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// A line that is none, by its number; no title or size.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (mut title, mut size, mut cast, mut steps) = (None, None, None, Vec::new());
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let mut line = line.trim().to_owned();
            // As in a shell, and so it is shown.
            while line.ends_with('\\') {
                let (_, next) = lines.next().with_context(|| format!("line {}: nothing follows", index + 1))?;
                line = format!("{line}\n{}", next.trim_end());
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let rest = rest.trim();
            match word {
                "title" => title = Some(rest.to_owned()),
                "size" => size = Some(dimensions(rest).with_context(|| format!("line {}: `size 100 30`", index + 1))?),
                "cast" => cast = Some(file(rest, ".cast").with_context(|| format!("line {}", index + 1))?),
                _ => steps.push((index + 1, step(word, rest).with_context(|| format!("line {}", index + 1))?)),
            }
        }
        let (columns, rows) = size.context("no line says `size COLUMNS ROWS`")?;
        Ok(Self { title: title.context("no line says `title TEXT`")?, columns, rows, cast, steps })
    }
}

fn step(word: &str, rest: &str) -> Result<Step> {
    let text = || if rest.is_empty() { bail!("`{word}` what?") } else { Ok(rest.to_owned()) };
    Ok(match word {
        "shell" => Step::Shell(text()?),
        "type" => Step::Type(text()?),
        "press" => {
            let known = KEYS.iter().find(|(name, ..)| *name == rest);
            let (_, key, _) = known.with_context(|| format!("`{rest}` is no key that is known"))?;
            Step::Press(*key)
        }
        "wait" => Step::Wait(text()?),
        "stream" => Step::Stream(text()?),
        "end" if rest.is_empty() => Step::End,
        "pause" => Step::Pause(
            milliseconds(rest)
                .with_context(|| format!("`{rest}` are no seconds: at most 60, with one decimal at most"))?,
        ),
        "picture" => {
            let (name, title) = rest.split_once(' ').context("`picture FILE.svg WHAT IT SHOWS`")?;
            Step::Picture(file(name, ".svg")?, title.trim().to_owned())
        }
        _ => bail!("`{word}` is nothing that can be done"),
    })
}

fn dimensions(text: &str) -> Option<(NonZeroU16, NonZeroU16)> {
    let (columns, rows) = text.split_once(' ')?;
    let size = (columns.parse::<NonZeroU16>().ok()?, rows.trim().parse::<NonZeroU16>().ok()?);
    (size.0.get() <= 300 && size.1.get() <= 100).then_some(size)
}

/// Seconds with one decimal at most; a minute is long enough.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, tenths) = text.split_once('.').unwrap_or((text, "0"));
    let tenths = Some(tenths).filter(|tenths| tenths.len() == 1)?;
    let whole = whole.parse::<u64>().ok().filter(|&whole| whole <= 60)?;
    Some(whole * 1000 + tenths.parse::<u64>().ok()? * 100)
}

/// A plain file name: what is written lies beside the script.
fn file(name: &str, ending: &str) -> Result<String> {
    if !name.ends_with(ending) || name.contains(['/', '\\']) {
        bail!("`{name}` is no name of a file beside the script that ends with {ending}");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read() {
        let text = "# what\ntitle two  words\nsize 80 24\ncast a.cast\n\nshell run \\\n  | more\ntype  a b\npress enter\n\
                    wait >>>\nstream >>>\npause 1.5\npicture a.svg A picture\nend\n";
        let script = Script::parse(text).unwrap();
        assert_eq!((script.title.as_str(), script.cast.as_deref()), ("two  words", Some("a.cast")));
        assert_eq!((script.columns.get(), script.rows.get()), (80, 24));
        let steps: Vec<Step> = script.steps.iter().map(|(_, step)| step.clone()).collect();
        let expected = [
            Step::Shell("run \\\n  | more".into()),
            Step::Type("a b".into()),
            Step::Press(Key::Enter),
            Step::Wait(">>>".into()),
            Step::Stream(">>>".into()),
            Step::Pause(1500),
            Step::Picture("a.svg".into(), "A picture".into()),
            Step::End,
        ];
        assert_eq!(steps, expected);
        assert_eq!((script.steps[0].0, script.steps[1].0), (6, 8));
        assert_eq!(Key::CtrlL.bytes(), b"\x0c");
    }

    #[test]
    fn what_is_no_step_is_told_with_its_line() {
        let bad = [
            ("dance", "line 3: `dance` is nothing that can be done"),
            ("press any", "line 3: `any` is no key that is known"),
            ("type", "line 3: `type` what?"),
            ("pause 61", "line 3: `61` are no seconds: at most 60, with one decimal at most"),
            ("pause long", "line 3: `long` are no seconds: at most 60, with one decimal at most"),
            ("picture ../a.svg x", "line 3: `../a.svg` is no name of a file beside the script that ends with .svg"),
            ("shell a \\", "line 3: nothing follows"),
        ];
        for (line, why) in bad {
            let error = Script::parse(&format!("title t\nsize 80 24\n{line}")).unwrap_err();
            assert_eq!(format!("{error:#}"), why);
        }
        assert!(Script::parse("title t\nsize 0 24").is_err());
        assert!(Script::parse("title t").is_err());
    }
}
