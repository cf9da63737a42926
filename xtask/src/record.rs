//! A recorded terminal session and pictures of it, made by a script, so that they show what the program does.
//!
//! Answers are the same bits on every machine, and so are the screens that show them: a recording is a file to compare
//! with, as a digest is. Knows which scripts there are and what each step of one does; nothing of what is said in them.

mod cast;
mod picture;
mod script;
mod terminal;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{models, targets};
use cast::Cast;
use script::{Script, Step};
use terminal::Terminal;

/// What `cargo xtask record` takes.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; say whether the files are what the program shows now
    #[arg(long)]
    check: bool,
    /// This program, and not one that is built now
    #[arg(long, value_name = "FILE")]
    samebit: Option<PathBuf>,
}

/// Where scripts lie, what they end with, and where what they make goes.
const FOLDER: &str = "docs";
const SCRIPT: &str = ".script";
/// The recorder's own shell: its prompt, and that of a command's further lines.
const PROMPT: &str = "\x1b[32m$\x1b[m ";
const MORE: &str = "\x1b[32m>\x1b[m ";
/// Milliseconds of the recording: for a key, before Enter, for a word, and before what comes at once.
const KEY: u64 = 55;
const ENTER: u64 = 450;
const WORD: u64 = 45;
const ANSWER: u64 = 350;

/// Makes every recording and picture; with `--check`, true if the files are the same.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    models::fetch_named(&[models::SMOLLM2.name.to_owned()])?;
    let samebit = match &options.samebit {
        Some(path) => path.canonicalize().with_context(|| format!("no program {}", path.display()))?,
        // Both, as `digests` has them, so that cargo builds nothing twice.
        None => targets::native(root, &["samebit", "samebit-conform"])?.path("samebit")?.to_path_buf(),
    };
    let folder = root.join(FOLDER);
    let scripts = scripts(&folder)?;
    let mut wrong = 0;
    for name in &scripts {
        let started = Instant::now();
        let stage = Stage::new(root, &samebit)?;
        let text = fs::read_to_string(folder.join(name)).with_context(|| format!("cannot read {FOLDER}/{name}"))?;
        let made = Script::parse(&text).and_then(|script| play(&script, &stage));
        let made = made.with_context(|| format!("{FOLDER}/{name}"))?;
        let seconds = started.elapsed().as_secs_f64();
        for (file, text) in made {
            if !options.check {
                fs::write(folder.join(&file), text).with_context(|| format!("cannot write {FOLDER}/{file}"))?;
                println!("{FOLDER}/{file}: written ({seconds:.1}s)");
                continue;
            }
            let difference = match fs::read_to_string(folder.join(&file)) {
                Ok(theirs) if file.ends_with(".cast") => cast::difference(&theirs, &text),
                Ok(theirs) => picture::difference(&theirs, &text),
                Err(error) => Some(format!("cannot be read: {error}")),
            };
            wrong += usize::from(difference.is_some());
            let verdict = difference.unwrap_or_else(|| "the same".into());
            println!("{FOLDER}/{file}: {verdict} ({seconds:.1}s)");
        }
    }
    if wrong > 0 {
        println!(
            "if the program is right, `cargo xtask record` makes them anew; look at them before they are committed"
        );
    }
    Ok(wrong == 0)
}

/// The scripts' names, in order.
fn scripts(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(SCRIPT)).collect();
    names.sort();
    if names.is_empty() {
        bail!("no scripts in {}", folder.display());
    }
    Ok(names)
}

/// A home of its own for the program: nothing of the user's is read, or written.
struct Stage {
    folder: PathBuf,
    path: OsString,
}

