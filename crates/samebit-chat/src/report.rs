//! What commands answer, as text.
//!
//! Knows the conversation; changes nothing.

use std::fmt::Write;

use samebit_engine::TokenLogprob;
use samebit_numerics::arith::Soft;
use samebit_numerics::math::exp;
use samebit_text::{EncodeOptions, Tokenizer};

use crate::act::counted;
use crate::command::{COMMANDS, Command, KEYS, SETTINGS, SHOWN};
use crate::compose::compose;
use crate::error::ChatError;
use crate::look::{columns, parted};
use crate::session::{Session, Turn};
use crate::settings::Settings;
use crate::talk::Talk;

/// A table of two columns.
pub(crate) fn table(rows: impl Iterator<Item = (String, String)>) -> String {
    let rows: Vec<(String, String)> = rows.collect();
    let width = rows.iter().map(|(left, _)| columns(left)).max().unwrap_or(0);
    let mut out = String::new();
    for (left, right) in rows {
        let space = " ".repeat(width - columns(&left));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {left}{space}  {right}");
    }
    out
}

/// What `/set` knows.
pub(crate) fn set() -> String {
    table(SETTINGS.iter().map(|(name, value, does)| (format!("/set {name} {value}"), (*does).to_owned())))
}

/// What `/show` knows.
pub(crate) fn shown() -> String {
    table(SHOWN.iter().map(|(name, does)| (format!("/show {name}"), (*does).to_owned())))
}

/// The commands, or one of them; `None` where there is none of that name.
pub(crate) fn help(about: &str) -> Option<String> {
    let about = about.trim_start_matches('/');
    let all =
        || COMMANDS.iter().map(|command| (format!("/{} {}", command.name, command.arguments), command.does.to_owned()));
    let named = |command: &&Command| command.name == about || command.aliases.contains(&about);
    Some(match about {
        "set" => set(),
        "show" => shown(),
        "shortcuts" | "shortcut" | "keys" => table(KEYS.iter().map(|(key, does)| ((*key).into(), (*does).into()))),
        "" => {
            let keys = "Several lines: \"\"\" before and after, a \\ at a line's end, Alt-Enter, or paste them. Ctrl-R searches what was typed.\n\
                        Ctrl-C stops an answer, twice it leaves; Ctrl-D or /bye leaves. /? shortcuts tells of other keys.\n";
            table(all()) + keys
        }
        _ => {
            let name = COMMANDS.iter().find(named)?.name;
            table(all().filter(|(usage, _)| usage[1..].split(' ').next() == Some(name)))
        }
    })
}

pub(crate) fn parameters(settings: &Settings) -> String {
    table(settings.parameters().into_iter().map(|(name, value)| (name.to_owned(), value)))
}

pub(crate) fn info(talk: &Talk) -> String {
    let model = talk.model();
    let options = model.engine.options();
    let mut rows = vec![("model".to_owned(), model.name.clone()), ("file".to_owned(), model.path.clone())];
    rows.extend(model.facts.iter().cloned());
    rows.extend([
        ("context".to_owned(), format!("{} tokens", model.engine.context())),
        ("numerics".to_owned(), format!("{}, cache {}", model.numerics, model.kv)),
        ("instruction set".to_owned(), options.isa.name().to_owned()),
        ("threads".to_owned(), options.threads.to_string()),
    ]);
    table(rows.into_iter())
}

pub(crate) fn license(talk: &Talk) -> String {
    talk.model().license.clone().unwrap_or_else(|| "the model's file names no licence".into())
}

/// Parameters that ollama's files do not have, by how their names begin, and `stop`, which they have once for each text.
const APART: [&str; 5] = ["xtc_", "dynatemp_", "top_n_sigma", "dry_", "stop"];

