//! Code in colours: comments, strings, numbers and keywords of the languages that models write most.
//!
//! Knows letters and a few words for each language; nothing of grammar. A colour may be wrong; a character never is.

use super::style::Style;

const KEYWORD: Style = Style::coloured(35);
const STRING: Style = Style::coloured(32);
const NUMBER: Style = Style::coloured(33);
const COMMENT: Style = Style { dim: true, italic: true, ..Style::PLAIN };

/// What is known of a language.
#[derive(Debug)]
struct Language {
    names: &'static [&'static str],
    keywords: &'static str,
    /// What begins a comment that ends with the line.
    line: &'static [&'static str],
    /// Whether `/*` … `*/` is a comment.
    block: bool,
    quotes: &'static str,
}

const C_LIKE: &str = "auto break case char class const continue default delete do double else enum extends extern false final \
    float for fn func function goto if implements import inline int interface let long namespace new null nullptr package \
    private protected public return short signed sizeof static struct super switch template this throw throws true try \
    typedef type typename typeof union unsigned using var virtual void volatile while yield async await export from of in \
    catch finally undefined defer go chan map range select string bool byte error nil";

const LANGUAGES: [Language; 7] = [
    Language {
        names: &["rust", "rs"],
        keywords: "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod \
            move mut pub ref return self Self static struct super trait true type unsafe use where while",
        line: &["//"],
        block: true,
        // A single one begins a lifetime more often than a character.
        quotes: "\"",
    },
    Language {
        names: &["python", "py", "python3"],
        keywords: "and as assert async await break class continue def del elif else except False finally for from global if \
            import in is lambda None nonlocal not or pass raise return True try while with yield match case",
        line: &["#"],
        block: false,
        quotes: "\"'",
    },
    Language {
        names: &["sh", "bash", "shell", "zsh", "console", "makefile", "dockerfile"],
        keywords: "if then else elif fi for while until do done case esac function in return export local echo cd exit set",
        line: &["#"],
        block: false,
        quotes: "\"'",
    },
    Language {
        names: &["sql"],
        keywords: "select from where and or not insert into values update set delete create table drop alter join left right \
            inner outer on group by order having limit as distinct union null primary key SELECT FROM WHERE AND OR NOT \
            INSERT INTO VALUES UPDATE SET DELETE CREATE TABLE DROP ALTER JOIN LEFT RIGHT INNER OUTER ON GROUP BY ORDER \
            HAVING LIMIT AS DISTINCT UNION NULL PRIMARY KEY",
        line: &["--"],
        block: true,
        quotes: "'\"",
    },
    Language { names: &["json"], keywords: "true false null", line: &[], block: false, quotes: "\"" },
    Language {
        names: &["toml", "yaml", "yml", "ini", "ruby", "rb", "r"],
        keywords: "true false null nil def end if else elsif do while class module return yield require self then unless",
        line: &["#"],
        block: false,
        quotes: "\"'",
    },
    Language {
        names: &[
            "c",
            "cpp",
            "c++",
            "h",
            "java",
            "js",
            "javascript",
            "ts",
            "typescript",
            "jsx",
            "tsx",
            "go",
            "golang",
            "cs",
            "csharp",
            "kotlin",
            "swift",
            "php",
            "scala",
            "dart",
            "zig",
        ],
        keywords: C_LIKE,
        line: &["//"],
        block: true,
        quotes: "\"'`",
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Plain,
    /// In a word or a number, which is held.
    Word,
    /// After a character that may begin a comment, which is held.
    Mark,
    Quoted {
        quote: char,
        escaped: bool,
    },
    /// In a comment that ends with the line.
    Line,
    /// In one that does not; after a `*`, or not.
    Block {
        star: bool,
    },
}

/// The colours of one block of code.
#[derive(Clone, Debug)]
pub(super) struct Highlight {
    language: Option<&'static Language>,
    state: State,
    held: String,
}

impl Highlight {
    /// For a language by its name; for none that is known, code is as it is.
    pub(super) fn new(name: &str) -> Self {
        let name = name.to_lowercase();
        let language = LANGUAGES.iter().find(|language| language.names.contains(&name.as_str()));
        Self { language, state: State::Plain, held: String::new() }
    }

    /// Takes a character; gives what is decided to `emit`.
    pub(super) fn push(&mut self, character: char, emit: &mut dyn FnMut(Style, &str)) {
        let Some(language) = self.language else { return emit(Style::PLAIN, character.encode_utf8(&mut [0; 4])) };
        match self.state {
            State::Plain => self.plain(language, character, emit),
            State::Word if character.is_alphanumeric() || character == '_' => self.held.push(character),
            State::Word => {
                self.finish(emit);
                self.plain(language, character, emit);
            }
            State::Mark => self.mark(language, character, emit),
            State::Quoted { quote, escaped } => {
                emit_one(STRING, character, emit);
                let ends = !escaped && character == quote || character == '\n' && quote != '`';
                let escaped = !escaped && character == '\\';
                self.state = if ends { State::Plain } else { State::Quoted { quote, escaped } };
            }
            State::Line => {
                emit_one(COMMENT, character, emit);
                self.state = if character == '\n' { State::Plain } else { State::Line };
            }
            State::Block { star } => {
                emit_one(COMMENT, character, emit);
                let over = star && character == '/';
                self.state = if over { State::Plain } else { State::Block { star: character == '*' } };
            }
        }
    }

    /// Lets go of what is held.
    pub(super) fn finish(&mut self, emit: &mut dyn FnMut(Style, &str)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            emit(self.style(&held), &held);
        }
        if matches!(self.state, State::Word | State::Mark) {
            self.state = State::Plain;
        }
    }

    fn style(&self, word: &str) -> Style {
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            return NUMBER;
        }
        let known = self.language.is_some_and(|language| language.keywords.split_whitespace().any(|key| key == word));
        if known { KEYWORD } else { Style::PLAIN }
    }

    fn plain(&mut self, language: &Language, character: char, emit: &mut dyn FnMut(Style, &str)) {
        if character.is_alphanumeric() || character == '_' {
            self.held.push(character);
            self.state = State::Word;
        } else if language.quotes.contains(character) {
            emit_one(STRING, character, emit);
            self.state = State::Quoted { quote: character, escaped: false };
        } else if language.line.iter().any(|mark| mark.len() == 1 && mark.starts_with(character)) {
            emit_one(COMMENT, character, emit);
            self.state = State::Line;
        } else if character == '/' || language.line.iter().any(|mark| mark.starts_with(character)) {
            self.held.push(character);
            self.state = State::Mark;
        } else {
            emit_one(Style::PLAIN, character, emit);
        }
    }

    fn mark(&mut self, language: &Language, character: char, emit: &mut dyn FnMut(Style, &str)) {
        let mut both = self.held.clone();
        both.push(character);
        let state = match both.as_str() {
            "/*" if language.block => State::Block { star: false },
            both if language.line.contains(&both) => State::Line,
            _ => {
                self.finish(emit);
                return self.plain(language, character, emit);
            }
        };
        self.held.clear();
        emit(COMMENT, &both);
        self.state = state;
    }
}

