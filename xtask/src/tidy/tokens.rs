//! Rules about single words of code: `unsafe`, floating-point functions, `unwrap`, clocks.
//!
//! They look at tokens, not at syntax, so that the insides of macros count too and comments and strings do not.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Finding;
use super::tree::{File, Tree};

/// A token, its brackets taken apart.
struct Token {
    text: String,
    line: usize,
    /// Inside `#[cfg(test)]` or a `#[test]` function.
    test: bool,
}

/// Where `unsafe` may stand: vector instructions, the pool, the control register, the memory map.
const UNSAFE_HOMES: [&str; 6] = [
    "crates/samebit-kernels/src/arch/",
    "crates/samebit-kernels/src/arch.rs",
    "crates/samebit-kernels/src/pool.rs",
    "crates/samebit-kernels/src/pool/",
    "crates/samebit-kernels/src/float_env",
    "crates/samebit-gguf/src/backing.rs",
];
/// Where the floating-point functions that clippy.toml disallows are made, or may be told apart.
const FLOAT_HOMES: [&str; 2] = ["crates/samebit-numerics/src/", "crates/samebit-kernels/src/"];
/// What the inner crates do without, so that their results depend on nothing but their arguments.
const ABSENCES: [(&str, &[&str]); 5] = [
    ("crates/samebit-numerics/src/", &["std", "HashMap", "HashSet", "Instant", "SystemTime"]),
    ("crates/samebit-kernels/src/", &["HashMap", "HashSet", "Instant", "SystemTime", "TcpStream", "File"]),
    ("crates/samebit-model/src/", &["HashMap", "HashSet", "Instant", "SystemTime", "TcpStream", "File"]),
    ("crates/samebit-engine/src/", &["HashMap", "HashSet", "Instant", "SystemTime", "TcpStream", "File"]),
    ("crates/samebit-text/src/", &["Instant", "SystemTime", "TcpStream", "File"]),
];
/// Modules of std that go with them: `std::env`, `std::fs`, `std::net`, `std::time`.
const ABSENT_MODULES: [&str; 4] = ["env", "fs", "net", "time"];

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let banned = tree.file("clippy.toml").and_then(|file| file.text.as_deref()).map(banned_floats).unwrap_or_default();
    for file in tree.files() {
        let Some(text) = file.rust() else { continue };
        // What cannot be tokenised is reported as a syntax error elsewhere.
        let Ok(stream) = TokenStream::from_str(text) else {
            continue;
        };
        let mut tokens = Vec::new();
        flatten(stream, file.is_test(), &mut tokens);
        unsafe_code(file, &tokens, findings);
        unfinished(file, &tokens, findings);
        floats(file, &tokens, &banned, findings);
        unproven(file, text, &tokens, findings);
        absences(file, &tokens, findings);
    }
}

/// The function names in clippy.toml's `f32::NAME` and `f64::NAME`.
fn banned_floats(clippy: &str) -> Vec<String> {
    let quoted = clippy.split('"').skip(1).step_by(2);
    let mut names: Vec<String> = quoted
        .filter_map(|path| path.strip_prefix("f32::").or(path.strip_prefix("f64::")))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

fn flatten(stream: TokenStream, mut test: bool, out: &mut Vec<Token>) {
    let mut next_is_test = false;
    let mut after_hash = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: &str, test: bool| out.push(Token { text: text.to_owned(), line, test });
        let hash = after_hash;
        after_hash = false;
        match tree {
            TokenTree::Ident(ident) => push(&ident.to_string(), test),
            TokenTree::Literal(literal) => push(&literal.to_string(), test),
            TokenTree::Punct(punct) => {
                push(&punct.as_char().to_string(), test);
                after_hash = punct.as_char() == '#' || (hash && punct.as_char() == '!');
                next_is_test &= punct.as_char() != ';';
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                let inner = out.last().is_some_and(|token| token.text == "!");
                if hash && marks_test(&group.stream()) {
                    next_is_test = true;
                    test |= inner;
                }
                let body = group.delimiter() == Delimiter::Brace;
                out.push(Token { text: open.to_owned(), line, test });
                flatten(group.stream(), test || (body && next_is_test), out);
                out.push(Token { text: close.to_owned(), line: group.span_close().start().line, test });
                next_is_test &= !body;
            }
        }
    }
}