impl Stage {
    fn new(root: &Path, samebit: &Path) -> Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let folder = std::path::absolute(target)?.join(format!("record-{}", std::process::id()));
        let stage = Self { path: search(&folder)?, folder };
        let (programs, model) = (stage.folder.join("bin"), stage.folder.join("models").join(models::SMOLLM2.name));
        for folder in [&programs, &model] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let link = |from: &Path, to: PathBuf| {
            std::os::unix::fs::symlink(from, &to).with_context(|| format!("cannot make {}", to.display()))
        };
        link(samebit, programs.join("samebit"))?;
        link(&fs::canonicalize(models::folder()?.join(models::SMOLLM2.file))?, model.join(models::SMOLLM2.file))?;
        // As `samebit pull smollm2` leaves it.
        let models::TestModel { name, file, bytes, sha256, .. } = models::SMOLLM2;
        let note = json!({ "name": name, "file": file, "bytes": bytes, "sha256": sha256 });
        fs::write(model.join("source.json"), note.to_string()).context("cannot write the model's note")?;
        Ok(stage)
    }

    /// All of the program's environment.
    fn environment(&self) -> [(&str, OsString); 6] {
        [
            ("PATH", self.path.clone()),
            ("HOME", self.folder.clone().into()),
            ("SAMEBIT_MODELS_DIR", self.folder.join("models").into()),
            ("TERM", "xterm-256color".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
        ]
    }
}

/// Where programs are looked for: `samebit` in the stage's folder, the others where they are.
fn search(folder: &Path) -> Result<OsString> {
    let usual = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let all = std::iter::once(folder.join("bin")).chain(std::env::split_paths(&usual));
    std::env::join_paths(all).context("PATH cannot be made longer")
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left lies in the target folder, where such things are.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Files that a script made: their names and contents.
type Made = Vec<(String, String)>;

/// A script on its way.
struct Player<'a> {
    script: &'a Script,
    stage: &'a Stage,
    terminal: Terminal,
    cast: Cast,
    /// What the line of the cursor must be when the next key has arrived.
    line: String,
    made: Made,
}

/// Plays a script and gives its recording and its pictures.
fn play(script: &Script, stage: &Stage) -> Result<Made> {
    let terminal = Terminal::new(script.columns, script.rows);
    let cast = Cast::new(&script.title, script.columns, script.rows);
    let mut player = Player { script, stage, terminal, cast, line: String::new(), made: Vec::new() };
    player.shell_prompt();
    for (number, step) in &script.steps {
        player.step(step).with_context(|| format!("line {number}"))?;
    }
    if let Some(name) = &script.cast {
        player.made.insert(0, (name.clone(), player.cast.finish()));
    }
    Ok(player.made)
}

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Shell(line) => self.shell(line)?,
            Step::Type(text) => self.type_keys(text)?,
            Step::Press(key) => {
                self.cast.pause(ENTER);
                self.terminal.send(key.bytes())?;
            }
            Step::Wait(prompt) => {
                self.line = format!("{prompt} ");
                self.terminal.until(&self.line, |_, _| {})?;
                self.cast.frame(self.terminal.screen(), ANSWER);
            }
            Step::Stream(prompt) => {
                self.line = format!("{prompt} ");
                let cast = &mut self.cast;
                let show = |byte, screen: &vt100::Screen| {
                    if matches!(byte, b' ' | b'\n') && !is_progress(screen) {
                        cast.frame(screen, WORD);
                    }
                };
                self.terminal.until(&self.line, show)?;
                self.cast.frame(self.terminal.screen(), WORD);
            }
            Step::End => {
                self.terminal.end()?;
                if self.terminal.screen().cursor_position().1 > 0 {
                    self.terminal.draw("\r\n");
                }
                self.shell_prompt();
            }
            Step::Pause(milliseconds) => self.cast.pause(*milliseconds),
            Step::Picture(name, title) => {
                let svg = picture::draw(self.terminal.screen(), &self.script.title, title);
                self.made.push((name.clone(), svg));
            }
        }
        Ok(())
    }

    /// Types each key once the one before has shown.
    fn type_keys(&mut self, text: &str) -> Result<()> {
        let mut buffer = [0; 4];
        for character in text.chars() {
            self.line.push(character);
            if self.line.chars().count() >= usize::from(self.script.columns.get()) {
                bail!("`{}` is longer than the screen is wide", self.line);
            }
            self.terminal.send(character.encode_utf8(&mut buffer).as_bytes())?;
            self.terminal.until(&self.line, |_, _| {})?;
            self.cast.frame(self.terminal.screen(), KEY);
        }
        Ok(())
    }

    /// The recorder is the shell: what `sh` echoes differs from system to system.
    fn shell(&mut self, line: &str) -> Result<()> {
        for character in line.chars() {
            match character {
                '\n' => self.terminal.draw(&format!("\r\n{MORE}")),
                _ => self.terminal.draw(character.encode_utf8(&mut [0; 4])),
            }
            self.cast.frame(self.terminal.screen(), KEY);
        }
        self.cast.pause(ENTER);
        self.terminal.draw("\r\n");
        self.cast.frame(self.terminal.screen(), KEY);
        self.terminal.start(line, &self.stage.folder, &self.stage.environment())
    }

    fn shell_prompt(&mut self) {
        self.terminal.draw(PROMPT);
        self.cast.frame(self.terminal.screen(), ANSWER);
    }
}

