//! Session files: they come back as they were, and from elsewhere they are believed in nothing.

use std::ops::ControlFlow;
use std::path::Path;

use samebit_chat::{ChatError, Kept, Talk, load, replay};

use crate::support::{ask, converse, converse_in, settings, talk};

/// Writes the conversation to a file that is not there yet, or in place of what this has written.
fn save(kept: &mut Option<Kept>, path: &Path, talk: &Talk) -> Result<(), ChatError> {
    let kept = kept.get_or_insert_with(|| Kept::new(path.to_owned()).expect("a new file"));
    kept.save(talk.model(), talk.session(), talk.settings())
}

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
    let mut kept = None;
    save(&mut kept, &path, &talk).expect("saved");
    let (session, settings) = load(&path, talk.model()).expect("loaded");
    assert_eq!((&session, &settings), (talk.session(), talk.settings()));
    // Head, settings, two turns, other settings, one turn, the place.
    assert_eq!(lines(&path).len(), 7);
    save(&mut kept, &path, &talk).expect("saved again, in its own place");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing half written stays");
}

/// The greedy answers of a small model go round in circles, until that costs something.
#[test]
fn what_repetitions_cost_is_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("talk.jsonl");
    let answer = |multiplier: &str| {
        let mut talk = talk();
        let mut settings = samebit_chat::Settings { predict: Some(40), ..settings() };
        let parameters = [
            ("temperature", "0"),
            ("dry_multiplier", multiplier),
            ("dry_allowed_length", "1"),
            ("dry_sequence_breaker", "e"),
        ];
        parameters.iter().for_each(|(name, value)| settings.set(name, value).expect("a parameter"));
        talk.set(settings).expect("settings");
        ask(&mut talk, "round and round and round");
        let tokens = talk.session().latest().expect("a turn").tokens.clone();
        (talk, tokens)
    };
    let ((_, plain), (talk, dry)) = (answer("0"), answer("9"));
    assert_ne!(plain, dry);
    save(&mut None, &path, &talk).expect("saved");
    assert!(lines(&path)[1].contains(r#""dry":{"multiplier":9.0,"#), "{}", lines(&path)[1]);
    let (session, settings) = load(&path, talk.model()).expect("loaded");
    let replayed = |session: &_| replay(talk.model(), session, &settings, &mut |_| ControlFlow::Continue(()));
    assert_eq!(replayed(&session).expect("computed"), None);
    let text = std::fs::read_to_string(&path).expect("there").replace(r#""multiplier":9.0"#, r#""multiplier":0.5"#);
    std::fs::write(&path, text).expect("written");
    let (cheaper, _) = load(&path, talk.model()).expect("loaded");
    assert!(replayed(&cheaper).expect("computed").is_some());
}

#[test]
fn what_is_no_session_is_refused_in_one_line_that_names_the_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("talk.jsonl");
    let mut talk = talk();
    ask(&mut talk, "hello");
    save(&mut None, &path, &talk).expect("saved");
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
    fails(2, &good[1].replace("\"seed\":42", "\"seed\":42,\"variables\":{\"messages\":[]}"), "variable messages");
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
    // Without the last line it may be what is left of a longer one.
    for whole in 1..=3 {
        std::fs::write(&path, good[..whole].join("\n")).expect("written");
        assert!(load(&path, talk.model()).is_err_and(|error| error.to_string().contains("cut off?")), "{whole} lines");
    }
    for (bytes, words) in
        [(&b"\0\0\0"[..], "no session, and no GGUF"), (b"GGUF\x03", "is a GGUF model"), (b"", "is empty")]
    {
        std::fs::write(&path, bytes).expect("written");
        assert!(load(&path, talk.model()).is_err_and(|error| error.to_string().contains(words)), "{words}");
    }
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
fn what_another_program_has_written_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("talk.jsonl");
    let open = |talk: &Talk| Kept::open(path.clone(), talk.model()).expect("opened").0;
    let (mut one, mut two) = (talk(), talk());
    let (mut ones, mut twos) = (open(&one), open(&two));
    ask(&mut one, "one");
    ones.save(one.model(), one.session(), one.settings()).expect("saved");
    ask(&mut two, "two");
    let error = twos.save(two.model(), two.session(), two.settings()).expect_err("another's").to_string();
    assert!(error.contains("talk.jsonl: another program") && error.contains("talk-2.jsonl"), "{error}");
    // Both go on, each in its own.
    ask(&mut one, "more");
    ones.save(one.model(), one.session(), one.settings()).expect("saved");
    ask(&mut two, "more");
    twos.save(two.model(), two.session(), two.settings()).expect("saved");
    let users = |name: &str| {
        let (session, _) = load(&folder.path().join(name), one.model()).expect("loaded");
        session.turns().iter().map(|turn| turn.user.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (users("talk.jsonl"), users("talk-2.jsonl")),
        (vec!["one".into(), "more".into()], vec!["two".into(), "more".into()])
    );
    // What this program has read, and nobody has written since, it goes on with; what was removed is written anew.
    let mut again = open(&one);
    again.save(one.model(), one.session(), one.settings()).expect("saved");
    std::fs::remove_file(&path).expect("removed");
    again.save(one.model(), one.session(), one.settings()).expect("saved");
    // Another conversation is not overwritten by its name either.
    let seen = converse(talk(), &["hello", &format!("/save {}", path.display())], |_| ());
    assert!(seen.screen.contains("another conversation: give another name"), "{}", seen.screen);
}

#[test]
fn an_empty_file_is_a_new_session_and_what_is_no_file_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made");
    std::fs::write(&path, "").expect("written");
    let (kept, found) = Kept::open(path.clone(), talk().model()).expect("opened");
    assert!(found.is_none());
    drop(converse_in(Some(kept), talk(), &["one"], |talk| {
        assert_eq!(&load(&path, talk.model()).expect("saved").0, talk.session());
    }));
    assert!(
        Kept::open(folder.path().to_owned(), talk().model()).is_err_and(|error| error.to_string().contains("folder"))
    );
    #[cfg(unix)]
    for typed in ["/save /dev/zero", "/load /dev/zero", "/read /dev/zero"] {
        let seen = converse(talk(), &[typed], |_| ());
        assert!(seen.screen.contains("/dev/zero: is no regular file"), "{}", seen.screen);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_of_and_the_conversation_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere").join("talk.jsonl");
    let seen = converse_in(Some(Kept::new(nowhere).expect("a name")), talk(), &["one", "/regen 7", "two"], |talk| {
        let parents: Vec<usize> = talk.session().turns().iter().map(|turn| turn.parent).collect();
        assert_eq!((parents, talk.session().at()), (vec![0, 0, 2], 3));
    });
    assert_eq!(seen.screen.matches("talk.jsonl: cannot be written: ").count(), 3, "{}", seen.screen);
}
