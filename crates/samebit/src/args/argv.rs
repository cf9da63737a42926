//! llama.cpp spells some flags with one dash and several letters (`-ub 64`, `-sys TEXT`). They become their long forms here, before clap
//! reads the line, because clap would read `-ub` as `-u -b`.

use std::ffi::OsString;

/// One-dash spellings and what they mean.
const SHORT: [(&str, &str); 12] = [
    ("-ub", "--ubatch-size"),
    ("-pg", "--pg"),
    ("-md", "--model-draft"),
    ("-np", "--parallel"),
    ("-to", "--timeout"),
    ("-sys", "--system-prompt"),
    ("-sysf", "--system-prompt-file"),
    ("-cnv", "--chat"),
    ("-no-cnv", "--raw"),
    ("-st", "--single-turn"),
    ("-jf", "--json-schema-file"),
    ("-j", "--json-schema"),
];

/// Flags whose value may be any text, even one that looks like a flag.
const TAKE_TEXT: [&str; 7] = ["-p", "--prompt", "-sys", "--system-prompt", "-r", "--stop", "--reverse-prompt"];

/// The command line with the one-dash spellings replaced. Nothing after `--` changes.
pub(crate) fn normalise(argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut literal = false;
    let mut value_follows = false;
    argv.into_iter()
        .map(|arg| {
            let here_is_value = std::mem::take(&mut value_follows);
            if literal || here_is_value {
                return arg;
            }
            literal = arg == "--";
            value_follows = TAKE_TEXT.iter().any(|flag| arg == *flag);
            match SHORT.iter().find(|(short, _)| arg == *short) {
                Some((_, long)) => OsString::from(long),
                None => arg,
            }
        })
        .collect()
}

/// What `--config` says, which must be known before clap can read the line. The last one counts.
pub(crate) fn config_file(argv: &[OsString]) -> Option<OsString> {
    let mut found = None;
    let mut words = argv.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if TAKE_TEXT.iter().any(|flag| word == flag) {
            words.next();
        } else if word == "--config" {
            found = words.next().cloned();
        } else if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--config=")) {
            found = Some(path.into());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> String {
        let words = normalise(words.split(' ').map(OsString::from));
        words.join(" ".as_ref()).into_string().expect("ASCII in, ASCII out")
    }

    #[test]
    fn one_dash_words_become_long_flags() {
        assert_eq!(
            line("samebit run -ub 64 -sys x -cnv -b 7"),
            "samebit run --ubatch-size 64 --system-prompt x --chat -b 7"
        );
    }

    #[test]
    fn a_pair_is_no_prompt() {
        assert_eq!(line("samebit bench -pg 5,6 -p 7"), "samebit bench --pg 5,6 -p 7");
    }

    #[test]
    fn texts_and_what_follows_two_dashes_stay() {
        assert_eq!(line("samebit run -p -ub -ub 3"), "samebit run -p -ub --ubatch-size 3");
        assert_eq!(line("samebit x -sys -sys -- -ub"), "samebit x --system-prompt -sys -- -ub");
    }

    #[test]
    fn the_configuration_file_is_found_before_the_line_is_read() {
        let file = |words: &str| config_file(&words.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(file("samebit --config a run --config=b"), Some("b".into()));
        assert_eq!(file("samebit run -p --config -- --config c"), None);
    }
}