/// Whether there is a line that comes and goes with the speed of the machine: how far a prompt has been read.
fn is_progress(screen: &vt100::Screen) -> bool {
    terminal::text(screen, screen.cursor_position().0, 9) == "reading: "
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a program, text for a shell, that is greeted and answers.
    fn played(name: &str, program: &str) -> Result<Made> {
        let folder = std::env::temp_dir().join(format!("samebit-record-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let stage = Stage { path: search(&folder).unwrap(), folder };
        fs::write(stage.folder.join("program"), program).unwrap();
        let script = "title t\nsize 60 8\ncast t.cast\nshell . ./program\nwait >>>\ntype hello\npress enter\n\
                      stream >>>\npause 1\npicture t.svg A picture\npress enter\nend\n";
        play(&Script::parse(script).unwrap(), &stage)
    }

    const HASTY: &str = "printf '>>> '; read x; printf 'so many words\\n>>> '; read x";
    /// The same, in pieces, with a line that comes and goes.
    const SLOW: &str = "printf '>>'; sleep 0.02; printf '> '; read x; printf 'reading: 1 of 2 tokens'; sleep 0.02
        printf '\\r\\033[2Kso ma'; sleep 0.02; printf 'ny words\\n>>> '; read x";

    #[test]
    fn how_fast_a_program_is_cannot_be_seen() {
        let made = played("hasty", HASTY).unwrap();
        assert_eq!(made, played("slow", SLOW).unwrap());
        let (names, texts): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        assert_eq!(names, ["t.cast", "t.svg"]);
        for words in ["\"so \"", "\"many \"", "\"words\\r\\n\""] {
            assert!(texts[0].contains(words), "{words} is a frame of {}", texts[0]);
        }
        assert!(texts[1].contains(">so many words</text>"));
    }

    #[test]
    fn another_answer_is_noticed() {
        let made = played("right", HASTY).unwrap();
        let other = played("wrong", &HASTY.replace("words", "wards")).unwrap();
        let found = cast::difference(&other[0].1, &made[0].1).unwrap();
        assert!(
            found.contains("row 3 of the screen is `so many wards` in the file, and now `so many words`"),
            "{found}"
        );
        assert!(picture::difference(&other[1].1, &made[1].1).unwrap().contains("so many words"));
    }

    #[test]
    fn what_goes_wrong_is_told_with_its_line() {
        let error = format!("{:#}", played("failing", "printf '>>> '; read x; exit 3").unwrap_err());
        assert_eq!(error, "line 8: the program ended; `>>> ` was waited for, and there is ``");
        let error = format!("{:#}", played("code", &format!("{HASTY}; exit 3")).unwrap_err());
        assert!(error.starts_with("line 12: the program failed (exit status: 3)"), "{error}");
    }
}
