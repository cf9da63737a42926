//! A response as it comes. Its events are numbered, and the numbers depend on the tokens alone: they are the events' positions.

use super::super::shared::{Samebit, ToolUse};
use super::responses_body::{Item, Part, Response, call, message, message_id, status};
use crate::answer::{Encoder, Frames};
use crate::app::App;
use crate::engine::{Done, Ending, Event};
use crate::http::ApiError;
use crate::tools::{Call, Delta, Reader};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Makes the events of `/v1/responses`.
pub(super) struct ResponseEncoder {
    app: Arc<App>,
    /// Until it is complete.
    response: Option<Response>,
    unique: String,
    reader: Reader,
    samebit: bool,
    sequence: u64,
    /// The message's text, once there is one, and its place in the output.
    text: Option<(usize, String)>,
    /// Items whose events are over.
    output: Vec<Item>,
    calls: usize,
    tokens: Vec<u32>,
    generated: u64,
    done: Option<Done>,
}

impl ResponseEncoder {
    pub(super) fn new(app: &Arc<App>, response: Response, unique: String, tools: ToolUse, samebit: bool) -> Self {
        Self {
            app: Arc::clone(app),
            response: Some(response),
            unique,
            reader: Reader::new(tools.family),
            samebit,
            sequence: 0,
            text: None,
            output: Vec::new(),
            calls: 0,
            tokens: Vec::new(),
            generated: 0,
            done: None,
        }
    }

    fn emit(&mut self, name: &str, fields: Value, out: &mut Frames) {
        let mut event = Map::new();
        event.insert("type".into(), name.into());
        event.insert("sequence_number".into(), self.sequence.into());
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        // Positions are above 0, which is what a client has seen that has seen nothing.
        self.sequence += 1;
        out.at(0, self.sequence, Some(name), &event);
    }

    fn delta(&mut self, delta: Delta, out: &mut Frames) {
        if !delta.content.is_empty() {
            self.content(&delta.content, out);
        }
        for made in delta.calls {
            self.call(made, out);
        }
    }

    fn content(&mut self, piece: &str, out: &mut Frames) {
        let id = message_id(&self.unique);
        let place = match &mut self.text {
            Some((place, text)) => {
                text.push_str(piece);
                *place
            }
            None => {
                let place = self.begin_message(out);
                self.text = Some((place, piece.to_owned()));
                place
            }
        };
        let mut fields =
            json!({"item_id": id, "output_index": place, "content_index": 0, "delta": piece, "logprobs": []});
        if self.samebit {
            let told = Samebit::tokens(std::mem::take(&mut self.tokens));
            fields["samebit"] = serde_json::to_value(told).unwrap_or_default();
        }
        self.emit("response.output_text.delta", fields, out);
    }

    fn begin_message(&mut self, out: &mut Frames) -> usize {
        let place = self.output.len();
        let item = message(&self.unique, "in_progress", Vec::new());
        self.emit("response.output_item.added", json!({"output_index": place, "item": item}), out);
        let id = message_id(&self.unique);
        let part = json!({"item_id": id, "output_index": place, "content_index": 0, "part": Part::new(String::new())});
        self.emit("response.content_part.added", part, out);
        // Its place is taken; what it says is known at its end.
        self.output.push(item);
        place
    }

    fn end_message(&mut self, ending: Ending, out: &mut Frames) {
        let Some((place, text)) = self.text.take() else { return };
        let id = message_id(&self.unique);
        let at = json!({"item_id": id, "output_index": place, "content_index": 0});
        let with = |key: &str, value: Value| {
            let mut fields = at.clone();
            fields[key] = value;
            fields
        };
        let mut said = with("text", text.clone().into());
        said["logprobs"] = json!([]);
        self.emit("response.output_text.done", said, out);
        self.emit("response.content_part.done", with("part", json!(Part::new(text.clone()))), out);
        let item = message(&self.unique, status(Some(ending)), vec![Part::new(text)]);
        self.emit("response.output_item.done", json!({"output_index": place, "item": item}), out);
        if let Some(held) = self.output.get_mut(place) {
            *held = item;
        }
    }

    fn call(&mut self, made: Call, out: &mut Frames) {
        let (place, index) = (self.output.len(), self.calls);
        self.calls += 1;
        let begun = Call { arguments: String::new(), ..made.clone() };
        let begun = call(&self.unique, index, begun, "in_progress");
        self.emit("response.output_item.added", json!({"output_index": place, "item": begun}), out);
        let item = call(&self.unique, index, made, "completed");
        if let Item::Call { id, arguments, name, .. } = &item {
            let at = json!({"item_id": id, "output_index": place, "delta": arguments});
            self.emit("response.function_call_arguments.delta", at, out);
            let at = json!({"item_id": id, "output_index": place, "name": name, "arguments": arguments});
            self.emit("response.function_call_arguments.done", at, out);
        }
        self.emit("response.output_item.done", json!({"output_index": place, "item": item}), out);
        self.output.push(item);
    }

    fn finished(&mut self, done: Done, out: &mut Frames) {
        let delta = self.reader.push(&done.rest);
        self.delta(delta, out);
        let delta = self.reader.finish();
        self.delta(delta, out);
        if !self.output.iter().any(Item::is_call) && self.text.is_none() {
            // An answer that says nothing is a message that says nothing.
            let place = self.begin_message(out);
            self.text = Some((place, String::new()));
        }
        self.end_message(done.ending, out);
        self.done = Some(done);
    }
}

impl Encoder for ResponseEncoder {
    fn begin(&mut self, out: &mut Frames) {
        let response = json!({"response": self.response});
        self.emit("response.created", response.clone(), out);
        self.emit("response.in_progress", response, out);
    }

    fn event(&mut self, event: Event, out: &mut Frames) {
        match event {
            Event::Token(piece) => {
                self.generated += 1;
                self.tokens.push(piece.token);
                let delta = self.reader.push(&piece.text);
                self.delta(delta, out);
            }
            Event::Done(done) => self.finished(done, out),
            Event::Accepted | Event::Prompt { .. } | Event::Embedding { .. } | Event::Failed(_) => {}
        }
    }

    fn end(&mut self, out: &mut Frames) {
        let Some(response) = self.response.take() else { return };
        let ending = self.done.as_ref().map(|done| done.ending);
        let mut response = response.complete(std::mem::take(&mut self.output), ending, self.generated);
        if let (true, Some(done)) = (self.samebit, &self.done) {
            response.samebit = Some(Samebit::end(&self.app, done, std::mem::take(&mut self.tokens)));
        }
        let name = if response.is_whole() { "response.completed" } else { "response.incomplete" };
        self.emit(name, json!({"response": response}), out);
    }

    fn failed(&mut self, error: &ApiError, out: &mut Frames) {
        let Some(response) = self.response.take() else { return };
        let mut event = json!({"type": "response.failed", "sequence_number": self.sequence});
        event["response"] = json!(response.failed(&error.message));
        // Without a name to resume from: the last event that came is the one to go on from.
        out.plain(Some("response.failed"), &event);
    }
}