/// Model, parameters and system prompt, in the form of ollama's files.
pub(crate) fn modelfile(talk: &Talk) -> String {
    let settings = talk.settings();
    let mut out = String::from("# The chat template is the model's own: /show template\n");
    let _ = writeln!(out, "FROM {}", talk.model().path);
    let context = ("num_ctx", talk.model().engine.context().to_string());
    for (name, value) in settings
        .parameters()
        .into_iter()
        .chain([context])
        .filter(|(name, _)| !APART.iter().any(|apart| name.starts_with(apart)))
    {
        let _ = writeln!(out, "PARAMETER {name} {value}");
    }
    for stop in &settings.stop {
        let _ = writeln!(out, "PARAMETER stop {stop:?}");
    }
    if let Some(system) = &settings.system {
        let _ = writeln!(out, "SYSTEM \"\"\"{system}\"\"\"");
    }
    out
}

pub(crate) fn seed(talk: &Talk) -> String {
    let mut out = format!("seed {}", talk.settings().seed);
    if let Some(turn) = talk.session().latest() {
        let before = talk.session().depth(turn.parent);
        let _ =
            write!(out, "; the last answer was drawn with seed {} as number {before} of its conversation", turn.seed);
    }
    out
}

pub(crate) fn digest(talk: &Talk) -> String {
    let model = talk.model();
    let mut rows = vec![("model".to_owned(), model.digest.clone()), ("template".to_owned(), model.template_digest())];
    if let Some(turn) = talk.session().latest() {
        rows.push(("last answer's logits".to_owned(), turn.digest.clone()));
    }
    table(rows.into_iter())
}

pub(crate) fn thinking(talk: &Talk) -> Result<String, ChatError> {
    let session = talk.session();
    let turn = session.latest().ok_or(ChatError::NoAnswer)?;
    let (thought, _) = parted(&turn.answer, opens_thought(talk, turn)?);
    let thought = thought.trim();
    Ok(if thought.is_empty() { "the last answer has no thoughts".into() } else { thought.to_owned() })
}

/// Whether the template has opened the thought that an answer begins with.
pub(crate) fn opens_thought(talk: &Talk, turn: &Turn) -> Result<bool, ChatError> {
    Ok(compose(talk.model(), talk.session(), turn.parent, &turn.settings, &turn.user)?.thinking)
}

/// A token's text, to be seen: quoted, line breaks and odd bytes spelled out.
fn piece(tokenizer: &Tokenizer, id: u32) -> String {
    let bytes = tokenizer.piece(id).unwrap_or_default();
    match std::str::from_utf8(&bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

pub(crate) fn tokens(talk: &Talk, text: &str) -> String {
    let (model, session) = (talk.model(), talk.session());
    if !text.is_empty() {
        let ids = model.tokenizer.encode(text, EncodeOptions::default());
        return format!("{}\n{}", counted(ids.len(), "token"), pieces(&model.tokenizer, &ids));
    }
    let context = model.engine.context();
    let number = session.at();
    let used = session.length(number);
    let mut out = format!("{used} of {context} tokens of the context are taken ({}%)\n", used * 100 / context.max(1));
    if let Some(turn) = session.turn(number) {
        let prompt = turn.kept + turn.prompt.len();
        let _ = writeln!(
            out,
            "turn {number}: prompt {prompt} tokens, {} of them known from the turn before; answer {} tokens:",
            turn.kept,
            turn.tokens.len()
        );
        out.push_str(&pieces(&model.tokenizer, &turn.tokens));
    }
    out
}

fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let shown: Vec<String> = ids.iter().map(|&id| format!("{id} {}", piece(tokenizer, id))).collect();
    shown.join("  ")
}

/// The tree of turns.
pub(crate) fn branches(session: &Session) -> String {
    let mut out = String::from(if session.at() == 0 { "* 0  the beginning\n" } else { "  0  the beginning\n" });
    let mut waiting: Vec<(usize, usize)> = session.children(0).map(|number| (number, 0)).collect();
    waiting.reverse();
    while let Some((number, indent)) = waiting.pop() {
        let Some(turn) = session.turn(number) else { continue };
        let here = if session.at() == number { '*' } else { ' ' };
        // Only where a conversation parts does it move to the right: below a turn with several, and below each of these.
        let children: Vec<usize> = session.children(number).collect();
        let siblings: Vec<usize> = session.children(turn.parent).filter(|&other| other != number).collect();
        let deeper = indent + usize::from(children.len() > 1 || !siblings.is_empty());
        let message = line(turn.user.as_str(), 60);
        // What was answered again differs by its seed alone.
        let same = |&other: &usize| session.turn(other).is_some_and(|other| other.user == turn.user);
        let seed = if siblings.iter().any(same) { format!("  (seed {})", turn.seed) } else { String::new() };
        let _ = writeln!(out, "{here} {}{number}  {message}{seed}", "  ".repeat(indent.min(20)));
        waiting.extend(children.into_iter().rev().map(|child| (child, deeper)));
    }
    out
}

/// The beginning of a text, on one line.
fn line(text: &str, most: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &words[..at]),
        None => words,
    }
}

