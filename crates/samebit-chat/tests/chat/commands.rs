//! What a person types, and what comes of it.

use samebit_chat::{Ending, Format};

use crate::support::{converse, talk};

#[test]
fn messages_and_branches() {
    let typed =
        ["one", "two", "/undo", "/edit uno", "/branch", "/branch 2", "/regen 7", "/clear", "again", "/branch 9"];
    let seen = converse(talk(), &typed, |talk| {
        let session = talk.session();
        let turns: Vec<(usize, &str, u64)> =
            session.turns().iter().map(|turn| (turn.parent, turn.user.as_str(), turn.seed)).collect();
        assert_eq!(turns, [(0, "one", 42), (1, "two", 42), (0, "uno", 42), (1, "two", 7), (0, "again", 42)]);
        assert_eq!(session.at(), 5);
    });
    assert!(seen.screen.contains("  1  one\n") || seen.screen.contains("    1  one\n"), "{}", seen.screen);
    assert!(seen.screen.contains("at turn 2\n>>> two\n"), "{}", seen.screen);
    assert!(seen.screen.contains("there is no turn 9"), "{}", seen.screen);
}

#[test]
fn a_message_is_changed_in_the_editor_or_left_as_it_is() {
    let seen = converse(talk(), &["/help me", "one", "/edit", "uno", "/edit", "^C", "next", "/edit", ""], |talk| {
        let turns: Vec<(usize, &str)> =
            talk.session().turns().iter().map(|turn| (turn.parent, turn.user.as_str())).collect();
        assert_eq!(turns, [(0, "one"), (0, "uno"), (2, "next")]);
        assert_eq!(talk.session().at(), 3);
    });
    assert_eq!(seen.begun, ["", "", "", "one", "", "uno", "", "", "next", ""]);
}

#[test]
fn settings_are_set_and_shown() {
    let typed = [
        "/set parameter temperature 0.25",
        "/set parameter top_p 9",
        "/set parameter tempo 1",
        "/set seed 7",
        "/set system \"\"\"Be\nbrief.\"\"\"",
        "/set format json",
        "/set format yaml",
        "/set nothink",
        "/set verbse",
        "/set",
        "/show",
        "/show parameters",
        "/show system",
        "/show template",
        "/show seed",
        "/show digest",
        "/show info",
        "/show inof",
        "/sohw",
        "/set seed",
        "/set variable messages 1",
        "/set variable x {",
        "/set variable x a text",
        "/set parameter temperature -1",
        "/set parameter temperature 0.25",
        "/help nosuch",
        "/help sett",
    ];
    let seen = converse(talk(), &typed, |talk| {
        let settings = talk.settings();
        assert_eq!((settings.sampling.temperature, settings.sampling.top_p, settings.seed), (0.25, 0.95, 7));
        assert_eq!((settings.system.as_deref(), &settings.format), (Some("Be\nbrief."), &Format::Json));
        assert_eq!(settings.think, None);
    });
    for words in [
        "top_p is 9",
        "no parameter is named tempo",
        "a form is json, a JSON schema",
        "no choice about thinking",
        "did you mean verbose?",
        "/set parameter NAME VALUE",
        "/show template",
        "temperature           0.25",
        "Be\nbrief.\n",
        "{% for message in messages %}",
        "seed 7",
        "model     0000",
        "4096 tokens",
        "did you mean info?",
        "/sohw is no command: did you mean /show?",
        "stop, num_ctx\n",
        "/set seed N: a whole number; it is 7",
        "variable messages: is the conversation's or the model's",
        "x: no JSON: ",
        "x is \"a text\"",
        "temperature is -1: always the likeliest token",
        "/help nosuch: there is no such thing; /help lists",
        "did you mean set?",
    ] {
        assert!(seen.screen.contains(words), "`{words}` is missing:\n{}", seen.screen);
    }
}

#[test]
fn files_go_before_the_next_message_and_no_further() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, bad) = (folder.path().join("a.txt"), folder.path().join("b.bin"));
    std::fs::write(&file, "fn main() {}\n").expect("written");
    std::fs::write(&bad, b"ab\xff").expect("written");
    let (read, read_bad) = (format!("/read {}", file.display()), format!("/read {}", bad.display()));
    let seen = converse(talk(), &[&read_bad, &read, "what is this?", "and this?", "/read", "/read nowhere"], |talk| {
        let users: Vec<&str> = talk.session().turns().iter().map(|turn| turn.user.as_str()).collect();
        assert_eq!(users, ["fn main() {}\n\nwhat is this?", "and this?"]);
    });
    for words in ["byte 2 is not UTF-8", "1 line goes before", "which file?", "nowhere: "] {
        assert!(seen.screen.contains(words), "`{words}` is missing:\n{}", seen.screen);
    }
}

#[test]
fn what_wants_an_answer_says_so_before_there_is_one() {
    let typed = ["/regen", "/undo", "/edit", "/why", "/show thinking", "/tokens", "/branch", "/regen x", "/why x"];
    let seen = converse(talk(), &typed, |talk| assert!(talk.session().turns().is_empty()));
    assert_eq!(seen.screen.matches("there is no answer yet").count(), 5, "{}", seen.screen);
    assert!(seen.screen.contains("0 of 4096 tokens"), "{}", seen.screen);
    assert!(seen.screen.contains("a whole number") && seen.screen.contains("at most 20"), "{}", seen.screen);
}

#[test]
fn answers_are_told_apart_and_counted() {
    let typed = ["/set verbose", "one", "two", "/why 2", "/tokens", "/tokens a b", "/set quiet", "three"];
    let seen = converse(talk(), &typed, |talk| {
        assert!(talk.session().turns().iter().all(|turn| turn.finish != Ending::Cancelled));
    });
    let counts: Vec<&str> = seen.screen.lines().filter(|line| line.contains("from the cache")).collect();
    assert_eq!(counts.len(), 2, "{}", seen.screen);
    assert!(counts[0].contains(" 0 from the cache") && !counts[1].contains(" 0 from the cache"), "{counts:?}");
    for words in ["probabilities before temperature", "%", "turn 2: prompt", "tokens of the context are taken"] {
        assert!(seen.screen.contains(words), "`{words}` is missing:\n{}", seen.screen);
    }
}

#[test]
fn one_leaves_in_several_ways() {
    for (typed, untyped) in [
        (&["/bye", "x"][..], true),
        (&["/exit", "x"], true),
        (&["^C", "^C", "x"], true),
        (&["^C", "/help", "^C", "/help"], false),
        (&[], false),
    ] {
        assert_eq!(converse(talk(), typed, |_| {}).untyped, untyped, "{typed:?}");
    }
}