fn emit_one(style: Style, character: char, emit: &mut dyn FnMut(Style, &str)) {
    emit(style, character.encode_utf8(&mut [0; 4]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coloured(language: &str, code: &str) -> Vec<(Style, String)> {
        let mut out: Vec<(Style, String)> = Vec::new();
        let mut emit = |style: Style, text: &str| match out.last_mut() {
            Some((last, known)) if *last == style => known.push_str(text),
            _ => out.push((style, text.into())),
        };
        let mut highlight = Highlight::new(language);
        code.chars().for_each(|character| highlight.push(character, &mut emit));
        highlight.finish(&mut emit);
        out
    }

    fn of(language: &str, code: &str, style: Style) -> Vec<String> {
        coloured(language, code).into_iter().filter(|(of, _)| *of == style).map(|(_, text)| text).collect()
    }

    #[test]
    fn words_strings_numbers_and_comments() {
        let code = "fn f<'a>(x: &'a str) { let y = 12; /* let */ g(\"let \\\" z\") } // fn\nlet";
        assert_eq!(of("rust", code, KEYWORD), ["fn", "let", "let"]);
        assert_eq!(of("Rust", code, COMMENT), ["/* let */", "// fn\n"]);
        assert_eq!(of("rs", code, STRING), ["\"let \\\" z\""]);
        assert_eq!(of("rust", code, NUMBER), ["12"]);
        assert_eq!(of("python", "def f(): return 'a#' # it's\n", COMMENT), ["# it's\n"]);
        assert_eq!(of("sql", "a - b -- c", COMMENT), ["-- c"]);
        assert_eq!(of("js", "`a\nb` + 1 / 2", STRING), ["`a\nb`"]);
    }

    #[test]
    fn no_character_is_lost() {
        let code = "/ /x *//**/ 'a\n\"b\\\nfoo_1 /";
        for language in ["c", "python", "sql", "json", "nothing"] {
            let all: String = coloured(language, code).into_iter().map(|(_, text)| text).collect();
            assert_eq!(all, code, "{language}");
        }
        assert_eq!(coloured("nothing", "fn 1").len(), 1);
    }
}
