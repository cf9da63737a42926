//! Asking an engine: over HTTP by the OpenAI API, or as a command that prints its answer.
//!
//! Knows nothing of what is compared.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Answers longer than this are no answers.
const MOST_BYTES: u64 = 16 << 20;

/// One token of an answer, as far as the engine tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) logprob: f64,
    /// By how much it was more likely than the next.
    pub(super) margin: Option<f64>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) text: String,
    /// Empty where the engine does not tell tokens.
    pub(super) tokens: Vec<Token>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) prompt: &'a str,
    pub(super) count: u32,
    pub(super) threads: u32,
    /// Whether a server may reuse what it has of a prompt; `None` leaves it to the server.
    pub(super) cache: Option<bool>,
}

/// Somebody to ask.
pub(super) enum Engine {
    Server { agent: ureq::Agent, url: String, model: Option<String>, chat: bool },
    Command { words: Vec<String>, timeout: Duration },
}

impl Engine {
    pub(super) fn server(url: &str, model: Option<String>, chat: bool, timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build();
        let url = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        Self::Server { agent: config.new_agent(), url, model, chat }
    }

    pub(super) fn is_server(&self) -> bool {
        matches!(self, Self::Server { .. })
    }

    /// Whether the command has a place for `what`.
    pub(super) fn takes(&self, what: &str) -> bool {
        matches!(self, Self::Command { words, .. } if words.iter().any(|word| word.contains(what)))
    }

    pub(super) fn ask(&self, question: Question<'_>) -> Result<Answer, String> {
        match self {
            Self::Server { agent, url, model, chat } => {
                let mut body = body(question, *chat);
                if let Some(model) = model {
                    body["model"] = json!(model);
                }
                let place = if *chat { "/v1/chat/completions" } else { "/v1/completions" };
                ask_server(agent, &format!("{url}{place}"), &body)
            }
            Self::Command { words, timeout } => run_command(words, *timeout, question),
        }
    }
}

fn body(question: Question<'_>, chat: bool) -> Value {
    let mut body = json!({ "max_tokens": question.count, "temperature": 0, "seed": 0, "stream": false });
    if chat {
        body["messages"] = json!([{ "role": "user", "content": question.prompt }]);
        body["logprobs"] = json!(true);
        body["top_logprobs"] = json!(2);
    } else {
        body["prompt"] = json!(question.prompt);
        body["logprobs"] = json!(2);
    }
    if let Some(cache) = question.cache {
        // llama.cpp's own; others ignore it, or refuse, which is told.
        body["cache_prompt"] = json!(cache);
    }
    body
}

fn ask_server(agent: &ureq::Agent, place: &str, body: &Value) -> Result<Answer, String> {
    let response = agent.post(place).header("content-type", "application/json").send(body.to_string());
    let mut response = response.map_err(|error| format!("{place}: {error}"))?;
    let status = response.status();
    let text = response.body_mut().with_config().limit(MOST_BYTES).read_to_string();
    let text = text.map_err(|error| format!("{place}: {error}"))?;
    if !status.is_success() {
        let start: String = text.chars().take(200).collect();
        let remedy = if status == 404 && !place.contains("chat") { " (if it only chats: --chat)" } else { "" };
        return Err(format!("{place}: answers {status}{remedy}: {start}"));
    }
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("{place}: no JSON: {error}"))?;
    answer(&value).ok_or_else(|| format!("{place}: the answer has no choices[0].text: not the OpenAI API"))
}

