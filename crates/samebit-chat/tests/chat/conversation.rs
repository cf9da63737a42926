//! What is computed: the cache, seeds, branches, replays.

use std::ops::ControlFlow;
use std::sync::Arc;

use samebit_chat::{ChatError, Departure, Ending, Format, Heard, Model, Session, Settings, Talk, Turn, replay};
use samebit_engine::{EngineOptions, Event, Request};
use samebit_kernels::Isa;
use samebit_text::DecodeOptions;

use crate::support::{ask, model, model_with, settings, talk};

const WORDS: [&str; 5] = ["hello", "why is that so", "日本語 and emoji 👩‍👧", "مرحبا", "again, please"];

/// A conversation of so many turns.
fn long(turns: usize) -> Talk {
    let mut talk = talk();
    for turn in 0..turns {
        ask(&mut talk, WORDS[turn % WORDS.len()]);
    }
    talk
}

#[test]
fn later_turns_compute_only_what_is_new() {
    let mut talk = talk();
    for turn in 0..20 {
        let answered = ask(&mut talk, WORDS[turn % WORDS.len()]);
        let latest = talk.session().latest().expect("a turn");
        let before = talk.session().length(latest.parent);
        assert_eq!(answered.prompt, latest.kept + latest.prompt.len());
        // All of the turn before is kept but, if the answer was cut, nothing that the template would not write.
        assert_eq!(latest.kept, before, "turn {turn}");
        // The last token of an answer has not been in a pass.
        let known = before.saturating_sub(1);
        // A page of the cache that has fewer than 16 tokens is sooner computed again than kept.
        let again = known - answered.cached;
        assert!(again == 0 || again < 16 && answered.cached.is_multiple_of(256), "turn {turn}: {again}");
    }
}

#[test]
fn what_a_template_writes_otherwise_is_read_again_from_there() {
    let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content if loop.last else m.content | upper }}<|im_end|>\n\
                  {% endfor %}<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}quick{% endif %}";
    let model = model_with(&EngineOptions { context: 4096, ..EngineOptions::default() }, Some(source));
    let mut talk = Talk::new(Arc::clone(&model), settings());
    ask(&mut talk, "one two three four five six seven eight nine ten eleven twelve");
    let known = talk.session().length(1);
    ask(&mut talk, "and more");
    let turn = talk.session().turn(2).expect("a turn");
    assert!(turn.kept > 1 && turn.kept < known, "{} of {known}", turn.kept);
    assert!(model.may_think());
    talk.set(Settings { think: Some(false), ..settings() }).expect("settings");
    ask(&mut talk, "quickly");
    let text = model.tokenizer.decode(&talk.session().prompt(3), DecodeOptions::default()).expect("text");
    assert!(text.ends_with(b"quick"), "{text:?}");
    assert_eq!(replayed(&model, talk.session(), talk.settings()), None);
}

#[test]
fn the_first_answer_is_a_run_s() {
    let mut talk = talk();
    ask(&mut talk, "hello");
    let turn = talk.session().latest().expect("a turn").clone();
    let model = talk.model();
    let request = Request {
        max_tokens: 8,
        sampler: settings().config(42, 0),
        stop_tokens: model.tokenizer.eog_ids(),
        ignore_eos: false,
    };
    let all = &mut |_: Event| ControlFlow::Continue(());
    let generation = model.engine.generate(&turn.prompt, &request, all).expect("tokens");
    assert_eq!((generation.tokens, generation.logits_digest), (turn.tokens, turn.digest));
}

#[test]
fn the_same_seed_gives_the_same_answer_and_another_another() {
    let mut talk = long(2);
    let first = talk.session().latest().expect("a turn").clone();
    let hear = &mut |_: Heard<'_>| ControlFlow::Continue(());
    let again = talk.regenerate(None, hear).expect("an answer");
    assert!(again.again && again.number == 2, "{again:?}");
    let other = talk.regenerate(Some(43), hear).expect("an answer");
    assert!(!other.again && other.number == 3);
    let turn = talk.session().latest().expect("a turn").clone();
    assert_eq!((turn.parent, turn.seed, &turn.user), (1, 43, &first.user));
    assert_ne!(turn.tokens, first.tokens);
    // What follows goes on with the session's own seed, and back again is the first answer.
    ask(&mut talk, "more");
    assert_eq!(talk.session().latest().map(|turn| turn.seed), Some(42));
    talk.session_mut().go_to(3);
    assert_eq!(talk.regenerate(None, hear).expect("an answer").number, 2);
    // The turn's number enters: the same words draw otherwise there.
    talk.session_mut().go_to(0);
    assert_eq!(ask(&mut talk, WORDS[0]).number, 1, "the same turn again");
}