/// Whether an attribute is `test`, `cfg(test)` or `cfg(all(test, …))`.
fn marks_test(attribute: &TokenStream) -> bool {
    let text: String = attribute.to_string().chars().filter(|c| !c.is_whitespace()).collect();
    text == "test" || text.starts_with("cfg(test)") || text.starts_with("cfg(all(test,")
}

fn unsafe_code(file: &File, tokens: &[Token], findings: &mut Vec<Finding>) {
    if UNSAFE_HOMES.iter().any(|home| file.path.starts_with(home)) {
        return;
    }
    for token in tokens.iter().filter(|token| token.text == "unsafe") {
        let message = "unsafe lives in the kernels' arch/, pool and float_env and in the memory map alone";
        findings.push(Finding::new(&file.path, token.line, "unsafe", message));
    }
}

fn unfinished(file: &File, tokens: &[Token], findings: &mut Vec<Finding>) {
    for pair in tokens.windows(2) {
        let [first, second] = [pair[0].text.as_str(), pair[1].text.as_str()];
        let macro_call = matches!(first, "todo" | "unimplemented" | "dbg") && second == "!";
        let ignored = first == "[" && second == "ignore";
        if macro_call || ignored {
            let name = if ignored { "#[ignore]" } else { first };
            findings.push(Finding::new(&file.path, pair[0].line, "unfinished", format!("{name} is for drafts")));
        }
    }
}

fn floats(file: &File, tokens: &[Token], banned: &[String], findings: &mut Vec<Finding>) {
    if FLOAT_HOMES.iter().any(|home| file.path.starts_with(home)) {
        return;
    }
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| !token.test) {
        if token.text == "disallowed_methods" {
            let message = "only numerics, kernels and tests may allow what clippy.toml disallows";
            findings.push(Finding::new(&file.path, token.line, "floats", message));
        }
        let before = |back: usize| index.checked_sub(back).map_or("", |at| tokens[at].text.as_str());
        let called = tokens.get(index + 1).is_some_and(|next| next.text == "(");
        let of_float = before(1) == ":" && matches!(before(3), "f32" | "f64");
        if banned.contains(&token.text) && ((before(1) == "." && called) || of_float) {
            let message = format!("{} differs between platforms: use samebit-numerics", token.text);
            findings.push(Finding::new(&file.path, token.line, "floats", message));
        }
    }
}

/// `unwrap` and `expect` need a comment, on their line or above their statement's, that says why they cannot fail.
fn unproven(file: &File, text: &str, tokens: &[Token], findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = text.lines().collect();
    for window in tokens.windows(3).filter(|window| !window[1].test) {
        let [dot, name, open] = [&window[0], &window[1], &window[2]];
        if dot.text != "." || open.text != "(" || !matches!(name.text.as_str(), "unwrap" | "expect") {
            continue;
        }
        let commented = |line: usize| lines.get(line - 1).is_some_and(|line| line.contains("// "));
        let mut first = name.line;
        // A call chain goes on over lines that begin with a dot.
        while first > 1 && lines.get(first - 1).is_some_and(|line| line.trim_start().starts_with('.')) {
            first -= 1;
        }
        let above = first > 1 && commented(first - 1);
        if !above && !(first..=name.line).any(commented) {
            let message = format!("{} without a comment that proves it", name.text);
            findings.push(Finding::new(&file.path, name.line, "unproven", message));
        }
    }
}

