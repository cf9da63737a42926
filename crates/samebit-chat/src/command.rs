//! What may be typed: messages, and commands that begin with a slash.
//!
//! Knows words; nothing of what they do.

/// A line that was typed, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// A message to the model.
    Message(String),
    /// A command, by its full name, and what follows it.
    Command(&'static str, String),
    /// What looks like a command and is none; why, and what might have been meant.
    Unknown(String),
}

/// A command as `/help` shows it.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// What may follow it.
    pub arguments: &'static str,
    /// What it does.
    pub does: &'static str,
}

const fn command(name: &'static str, arguments: &'static str, does: &'static str) -> Command {
    Command { name, aliases: &[], arguments, does }
}

/// All commands, in the order in which they are shown.
pub const COMMANDS: [Command; 19] = [
    Command {
        aliases: &["?"],
        ..command("help", "[COMMAND]", "this list; of /set and /show what follows them; of shortcuts the keys")
    },
    command("set", "NAME [VALUE]", "parameter, system, seed, think, format, stop, verbose, history, wordwrap"),
    command("show", "NAME", "info, parameters, system, template, seed, digest, thinking, license, modelfile"),
    command("regen", "[SEED]", "answer the last message again: with the session's seed, or another"),
    command("undo", "", "take back the last message and its answer; they stay as a branch"),
    command("edit", "[TEXT]", "change the last message and ask again"),
    command("branch", "[N]", "list the turns, or go back to turn N and on from there"),
    command("why", "[N]", "the last answer's tokens with their probabilities and the N likeliest alternatives (3)"),
    command("tokens", "[TEXT]", "how full the context is, and the last answer's ids; or the ids of a text"),
    command("read", "FILE", "put a file before your next message"),
    command("glob", "PATTERN", "put the files of a pattern before it, such as src/**/*.rs"),
    command("copy", "[code|thinking]", "put the last answer, its last code or its thoughts into the clipboard"),
    command("save", "[FILE]", "write the session to a file, and from now on after each turn"),
    command("load", "FILE|MODEL", "go on with a session; or begin anew with another model"),
    command("export", "FILE", "write the conversation as markdown, and from now on after each turn"),
    command("model", "[NAME|FILE]", "begin anew with another model; which one this is"),
    command("list", "", "the models that are here"),
    command("clear", "", "begin a new conversation; the old one stays as a branch"),
    Command { aliases: &["exit", "quit", "q"], ..command("bye", "", "leave") },
];

/// What `/set` knows: a name, what follows it, what it does.
pub const SETTINGS: [(&str, &str, &str); 19] = [
    (
        "parameter",
        "NAME VALUE",
        "a parameter of sampling, such as temperature 0.2, or num_ctx; /show parameters lists them",
    ),
    ("system", "TEXT", "the system prompt; nothing, to have none"),
    ("seed", "N", "the session's seed"),
    ("stop", "TEXT", "a text that ends answers; nothing, to have none"),
    ("think", "[LEVEL]", "let the model think, where its template has the choice; low, medium, high where it has that"),
    ("nothink", "", "let it not"),
    ("think_budget", "N", "most tokens of a thought; -1: no bound"),
    ("hidethinking", "", "show no thoughts"),
    ("showthinking", "", "show them, folded once they are over"),
    ("format", "FORM", "answers are json, of a JSON schema, or of a file with one or (.lark, .gbnf) a grammar"),
    ("grammar", "GRAMMAR", "answers are of a grammar, in llguidance's Lark or llama.cpp's GBNF"),
    ("noformat", "", "answers are any text"),
    ("variable", "NAME JSON", "a variable of the chat template; nothing, to have it no more"),
    ("verbose", "", "show times and counts after each answer"),
    ("quiet", "", "show them no more"),
    ("history", "", "remember what you type"),
    ("nohistory", "", "remember nothing from here on"),
    ("wordwrap", "", "break lines between words"),
    ("nowordwrap", "", "let the terminal break them"),
];

/// What `/show` knows.
pub const SHOWN: [(&str, &str); 10] = [
    ("info", "the model, and how it is run"),
    ("parameters", "how tokens are drawn"),
    ("system", "the system prompt"),
    ("template", "the chat template"),
    ("format", "the form of answers"),
    ("seed", "the session's seed, and the last answer's"),
    ("digest", "digests of the model, the template and the last answer's logits"),
    ("thinking", "the last answer's thoughts in full"),
    ("license", "the model's licence, as its file names it"),
    ("modelfile", "model, parameters and system prompt as ollama would have them"),
];

/// What keys do.
pub const KEYS: [(&str, &str); 16] = [
    ("Ctrl-A, Ctrl-E", "to the beginning, to the end of the line"),
    ("Alt-B, Alt-F", "a word back, a word on; Ctrl with an arrow too"),
    ("Ctrl-K, Ctrl-U", "cut what follows, what comes before"),
    ("Ctrl-W, Alt-D", "cut the word before, the word after; Ctrl-Y puts it back"),
    ("Ctrl-_", "undo"),
    ("Tab", "complete a command, a setting, a file's name"),
    ("up, down", "what was typed before"),
    ("Ctrl-R", "search in it"),
    ("Ctrl-J, Alt-Enter", "a new line; so does Enter after a \\ or within \"\"\""),
    ("Ctrl-G, Ctrl-O", "write the message in $VISUAL or $EDITOR"),
    ("Ctrl-L", "clear the screen"),
    ("Ctrl-C", "stop the answer; at the prompt drop the line, and twice leave"),
    ("Ctrl-D", "leave; delete the next character, if there is one"),
    ("Ctrl-Z", "back to the shell, whose `fg` comes back here"),
    ("a paste", "is one message, however many lines it has; Enter sends it"),
    ("typing ahead", "while an answer comes waits for the next prompt"),
];