/// An answer's tokens with their probabilities and those of at most so many others: the model's own, before temperature and the rest
/// of the sampling. Also whether the width had no room for some.
pub(crate) fn why(tokenizer: &Tokenizer, rows: &[TokenLogprob], most: usize, width: Option<usize>) -> (String, bool) {
    let width = width.unwrap_or(usize::MAX);
    let shown = |token: u32, logprob: f32| (piece(tokenizer, token), percent(logprob));
    let left = rows.iter().map(|row| columns(&piece(tokenizer, row.token))).max().unwrap_or(0).min(24);
    let mut fewer = false;
    let mut out = String::from("probabilities before temperature and the rest of the sampling\n");
    for row in rows {
        let (text, share) = shown(row.token, row.logprob);
        let space = " ".repeat(left.saturating_sub(columns(&text)));
        let mut line = format!("{text}{space} {share:>6}");
        let others = row.top.iter().filter(|(token, _)| *token != row.token).take(most);
        for (text, share) in others.map(|&(token, logprob)| shown(token, logprob)) {
            let more = format!("   {text} {share}");
            if columns(&line) + columns(&more) > width {
                fewer = true;
                break;
            }
            line.push_str(&more);
        }
        out.push_str(&line);
        out.push('\n');
    }
    (out, fewer)
}

fn percent(logprob: f32) -> String {
    let share = exp::<Soft>(logprob) * 100.0;
    if share >= 0.05 { format!("{share:.1}%") } else { "<0.1%".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::turn;

    #[test]
    fn every_command_has_its_line() {
        let help = help("").expect("the list");
        for command in &COMMANDS {
            assert!(help.contains(&format!("  /{} ", command.name)), "{help}");
        }
        let about = |name: &str| super::help(name).expect("help");
        assert_eq!((about("/why").lines().count(), about("?").lines().count()), (1, 1));
        assert!(about("set").contains("/set format FORM") && about("show").contains("/show digest"));
        assert!(super::help("nosuch").is_none());
    }

    #[test]
    fn the_tree_shows_where_it_parts_and_where_one_is() {
        let mut session = Session::default();
        for (parent, kept) in [(0, 0), (1, 1), (2, 2), (1, 1)] {
            session.push(turn(parent, kept, &[1], &[2]));
        }
        session.go_to(3);
        let seed = session.turn(2).expect("there").seed;
        let expected = format!(
            "  0  the beginning\n  1  after 0\n    2  after 1  (seed {seed})\n*     3  after 2\n    4  after 1  (seed {seed})\n"
        );
        assert_eq!(branches(&session), expected);
    }

    #[test]
    fn shares() {
        assert_eq!(percent(0.0), "100.0%");
        assert_eq!(percent(-1.0), "36.8%");
        assert_eq!(percent(-20.0), "<0.1%");
        assert_eq!(line("a\n  b  c", 3), "a b…");
    }
}
