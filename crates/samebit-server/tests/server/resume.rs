//! Streams that break and go on: the same events, on the same server or another.

use crate::support::{Server, ask, go_on, read_until, server, start, with_template};
use samebit_server::Options;
use serde_json::{Value, json};

/// Events with their names.
fn events(text: &str) -> Vec<(String, String)> {
    let blocks = text.split("\n\n").filter(|block| block.starts_with("id: "));
    let split = |block: &str| {
        let (id, rest) = block.split_once('\n').expect("lines");
        (id["id: ".len()..].to_owned(), rest.to_owned())
    };
    blocks.map(split).collect()
}

/// Asks for the whole stream, then from each event on: what comes must be what came after it.
fn resumes_everywhere(first: &Server, other: &Server, path: &str, body: &Value) {
    let answer = first.post(path, body);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let whole = events(&answer.text);
    assert!(whole.len() > 5);
    for (at, (id, _)) in whole.iter().enumerate() {
        let server = if at % 2 == 0 { first } else { other };
        let resumed = server.post_with(path, body, &[("Last-Event-ID", id)]);
        assert_eq!(resumed.status, 200, "{}", resumed.text);
        let resumed = events(&resumed.text);
        // Events before the first token share a name: a client that saw one of them may miss the others, which say nothing.
        let same = whole.iter().rposition(|(other, _)| other == id).expect("there");
        assert_eq!(timeless(&resumed), timeless(&whole[same + 1..]), "from {id}");
    }
}

/// Without what may differ from run to run.
fn timeless(events: &[(String, String)]) -> Vec<(String, Value)> {
    let strip = |(id, text): &(String, String)| {
        let data = text.split_once("data: ").expect("data").1;
        let mut data: Value = serde_json::from_str(data).expect("JSON");
        for place in ["/samebit", "/response/samebit"] {
            if let Some(told) = data.pointer_mut(place).and_then(Value::as_object_mut) {
                told.remove("timings");
            }
        }
        (id.clone(), data)
    };
    events.iter().map(strip).collect()
}

#[test]
fn every_event_is_a_place_to_go_on_from() {
    let (first, other) = (server(), server());
    let chat = ask(
        "Tell",
        json!({"stream": true, "temperature": 1.3, "seed": 5, "samebit": true, "logprobs": true, "top_logprobs": 1}),
    );
    resumes_everywhere(&first, &other, "/v1/chat/completions", &chat);
    let counted =
        ask("Tell", json!({"stream": true, "n": 2, "stream_options": {"include_usage": true}, "temperature": 1.3}));
    resumes_everywhere(&first, &other, "/v1/chat/completions", &counted);
    let text = go_on("Once", json!({"stream": true, "stream_options": {"include_usage": true}}));
    resumes_everywhere(&first, &other, "/v1/completions", &text);
    let text = go_on("Once", json!({"stream": true, "temperature": 1.3, "echo": true, "logprobs": 1}));
    resumes_everywhere(&first, &other, "/v1/completions", &text);
    let response = json!({"input": "Tell", "stream": true, "max_output_tokens": 12, "ignore_eos": true, "temperature": 1.1, "samebit": true});
    resumes_everywhere(&first, &other, "/v1/responses", &response);
}

#[test]
fn several_choices_go_on_each_from_its_own_place() {
    let server = server();
    let body = ask("Tell", json!({"stream": true, "temperature": 1.3, "n": 3}));
    let whole = events(&server.post("/v1/chat/completions", &body).text);
    let id = &whole[whole.len() / 2].0;
    let seen: Vec<u64> = id.rsplit(':').next().expect("positions").split(',').filter_map(|p| p.parse().ok()).collect();
    assert_eq!(seen.len(), 3);
    let resumed = events(&server.post_with("/v1/chat/completions", &body, &[("Last-Event-ID", id)]).text);
    for (choice, &seen) in seen.iter().enumerate() {
        let of_choice = |events: &[(String, String)]| -> Vec<Value> {
            let data = timeless(events).into_iter().map(|(_, data)| data["choices"][0].clone());
            data.filter(|data| data["index"] == choice).collect()
        };
        let position = |id: &str| id.rsplit(':').next().and_then(|all| all.split(',').nth(choice)?.parse::<u64>().ok());
        // Of the whole: those of this choice that came after what was seen.
        let mut last = 0;
        let later: Vec<(String, String)> = whole
            .iter()
            .filter(|(id, _)| {
                let now = position(id).unwrap_or(0);
                let moved = now > last;
                last = now;
                moved && now > seen
            })
            .cloned()
            .collect();
        assert_eq!(of_choice(&resumed), of_choice(&later), "choice {choice}");
    }
}

