//! Files before a message, other models, forms, and what is taken along.

use std::ops::ControlFlow;

use samebit_chat::{Format, Model, Shelf, Talk, replay};
use samebit_engine::EngineOptions;

use crate::support::{ask, converse, converse_with, model, quiet, settings, talk};

#[test]
fn files_of_a_pattern_go_before_the_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().to_str().expect("UTF-8");
    for (name, text) in [("b.txt", b"two".as_slice()), ("a.txt", b"one\n"), ("c.txt", b"\xff")] {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let (many, one) = (format!("/glob {at}/*.txt"), format!("/glob {at}/a*"));
    let seen = converse(talk(), &[&many, "what?", &one, "and?", "/glob", "/glob /nowhere/*"], |talk| {
        let users: Vec<&str> = talk.session().turns().iter().map(|turn| turn.user.as_str()).collect();
        let both = format!("--- {at}/a.txt ---\none\n\n--- {at}/b.txt ---\ntwo\n\nwhat?");
        assert_eq!(users, [both.as_str(), "one\n\nand?"]);
    });
    for said in
        ["c.txt: byte 0 is not UTF-8", "2 files go before", "1 file goes before", "which files?", "no text files"]
    {
        assert!(seen.screen.contains(said), "`{said}`: {}", seen.screen);
    }
}

/// A shelf with one model.
struct One;

impl Shelf for One {
    fn names(&mut self) -> Result<Vec<(String, String)>, String> {
        Ok(vec![("other".into(), "1 MB".into())])
    }

    fn load(&mut self, name: &str) -> Result<Model, String> {
        if name != "other" {
            return Err(format!("{name} is not here"));
        }
        let model = model(&EngineOptions { context: 512, ..EngineOptions::default() });
        Ok(Model { name: "other".into(), ..Model::clone(&model) })
    }
}

#[test]
fn another_model_begins_anew_and_keeps_the_settings() {
    let typed =
        ["one", "/list", "/model nothing", "/load other", "/set seed 3", "two", "/load nowhere.jsonl", "/model"];
    let seen = converse_with(Some(Box::new(One)), quiet(), talk(), &typed, |talk| {
        assert_eq!((talk.model().name.as_str(), talk.model().engine.context()), ("other", 512));
        assert_eq!(talk.session().turns().len(), 1);
        assert_eq!((talk.settings().seed, talk.settings().predict), (3, Some(8)));
    });
    for said in ["other  1 MB", "nothing is not here", "the conversation before is over", "nowhere.jsonl is not here"] {
        assert!(seen.screen.contains(said), "`{said}`: {}", seen.screen);
    }
    let alone = converse(talk(), &["/list", "/model x"], |_| ());
    assert_eq!(alone.screen.matches("no other models").count(), 2, "{}", alone.screen);
}

#[test]
fn another_context_keeps_the_conversation() {
    let typed = [
        "one",
        "/set parameter num_ctx 64",
        "/regen",
        "/tokens",
        "/set parameter num_ctx x",
        "/set parameter num_gpu 1",
    ];
    let seen = converse(talk(), &typed, |talk| {
        assert_eq!((talk.model().engine.context(), talk.session().turns().len()), (64, 1));
    });
    for said in [
        "64 tokens of context",
        "the same seed gave the same answer",
        "of 64 tokens",
        "no whole number",
        "no answer depends",
    ] {
        assert!(seen.screen.contains(said), "`{said}`: {}", seen.screen);
    }
}

#[test]
fn answers_have_the_form_that_was_asked_for_and_come_again() {
    let typed = [
        r#"/set format {"enum": ["yes", "no"]}"#,
        "is it?",
        "/show format",
        "/set grammar \"\"\"start: \"maybe\" | \"never\"\"\"\"",
        "is it?",
        "/set grammar root ::= [x-z]+ end\nend ::= \"!\" {2}",
        "is it?",
        r#"/set format {"type": 3}"#,
        "/set grammar start",
        "/set think_budget 3",
        "/set noformat",
    ];
    let mut kept = None;
    let seen = converse(talk(), &typed, |talk| {
        let answers: Vec<&str> = talk.session().turns().iter().map(|turn| turn.answer.as_str()).collect();
        assert!(["\"yes\"", "\"no\""].contains(&answers[0]) && ["maybe", "never"].contains(&answers[1]), "{answers:?}");
        assert!(answers[2].starts_with(['x', 'y', 'z']), "{answers:?}");
        assert_eq!(talk.settings().format, Format::Text);
        kept = Some((talk.model().clone(), talk.session().clone()));
    });
    assert!(seen.screen.contains("the grammar cannot be used") && seen.screen.contains("nothing can bound it"));
    let (model, session) = kept.expect("a conversation");
    let departure = replay(&model, &session, &settings(), &mut |_| ControlFlow::Continue(()));
    assert_eq!(departure.expect("computed"), None);
}