/// Understands what was typed.
pub fn understand(text: &str) -> Said {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Said::Nothing;
    }
    let Some((word, rest)) = split(trimmed) else {
        return Said::Message(unquoted(text).to_owned());
    };
    let named = |command: &&Command| command.name == word || command.aliases.contains(&word);
    match COMMANDS.iter().find(named) {
        Some(command) => Said::Command(command.name, unquoted(rest).to_owned()),
        None => {
            let names = COMMANDS.iter().flat_map(|command| command.aliases.iter().chain([&command.name])).copied();
            let meant = nearest(word, names).map_or("/help lists them".into(), |name| format!("did you mean /{name}?"));
            let word: String = word.chars().take(40).collect();
            Said::Unknown(format!("/{word} is no command: {meant}"))
        }
    }
}

/// A command's word and what follows; `None` if the text is no command. A path (`/usr/bin`) and a comment (`//`) are texts.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('/')?;
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let plain = word == "?" || (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic()));
    plain.then_some((word, rest.trim()))
}

/// What stands between `"""` and `"""`, without the line breaks next to them; any other text as it is.
pub(crate) fn unquoted(text: &str) -> &str {
    let inner = text.trim().strip_prefix(QUOTES).and_then(|text| text.strip_suffix(QUOTES));
    let Some(inner) = inner else { return text };
    let inner = inner.strip_prefix('\n').unwrap_or(inner);
    inner.strip_suffix('\n').unwrap_or(inner)
}

/// What begins and ends a message of several lines.
const QUOTES: &str = "\"\"\"";

/// Whether a message is not finished: a `"""` without its end, or a line that ends with `\`.
pub fn is_open(text: &str) -> bool {
    is_quoted(text) || text.ends_with('\\')
}

/// Whether a `"""` is open. It opens where a message, or what follows a command, begins.
pub(crate) fn is_quoted(text: &str) -> bool {
    let trimmed = text.trim_start();
    // After `/set system` too.
    let start = if trimmed.starts_with('/') { trimmed.find(QUOTES) } else { Some(0) };
    let Some(quoted) = start.and_then(|start| trimmed[start..].strip_prefix(QUOTES)) else { return false };
    !quoted.trim_end().ends_with(QUOTES)
}

/// The name that differs from a word in the fewest letters, if these are few.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(32).collect::<String>().to_lowercase();
    let near = names
        .map(|name| (distance(&word, name), name))
        .filter(|&(distance, name)| distance <= 2.min(name.len() / 2) || (word.len() > 1 && name.starts_with(&word)));
    near.min_by_key(|&(distance, _)| distance).map(|(_, name)| name)
}

/// How many letters must be put in, left out, changed, or exchanged with the next: optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// Names of the parameters.
pub(crate) const PARAMETERS: [&str; 22] = [
    "seed",
    "num_predict",
    "temperature",
    "dynatemp_range",
    "dynatemp_exponent",
    "top_n_sigma",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "xtc_probability",
    "xtc_threshold",
    "repeat_last_n",
    "repeat_penalty",
    "frequency_penalty",
    "presence_penalty",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_penalty_last_n",
    "dry_sequence_breaker",
    "stop",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn message(text: &str) -> Said {
        Said::Message(text.into())
    }

    #[test]
    fn commands_and_messages() {
        assert_eq!(understand("  \n"), Said::Nothing);
        assert_eq!(understand(" hello "), message(" hello "));
        assert_eq!(understand("/set  seed 3 "), Said::Command("set", "seed 3".into()));
        assert_eq!(understand("/?"), Said::Command("help", String::new()));
        assert_eq!(understand("/exit"), Said::Command("bye", String::new()));
        assert_eq!(understand("/usr/bin/env is a file"), message("/usr/bin/env is a file"));
        assert_eq!(understand("// a comment"), message("// a comment"));
        assert_eq!(understand("/"), message("/"));
        assert_eq!(understand("/edit\ntwo\nlines"), Said::Command("edit", "two\nlines".into()));
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let unknown = |text: &str| match understand(text) {
            Said::Unknown(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(unknown("/sav x"), "/sav is no command: did you mean /save?");
        assert_eq!(unknown("/Regen"), "/Regen is no command: did you mean /regen?");
        assert_eq!(unknown("/hlep"), "/hlep is no command: did you mean /help?");
        assert_eq!(unknown("/regenerate"), "/regenerate is no command: /help lists them");
        assert_eq!(unknown(&format!("/{}", "x".repeat(100_000))).len(), 40 + 33);
    }

    #[test]
    fn quotes_hold_several_lines() {
        assert_eq!(understand("\"\"\"\n/not a command\n  x\n\"\"\""), message("/not a command\n  x"));
        assert_eq!(understand("/set \"\"\"x\"\"\""), Said::Command("set", "x".into()));
        assert_eq!(understand("\"\"\"open"), message("\"\"\"open"));
        for open in ["\"\"\"", "\"\"\"a\nb", "a \\", "/set system \"\"\"x"] {
            assert!(is_open(open), "{open}");
        }
        for closed in ["a", "\"\"\"a\"\"\"", "\"\"\"a\nb\"\"\" ", "a \"\"\" b", "/set system \"\"\"x\"\"\"", "\\ a"] {
            assert!(!is_open(closed), "{closed}");
        }
    }

    #[test]
    fn the_parameters_are_the_settings_own() {
        let settings = Settings::new(&samebit_engine::sampler::SamplerConfig::default());
        assert!(settings.parameters().iter().map(|(name, _)| *name).eq(PARAMETERS));
    }
}
