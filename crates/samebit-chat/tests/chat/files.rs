//! Session files: they come back as they were, and from elsewhere they are believed in nothing.

use std::path::Path;

use samebit_chat::{ChatError, load, save};

use crate::support::{ask, converse, converse_in, settings, talk};

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).expect("written").lines().map(str::to_owned).collect()
}

#[test]
fn a_session_comes_back_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("talk.jsonl");
    let mut talk = talk();
    ask(&mut talk, "hello\n\"quoted\" 日本語");
    ask(&mut talk, "more");
    talk.session_mut().go_to(1);
    talk.set(samebit_chat::Settings { system: Some("s".into()), ..settings() }).expect("settings");
    ask(&mut talk, "elsewhere");
    talk.session_mut().go_to(2);
    save(&path, talk.model(), talk.session(), talk.settings()).expect("saved");
    let (session, settings) = load(&path, talk.model()).expect("loaded");
    assert_eq!((&session, &settings), (talk.session(), talk.settings()));
    // Head, settings, two turns, other settings, one turn, the place.
    assert_eq!(lines(&path).len(), 7);
    save(&path, talk.model(), &session, &settings).expect("saved again, in its own place");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing half written stays");
}

#[test]
fn what_is_no_session_is_refused_in_one_line_that_names_the_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("talk.jsonl");
    let mut talk = talk();
    ask(&mut talk, "hello");
    save(&path, talk.model(), talk.session(), talk.settings()).expect("saved");
    let good = lines(&path);
    let fails = |line: usize, text: &str, words: &str| {
        let mut lines = good.clone();
        lines[line - 1] = text.to_owned();
        std::fs::write(&path, lines.join("\n")).expect("written");
        let error = load(&path, talk.model()).expect_err(words).to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(&format!("line {line}: ")) && error.contains(words), "{error} has no `{words}`");
    };
    let turn = |from: &str, to: &str| {
        assert!(good[2].contains(from), "{}", good[2]);
        good[2].replacen(from, to, 1)
    };
    fails(1, "{}", "expected");
    fails(1, &good[1], "begins with");
    fails(1, &good[0].replace("\"version\":1", "\"version\":2"), "format 2");
    fails(2, "{\"settings\":{}}", "missing field");
    fails(2, &good[1].replace("\"top_p\":0.95", "\"top_p\":7"), "top_p");
    fails(2, &good[1].replace("\"date\":null", "\"date\":\"yesterday\""), "no day");
    fails(2, &good[1].replace("\"seed\":42", "\"seed\":-1"), "column");
    fails(3, &turn("\"number\":1", "\"number\":2"), "turn 1");
    fails(3, &turn("\"parent\":0", "\"parent\":1"), "cannot follow");
    fails(3, &turn("\"kept\":0", "\"kept\":18446744073709551615"), "no turn has more");
    fails(3, &turn("\"kept\":0", "\"kept\":1"), "cannot follow");
    fails(3, &turn("\"tokens\":[", "\"tokens\":[4294967295,"), "not in the vocabulary");
    fails(3, &turn("\"digest\":\"", "\"digest\":\"x"), "digest");
    fails(3, &turn("\"finish\":\"", "\"finish\":\"x"), "unknown variant");
    fails(3, &turn("\"user\"", "\"more\":1,\"user\""), "unknown field");
    fails(3, &"[".repeat(100_000), "column");
    fails(3, "\u{1b}[31m", "column");
    fails(4, "{\"at\":2}", "no turn 2");
    fails(4, &good[0], "second beginning");
    std::fs::write(&path, format!("{}\n{{\"at\":0}}", good.join("\n"))).expect("written");
    assert!(load(&path, talk.model()).is_err_and(|error| error.to_string().contains("line 5: ")));
    std::fs::write(&path, "").expect("written");
    assert!(load(&path, talk.model()).is_err());
    // Without the last line it is a session whose end is where it stands.
    std::fs::write(&path, good[..3].join("\n")).expect("written");
    assert_eq!(load(&path, talk.model()).expect("loaded").0.at(), 1);
    let other = good[0].replace(&"0".repeat(64), &"1".repeat(64));
    std::fs::write(&path, other).expect("written");
    assert!(matches!(load(&path, talk.model()), Err(ChatError::Other { what: "model", .. })));
}

#[test]
fn other_files_are_not_overwritten_and_sessions_are_kept_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let (notes, kept) = (folder.path().join("notes.txt"), folder.path().join("talk.jsonl"));
    std::fs::write(&notes, "mine").expect("written");
    let (at_notes, at_kept) = (format!("/save {}", notes.display()), format!("/save {}", kept.display()));
    let seen = converse(talk(), &[&at_notes, "one", &at_kept, "two", "/undo"], |talk| {
        let (session, _) = load(&kept, talk.model()).expect("loaded");
        assert_eq!((session.turns().len(), session.at()), (2, 1));
        assert_eq!(&session, talk.session());
    });
    assert!(seen.screen.contains("no session: give another name"), "{}", seen.screen);
    assert_eq!(std::fs::read_to_string(&notes).expect("there"), "mine");
    let load = format!("/load {}", kept.display());
    let seen = converse(talk(), &[&load, "three", "/load nowhere"], |talk| {
        assert_eq!(talk.session().turns().len(), 3);
        assert_eq!(talk.session().turn(3).map(|turn| turn.parent), Some(1));
    });
    assert!(seen.screen.contains("2 turns, at turn 1") && seen.screen.contains("nowhere: "), "{}", seen.screen);
}

#[test]
fn a_file_that_cannot_be_written_is_told_of_and_the_conversation_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere").join("talk.jsonl");
    let seen = converse_in(Some(nowhere), talk(), &["one", "/regen 7", "two"], |talk| {
        let parents: Vec<usize> = talk.session().turns().iter().map(|turn| turn.parent).collect();
        assert_eq!((parents, talk.session().at()), (vec![0, 0, 2], 3));
    });
    assert_eq!(seen.screen.matches("talk.jsonl: cannot be written: ").count(), 3, "{}", seen.screen);
}