fn absences(file: &File, tokens: &[Token], findings: &mut Vec<Finding>) {
    let Some((home, absent)) = ABSENCES.iter().find(|(home, _)| file.path.starts_with(home)) else {
        return;
    };
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| !token.test) {
        let of_std = index >= 3 && tokens[index - 3].text == "std" && tokens[index - 1].text == ":";
        let module = of_std && ABSENT_MODULES.contains(&token.text.as_str());
        if module || absent.contains(&token.text.as_str()) {
            let message = format!("{home} does without {}", token.text);
            findings.push(Finding::new(&file.path, token.line, "absence", message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIPPY: (&str, &str) = ("clippy.toml", r#"disallowed-methods = [{ path = "f32::exp", reason = "no" }]"#);

    fn rules(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        let mut findings = Vec::new();
        check(&Tree::of(&[CLIPPY, (path, text)]), &mut findings);
        findings.iter().map(|finding| (finding.rule, finding.line)).collect()
    }

    #[test]
    fn unsafe_is_found_even_in_macros_and_not_in_its_homes() {
        assert_eq!(rules("crates/samebit/src/main.rs", "\nfn f() { unsafe {} }"), [("unsafe", 2)]);
        assert_eq!(rules("crates/samebit/src/main.rs", "m! { unsafe fn f() {} }"), [("unsafe", 1)]);
        assert_eq!(rules("crates/samebit/src/main.rs", "// unsafe\nconst S: &str = \"unsafe\";"), []);
        assert_eq!(rules("crates/samebit-gguf/src/backing.rs", "fn f() { unsafe {} }"), []);
        assert_eq!(rules("crates/samebit-gguf/src/read.rs", "fn f() { unsafe {} }"), [("unsafe", 1)]);
    }

    #[test]
    fn drafts_are_found() {
        for draft in ["fn f() { todo!() }", "fn f() { unimplemented!() }", "#[ignore]\nfn f() {}", "fn f() { dbg!(1) }"]
        {
            assert_eq!(rules("crates/samebit/src/main.rs", draft), [("unfinished", 1)], "{draft}");
        }
    }

    #[test]
    fn banned_floats_are_found_outside_their_homes_and_tests() {
        let engine = "crates/samebit-engine/src/sampler.rs";
        assert_eq!(rules(engine, "fn f(x: f32) -> f32 { x.exp() }"), [("floats", 1)]);
        assert_eq!(rules(engine, "fn f(x: f32) -> f32 { f32::exp(x) }"), [("floats", 1)]);
        assert_eq!(rules(engine, "const F: fn(f32) -> f32 = f32::exp;"), [("floats", 1)]);
        assert_eq!(rules(engine, "#[allow(clippy::disallowed_methods)]\nfn f() {}"), [("floats", 1)]);
        assert_eq!(rules(engine, "fn f(x: f32) -> f32 { math::exp(x) }"), []);
        assert_eq!(rules(engine, "#[cfg(test)]\nmod tests { fn f(x: f32) -> f32 { x.exp() } }"), []);
        assert_eq!(rules("crates/samebit-engine/tests/oracle.rs", "fn f(x: f32) -> f32 { x.exp() }"), []);
        assert_eq!(rules("crates/samebit-numerics/src/math.rs", "fn f(x: f32) -> f32 { x.exp() }"), []);
    }

    #[test]
    fn only_the_item_after_cfg_test_is_a_test() {
        let text = "#[cfg(test)]\nmod tests;\nfn f(x: f32) -> f32 { x.exp() }";
        assert_eq!(rules("crates/samebit-engine/src/lib.rs", text), [("floats", 3)]);
        let text = "#[cfg(test)]\nmod tests {}\nfn f(x: f32) -> f32 { x.exp() }";
        assert_eq!(rules("crates/samebit-engine/src/lib.rs", text), [("floats", 3)]);
    }

    #[test]
    fn unwrap_needs_its_proof() {
        let main = "crates/samebit/src/main.rs";
        assert_eq!(rules(main, "fn f() {\n    g().unwrap();\n}"), [("unproven", 2)]);
        assert_eq!(rules(main, "fn f() {\n    g().expect(\"x\");\n}"), [("unproven", 2)]);
        assert_eq!(rules(main, "fn f() {\n    // g never fails.\n    g().unwrap();\n}"), []);
        assert_eq!(rules(main, "fn f() {\n    g().unwrap(); // g never fails\n}"), []);
        assert_eq!(rules(main, "fn f() {\n    // g never fails.\n    g()\n        .h()\n        .unwrap();\n}"), []);
        assert_eq!(rules(main, "#[test]\nfn f() {\n    g().unwrap();\n}"), []);
    }

    #[test]
    fn clocks_files_and_unordered_maps_are_found_where_they_are_absent() {
        let engine = "crates/samebit-engine/src/lib.rs";
        assert_eq!(rules(engine, "use std::time::Duration;"), [("absence", 1)]);
        assert_eq!(rules(engine, "fn f() { std::env::var(\"X\"); }"), [("absence", 1)]);
        assert_eq!(rules(engine, "use std::collections::HashMap;"), [("absence", 1)]);
        assert_eq!(rules("crates/samebit-numerics/src/lib.rs", "use std::vec::Vec;"), [("absence", 1)]);
        assert_eq!(rules("crates/samebit/src/main.rs", "use std::time::Instant;"), []);
    }
}