fn replayed(model: &Arc<Model>, session: &Session, settings: &Settings) -> Option<Departure> {
    replay(model, session, settings, &mut |_| ControlFlow::Continue(())).expect("computed")
}

/// A conversation with a branch, a system prompt that came late, and an answer that was stopped.
fn eventful() -> Talk {
    let mut talk = long(4);
    talk.set(Settings { system: Some("Be brief.".into()), ..settings() }).expect("settings");
    ask(&mut talk, "with a system prompt");
    talk.session_mut().go_to(2);
    let mut heard = 0;
    let stopped = talk.ask("stop soon", &mut |what| {
        heard += usize::from(matches!(what, Heard::Text(_)));
        if heard == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    stopped.expect("an answer");
    let turn = talk.session().latest().expect("a turn");
    assert_eq!((turn.finish, turn.tokens.len()), (Ending::Cancelled, 3));
    ask(&mut talk, "and on");
    talk
}

#[test]
fn replays_are_the_same_however_they_are_computed() {
    let talk = eventful();
    let (session, settings) = (talk.session(), talk.settings());
    let basis = EngineOptions { context: 4096, ..EngineOptions::default() };
    for options in [
        EngineOptions { threads: 3, ubatch: 7, ..basis.clone() },
        EngineOptions { isa: isa("avx2"), ..basis.clone() },
        EngineOptions { isa: isa("reference"), ubatch: 64, ..basis.clone() },
        EngineOptions { kv_cache: false, ..basis },
    ] {
        assert_eq!(replayed(&model(&options), session, settings), None, "{options:?}");
    }
}

/// An instruction set by its name; the reference where this machine lacks it.
fn isa(name: &str) -> Isa {
    Isa::parse(name).unwrap_or(Isa::Reference)
}

/// The session up to a turn, which is changed.
fn changed(session: &Session, number: usize, change: impl Fn(&mut Turn)) -> Session {
    let mut other = Session::default();
    for (index, turn) in session.turns().iter().take(number).enumerate() {
        let mut turn = turn.clone();
        if index + 1 == number {
            change(&mut turn);
        }
        other.push(turn).expect("fits");
    }
    other
}

#[test]
fn a_changed_session_departs_where_it_was_changed() {
    let talk = long(3);
    let (session, settings) = (talk.session(), talk.settings());
    let here = |change: &dyn Fn(&mut Turn)| {
        let session = changed(session, 2, change);
        replayed(talk.model(), &session, settings).expect("a departure")
    };
    let flip = |id: &mut u32| *id ^= 1;
    assert!(matches!(here(&|turn| flip(&mut turn.tokens[4])), Departure::Answer { turn: 2, index: 4, .. }));
    assert!(
        matches!(here(&|turn| turn.tokens.truncate(turn.tokens.len() - 1)), Departure::Digest { turn: 2, .. }),
        "fewer rows"
    );
    assert!(matches!(here(&|turn| flip(&mut turn.prompt[1])), Departure::Prompt { turn: 2, .. }));
    assert!(matches!(here(&|turn| turn.kept -= 1), Departure::Prompt { turn: 2, .. }));
    assert!(matches!(here(&|turn| turn.user.push('!')), Departure::Prompt { turn: 2, .. }));
    assert!(matches!(here(&|turn| turn.digest = "0".repeat(64)), Departure::Digest { turn: 2, .. }));
    assert!(matches!(here(&|turn| turn.answer.push('!')), Departure::Text { turn: 2, .. }));
    assert!(matches!(here(&|turn| turn.seed += 1), Departure::Answer { turn: 2, .. }));
    let hot = |turn: &mut Turn| {
        let mut settings = (*turn.settings).clone();
        settings.sampling.temperature = 0.0;
        turn.settings = Arc::new(settings);
    };
    assert!(matches!(here(&hot), Departure::Answer { turn: 2, .. }));
    let stops = session.turn(2).is_some_and(|turn| turn.finish == Ending::Stop);
    let otherwise = if stops { Ending::Length } else { Ending::Stop };
    assert!(matches!(here(&|turn| turn.finish = otherwise), Departure::Finish { turn: 2, .. }));
    let more = |turn: &mut Turn| {
        turn.finish = Ending::Length;
        turn.settings = Arc::new(Settings { predict: Some(99), ..(*turn.settings).clone() });
    };
    if !stops {
        assert!(matches!(here(&more), Departure::Finish { turn: 2, said: "length" }));
    }
    assert_eq!(replayed(talk.model(), session, settings), None, "and unchanged it does not");
}

#[test]
fn a_full_context_is_said_and_nothing_is_lost() {
    let model = model(&EngineOptions { context: 96, ..EngineOptions::default() });
    let mut talk = Talk::new(model, settings());
    let hear = &mut |_: Heard<'_>| ControlFlow::Continue(());
    let error = loop {
        match talk.ask("a few words more", hear) {
            Ok(answered) => assert_eq!(answered.number, talk.session().turns().len()),
            Err(error) => break error,
        }
    };
    let turns = talk.session().turns().len();
    assert!(matches!(error, ChatError::Full { tokens, context: 96 } if tokens >= 96), "{error}");
    assert!(turns > 0 && talk.session().at() == turns);
    // What no context could hold is not cut into tokens.
    let long = talk.ask(&"x ".repeat(1 << 24), hear);
    assert!(matches!(long, Err(ChatError::TooLong { context: 96, .. })), "{long:?}");
    for remedy in ["/undo", "/clear", "-c N"] {
        assert!(error.to_string().contains(remedy), "{error}");
    }
}

#[test]
fn an_answer_that_the_context_ended_comes_again_in_any_context() {
    let small = model(&EngineOptions { context: 64, ..EngineOptions::default() });
    let all = Settings { predict: None, ..settings() };
    let mut talk = Talk::new(small, all.clone());
    let mut wordy = all.clone();
    wordy.sampling.logit_bias = talk.model().tokenizer.eog_ids().into_iter().map(|id| (id, None)).collect();
    talk.set(wordy.clone()).expect("settings");
    ask(&mut talk, "hello");
    let turn = talk.session().latest().expect("a turn");
    assert_eq!((turn.finish, turn.context), (Ending::Length, Some(64)));
    let large = model(&EngineOptions { context: 4096, ..EngineOptions::default() });
    assert_eq!(replayed(&large, talk.session(), &wordy), None);
    let shorter = changed(talk.session(), 1, |turn| turn.context = None);
    assert!(matches!(replayed(&large, &shorter, &wordy), Some(Departure::Finish { turn: 1, said: "length" })));
}

#[test]
fn stopped_before_the_first_token_is_as_if_nothing_was_said() {
    let mut talk = long(1);
    let stopped = talk.ask("stop", &mut |what| match what {
        Heard::Prefill { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(ChatError::Cancelled)));
    assert_eq!((talk.session().turns().len(), talk.session().at()), (1, 1));
    ask(&mut talk, "and on");
}

#[test]
fn tokens_are_explained_by_the_probabilities_that_they_had() {
    let mut talk = long(2);
    let rows = talk.explain(3, &mut |_| ControlFlow::Continue(())).expect("computed");
    let turn = talk.session().latest().expect("a turn");
    assert!(rows.iter().map(|row| row.token).eq(turn.tokens.iter().copied()));
    assert!(rows.iter().all(|row| row.top.len() == 3 && row.logprob <= row.top[0].1));
    assert!(matches!(crate::support::talk().explain(3, &mut |_| ControlFlow::Continue(())), Err(ChatError::NoAnswer)));
}

#[test]
fn an_answer_in_json_is_json_as_far_as_it_goes() {
    let mut talk = talk();
    talk.set(Settings { format: Format::Json, predict: Some(60), ..settings() }).expect("settings");
    ask(&mut talk, "give me an object");
    let turn = talk.session().latest().expect("a turn");
    assert!(turn.answer.trim_start().starts_with('{'), "{}", turn.answer);
    assert_eq!(replayed(talk.model(), talk.session(), talk.settings()), None);
}

#[test]
fn an_answer_ends_before_a_text_that_ends_it() {
    let whole = long(1).session().latest().expect("a turn").answer.clone();
    let middle = whole.char_indices().nth(whole.chars().count() / 2).expect("long enough").0;
    let stop: String = whole[middle..].chars().take(3).collect();
    let expected = whole.split(&stop).next().unwrap_or_default();
    let mut talk = talk();
    talk.set(Settings { stop: vec!["never".into(), stop.clone()], ..settings() }).expect("settings");
    let mut heard = String::new();
    let hear = &mut |what: Heard<'_>| {
        if let Heard::Text(text) = what {
            heard.push_str(text);
        }
        ControlFlow::Continue(())
    };
    talk.ask(WORDS[0], hear).expect("an answer");
    let turn = talk.session().latest().expect("a turn");
    assert_eq!((turn.answer.as_str(), heard.as_str(), turn.finish), (expected, expected, Ending::Stop));
    ask(&mut talk, "and on");
    assert_eq!(replayed(talk.model(), talk.session(), talk.settings()), None);
}

#[test]
fn settings_out_of_range_change_nothing() {
    let mut talk = talk();
    let mut wrong = settings();
    wrong.sampling.top_p = 2.0;
    assert!(talk.set(wrong).is_err_and(|error| error.to_string().contains("top_p")));
    assert_eq!(talk.settings(), &settings());
}
