//! An answer as it comes: server-sent events, each with a name from which another server can go on.
//!
//! Which events there are, and what is in them, depends on the tokens alone. A resumed stream makes all of them anew and leaves out
//! those that the client has seen.

use super::id::{LastEvent, ResponseId};
use super::plan::Answers;
use crate::engine::{Ending, Event};
use crate::http::ApiError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// A comment is sent after so long without an event: it tells the client that all is well, and us that there is a client.
const ALIVE: Duration = Duration::from_secs(10);

/// Makes an API's events of the engine's. A function of what it is given: no clock, no counters of others.
pub(crate) trait Encoder: Send {
    /// What comes before the first token.
    fn begin(&mut self, out: &mut Frames);
    /// A token, a prompt's probabilities, a choice's end.
    fn event(&mut self, event: Event, out: &mut Frames);
    /// All choices are done.
    fn end(&mut self, out: &mut Frames);
    /// The answer breaks off.
    fn failed(&mut self, error: &ApiError, out: &mut Frames) {
        out.plain(None, &error.json());
    }
}

/// Events on their way to the client.
pub(crate) struct Frames {
    id: String,
    /// For each choice the position of its latest event.
    now: Vec<u64>,
    /// The same as the client knows it; `None`: this stream is new.
    seen: Option<Vec<u64>>,
    buffer: Vec<u8>,
}

impl Frames {
    fn new(id: &ResponseId, choices: usize, last: Option<LastEvent>) -> Self {
        Self { id: id.text(), now: vec![0; choices], seen: last.map(|last| last.seen), buffer: Vec::new() }
    }

    /// An event of a choice at a position, which must grow from event to event.
    pub(crate) fn at(&mut self, choice: u32, position: u64, name: Option<&str>, data: &impl Serialize) {
        let choice = choice as usize;
        if let Some(now) = self.now.get_mut(choice) {
            *now = position;
        }
        let seen = self.seen.as_ref().and_then(|seen| seen.get(choice));
        if seen.is_none_or(|&seen| position > seen) {
            self.write(name, data);
        }
    }

    /// An event before the first token: a resumed stream has had it.
    pub(crate) fn first(&mut self, name: Option<&str>, data: &impl Serialize) {
        if self.seen.is_none() {
            self.write(name, data);
        }
    }

    /// The event behind all choices' ends. Its place is the first choice's next, so that whoever has it does not get it again.
    pub(crate) fn last(&mut self, name: Option<&str>, data: &impl Serialize) {
        let next = self.now.first().map_or(1, |now| now + 1);
        self.at(0, next, name, data);
    }

    /// Whether the client claims to have seen what is not there. All choices are done; one event may follow.
    fn overrun(&self) -> bool {
        let after = |choice: usize| u64::from(choice == 0);
        let seen = self.seen.iter().flatten().zip(&self.now).enumerate();
        seen.into_iter().any(|(choice, (&seen, &now))| seen > now + after(choice))
    }

    /// An event without a name to resume from.
    pub(crate) fn plain(&mut self, name: Option<&str>, data: &impl Serialize) {
        if let Some(name) = name {
            self.line("event: ", name.as_bytes());
        }
        match serde_json::to_vec(data) {
            Ok(json) => self.line("data: ", &json),
            Err(error) => tracing::error!(%error, "an event could not be written"),
        }
        self.buffer.push(b'\n');
    }