/// An answer in either of the two forms that log-probabilities have.
fn answer(value: &Value) -> Option<Answer> {
    let choice = value.get("choices")?.get(0)?;
    let text = choice.get("text").or_else(|| choice.get("message")?.get("content"))?.as_str()?.to_owned();
    let logprobs = choice.get("logprobs");
    let mut tokens = Vec::new();
    for item in logprobs.and_then(|l| l.get("content")).and_then(Value::as_array).into_iter().flatten() {
        let logprob = item.get("logprob")?.as_f64()?;
        let top: Vec<f64> = item
            .get("top_logprobs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|top| top.get("logprob")?.as_f64())
            .collect();
        tokens.push(Token { text: item.get("token")?.as_str()?.to_owned(), logprob, margin: margin(top) });
    }
    if let (Some(texts), Some(numbers)) = (list(logprobs, "tokens"), list(logprobs, "token_logprobs")) {
        let tops = list(logprobs, "top_logprobs");
        for (index, (text, number)) in texts.iter().zip(numbers).enumerate() {
            let top = tops.and_then(|tops| tops.get(index)?.as_object());
            let top = top.map(|top| top.values().filter_map(Value::as_f64).collect()).unwrap_or_default();
            let text = text.as_str().unwrap_or_default().to_owned();
            tokens.push(Token { text, logprob: number.as_f64().unwrap_or(f64::NAN), margin: margin(top) });
        }
    }
    Some(Answer { text, tokens })
}

fn list<'a>(logprobs: Option<&'a Value>, key: &str) -> Option<&'a Vec<Value>> {
    logprobs?.get(key)?.as_array()
}

/// Between the two highest.
fn margin(mut top: Vec<f64>) -> Option<f64> {
    top.sort_by(|a, b| b.total_cmp(a));
    Some(top.first()? - top.get(1)?)
}

fn run_command(words: &[String], timeout: Duration, question: Question<'_>) -> Result<Answer, String> {
    let put = |word: &String| {
        word.replace("{n}", &question.count.to_string())
            .replace("{threads}", &question.threads.to_string())
            .replace("{prompt}", question.prompt)
    };
    let words: Vec<String> = words.iter().map(put).collect();
    let Some((program, rest)) = words.split_first() else { return Err("no command".into()) };
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    let Some(mut stdout) = child.stdout.take() else { return Err(format!("{program}: has no standard output")) };
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.by_ref().take(MOST_BYTES).read_to_end(&mut bytes);
        read.map(|_| bytes)
    });
    let started = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| format!("{program}: {error}"))? {
            Some(status) => break status,
            None if started.elapsed() > timeout => {
                // It is gone already, or it goes now.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program}: no answer within {} s", timeout.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let bytes = reader.join().map_err(|_| format!("{program}: its output was lost"))?;
    let bytes = bytes.map_err(|error| format!("{program}: {error}"))?;
    if !status.success() {
        return Err(format!("{program}: ends with {status}"));
    }
    Ok(Answer { text: String::from_utf8_lossy(&bytes).into_owned(), tokens: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_logprobs_are_read() {
        let new = json!({"choices": [{"text": "a b", "logprobs": {"content": [
            {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -0.5}, {"token": "c", "logprob": -1.0}]},
            {"token": " b", "logprob": -0.1, "top_logprobs": []}]}}]});
        let old = json!({"choices": [{"text": "a b", "logprobs": {"tokens": ["a", " b"], "token_logprobs": [-0.5, -0.1],
            "top_logprobs": [{"a": -0.5, "c": -1.0}, {}]}}]});
        let (new, old) = (answer(&new).expect("an answer"), answer(&old).expect("an answer"));
        assert_eq!(new, old);
        assert_eq!((new.tokens[0].margin, new.tokens[1].margin), (Some(0.5), None));
        assert_eq!(answer(&json!({"choices": []})), None);
        let chat = json!({"choices": [{"message": {"role": "assistant", "content": "a b"}}]});
        assert_eq!(answer(&chat).expect("an answer").text, "a b");
    }

    #[test]
    fn commands_are_filled_in_and_bounded() {
        let words = ["echo", "{prompt}", "{n}/{threads}"].map(str::to_owned);
        let question = Question { prompt: "{n} it is", count: 3, threads: 2, cache: None };
        let told = run_command(&words, Duration::from_secs(20), question).expect("runs");
        assert_eq!(told.text, "{n} it is 3/2\n");
        let slow = ["sleep", "20"].map(str::to_owned);
        assert!(run_command(&slow, Duration::from_millis(100), question).is_err());
        assert!(run_command(&["false".to_owned()], Duration::from_secs(20), question).is_err());
    }
}