#[test]
fn a_model_that_guesses_changes_nothing() {
    let options = EngineOptions { context: 4096, speculation: 4, ..EngineOptions::default() };
    let own = model(&options);
    let guessing = Model { draft: Some(own.engine.clone()), ..Model::clone(&own) };
    let mut with = Talk::new(guessing.into(), settings());
    let mut without = talk();
    for message in ["one", "two"] {
        assert_eq!(ask(&mut with, message).number, ask(&mut without, message).number);
    }
    assert_eq!(with.session(), without.session());
}

#[test]
fn an_answer_is_copied_and_a_conversation_written_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("talk.md"), folder.path().join("other.txt"));
    std::fs::write(&other, "mine").expect("written");
    let export = |path: &std::path::Path| format!("/export {}", path.display());
    let typed =
        ["/copy", "one", "/copy", "/copy code", "/copy thinking", "/copy all", &export(&path), "two", &export(&other)];
    let mut answers = Vec::new();
    let seen = converse(talk(), &typed, |talk| {
        answers = talk.session().turns().iter().map(|turn| turn.answer.trim().to_owned()).collect();
    });
    assert_eq!(seen.screen.matches("\x1b]52;c;").count(), 1, "{}", seen.screen);
    for said in
        ["there is no answer yet", "has no code", "has no thinking", "/copy takes", "other.txt: is there already"]
    {
        assert!(seen.screen.contains(said), "`{said}`: {}", seen.screen);
    }
    let written = std::fs::read_to_string(&path).expect("written");
    assert!(written.starts_with("# Conversation with tiny\n\n## You\n\none\n\n## tiny\n\n"), "{written}");
    assert!(answers.len() == 2 && answers.iter().all(|answer| written.contains(answer.as_str())), "{written}");
    assert_eq!(std::fs::read_to_string(&other).expect("there"), "mine");
}

#[test]
fn the_template_is_told_what_was_asked_for() {
    let source = "{{ reasoning_effort }}{{ mood }}{% for m in messages %}{{ m.content }}{% endfor %}";
    let model = crate::support::model_with(&EngineOptions { context: 512, ..EngineOptions::default() }, Some(source));
    let typed = ["/set think low", "/set variable mood [1]", "x", "/set variable mood", "/set think", "/set variable"];
    let seen = converse(Talk::new(model, settings()), &typed, |talk| {
        let prompt = talk.session().prompt(1);
        let text = talk.model().tokenizer.decode(&prompt, samebit_text::DecodeOptions::default()).expect("known ids");
        assert!(String::from_utf8_lossy(&text).contains("low[1]x"), "{}", String::from_utf8_lossy(&text));
        assert!(talk.settings().variables.is_empty());
    });
    assert!(seen.screen.contains("the model thinks first: low") && seen.screen.contains("no choice about thinking"));
}

#[test]
fn a_first_message_and_a_single_turn() {
    let options = samebit_chat::Options { first: Some("/not a command".into()), single: false, ..quiet() };
    let seen = converse_with(None, options, talk(), &["/bye", "never"], |talk| {
        assert_eq!(talk.session().turns()[0].user, "/not a command");
    });
    assert!(seen.screen.starts_with(">>> /not a command\n") && seen.untyped);
    let options = samebit_chat::Options { single: true, ..quiet() };
    let seen = converse_with(None, options, talk(), &["/set seed 3", "one", "never"], |talk| {
        assert_eq!(talk.session().turns().len(), 1);
    });
    assert!(seen.untyped);
}