    /// OpenAI's mark of the end.
    pub(crate) fn done(&mut self) {
        self.buffer.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn write(&mut self, name: Option<&str>, data: &impl Serialize) {
        // What this client has had of other choices counts too: they may come later this time.
        let known = |choice: usize| self.seen.as_ref().and_then(|seen| seen.get(choice)).copied().unwrap_or(0);
        let positions: Vec<String> =
            self.now.iter().enumerate().map(|(choice, &now)| now.max(known(choice)).to_string()).collect();
        let id = format!("{}:{}", self.id, positions.join(","));
        self.line("id: ", id.as_bytes());
        self.plain(name, data);
    }

    fn line(&mut self, field: &str, value: &[u8]) {
        self.buffer.extend_from_slice(field.as_bytes());
        self.buffer.extend_from_slice(value);
        self.buffer.push(b'\n');
    }
}

/// The response that streams an answer.
pub(crate) fn stream(
    answers: Answers,
    encoder: Box<dyn Encoder>,
    id: &ResponseId,
    choices: usize,
    last: Option<LastEvent>,
) -> Response {
    let mut alive = interval(ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let frames = Frames::new(id, choices, last);
    let mut response = Response::new(Body::new(EventStream { answers, encoder, frames, alive, stage: Stage::Begin }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would gather events before it passes them on.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Begin,
    Middle,
    End,
}

/// The body. It is dropped when the client hangs up, and the answer with it.
struct EventStream {
    answers: Answers,
    encoder: Box<dyn Encoder>,
    frames: Frames,
    alive: Interval,
    stage: Stage,
}

impl EventStream {
    fn take(&mut self, event: Option<Event>) {
        self.answers.count(event.as_ref());
        let error = match event {
            Some(Event::Done(ref done)) if done.ending == Ending::Deadline => ApiError::deadline(),
            Some(Event::Done(ref done)) if done.ending == Ending::Cancelled => {
                ApiError::unavailable("the answer was broken off")
            }
            Some(Event::Failed(error)) => error.into(),
            Some(event) => {
                self.encoder.event(event, &mut self.frames);
                if self.answers.open > 0 {
                    return;
                }
                if !self.frames.overrun() {
                    self.encoder.end(&mut self.frames);
                    self.stage = Stage::End;
                    return;
                }
                LastEvent::beyond()
            }
            None => ApiError::unavailable("the answer broke off: resume it with the header Last-Event-ID"),
        };
        self.encoder.failed(&error, &mut self.frames);
        self.stage = Stage::End;
    }
}

impl HttpBody for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.stage == Stage::Begin {
            this.stage = Stage::Middle;
            this.encoder.begin(&mut this.frames);
            this.alive.reset();
        }
        // What has come since the last time goes out together.
        while this.stage == Stage::Middle {
            match this.answers.events.poll_recv(context) {
                Poll::Ready(event) => this.take(event),
                Poll::Pending => break,
            }
        }
        if this.frames.buffer.is_empty() && this.stage == Stage::Middle && this.alive.poll_tick(context).is_ready() {
            this.frames.buffer.extend_from_slice(b": alive\n\n");
        }
        if !this.frames.buffer.is_empty() {
            this.alive.reset();
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.frames.buffer).into()))));
        }
        if this.stage == Stage::End { Poll::Ready(None) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(frames: &Frames) -> &str {
        std::str::from_utf8(&frames.buffer).expect("UTF-8")
    }

    #[test]
    fn events_carry_what_choices_have_come_to() {
        let id = ResponseId::new("cmpl", 1, "0123456789abcdef");
        let mut frames = Frames::new(&id, 2, None);
        frames.first(None, &json!(0));
        frames.at(1, 1, Some("x"), &json!("a\nb"));
        frames.done();
        let id = id.text();
        let wanted = format!("id: {id}:0,0\ndata: 0\n\nid: {id}:0,1\nevent: x\ndata: \"a\\nb\"\n\ndata: [DONE]\n\n");
        assert_eq!(text(&frames), wanted);
    }

    #[test]
    fn what_was_seen_is_left_out() {
        let id = ResponseId::new("cmpl", 1, "0123456789abcdef");
        let last = LastEvent { id: id.clone(), seen: vec![2, 5] };
        let mut frames = Frames::new(&id, 2, Some(last));
        frames.first(None, &json!("first"));
        for position in 1..=3 {
            frames.at(0, position, None, &json!(position));
        }
        frames.at(1, 5, None, &json!("no"));
        frames.at(1, 6, None, &json!("yes"));
        let name = id.text();
        assert_eq!(text(&frames), format!("id: {name}:3,5\ndata: 3\n\nid: {name}:3,6\ndata: \"yes\"\n\n"));
    }

    #[test]
    fn the_last_event_has_a_name_of_its_own() {
        let id = ResponseId::new("cmpl", 1, "0123456789abcdef");
        let name = id.text();
        for (seen, wanted) in [(3, format!("id: {name}:4,2\ndata: \"use\"\n\n")), (4, String::new())] {
            let mut frames = Frames::new(&id, 2, Some(LastEvent { id: id.clone(), seen: vec![seen, 2] }));
            frames.at(0, 3, None, &json!("no"));
            frames.at(1, 2, None, &json!("no"));
            assert!(!frames.overrun());
            frames.last(None, &json!("use"));
            assert_eq!(text(&frames), wanted);
        }
        for seen in [vec![5, 2], vec![3, 3]] {
            let mut frames = Frames::new(&id, 2, Some(LastEvent { id: id.clone(), seen: seen.clone() }));
            frames.at(0, 3, None, &json!("no"));
            frames.at(1, 2, None, &json!("no"));
            assert!(frames.overrun(), "{seen:?}");
        }
    }
}