#[test]
fn known_tokens_make_it_no_different() {
    let server = server();
    let fields = json!({"stream": true, "temperature": 1.3, "seed": 11, "samebit": true, "max_tokens": 20});
    let body = ask("Tell", fields);
    let whole = events(&server.post("/v1/chat/completions", &body).text);
    let (id, _) = &whole[10];
    let tokens: Vec<Value> = whole[..=10]
        .iter()
        .flat_map(|(_, text)| {
            let data: Value = serde_json::from_str(&text["data: ".len()..]).expect("JSON");
            data["samebit"]["tokens"].as_array().cloned().unwrap_or_default()
        })
        .collect();
    for draft in [json!(tokens), json!([1, 2, 3, 4]), json!([])] {
        let mut resumed = body.clone();
        resumed["samebit"] = json!({"resume_tokens": draft});
        let resumed = events(&server.post_with("/v1/chat/completions", &resumed, &[("Last-Event-ID", id)]).text);
        assert_eq!(timeless(&resumed), timeless(&whole[11..]), "{draft}");
    }
}

#[test]
fn a_client_that_broke_off_goes_on_elsewhere() {
    let (first, other) = (server(), server());
    let body = go_on("Once", json!({"stream": true, "temperature": 1.2, "max_tokens": 60}));
    let whole = events(&first.post("/v1/completions", &body).text);
    let mut stream = first.open("/v1/completions", &body);
    let id = (0..7).map(|_| read_until(&mut stream, "id: ")).last().expect("an event");
    drop(stream);
    let id = id["id: ".len()..].trim();
    let resumed = events(&other.post_with("/v1/completions", &body, &[("Last-Event-ID", id)]).text);
    let words = |events: &[(String, String)]| -> Vec<Value> {
        timeless(events).into_iter().map(|(_, data)| data["choices"].clone()).collect()
    };
    assert_eq!(words(&resumed), words(&whole[7..]));
}

#[test]
fn another_answer_is_not_gone_on_with() {
    let server = server();
    let body = ask("Tell", json!({"stream": true, "seed": 1}));
    let whole = events(&server.post("/v1/chat/completions", &body).text);
    let (id, _) = &whole[3];
    let header = [("Last-Event-ID", id.as_str())];
    for fields in [
        json!({"seed": 2}),
        json!({"n": 2}),
        json!({"max_tokens": 5}),
        json!({"messages": [{"role": "user", "content": "x"}]}),
    ] {
        let mut other = body.clone();
        other.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let message = server.post_with("/v1/chat/completions", &other, &header).error(409);
        assert!(message.contains("cannot be resumed"), "{message}");
    }
    // What is said otherwise and means the same does not matter.
    let mut same = body.clone();
    same["stream_options"] = json!({"include_usage": false});
    assert_eq!(server.post_with("/v1/chat/completions", &same, &header).status, 200);
    let model = samebit_server::Model { digest: "0ther".into(), ..with_template(None) };
    let other = start(model, Options::default());
    other.post_with("/v1/chat/completions", &body, &header).error(409);
    let message = server.post_with("/v1/chat/completions", &body, &[("Last-Event-ID", "chatcmpl-12:3")]).error(400);
    assert!(message.contains("chatcmpl-12:3"), "{message}");
}

#[test]
fn events_have_names_of_their_own() {
    let server = server();
    for (path, body) in [
        ("/v1/chat/completions", ask("Tell", json!({"stream": true, "stream_options": {"include_usage": true}}))),
        ("/v1/completions", go_on("Tell", json!({"stream": true, "stream_options": {"include_usage": true}}))),
    ] {
        let whole = events(&server.post(path, &body).text);
        let last = &whole.last().expect("events").0;
        assert_eq!(whole.iter().filter(|(id, _)| id == last).count(), 1, "{whole:?}");
        assert_eq!(server.post_with(path, &body, &[("Last-Event-ID", last)]).text, "data: [DONE]\n\n");
    }
}

#[test]
fn events_that_there_are_not_are_not_gone_on_from() {
    let server = server();
    for (path, body) in [
        ("/v1/chat/completions", ask("Tell", json!({"stream": true}))),
        ("/v1/completions", go_on("Tell", json!({"stream": true, "max_tokens": -1, "ignore_eos": false}))),
        ("/v1/responses", json!({"input": "Tell", "stream": true, "max_output_tokens": 5})),
    ] {
        let whole = events(&server.post(path, &body).text);
        let name = whole[1].0.split(':').next().expect("a name").to_owned();
        let beyond = format!("{name}:999999");
        let message = server.post_with(path, &body, &[("Last-Event-ID", &beyond)]).error(409);
        assert!(message.contains("ends before that event"), "{message}");
    }
    // Within what might have been, the end shows that it was not.
    let mut body = go_on("Tell", json!({"stream": true, "max_tokens": 40, "ignore_eos": false}));
    body["response_format"] = json!({"type": "regex", "pattern": "ab"});
    let whole = events(&server.post("/v1/completions", &body).text);
    let name = whole[0].0.split(':').next().expect("a name").to_owned();
    let answer = server.post_with("/v1/completions", &body, &[("Last-Event-ID", &format!("{name}:30"))]);
    assert!(answer.text.contains("ends before that event") && !answer.text.contains("[DONE]"), "{}", answer.text);
}
